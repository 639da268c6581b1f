"""What all progress lines share: where sentences go, how often, how a bar looks, and a span of time in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Say = Callable[[str], None]
"""Where a stage's sentences go."""


def say_line(text: str) -> None:
    """Prints at once, also into a pipe."""
    print(text, flush=True)


class Watch(Protocol):
    """Who else wants to know how far a stage is. Called as texts come, a few times a second at most."""

    def __call__(self, done: float, total: float, per_second: float, message: str) -> None:
        """Tokens written, tokens in all by the mean length so far, the rate, and the place in words."""


def unwatched(done: float, total: float, per_second: float, message: str) -> None:
    """Nobody does."""


LINE_EVERY_SECONDS = 30.0
"""In a log file."""
BAR = "{percentage:3.0f}% |{bar:24}| {desc}"
"""On a terminal: the time left is told by tokens, behind the bar, and not by the bar itself."""


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
