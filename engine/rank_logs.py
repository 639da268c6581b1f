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
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PLACES = "CGD_LOG_PLACES"
"""A variable: the folder where each rank tells the launcher which file is its log."""


@contextmanager
def rank_log(training: Path, attempt: int, rank: int) -> Iterator[None]:
    """Keeps what this rank says, for the length of the block."""
    path = training / "logs" / f"attempt-{attempt}" / f"rank-{rank}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if PLACES in os.environ:
        (Path(os.environ[PLACES]) / f"rank-{rank}").write_text(str(path), encoding="utf-8")
    with path.open("a", encoding="utf-8", errors="replace", buffering=1) as file:
        try:
            with copied_to(file) if rank == 0 else written_to(file):
                yield
        except BaseException as error:
            traceback.print_exception(error, file=file)
            raise


@contextmanager
def written_to(file: IO[str]) -> Iterator[None]:
    """Sends the process's output and errors to the file, whoever writes them."""
    streams = (sys.stdout, sys.stderr)
    before = [os.dup(number) for number in (1, 2)]
    flush(*streams)
    try:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        yield
    finally:
        flush(*streams)
        for number, kept in zip((1, 2), before, strict=True):
            os.dup2(kept, number)
            os.close(kept)


def flush(*streams: IO[str]) -> None:
    """Brings out what Python still holds back."""
    for stream in streams:
        stream.flush()


@contextmanager
def copied_to(file: IO[str]) -> Iterator[None]:
    """Copies what Python prints to the file."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Copying(sys.stdout, file), Copying(sys.stderr, file)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class Copying:
    """A stream that also writes into a file; in all else it is the stream."""

    def __init__(self, stream: Any, file: IO[str]) -> None:
        self._stream, self._file = stream, file

    def write(self, text: str) -> int:
        """To both. A progress bar, which goes back to the start of its line again and again, stays on the terminal."""
        if "\r" not in text and not self._file.closed:
            self._file.write(text)
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
