"""The journal of a stage: every text is appended to `TARGET.partial` the moment it is finished.

    open_journal(path) -> append(entry) ... killed ... read_journal(path) -> all entries that were safe

An entry is one line. A process that is killed leaves at most one torn line, the last: it is cut off
before anything is appended behind it, or the next entry would be lost with it.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from datagen.progress_bar import Say
from datagen.records import json_line


@dataclass(frozen=True)
class Entry:
    """A finished text, as the journal and the stage's file hold it."""

    id: str
    """The record's id."""
    text: str
    """What was written."""
    provenance: dict[str, Any]
    """How it came about; `key` says for which piece of work."""

    @property
    def key(self) -> str:
        """The piece of work that the text belongs to."""
        return str(self.provenance.get("key"))


Append = Callable[[Entry], None]


@contextmanager
def open_journal(path: Path) -> Iterator[Append]:
    """A function that appends an entry safely; the file is ours alone for the length of the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        _lock(file, path)

        def append(entry: Entry) -> None:
            file.write(json_line(vars(entry)))
            file.flush()  # from here on a killed process does not lose it

        yield append


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"another process is writing {path}; wait until it has finished") from None


def read_journal(path: Path, say: Say) -> list[Entry]:
    """All entries, once a torn last line is repaired; what cannot be read is counted and said."""
    if not path.exists():
        return []
    _repair_end(path, say)
    entries = [_entry(line) for line in path.read_bytes().split(b"\n") if line.strip()]
    unreadable = entries.count(None)
    if unreadable:
        say(f"{path}: {unreadable} damaged lines are left out and written again")
    return [entry for entry in entries if entry is not None]


def _repair_end(path: Path, say: Say) -> None:
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    torn = content[end:]
    if not torn:
        return
    with path.open("r+b") as file:
        if _entry(torn) is not None:  # only its line break is missing
            file.seek(0, 2)
            file.write(b"\n")
        else:
            file.truncate(end)
            say(f"{path}: a torn last line ({len(torn)} bytes) is cut off and written again")


def _entry(line: bytes) -> Entry | None:
    try:
        values = json.loads(line)
        entry = Entry(values["id"], values["text"], values["provenance"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    fits = isinstance(entry.id, str) and isinstance(entry.text, str)
    return entry if fits and isinstance(entry.provenance, dict) else None
