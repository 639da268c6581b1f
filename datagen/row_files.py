"""Local files of rows: JSONL, JSON lists and Parquet; one file, a pattern, or a folder of them.

    data.prompts -> RowFiles(paths, kind) -> count, and rows by number

Rows are numbered through all files, in the order of their names. Only the rows that are asked for are
parsed or decoded: a JSONL file is read through once, line by line, and a Parquet file is read in its
row groups. A JSON list has to be read whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from datagen.reasons import first_line, why
from datagen.rows import Row

SUFFIXES = {".jsonl": "JSONL", ".json": "JSON", ".parquet": "Parquet"}
TABLES = (".csv", ".tsv", ".xlsx", ".xls")
PARQUET_MAGIC = b"PAR1"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class RowFiles:
    """Files of one kind; their rows are numbered through."""

    name: str
    """What ids of rows without one begin with."""
    paths: tuple[Path, ...]
    kind: str

    def count(self) -> int:
        """How many rows there are."""
        return sum(self._counts())

    def rows(self, numbers: Sequence[int]) -> Iterator[Row]:
        """The rows with these numbers, which go up."""
        wanted = np.asarray(numbers, np.int64)
        borders = np.cumsum([0, *self._counts()])
        read = {"JSONL": _jsonl_rows, "JSON": _json_rows, "Parquet": _parquet_rows}[self.kind]
        for path, (first, end) in zip(self.paths, pairwise(borders.tolist()), strict=True):
            here = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, end)]
            if not len(here):
                continue
            places = (here - first).tolist()
            for number, (where, values) in zip(here.tolist(), read(path, places), strict=True):
                yield Row(f"{path}{where}", number, values)

    def _counts(self) -> list[int]:
        count = {"JSONL": _count_lines, "JSON": _count_items, "Parquet": _count_parquet}[self.kind]
        return [count(path) for path in self.paths]


def find_files(name: str) -> RowFiles | None:
    """The files that a name means; None where it means none, neither as a path nor as a pattern."""
    path = Path(name).expanduser()
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file()]
        if not found:
            raise ValueError(f"data.prompts: the folder {name} holds no {_kinds()} files")
        return _of_one_kind(name, path.name, found)
    if path.is_file():
        return RowFiles(path.stem, (path,), kind_of(path))
    if any(mark in name for mark in "*?["):
        anchor = Path(path.anchor) if path.anchor else Path()
        pattern = str(path.relative_to(path.anchor)) if path.anchor else str(path)
        found = [file for file in anchor.glob(pattern) if file.is_file()]
        if not found:
            raise ValueError(f"data.prompts: no file matches {name!r}")
        return _of_one_kind(name, path.parent.name or "rows", found)
    return None


def _of_one_kind(name: str, stem: str, found: Sequence[Path]) -> RowFiles:
    """All of them, in the order of their names; a mixture is an error, since a row would count twice."""
    paths = sorted(found)
    kind_of_path = {path: kind_of(path) for path in paths}
    kinds = sorted(set(kind_of_path.values()))
    if len(kinds) > 1:
        examples = ", ".join(next(p.name for p in paths if kind_of_path[p] == k) for k in kinds)
        raise ValueError(
            f"data.prompts: {name!r} means files of several kinds ({examples}); name one kind with "
            "a pattern such as 'FOLDER/*.jsonl'"
        )
    return RowFiles(stem, tuple(paths), kinds[0])


def kind_of(path: Path) -> str:
    """JSONL, JSON or Parquet, by what stands in the file: a JSON list is often called .jsonl."""
    if path.suffix in TABLES:
        raise ValueError(
            f"{path}: a table ({path.suffix}) is not read, only {_kinds()}; pandas makes lines of JSON of it: "
            f"pandas.read_csv({path.name!r}).to_json({path.stem + '.jsonl'!r}, orient='records', lines=True)"
        )
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(PARQUET_MAGIC):
        return "Parquet"
    if path.suffix == ".parquet":
        raise ValueError(f"{path}: this is no Parquet file (it does not begin with PAR1)")
    if b"\0" in head:
        raise ValueError(
            f"{path}: neither {_kinds()}: it holds binary data, or text that is no UTF-8 (UTF-16?)"
        )
    return "JSON" if head.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"[") else "JSONL"


def _kinds() -> str:
    return "JSONL, JSON or Parquet"


# ---- one kind each ------------------------------------------------------------------------------------


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line number, line) of all lines that are not blank."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and line.strip() != BYTE_ORDER_MARK:
                yield number, line


def _count_lines(path: Path) -> int:
    return sum(1 for _ in _lines(path))


def _jsonl_rows(path: Path, places: Sequence[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    wanted = iter(places)
    place = next(wanted, None)
    for here, (number, line) in enumerate(_lines(path)):
        if here != place:
            continue
        try:
            values = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}:{number}: not a line of JSON ({why(error)})") from None
        yield f":{number}", _as_object(f"{path}:{number}", values)
        place = next(wanted, None)
        if place is None:
            return


def _items(path: Path) -> list[Any]:
    try:
        items: list[Any] = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not valid JSON ({why(error)})") from None
    return items


def _count_items(path: Path) -> int:
    return len(_items(path))


def _json_rows(path: Path, places: Sequence[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    items = _items(path)
    for place in places:
        where = f", item {place + 1}"
        yield where, _as_object(f"{path}{where}", items[place])


def _as_object(where: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected a JSON object, got {type(values).__name__}")
    return values


def _parquet(path: Path) -> Any:
    import pyarrow.parquet  # slow to import, and only for such files

    try:
        return pyarrow.parquet.ParquetFile(path)
    except Exception as error:  # a damaged file raises several kinds of errors
        raise ValueError(f"{path}: this Parquet file cannot be read: {first_line(error)}") from None


def _count_parquet(path: Path) -> int:
    return int(_parquet(path).metadata.num_rows)


def _parquet_rows(path: Path, places: Sequence[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Row groups that hold none of the rows are not read."""
    file, wanted = _parquet(path), np.asarray(places, np.int64)
    first = 0
    for group in range(file.metadata.num_row_groups):
        end = first + file.metadata.row_group(group).num_rows
        here = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, end)]
        if len(here):
            taken = file.read_row_group(group).take(here - first)
            for place, values in zip(here.tolist(), taken.to_pylist(), strict=True):
                yield f", row {place + 1}", values
        first = end
