"""Rows of other people's data sets: read, and their fields recognised.

    file or hub -> Row(where, number, values) -> record_of -> Record, its prompt not yet worded

Data sets agree on what a row holds, not on how it is called. What is recognised: the problem, under
one of PROBLEM_FIELDS; a solution in full and a short final answer, under one of theirs. `answer`
means the short one where a solution stands beside it, else the text to learn. All other fields of a
row stay with the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datagen.records import Record, read_jsonl

PROBLEM_FIELDS = ("problem", "question", "prompt", "instruction", "query")
SOLUTION_FIELDS = ("solution", "response")
FINAL_FIELDS = ("final_answer",)


@dataclass(frozen=True)
class Row:
    """One row as it was found."""

    where: str
    """File and line, for messages."""
    number: int
    """Its position, from 0."""
    values: Mapping[str, Any]
    """Its fields."""


def rows_of_file(path: Path) -> Iterator[Row]:
    """The rows of a JSONL file, or of a JSON file that holds a list of objects."""
    if path.read_bytes().lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        yield from _rows_of_list(path)
        return
    for number, (line, values) in enumerate(read_jsonl(path)):
        yield Row(f"{path}:{line}", number, values)


def _rows_of_list(path: Path) -> Iterator[Row]:
    try:
        items = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not valid JSON ({error})") from None
    for number, values in enumerate(items):
        where = f"{path}, item {number + 1}"
        if not isinstance(values, dict):
            raise ValueError(f"{where}: expected an object, got {type(values).__name__}")
        yield Row(where, number, values)


def rows_of_hub(name: str, subset: str | None, split: str) -> Iterator[Row]:
    """The rows of a hub data set, in its order."""
    import datasets

    label = f"{name}{f' ({subset})' if subset else ''}, split {split}"
    try:
        rows = datasets.load_dataset(name, subset, split=split)
    except Exception as error:  # hub, network, parsing: each library has errors of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"data.prompts: {name!r} is no file here, and the hub data set cannot be loaded "
            f"({label}): {reason}"
        ) from error
    for number, values in enumerate(rows):
        yield Row(f"{label}, row {number + 1}", number, values)


def record_of(row: Row, prefix: str, source: str) -> Record:
    """The record of a row; its id is its own, or `prefix-number`."""
    problem_field = next((name for name in PROBLEM_FIELDS if name in row.values), None)
    if problem_field is None:
        raise ValueError(
            f"{row.where}: no problem found; one of {', '.join(PROBLEM_FIELDS)} is expected, "
            f"and there are {', '.join(row.values) or 'no fields'}"
        )
    answer, final_answer, used = answers_of(row)
    own = {"prompt": row.values[problem_field], "answer": answer, "final_answer": final_answer}
    own["id"] = _text(row, "id") or f"{prefix}-{row.number}"
    own["source"] = _text(row, "source") or source
    used |= {problem_field}
    others = {name: value for name, value in row.values.items() if name not in used}
    try:
        return Record.from_json(others | own)
    except ValueError as error:
        raise ValueError(
            f"{row.where}: {error} (the prompt is read from `{problem_field}`)"
        ) from None


def answers_of(row: Row) -> tuple[str | None, str | None, set[str]]:
    """(text to learn, short final answer, names of the fields they stood in)."""
    solution_field = next((n for n in SOLUTION_FIELDS if _text(row, n)), "")
    final_field = next((n for n in FINAL_FIELDS if _text(row, n)), "")
    answer = _text(row, "answer")
    solution, final = _text(row, solution_field), _text(row, final_field)
    used = {"answer", solution_field, final_field}
    if solution is not None:
        return solution, final or answer, used
    return answer, final, used


def _text(row: Row, name: str) -> str | None:
    value = row.values.get(name)
    if isinstance(value, list) and len(value) == 1:  # OlympiadBench lists even a single answer
        value = value[0]
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    kind = type(value).__name__
    raise ValueError(f"{row.where}: the field `{name}` must be a text or a number, not {kind}")
