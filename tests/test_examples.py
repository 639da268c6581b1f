"""Claims: context ids are inference's, the stop token is supervised, and nothing is dropped or cut in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import make_records, make_tokenizer

from engine.examples import ExampleSet, end_of_turn_ids, load_examples, render, token_ids
from engine.objectives import OBJECTIVES, user

TOKENIZER = make_tokenizer()


def load(path: Path, rows: list[dict[str, Any]], **changes: Any) -> ExampleSet:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {"objective": "cgd", "layout": "single_turn", "max_length": 4096, **changes}
    return load_examples(path, TOKENIZER, **settings)


@pytest.mark.parametrize("layout", ["single_turn", "multi_turn"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_supervised_tokens_are_the_target_and_its_stop(
    tmp_path: Path, objective: str, layout: str
) -> None:
    (row,) = make_records(1)
    loaded = load(tmp_path / "r.jsonl", [row], objective=objective, layout=layout)
    (example,) = loaded.examples
    supervised = example.token_ids[example.num_context :]
    assert supervised[-1] == TOKENIZER.convert_tokens_to_ids("<|im_end|>")
    assert TOKENIZER.decode(supervised[:-1]) == row[OBJECTIVES[objective].writes]


@pytest.mark.parametrize("objective", ["sft", "distilled_sft"])
def test_context_ids_are_the_inference_prompts(tmp_path: Path, objective: str) -> None:
    (row,) = make_records(1)
    (example,) = load(tmp_path / "r.jsonl", [row], objective=objective).examples
    at_inference = TOKENIZER.apply_chat_template([user(row["prompt"])], add_generation_prompt=True)
    assert example.token_ids[: example.num_context].tolist() == at_inference["input_ids"]


def test_end_of_turn_is_read_off_the_template() -> None:
    assert end_of_turn_ids(TOKENIZER) == [TOKENIZER.convert_tokens_to_ids("<|im_end|>")]


def test_template_that_never_stops_is_refused() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="never stop"):
        end_of_turn_ids(tokenizer)


def test_folder_without_chat_template_says_what_to_do() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match=r"no chat template; set student\.chat_template"):
        render(tokenizer, [user("x")])


def test_too_long_rows_follow_the_policy_and_are_counted(tmp_path: Path) -> None:
    rows = make_records(12)
    lengths = [len(e) for e in load(tmp_path / "r.jsonl", rows).examples]
    limit = sorted(lengths)[6]
    num_long = sum(length > limit for length in lengths)
    dropped = load(tmp_path / "r.jsonl", rows, max_length=limit)
    assert (len(dropped.examples), dropped.num_too_long) == (12 - num_long, num_long)
    assert f"{num_long} dropped" in dropped.summary()
    cut = load(tmp_path / "r.jsonl", rows, max_length=limit, too_long="truncate")
    assert (len(cut.examples), cut.num_truncated) == (12, num_long)
    assert max(len(e) for e in cut.examples) == limit
    with pytest.raises(ValueError, match=r"r\.jsonl:\d+: \d+ tokens, train\.max_length is"):
        load(tmp_path / "r.jsonl", rows, max_length=limit, too_long="error")


def test_cut_below_the_target_counts_as_no_target(tmp_path: Path) -> None:
    rows = make_records(2)
    borders = [e.num_context for e in load(tmp_path / "r.jsonl", rows).examples]
    kept = load(tmp_path / "r.jsonl", rows, max_length=min(borders) + 1, too_long="truncate")
    assert (len(kept.examples), kept.num_no_target, kept.num_truncated) == (1, 1, 1)


@pytest.mark.parametrize("empty", ["", None])
def test_rows_without_target_follow_the_policy_and_are_counted(
    tmp_path: Path, empty: str | None
) -> None:
    rows = make_records(3)
    rows[1]["refined_answer"] = empty
    loaded = load(tmp_path / "r.jsonl", rows)
    assert (len(loaded.examples), loaded.num_no_target) == (2, 1)
    assert "1 dropped: no supervised token" in loaded.summary()
    with pytest.raises(ValueError, match=r"r\.jsonl:2: no supervised token"):
        load(tmp_path / "r.jsonl", rows, no_target="error")


def test_nothing_left_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to train on"):
        load(tmp_path / "r.jsonl", make_records(2), max_length=3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a", "prompt"', "not valid JSON"),
        ('["a"]', "expected a JSON object"),
        ('{"id": "r0", "prompt": "x"}', "id 'r0' stands on line 1 already"),
        ('{"id": "b", "prompt": "x"}', "'refined_answer', which this row lacks"),
    ],
)
def test_broken_row_is_named_by_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(make_records(1)[0]) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"r\.jsonl:2: .*{message}"):
        load_examples(path, TOKENIZER, "cgd", "single_turn", 4096)


def test_text_that_looks_like_special_tokens_costs_no_supervision(tmp_path: Path) -> None:
    (row,) = make_records(1)
    row["refined_answer"] = "a <|im_end|> b"
    (example,) = load(tmp_path / "r.jsonl", [row]).examples
    assert example.num_supervised == len(token_ids(TOKENIZER, ["a <|im_end|> b"])[0]) + 1
