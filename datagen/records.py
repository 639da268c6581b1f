"""The record: a prompt and all that student and teacher wrote about it, one line of a JSONL file.

    prompts.jsonl -> answers.jsonl -> critiques.jsonl -> refinements.jsonl -> teacher_answers.jsonl

Each stage copies the record and fills one field, so the last file holds everything that training
needs. Fields that no stage has filled yet are absent from the file. Fields of a file that are not
ours are kept and written back. A reader names file and line of whatever is wrong, because these
files are edited by hand and by scripts; a writer replaces the whole file at once, so that a
half-written one never exists.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from datagen.reasons import why

ALWAYS_WRITTEN = ("id", "prompt", "answer", "final_answer", "source")
"""These stand in every line, as null where unknown; the others appear once they are filled."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A prompt with the texts and judgements that belong to it."""

    id: str
    """Stable and unique within a file; everything that resumes goes by it."""
    prompt: str
    """x: byte for byte the user message that the student gets at inference."""
    answer: str | None = None
    """y: the gold demonstration, the text that `sft` learns."""
    final_answer: str | None = None
    """The short gold answer for grading; None means that it is extracted from `answer`."""
    source: str = ""
    """Where the prompt comes from: a built-in name, a file or a hub data set."""
    student_answer: str | None = None
    """y': what the student wrote."""
    critique: str | None = None
    """c: what the teacher says about y'."""
    refined_answer: str | None = None
    """The teacher's solution, given x, y' and c."""
    teacher_answer: str | None = None
    """The teacher's solution, given x alone."""
    student_correct: bool | None = None
    """Whether y' is right, where somebody could tell."""
    verdict: str | None = None
    """`right` or `wrong`: what the critique concludes about y', where it says so."""
    provenance: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By stage: which model wrote the text, with which wording, sampling and seed, how it ended."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields of the file that are not ours; kept and written back."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Record:
        """The record of one parsed line; a ValueError says what is missing or of the wrong type."""
        for name in ("id", "prompt"):
            if name not in values:
                raise ValueError(f"the field `{name}` is missing")
        known = {name: value for name, value in values.items() if name in _TYPES}
        for name, value in known.items():
            _check(name, value)
        unknown = {name: value for name, value in values.items() if name not in _TYPES}
        return cls(**_without_nulls(known), extra=unknown)

    def to_json(self) -> dict[str, Any]:
        """The flat object of this record's line."""
        values = {name: getattr(self, name) for name in _TYPES}
        filled = {n: v for n, v in values.items() if n in ALWAYS_WRITTEN or v not in (None, {})}
        return filled | self.extra

    def with_stage(self, stage: str, provenance: Mapping[str, Any], **changes: Any) -> Record:
        """This record with the fields that a stage fills, and who filled them."""
        filled = copy(self)  # `replace` would set every field anew, for each text of a run
        vars(filled).update(changes, provenance=self.provenance | {stage: dict(provenance)})
        return filled


_TYPES: dict[str, type] = {f.name: str for f in fields(Record) if f.name != "extra"}
_TYPES |= {"student_correct": bool, "provenance": dict}
_WORDS = {str: "a string", bool: "true or false", dict: "an object"}


def _check(name: str, value: Any) -> None:
    required = name in ("id", "prompt")
    if value is None and not required:
        return
    if not isinstance(value, _TYPES[name]):
        wanted = _WORDS[_TYPES[name]]
        raise ValueError(f"the field `{name}` must be {wanted}, not {type(value).__name__}")
    if required and not str(value).strip():
        raise ValueError(f"the field `{name}` is empty")


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of every line that is not blank; a ValueError names a broken one."""
    # Lines end at \n alone: str.splitlines would also cut at U+2028, which JSON strings may hold.
    for number, line in enumerate(_bytes_of(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}:{number}: not a line of JSON ({why(error)})") from None
        if not isinstance(values, dict):
            kind = type(values).__name__
            raise ValueError(f"{path}:{number}: expected a JSON object, got {kind}")
        yield number, values


def _bytes_of(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; a JSONL file is expected") from None


def read_records(path: Path) -> list[Record]:
    """All records of a file, in its order."""
    records: list[Record] = []
    line_of: dict[str, int] = {}
    for number, values in read_jsonl(path):
        try:
            record = Record.from_json(values)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        if record.id in line_of:
            first = f"{path}:{line_of[record.id]}"
            raise ValueError(f"{path}:{number}: the id {record.id!r} is already used at {first}")
        line_of[record.id] = number
        records.append(record)
    return records


_JSON = json.JSONEncoder(ensure_ascii=False)


def json_line(values: Mapping[str, Any]) -> bytes:
    """One line of a JSONL file, in UTF-8, its end of line included."""
    try:
        return _JSON.encode(values).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can say it, UTF-8 cannot
        return json.dumps(values).encode() + b"\n"


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Writes the file aside and puts it in place at once."""
    write_whole(path, b"".join(json_line(record.to_json()) for record in records))


def write_whole(path: Path, content: bytes) -> None:
    """Replaces a file's content: a reader finds the old one or the new one, nothing between."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with named(path):
        try:
            with aside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except OSError:
            with suppress(OSError):
                aside.unlink()  # half a file would only fill the disk
            raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """A failure to write says where it was: what the system raises about a full disk names no file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
