"""The record and its file: nothing is lost on the way, and what is wrong is named by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.records import Record, json_line, read_records, write_records, write_whole

TEXTS = st.text(st.characters(exclude_categories=()))  # lone surrogates and control characters too
NON_EMPTY = TEXTS.filter(lambda text: bool(text.strip()))
RECORDS = st.builds(
    Record,
    id=NON_EMPTY,
    prompt=NON_EMPTY,
    answer=st.none() | TEXTS,
    student_answer=st.none() | TEXTS,
    critique=st.none() | TEXTS,
    student_correct=st.none() | st.booleans(),
    provenance=st.dictionaries(st.sampled_from(["answer", "refine"]), st.just({"seed": 1})),
    extra=st.dictionaries(st.sampled_from(["level", "subject"]), TEXTS | st.integers()),
)


@given(st.lists(RECORDS, unique_by=lambda record: record.id, max_size=4))
def test_a_file_gives_back_the_records_that_were_written(records: list[Record]) -> None:
    lines = b"".join(json_line(record.to_json()) for record in records)
    assert lines.count(b"\n") == len(records)
    assert [Record.from_json(json.loads(line)) for line in lines.split(b"\n")[:-1]] == records


def test_line_separators_inside_a_text_do_not_cut_a_line(tmp_path: Path) -> None:
    record = Record(id="a", prompt="one\u2028two\x85three\r\nfour\x0bfive")
    write_records(tmp_path / "r.jsonl", [record, Record(id="b", prompt="p")])
    assert read_records(tmp_path / "r.jsonl")[0] == record


def test_unknown_fields_are_kept_and_written_back() -> None:
    values = {"id": "a", "prompt": "p", "level": 3, "tags": ["x"]}
    assert values.items() <= Record.from_json(values).to_json().items()


def test_unfilled_stage_fields_are_absent_and_an_empty_text_is_not() -> None:
    values = Record(id="a", prompt="p", critique="").to_json()
    assert values.keys() == {"id", "prompt", "answer", "final_answer", "source", "critique"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "b", "prompt": "p"', "not a line of JSON"),
        ('["b"]', "expected a JSON object, got list"),
        ('{"prompt": "p"}', "`id` is missing"),
        ('{"id": "b"}', "`prompt` is missing"),
        ('{"id": "b", "prompt": " "}', "`prompt` is empty"),
        ('{"id": 7, "prompt": "p"}', "`id` must be a string, not int"),
        ('{"id": "b", "prompt": "p", "answer": 3}', "`answer` must be a string, not int"),
        ('{"id": "b", "prompt": "p", "student_correct": "yes"}', "must be true or false, not str"),
        ('{"id": "a", "prompt": "p"}', "the id 'a' is already used at"),
        ("[" * 100_000, "not a line of JSON"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": "a", "prompt": "p"}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"r\.jsonl:3: ") as error:
        read_records(path)
    assert message in str(error.value)


def test_bytes_that_are_no_text_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "prompt": "p"}\n{"id": "\xff", "prompt": "p"}\n')
    with pytest.raises(ValueError, match=r"r\.jsonl:2: not a line of JSON"):
        read_records(path)


def test_a_missing_file_and_a_folder_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        read_records(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="is a folder"):
        read_records(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    write_records(path, [Record(id="a", prompt="p")])
    before = path.read_bytes()

    def broken() -> object:
        yield Record(id="b", prompt="p")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        write_records(path, broken())  # type: ignore[arg-type]
    assert path.read_bytes() == before
    write_whole(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["r.jsonl"]
