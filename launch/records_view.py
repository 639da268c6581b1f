"""`cgd inspect FILE`: records page by page, the student's answer, the critique and the refinement side by side.

    records -> which are asked for -> a page of them -> columns on a wide terminal, one below the other on a narrow one

What is shown is the file's own text. Control characters are made visible first: a model's output must not
move the cursor or change the colours of the person who reads it.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from datagen.records import Record, read_records

GAP = " │ "
NARROWEST_COLUMN = 28
"""Characters; where columns would be narrower, texts stand one below the other."""
COLUMNS = {
    "student_answer": "STUDENT'S ANSWER",
    "critique": "CRITIQUE",
    "refined_answer": "REFINEMENT",
}
WHICH_FILES = (
    "what is shown here are records that `cgd generate` has written, such as runs/NAME/data/refinements.jsonl; "
    "problems are looked at by `cgd doctor CONFIG` and `cgd run CONFIG --dry-run`"
)


@dataclass(frozen=True, kw_only=True)
class View:
    """Which records are shown, and how wide."""

    page: int = 1
    per_page: int = 3
    example: str | None = None
    """This id alone."""
    student: Literal["right", "wrong"] | None = None
    """Only records whose student answer is known to be so."""
    width: int = 120

    def __post_init__(self) -> None:
        for name in ("page", "per_page"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise ValueError(f"--{option} must be 1 or more, got {getattr(self, name)}")


@dataclass(frozen=True)
class Page:
    """Some of the records that were asked for, and how many there are in all."""

    shown: tuple[Record, ...]
    pages: int
    total: int


def page_of(path: Path, view: View) -> Page:
    """The page that is asked for. Raises ValueError where there is none."""
    try:
        records = chosen(read_records(path), path, view)
    except ValueError as error:
        if not str(error).endswith("is missing"):
            raise
        raise ValueError(f"{error}; {WHICH_FILES}") from None
    first = (view.page - 1) * view.per_page
    shown = tuple(records[first : first + view.per_page])
    pages = -(-len(records) // view.per_page)
    if not shown:
        raise ValueError(f"--page {view.page}: {path} has {pages} pages of {view.per_page} records")
    return Page(shown, pages, len(records))


def show_records(path: Path, view: View) -> Iterator[str]:
    """The lines of a page."""
    page = page_of(path, view)
    for record in page.shown:
        yield from record_lines(record, view.width)
        yield ""
    way_on = f"; --page {view.page + 1} shows the next" if view.page < page.pages else ""
    yield f"{path}: page {view.page} of {page.pages:,}, {page.total:,} records{way_on}"


def records_json(path: Path, view: View) -> str:
    """The same page as one JSON object, its records whole."""
    page = page_of(path, view)
    numbers = {"path": str(path), "page": view.page, "pages": page.pages, "total": page.total}
    return json.dumps(numbers | {"records": [record.to_json() for record in page.shown]}, indent=1)


def chosen(records: Sequence[Record], path: Path, view: View) -> Sequence[Record]:
    """The records that are asked for; a ValueError where there are none."""
    if view.example is not None:
        found = [record for record in records if record.id == view.example]
        if not found:
            near = get_close_matches(view.example, [record.id for record in records], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"--example: no record in {path} has the id {view.example!r}{hint}")
        return found
    if view.student is None:
        return records
    found = [r for r in records if r.student_correct is (view.student == "right")]
    if not found:
        raise ValueError(f"--student {view.student}: no record in {path} is known to be so")
    return found


def record_lines(record: Record, width: int) -> Iterator[str]:
    """One record: what is known of it, the prompt, and its texts."""
    title = f"── {visible(record.id)} "
    yield title.ljust(width, "─")
    yield facts(record)
    yield from wrapped(f"PROMPT  {record.prompt}", width)
    gold = record.final_answer or record.answer
    if gold is not None:
        yield from wrapped(f"GOLD  {gold}", width)
    texts = {title: getattr(record, name) for name, title in COLUMNS.items()}
    there = {title: text for title, text in texts.items() if text is not None}
    if there:
        yield ""
        yield from side_by_side(there, width)
    if record.teacher_answer is not None:
        yield ""
        yield from wrapped(f"THE TEACHER ALONE  {record.teacher_answer}", width)


def facts(record: Record) -> str:
    """Source, judgement, and who wrote what at which length."""
    known = {True: "student right", False: "student wrong", None: "student not judged"}
    parts = [record.source or "source not named", known[record.student_correct]]
    if record.verdict is not None:
        parts.append(f"critique says {record.verdict}")
    for stage, made in record.provenance.items():
        if "completion_tokens" in made:
            cut = ", cut" if made.get("finish_reason") == "length" else ""
            parts.append(f"{stage}: {made['completion_tokens']} tokens{cut}")
    return " · ".join(visible(part) for part in parts)


def side_by_side(texts: dict[str, str], width: int) -> Iterator[str]:
    """Titled texts as columns, or stacked where columns would be too narrow."""
    column = (width - len(GAP) * (len(texts) - 1)) // len(texts)
    if column < NARROWEST_COLUMN:
        for title, text in texts.items():
            yield from (title, *wrapped(text, width), "")
        return
    columns = [[title, "-" * column, *wrapped(text, column)] for title, text in texts.items()]
    for row in range(max(map(len, columns))):
        cells = (lines[row] if row < len(lines) else "" for lines in columns)
        yield GAP.join(cell.ljust(column) for cell in cells).rstrip()


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most so many characters; its own line breaks and indents are kept."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines += textwrap.wrap(visible(line), width, replace_whitespace=False, tabsize=4) or [""]
    return lines


def visible(text: str) -> str:
    """Control characters as `\\x1b`; tabs stay."""
    return "".join(
        c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text
    )
