"""The numbers that the paper prints, found by path: `table4.rows.A_specific_relevant.MATH500`.

    paper.json + path in an experiment's TOML → PaperNumber(value, std)

paper.json holds facts only, as arXiv 2505.11628v4 prints them: shares in percent, [mean, std] where it gives both.
Averages stand as printed, also the few that are not the mean of their row. Keys may hold dots ("S1.1-3B"), so a path
is matched against keys and not cut at its dots. In a measure's path `{row}` stands for the path of the variant's row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("paper.json")
ROW = "{row}"


@dataclass(frozen=True)
class PaperNumber:
    """A printed number."""

    value: float
    std: float | None
    """Over seeds, where it is printed."""
    path: str
    """Where it stands in paper.json."""


@cache
def read_paper() -> dict[str, Any]:
    """The whole file."""
    return dict(json.loads(FILE.read_text(encoding="utf-8")))


def source() -> str:
    """The paper, with its version."""
    return str(read_paper()["source"])


def number_for(row: str, path: str, measure: str) -> PaperNumber | None:
    """The paper's number of one variant and measure; None where it prints none.

    `path` is the measure's, in which `{row}` stands for `row`. The path that measures have by default, `{row}.MEASURE`,
    may lead nowhere: not every row has every column, and some rows are only a part of other paths. Any other must
    resolve, except that of a variant without a row.
    """
    if ROW in path and not row:
        return None
    if path == f"{ROW}.{measure}":
        columns = next(walk(read_paper(), row), None)
        if not isinstance(columns, Mapping) or measure not in columns:
            return None
    return lookup(path.replace(ROW, row)) if path else None


def lookup(path: str) -> PaperNumber:
    """The number at this path."""
    found = find(path)
    if isinstance(found, int | float):
        return PaperNumber(float(found), None, path)
    if isinstance(found, list) and len(found) == 2:
        return PaperNumber(float(found[0]), float(found[1]), path)
    raise ValueError(f"paper.json: {path!r} is no number{nearest(path)}")


def find(path: str) -> Any:
    """What stands at this path: a number, a row, a table."""
    found = list(walk(read_paper(), path))
    if not found:
        raise ValueError(f"paper.json: there is no {path!r}{nearest(path)}")
    return found[0]


def walk(node: Any, path: str) -> Iterator[Any]:
    """Everything that the path can mean, the longest keys first."""
    if not isinstance(node, Mapping):
        return
    for key in sorted(node, key=len, reverse=True):
        if path == key:
            yield node[key]
        elif path.startswith(f"{key}."):
            yield from walk(node[key], path[len(key) + 1 :])


def nearest(path: str) -> str:
    """`; did you mean X?`, or nothing where no path is close."""
    close = get_close_matches(path, list(paths(read_paper())), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def paths(node: Any, prefix: str = "") -> Iterator[str]:
    """Every path of the file, of rows and of numbers."""
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield prefix + key
            yield from paths(child, f"{prefix}{key}.")
