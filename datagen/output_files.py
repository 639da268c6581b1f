"""Output files: written aside, line by line, and put in place when all is there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from datagen.records import json_line, named, write_whole


class Output:
    """A file that is written aside, and counts when it is put in place."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self._aside = folder / f".{name}.{os.getpid()}"
        self._file: IO[bytes] = self._aside.open("wb")
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of all that was written."""
        return self._sha256.hexdigest()

    def write(self, values: Mapping[str, Any]) -> None:
        """One line."""
        line = json_line(values)
        with named(self.path):
            self._file.write(line)
        self._sha256.update(line)

    def is_in_place(self) -> bool:
        """Whether the file there is this very one."""
        return is_file_with(self.path, self.sha256)

    def keep(self) -> None:
        """Replaces the file there."""
        with named(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            os.replace(self._aside, self.path)

    def discard(self) -> None:
        """Leaves the file there as it is."""
        with suppress(OSError):  # what a full disk has not taken was an error already
            self._file.close()
        self._aside.unlink(missing_ok=True)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """A small file for people and programs."""
    write_whole(path, (json.dumps(values, indent=2) + "\n").encode())


def is_file_with(path: Path, sha256: str) -> bool:
    """Whether a file is there and holds this."""
    return path.is_file() and file_sha256(path) == sha256


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
