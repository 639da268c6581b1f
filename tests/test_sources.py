"""Sources: rows of any common shape become records; what is missing, doubled or odd is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datagen.records import Record, read_records
from datagen.sources import DataConfig, load_prompts, write_prompts
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
    ],
)
def test_fields_are_recognised(
    tmp_path: Path, row: dict[str, Any], answer: str | None, final: str | None
) -> None:
    record = load(write_rows(tmp_path / "set.jsonl", [row]))[0]
    assert (record.prompt, record.answer, record.final_answer) == ("Q", answer, final)
    assert (record.id, record.source, record.extra) == ("set-0", "set.jsonl", {})


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
    write_prompts(DataConfig(prompts=source, limit=2), target, 0, said.append)
    assert len(read_records(target)) == 2
