"""Progress of a long stream: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 30.0


def with_progress(stream: Iterator[Item], label: str, total: int, done: int) -> Iterator[Item]:
    """Passes the stream on and says how far it is, how fast it goes and how long it will take."""
    if sys.stderr.isatty():
        yield from tqdm(stream, desc=label, total=total, initial=done, unit="answer")
        return
    started = said = time.monotonic()
    for made, item in enumerate(stream, start=1):
        yield item
        now = time.monotonic()
        if now - said >= SECONDS_BETWEEN_LINES:
            said, rate = now, made / (now - started)
            left = (total - done - made) / rate
            print(
                f"{label}: {done + made}/{total}, {rate:.2f} a second, {left:.0f} s to go",
                file=sys.stderr,
            )
