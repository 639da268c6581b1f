"""What each rank says, in a file of its own; on the terminal rank 0 alone is heard.

    TRAINING/logs/attempt-K/rank-N.log

Ranks other than 0 write straight into their file, native libraries included: lines of many ranks on one terminal are
noise. Rank 0 keeps its terminal, with the progress bar, and has a copy of its lines in the file. An error is written
there with its traceback, and is then free to be shown (command.py, torchrun.py).
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PLACES = "CGD_LOG_PLACES"
"""A variable: the folder where each rank tells the launcher which file is its log."""


@contextmanager
def rank_log(training: Path, attempt: int, rank: int) -> Iterator[None]:
    """Keeps what this rank says, for the length of the block."""
    path = training / "logs" / f"attempt-{attempt}" / f"rank-{rank}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if PLACES in os.environ:
        (Path(os.environ[PLACES]) / f"rank-{rank}").write_text(str(path), encoding="utf-8")
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        with copied_to(log) if rank == 0 else written_to(log):
            yield
    except BaseException as error:
        keep(log, "".join(traceback.format_exception(error)))
        raise
    finally:
        os.close(log)


def keep(log: int, text: str) -> None:
    """Appends to the file, as far as it takes it: a full disk must not become the error that is told of."""
    with suppress(OSError):
        os.write(log, text.encode("utf-8", errors="replace"))


@contextmanager
def written_to(log: int) -> Iterator[None]:
    """Sends the process's output and errors to the file, whoever writes them."""
    flush()
    before = [os.dup(number) for number in (1, 2)]
    try:
        for number in (1, 2):
            os.dup2(log, number)
        yield
    finally:
        flush()
        for number, kept in zip((1, 2), before, strict=True):
            os.dup2(kept, number)
            os.close(kept)


def flush() -> None:
    """Brings out what Python still holds back."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()


@contextmanager
def copied_to(log: int) -> Iterator[None]:
    """Copies what Python prints to the file."""
    before = sys.stdout, sys.stderr
    copying = sys.stdout, sys.stderr = Copying(sys.stdout, log), Copying(sys.stderr, log)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in copying:
            stream.log = None  # whoever has kept the stream goes on with the terminal alone


class Copying:
    """A stream that also writes into a file; in all else it is the stream."""

    def __init__(self, stream: Any, log: int) -> None:
        self._stream = stream
        self.log: int | None = log

    def write(self, text: str) -> int:
        """To both. A progress bar, which goes back to the start of its line again and again, stays on the terminal."""
        if self.log is not None and "\r" not in text:
            keep(self.log, text)
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
