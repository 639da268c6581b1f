"""The rows of a diagnostic on disk: appended as they come, found again by their keys.

    NAME.jsonl                        all rows, in the order of the records
    NAME.jsonl.partial                rows of a run in progress; of one worker among many NAME.K-of-N.jsonl.partial

A process may die at any byte. What is no whole row is not read, and its record is measured again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from datagen.records import json_line
from datagen.workers import Worker
from evals.diagnostics.diagnosis import Row


def partial_of(folder: Path, name: str, worker: Worker) -> Path:
    """The file that a worker appends to."""
    one = "" if worker.count == 1 else f".{worker.number}-of-{worker.count}"
    return folder / f"{name}{one}.jsonl.partial"


def partials(folder: Path, name: str) -> list[Path]:
    """Those of all workers, of whatever number."""
    return sorted(folder.glob(f"{name}.*partial"))


def read_rows(folder: Path, name: str) -> dict[str, Row]:
    """All whole rows by key, finished or not."""
    files = [folder / f"{name}.jsonl", *partials(folder, name)]
    rows = (row for file in files if file.exists() for row in whole_rows(file))
    return {row["key"]: row for row in rows}


def whole_rows(file: Path) -> Iterator[Row]:
    """Lines that are rows; others are remains of a torn one."""
    for line in file.read_bytes().split(b"\n"):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("key"), str):
            yield row


def append_rows(file: Path, rows: Iterable[Row], keys: Mapping[str, str]) -> None:
    """Writes each row down, with the key of its record, before the next one is measured."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as lines:
        if lines.tell():
            lines.write(b"\n")  # after a torn line; a blank one does no harm
        for row in rows:
            lines.write(json_line(row | {"key": keys[row["id"]]}))
            lines.flush()
