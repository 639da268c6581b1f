"""How far a training is, in tokens: steps differ in size, so a rate of steps would be wrong by that.

    cgd: step 120/300, loss 0.4312, 1,850 tokens/s, 2:10 min left

A bar on a terminal, a line every half minute in a log file. The rate is that of the last minutes of wall time, what
lies between steps (checkpoints) included; the first step of an attempt, which warms up, is left out.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence

from tqdm import tqdm

from engine.packing import epoch_order, num_shown

PLAIN_LINE_SECONDS = 30.0
"""Without a terminal a line is printed at most this often: logs stay short."""
WINDOW_SECONDS = 600.0
BAR = "{percentage:3.0f}% |{bar:24}| {desc}"


class TokenProgress:
    """Counts the tokens of steps as they are done, and tells now and then."""

    def __init__(self, title: str, first_step: int, num_steps: int, done: int, total: int) -> None:
        """`done` tokens of `total` are those of the steps before `first_step`."""
        self.title, self.step, self.num_steps = title, first_step, num_steps
        self.done, self.total = done, total
        self.last_line = time.monotonic()
        self.marks: deque[tuple[float, int]] = deque()
        self.bar: tqdm[None] | None = None
        if sys.stderr.isatty():
            self.bar = tqdm(
                total=total, initial=done, desc=title, bar_format=BAR, dynamic_ncols=True
            )

    def add(self, tokens: int, loss: float, tokens_per_second: float) -> None:
        """A step is done. `tokens_per_second` is its own rate, told until there is one over several."""
        now = time.monotonic()
        self.step, self.done = self.step + 1, self.done + tokens
        self.marks.append((now, self.done))
        while len(self.marks) > 2 and now - self.marks[0][0] > WINDOW_SECONDS:
            self.marks.popleft()
        (then, before) = self.marks[0]
        self.rate = (self.done - before) / (now - then) if now > then else tokens_per_second
        if self.bar is not None:
            self.bar.set_description_str(f"{self.title}: {self.line(loss)}", refresh=False)
            self.bar.update(tokens)
        elif self.step == self.num_steps or now - self.last_line >= PLAIN_LINE_SECONDS:
            self.last_line = now
            print(f"{self.title}: {self.line(loss)}", flush=True)

    def line(self, loss: float) -> str:
        """Where it stands."""
        place = f"step {self.step:,}/{self.num_steps:,}"
        left = clock((self.total - self.done) / self.rate)
        rest = f", {left} left" if self.step < self.num_steps else ""
        return f"{place}, loss {loss:.4f}, {self.rate:,.0f} tokens/s{rest}"

    def close(self) -> None:
        """Leaves the terminal in order."""
        if self.bar is not None:
            self.bar.close()


def tokens_before(
    step: int, lengths: Sequence[int], batch_size: int, epochs: float, seed: int
) -> int:
    """Tokens of the steps before this one: whole epochs, and the beginning of the next in its order."""
    shown = min(step * batch_size, num_shown(len(lengths), epochs))
    whole, rest = divmod(shown, len(lengths))
    order = epoch_order(len(lengths), seed, whole)[:rest]
    return whole * sum(lengths) + sum(lengths[i] for i in order)


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
