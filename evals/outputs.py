"""The outputs file of an evaluation in progress: one row appended and flushed as each output
arrives.

A process may die at any byte, so only the last line can be torn: it is cut off on the next start,
and said. Rows are found again by their `key`, which covers everything the output depends on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_outputs(path: Path, say: Callable[[str], None]) -> dict[str, Row]:
    """The whole rows of a file by key; a torn last line is cut off."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        say(f"{path}: the last line was torn; cut off, its output is made again")
        with path.open("r+b") as file:
            file.truncate(whole)
    rows, unreadable = {}, 0
    for line in content[:whole].splitlines():
        row = parse_row(line)
        unreadable += row is None
        if row is not None:
            rows[row["key"]] = row
    if unreadable:
        say(f"{path}: {unreadable} unreadable lines ignored, their outputs are made again")
    return rows


def parse_row(line: bytes) -> Row | None:
    """One row; None when it is no JSON object with a key and an output."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    known = isinstance(row, dict) and isinstance(row.get("key"), str)
    return row if known and isinstance(row.get("output"), str) else None
