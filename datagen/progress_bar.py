"""The progress of a long stage: a bar on a terminal, a plain line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Say = Callable[[str], None]
"""Where a stage's sentences go."""


def say_line(text: str) -> None:
    """Prints at once, also into a pipe."""
    print(text, flush=True)


T = TypeVar("T")
LINE_EVERY_SECONDS = 30.0


def with_progress(items: Iterable[T], label: str, total: int, done: int, say: Say) -> Iterator[T]:
    """The items as they come, counted on from `done`, with rate and time left."""
    if sys.stderr.isatty():
        return iter(tqdm(items, desc=label, total=total, initial=done, smoothing=0.1))
    return _with_lines(items, label, total, done, say)


def _with_lines(items: Iterable[T], label: str, total: int, done: int, say: Say) -> Iterator[T]:
    """A line when an item has been waited for, about the items before it: they come in batches, and a rate taken
    in the middle of one would be wrong by the batch's size."""
    started = said = arrived = time.monotonic()
    for count, item in enumerate(items):
        now = time.monotonic()
        was_waited_for = count > 0 and now - arrived >= 0.5 * (arrived - started) / count
        if was_waited_for and now - said >= LINE_EVERY_SECONDS:
            said, rate = now, count / (arrived - started)
            left = (total - done - count) / rate
            say(f"{label}: {done + count:,} of {total:,}, {per_second(rate)}, {clock(left)} left")
        yield item
        arrived = time.monotonic()


def per_second(rate: float) -> str:
    """A rate a person can read, also where it is below one."""
    return f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min"


def clock(seconds: float) -> str:
    """A span of time as a person reads it: `4.5 s`, `45 s`, `3:20 min`, `2:05 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
