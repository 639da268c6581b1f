"""Claims: a page of records shows whole texts side by side, pages add up, and no model output moves the cursor."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_records
from hypothesis import given
from hypothesis import strategies as st

from datagen.records import Record, read_records, write_records
from launch.cli import main
from launch.records_view import View, show_records, side_by_side, visible, wrapped


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Seven records, the odd ones with a right student answer."""
    records = [Record.from_json(row) for row in make_records(7)]
    judged = [replace(r, student_correct=i % 2 == 1) for i, r in enumerate(records)]
    write_records(tmp_path / "records.jsonl", judged)
    return tmp_path / "records.jsonl"


def ids(lines: list[str]) -> list[str]:
    """The records on a page."""
    return [match[1] for line in lines if (match := re.match(r"── (\S+)", line))]


def test_pages_hold_every_record_once(source: Path) -> None:
    pages = [list(show_records(source, View(page=n))) for n in (1, 2, 3)]
    assert [ids(page) for page in pages] == [["r0", "r1", "r2"], ["r3", "r4", "r5"], ["r6"]]
    assert pages[0][-1].endswith("page 1 of 3, 7 records; --page 2 shows the next")
    assert pages[2][-1].endswith("page 3 of 3, 7 records")


def test_texts_stand_side_by_side_where_there_is_room(source: Path) -> None:
    wide = "\n".join(show_records(source, View(width=150, per_page=1)))
    assert re.search(r"STUDENT'S ANSWER +│ CRITIQUE +│ REFINEMENT", wide)
    narrow = "\n".join(show_records(source, View(width=60, per_page=1)))
    assert "│" not in narrow
    assert narrow.index("STUDENT'S ANSWER") < narrow.index("CRITIQUE") < narrow.index("REFINEMENT")


def test_wrong_answers_can_be_asked_for(source: Path) -> None:
    lines = list(show_records(source, View(student="wrong", per_page=9)))
    assert ids(lines) == ["r0", "r2", "r4", "r6"]


@given(st.text(alphabet="ab \n\t\x1b\x07\r\u202e漢", max_size=200), st.integers(28, 90))
def test_every_letter_is_shown_and_no_control_character(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(c.isprintable() for line in lines for c in line)
    letters = [c for c in visible(text) if c in "ab漢"]
    assert [c for line in lines for c in line if c in "ab漢"] == letters


@given(st.lists(st.text(alphabet="ab \n", max_size=120), min_size=1, max_size=3))
def test_columns_keep_within_the_width(texts: list[str]) -> None:
    titled = {f"T{i}": text for i, text in enumerate(texts)}
    assert all(len(line) <= 100 for line in side_by_side(titled, 100))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--page", "9"], "--page 9: "),
        (["--page", "0"], "--page must be 1 or more, got 0"),
        (["--example", "r44"], "did you mean 'r4'?"),
    ],
)
def test_what_cannot_be_shown_is_said(
    source: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["inspect", str(source), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_file_of_problems_is_no_file_of_records_and_the_way_to_look_at_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = tmp_path / "problems.jsonl"
    problems.write_text('{"problem": "1 + 1?", "answer": "2"}\n', encoding="utf-8")
    assert main(["inspect", str(problems)]) == 2
    said = capsys.readouterr().err
    assert "problems.jsonl:1: the field `id` is missing; what is shown here are records" in said
    assert "cgd doctor CONFIG" in said


def test_the_command_line_pages_through_a_file(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(source), "--student", "right", "--per-page", "2"]) == 0
    assert ids(capsys.readouterr().out.splitlines()) == ["r1", "r3"]


def test_a_page_is_one_json_object_with_whole_records(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(source), "--json", "--page", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["page"], found["pages"], found["total"]) == (2, 3, 7)
    assert [Record.from_json(row) for row in found["records"]] == list(read_records(source))[3:6]


def test_an_id_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (row,) = make_records(1)
    record = Record.from_json(row | {"id": "r\x1b]0;title\x07\u202e"})
    write_records(tmp_path / "records.jsonl", [record])
    lines = list(show_records(tmp_path / "records.jsonl", View()))
    assert lines[0].startswith(r"── r\x1b]0;title\x07\u202e ─")
    assert all(c.isprintable() for line in lines for c in line)
