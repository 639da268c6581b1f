"""The journal: every text is appended the moment it is finished, every failure too.

    open_journals(folder, W-of-N.jsonl) -> text(key)? else append(entry) ... killed ... open_journals

An entry is one line. It is handed to the operating system at once, so a killed process loses nothing
that it was told of; the disk is made to have it every few seconds and at the end, so a machine that
loses its power loses no more than those. A process that is killed in the middle of a line leaves a torn
one, the last: it is cut off before anything is appended behind it, or the next entry would be lost too.

Texts stay on disk: what is held in memory is where each one lies. Journals are kept for good. They hold
texts as they were written, those that a gate refused included, so a run whose settings or prompts change
finds everything that still fits.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from datagen.generators import Failure
from datagen.progress_bar import Say
from datagen.records import json_line

SYNC_SECONDS = 5.0
"""Longest time between a text's arrival and the order to the disk to keep it, while texts arrive."""

LOCK_SECONDS = 2.0
"""A worker that starts looks into all journals, each for a moment alone; longer than this somebody works there."""


@dataclass(frozen=True)
class Entry:
    """A text as it was written."""

    stage: str
    id: str
    """The record's id; it names the sample, too."""
    text: str
    provenance: dict[str, Any]
    """How it came about; `key` says for which piece of work."""

    @property
    def key(self) -> str:
        """The piece of work that the text belongs to."""
        return str(self.provenance.get("key"))


@dataclass(frozen=True)
class FailedEntry:
    """A piece of work of which no text came."""

    stage: str
    id: str
    key: str
    failure: Failure


Line = Entry | FailedEntry
Place = tuple[int, int, int]
"""(file, offset, length)"""
Append = Callable[[Line], tuple[int, int]]
"""Returns (offset, length)."""


# ---- writing ----------------------------------------------------------------------------------------


@contextmanager
def open_journal(path: Path, say: Say) -> Iterator[Append]:
    """Appends lines safely; the file is ours alone for the length of the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as raw:
        if not _locks(raw, LOCK_SECONDS):
            raise ValueError(f"another process is writing {path}; wait until it has finished")
        repair_end(path, say)
        synced = time.monotonic()

        def append(line: Line) -> tuple[int, int]:
            nonlocal synced
            end, content = os.fstat(raw.fileno()).st_size, json_line(_as_json(line))
            try:
                _write_all(raw, content)
                if time.monotonic() - synced >= SYNC_SECONDS:
                    os.fsync(raw.fileno())
                    synced = time.monotonic()
            except OSError as error:
                raw.truncate(end)  # a full disk takes half a line
                raise ValueError(
                    f"{path} cannot be written: {error.strerror}. All texts before are safe: make "
                    "room, and the same command goes on"
                ) from error
            return end, len(content)

        yield append
        os.fsync(raw.fileno())


def _locks(file: Any, patience_seconds: float = 0.0) -> bool:
    give_up = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= give_up:
                return False
            time.sleep(0.05)


def _write_all(raw: Any, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[raw.write(rest) :]


def _as_json(line: Line) -> dict[str, Any]:
    if isinstance(line, Entry):
        return vars(line)
    return {"stage": line.stage, "id": line.id, "key": line.key, "error": asdict(line.failure)}


def repair_end(path: Path, say: Say) -> None:
    """Cuts off a torn last line; one that lacks its line break alone gets it."""
    with path.open("r+b") as file:
        end = _end_of_last_whole_line(file)
        file.seek(end)
        torn = file.read()
        if not torn:
            return
        if parse_line(torn) is not None:
            file.write(b"\n")
        else:
            file.truncate(end)
            say(f"{path}: a torn last line ({len(torn):,} bytes) is cut off and written again")


def _end_of_last_whole_line(file: BinaryIO, block: int = 1 << 16) -> int:
    position = file.seek(0, os.SEEK_END)
    while position > 0:
        start = max(0, position - block)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


# ---- reading ----------------------------------------------------------------------------------------


@dataclass
class Spent:
    """Tokens that texts have taken."""

    prompt: int = 0
    """Read."""
    completion: int = 0
    """Written."""

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt + self.completion


@dataclass
class Journals:
    """What all journals hold, and where to add to it. The first of two texts of one key counts."""

    texts: dict[str, Place] = field(default_factory=dict)
    """key -> where its text lies."""
    newest: dict[tuple[str, str], str] = field(default_factory=dict)
    """(stage, record id) -> key of the text that was written last, whatever the settings were."""
    failures: dict[str, Failure] = field(default_factory=dict)
    """key -> what went wrong when it was tried last."""
    spent: dict[str, Spent] = field(default_factory=dict)
    """By stage, of all texts, those that nobody needs any more included."""
    files: list[BinaryIO] = field(default_factory=list)

    def text(self, key: str) -> Entry | None:
        """The text of a piece of work."""
        place = self.texts.get(key)
        if place is None:
            return None
        file, offset, length = place
        entry = parse_line(os.pread(self.files[file].fileno(), length, offset))
        assert isinstance(entry, Entry), "it was read before"
        return entry

    def before(self, stage: str, record_id: str) -> Entry | None:
        """The newest text of a record at a stage."""
        key = self.newest.get((stage, record_id))
        return None if key is None else self.text(key)

    def add(self, line: Line, place: Place) -> None:
        """A line that lies there."""
        if isinstance(line, FailedEntry):
            self.failures[line.key] = line.failure
            return
        spent = self.spent.setdefault(line.stage, Spent())
        spent.prompt += line.provenance.get("prompt_tokens", 0)
        spent.completion += line.provenance.get("completion_tokens", 0)
        self.texts.setdefault(line.key, place)
        self.newest[line.stage, line.id] = line.key


Mine = Callable[[str], bool]
"""Whether a record, by its id, is one of ours."""


@contextmanager
def open_journals(
    folder: Path, own: str, say: Say, mine: Mine | None = None
) -> Iterator[tuple[Journals, Callable[[Line], None]]]:
    """What all journals hold of our records, and how a line is added to our own journal."""
    with (
        open_journal(folder / own, say) as append,
        read_journals(folder, say, mine) as journals,
    ):
        number = [Path(file.name).name for file in journals.files].index(own)

        def append_and_know(line: Line) -> None:
            journals.add(line, (number, *append(line)))

        yield journals, append_and_know


@contextmanager
def read_journals(folder: Path, say: Say, mine: Mine | None = None) -> Iterator[Journals]:
    """What all journals of the folder hold of our records; damaged lines are counted and said."""
    journals = Journals()
    try:
        for path in sorted(folder.glob("*.jsonl")):
            _repair_if_nobody_writes(path, say)
            _read_journal(path, journals, mine, say)
        yield journals
    finally:
        for file in journals.files:
            file.close()


def _repair_if_nobody_writes(path: Path, say: Say) -> None:
    with path.open("rb") as file:
        if _locks(file):
            repair_end(path, say)


def _read_journal(path: Path, journals: Journals, mine: Mine | None, say: Say) -> None:
    file = path.open("rb")
    journals.files.append(file)
    offset, damaged = 0, 0
    for raw in file:
        start, offset = offset, offset + len(raw)
        if not raw.endswith(b"\n"):
            break  # another worker is in the middle of it
        line = parse_line(raw)
        if line is None:
            damaged += bool(raw.strip())
        elif mine is None or mine(line.id):
            journals.add(line, (len(journals.files) - 1, start, len(raw)))
    if damaged:
        say(f"{path}: {damaged:,} damaged lines are left out and written again")


def parse_line(raw: bytes) -> Line | None:
    """A journal's line; None where it is damaged."""
    try:
        values = json.loads(raw)
        stage, record_id = values["stage"], values["id"]
        if "error" in values:
            error = Failure(**values["error"])
            line: Line = FailedEntry(stage, record_id, values["key"], error)
            texts = [stage, record_id, values["key"], error.kind, error.message]
        else:
            line = Entry(stage, record_id, values["text"], values["provenance"])
            texts = [stage, record_id, line.text, line.provenance["key"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return line if all(isinstance(text, str) for text in texts) else None
