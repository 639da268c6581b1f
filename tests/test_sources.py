"""Sources: rows of any common shape become records; what is missing, doubled or odd is said."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from datagen.known_sources import KNOWN
from datagen.prompt_files import write_prompts
from datagen.records import Record, read_records
from datagen.sources import DataConfig, load_prompts
from datagen.wordings import load_template


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def load(prompts: str, seed: int = 0, **settings: Any) -> list[Record]:
    return load_prompts(DataConfig(prompts=prompts, **settings), seed, say=lambda line: None)


@pytest.mark.parametrize(
    ("row", "answer", "final"),
    [
        ({"problem": "Q", "answer": "72", "solution": "so 72"}, "so 72", "72"),
        ({"question": "Q", "answer": "so #### 72"}, "so #### 72", None),
        ({"prompt": "Q", "answer": "so 72", "final_answer": "72"}, "so 72", "72"),
        ({"instruction": "Q", "response": "so 72"}, "so 72", None),
        ({"problem": "Q", "solution": "so 72", "final_answer": 72}, "so 72", "72"),
        ({"problem": "Q", "final_answer": "72"}, None, "72"),
        ({"problem": "Q", "answer": None}, None, None),
        ({"problem": "Q", "solution": ["so 72"], "final_answer": ["72"]}, "so 72", "72"),
        ({"query": "Q", "response": "so 72", "type": "x"}, "so 72", None),
        ({"instruction": "Q", "input": "", "output": "so 72"}, "so 72", None),
        ({"problem": "Q", "question": "Q", "answer": "so 72"}, "so 72", None),
        ({"problem": "Q", "solution": "so 72", "output": "so 72"}, "so 72", None),
    ],
)
def test_fields_are_recognised(
    tmp_path: Path, row: dict[str, Any], answer: str | None, final: str | None
) -> None:
    record = load(write_rows(tmp_path / "set.jsonl", [row]))[0]
    assert (record.prompt, record.answer, record.final_answer) == ("Q", answer, final)
    assert (record.id, record.source) == ("set-0", "set.jsonl")
    assert record.extra.keys() <= {"type", "input", "question", "output"}


USER, SYSTEM = {"role": "user", "content": "Q"}, {"role": "system", "content": "Be kind."}
ANSWER = {"role": "assistant", "content": "so 72"}


@pytest.mark.parametrize(
    ("row", "prompt", "answer", "remark"),
    [
        ({"messages": [USER, ANSWER]}, "Q", "so 72", None),
        ({"messages": [USER]}, "Q", None, None),
        ({"messages": [USER], "answer": "72"}, "Q", "72", None),
        ({"messages": [USER, USER, ANSWER]}, "Q\n\nQ", "so 72", None),
        ({"messages": [USER, ANSWER, USER, ANSWER]}, "Q", "so 72", "have later turns"),
        ({"messages": [SYSTEM, USER, ANSWER]}, "Q", "so 72", "have a system line"),
        ({"prompt": [USER], "answer": "72"}, "Q", "72", None),
        ({"prompt": "Q", "messages": [USER, ANSWER]}, "Q", "so 72", None),
        (
            {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "so 72"}]},
            "Q",
            "so 72",
            None,
        ),
    ],
)
def test_conversations_give_their_first_question_and_its_answer(
    tmp_path: Path, row: dict[str, Any], prompt: str, answer: str | None, remark: str | None
) -> None:
    said: list[str] = []
    path = write_rows(tmp_path / "set.jsonl", [row])
    record = load_prompts(DataConfig(prompts=path), 0, said.append)[0]
    assert (record.prompt, record.answer) == (prompt, answer)
    assert len(said) == 1 + (remark is not None)
    assert (remark or "") in said[-1]


def test_a_short_answer_beside_a_conversation_is_the_final_one(tmp_path: Path) -> None:
    turns = [USER, ANSWER, {"role": "tool", "content": None}]
    row = {"messages": turns, "answer": "72"}
    record = load(write_rows(tmp_path / "set.jsonl", [row]))[0]
    assert (record.answer, record.final_answer, record.extra) == ("so 72", "72", {})


def test_instruction_and_input_are_one_problem(tmp_path: Path) -> None:
    row = {"instruction": "Add these.", "input": "3 and 4", "output": "7"}
    record = load(write_rows(tmp_path / "set.jsonl", [row]))[0]
    assert (record.prompt, record.answer) == ("Add these.\n\n3 and 4", "7")


def test_of_a_solution_to_criticise_only_the_problem_is_taken(tmp_path: Path) -> None:
    row = {
        "instruction": "Please criticise.",
        "input": "Question:\nWhat is 3 + 4?\nTry.\n\nSolution:\nIt is 8.\n",
        "output": "No. Conclusion: wrong [END]",
    }
    record = load(write_rows(tmp_path / "set.jsonl", [row]))[0]
    assert (record.prompt, record.answer) == ("What is 3 + 4?\nTry.", None)
    assert record.extra == row


def test_an_input_that_only_begins_like_one_is_read_at_once(tmp_path: Path) -> None:
    given = "Question:\n" + "\n \t" * 50_000
    row = {"instruction": "I", "input": given, "output": "A"}
    started = time.process_time()
    assert load(write_rows(tmp_path / "set.jsonl", [row]))[0].prompt == f"I\n\n{given}"
    assert time.process_time() - started < 2


def test_named_fields_go_before_the_usual_ones(tmp_path: Path) -> None:
    row = {"question": "R", "stem": "Q", "answer": "wrong", "worked": "so 72", "short": 72}
    path = write_rows(tmp_path / "set.jsonl", [row])
    named = {"prompt_field": "stem", "answer_field": "worked", "final_answer_field": "short"}
    record = load(path, **named)[0]
    assert (record.prompt, record.answer, record.final_answer) == ("Q", "so 72", "72")
    assert record.extra["question"] == "R"
    with pytest.raises(
        ValueError, match=r"set\.jsonl:1: there is no field `text`, which data.prom"
    ):
        load(path, prompt_field="text")


def test_own_ids_and_other_fields_are_kept(tmp_path: Path) -> None:
    rows = [{"id": 5, "problem": "Q", "level": 3}, {"id": "x", "problem": "R", "level": 4}]
    first, second = load(write_rows(tmp_path / "set.jsonl", rows))
    assert (first.id, second.id) == ("5", "x")
    assert (first.extra, second.extra) == ({"level": 3}, {"level": 4})


def test_a_json_list_reads_like_lines(tmp_path: Path) -> None:
    rows = [{"problem": f"Q{i}"} for i in range(3)]
    (tmp_path / "set.json").write_text(" " + json.dumps(rows, indent=1))
    lines = load(write_rows(tmp_path / "set.jsonl", rows))
    as_list = load(str(tmp_path / "set.json"))
    assert [r.prompt for r in as_list] == [r.prompt for r in lines] == ["Q0", "Q1", "Q2"]


def test_the_wording_makes_the_prompt_and_stands_in_the_provenance(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "set.jsonl", [{"problem": "What is {x}?"}])
    record = load(path, wording="boxed")[0]
    template = load_template("boxed")
    assert record.prompt == template.render(problem="What is {x}?")
    assert record.provenance["prompt"]["wording_sha256"] == template.sha256


def test_duplicates_are_left_out_counted_and_do_not_use_up_the_limit(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "set.jsonl", [{"problem": f"Q{i // 2}"} for i in range(8)])
    said: list[str] = []
    records = load_prompts(DataConfig(prompts=path, limit=3), 0, said.append)
    assert [record.prompt for record in records] == ["Q0", "Q1", "Q2"]
    assert [record.id for record in records] == ["set-0", "set-2", "set-4"]
    assert "2 exact duplicates" in said[0]
    load_prompts(DataConfig(prompts=path, limit=30), 0, said.append)
    assert "data.limit asks for 30; there are no more" in said[1]


def test_a_larger_limit_keeps_what_a_smaller_one_had(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "set.jsonl", [{"problem": f"Q{i}"} for i in range(50)])
    few, many = load(path, limit=5, shuffle=True), load(path, limit=20, shuffle=True)
    assert many[:5] == few
    assert load(path, limit=5, shuffle=True, seed=1) != few
    assert [record.prompt for record in load(path, limit=2)] == ["Q0", "Q1"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "Q"}, "no problem found; one of problem, question"),
        ({"problem": ["Q"]}, "`prompt` must be a string, not list (the prompt is read from"),
        ({"problem": ""}, "`prompt` is empty"),
        ({"problem": "Q", "answer": ["1", "2"]}, "`answer` must be a text or a number, not list"),
        ({"problem": "Q", "question": "R"}, "problem and question differ; name one with"),
        ({"problem": "Q", "solution": "1", "response": "2"}, "solution and response differ; name"),
        ({"messages": [{"role": "assistant", "content": "A"}]}, "must begin with a user's turn"),
        ({"messages": [{"role": "user", "content": ["Q"]}]}, "needs a text as its `content`"),
        ({"messages": []}, "no problem found"),
        ({"id": "set-0", "problem": "Q"}, "the id 'set-0' is already used at"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    path = write_rows(tmp_path / "set.jsonl", [{"problem": "first"}, row])
    with pytest.raises(ValueError, match=r"set\.jsonl:2: ") as error:
        load(path)
    assert message in str(error.value)


def test_a_missing_file_names_what_was_looked_for_and_what_is_near(tmp_path: Path) -> None:
    write_rows(tmp_path / "gsm8k_train.jsonl", [{"problem": "Q"}])
    with pytest.raises(ValueError, match=r"gsm8k_trian.jsonl.* is no file") as error:
        load(str(tmp_path / "gsm8k_trian.jsonl"))
    assert "did you mean 'gsm8k_train.jsonl'" in str(error.value)
    with pytest.raises(ValueError, match="did you mean 'arithmetic'"):
        load("arithmetik")


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no rows"):
        load(write_rows(tmp_path / "set.jsonl", []))


def test_a_hub_data_set_is_read_through_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(name: str, subset: str | None, split: str) -> list[dict[str, str]]:
        if name != "openai/gsm8k":
            raise ConnectionError("no such data set\nand a long story")
        assert (subset, split) == ("main", "test")
        return [{"question": "Q", "answer": "so 7"}]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    record = load("openai/gsm8k", subset="main", split="test")[0]
    assert (record.id, record.source) == ("openai-gsm8k-test-0", "openai/gsm8k")
    with pytest.raises(ValueError, match=r"no such data set$"):
        load("openai/gsm9k")


def test_known_data_sets_have_short_names(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        "TIGER-Lab/WebInstructSub": {"question": "Q", "answer": "A", "source": "forum"},
        "TIGER-Lab/WebInstruct-CFT": {"instruction": "I", "input": "Question:\nQ\nSolution:\nA\n"},
        "meta-math/MetaMathQA": {"query": "Q", "original_question": "R", "response": "A"},
        "openai/gsm8k": {"question": "Q", "answer": "A"},
        "DigitalLearningGmbH/MATH-lighteval": {"problem": "Q", "level": "1", "solution": "A"},
    }
    monkeypatch.setattr("datasets.load_dataset", lambda name, subset, split: [rows[name]])
    for name, known in KNOWN.items():
        record = load(name)[0]
        assert record.prompt == "Q", name
        assert record.answer == (None if name == "webinstruct-cft" else "A"), name
        assert record.source in (known.hub, "forum")


def test_the_built_in_world_gives_as_many_as_asked_for() -> None:
    records = load("arithmetic", limit=30)
    assert len({record.prompt for record in records}) == 30
    assert records == load("arithmetic", limit=30)
    assert records != load("arithmetic", limit=30, seed=1)
    with pytest.raises(ValueError, match="not 'validation'"):
        load("arithmetic", split="validation")


def test_writing_the_same_prompts_again_leaves_the_file_alone(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "set.jsonl", [{"problem": f"Q{i}"} for i in range(4)])
    target, said = tmp_path / "run" / "prompts.jsonl", []
    write_prompts(DataConfig(prompts=source), target, 0, said.append)
    stamp = target.stat().st_mtime_ns
    write_prompts(DataConfig(prompts=source), target, 0, said.append)
    assert target.stat().st_mtime_ns == stamp
    assert said[-1] == "prompts: 4 records, complete, nothing to do"
    target.write_text("edited by hand")
    write_prompts(DataConfig(prompts=source), target, 0, said.append)
    assert len(read_records(target)) == 4
    write_prompts(DataConfig(prompts=source, limit=2), target, 0, said.append)
    assert len(read_records(target)) == 2
