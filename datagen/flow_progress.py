"""How far a generation is: a bar on a terminal, a plain line every half minute in a log file.

    answer 512/1,000, critique 430/1,000, refine 401/1,000; 1,234 tokens/s, 2:05 h left

The time left is told by tokens: what each stage still has to write, at the mean length of its texts so
far, over the rate of the last minutes. Stages overlap, and their texts differ in length; a rate of texts
would be wrong by both.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Sequence

from tqdm import tqdm

from datagen.progress_bar import BAR, LINE_EVERY_SECONDS, Say, Watch, clock, unwatched

WINDOW_SECONDS = 300.0
"""The rate is that of so many last seconds."""


class FlowProgress:
    """Counts texts as they come, and tells now and then."""

    def __init__(
        self,
        stages: Sequence[str],
        total: int,
        done: Counter[str],
        say: Say,
        watch: Watch = unwatched,
    ) -> None:
        """`total` records, of which `done` have their text of a stage."""
        self._watch = watch
        self._stages, self._total, self._say = stages, total, say
        self._done, self._begun_with = Counter(done), sum(done.values())
        self._texts: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._started = self._said = time.monotonic()
        self._marks = deque([(self._started, 0)])
        self._bar: tqdm[None] | None = None
        if sys.stderr.isatty():
            todo = total * len(stages)
            self._bar = tqdm(
                total=todo, initial=self._begun_with, bar_format=BAR, dynamic_ncols=True
            )

    @property
    def written_tokens(self) -> int:
        """In this run."""
        return self._tokens.total()

    @property
    def written(self) -> Counter[str]:
        """Texts of this run, by stage; those that were asked for again included."""
        return self._texts

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def add(self, stage: str, tokens: int, stays: bool) -> None:
        """A text has come; one that does not stay is asked for again or dropped."""
        self._texts[stage] += 1
        self._tokens[stage] += tokens
        self._done[stage] += stays
        if self._bar is not None:
            self._bar.update(int(stays))

    def tick(self) -> None:
        """Tells where things stand, if it is time to. Called when texts have been waited for and are not added yet:
        they come in batches, and a rate taken in the middle of one would be wrong by the batch's size."""
        now = time.monotonic()
        if not self._texts:
            self._marks = deque([(now, 0)])  # what it takes to start is no part of the rate
        if now - self._marks[-1][0] >= 1.0:
            self._marks.append((now, self.written_tokens))
            while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW_SECONDS:
                self._marks.popleft()
            if self._bar is not None:
                self._bar.set_description_str(self.line(), refresh=False)
            left, rate = self.left_tokens(), self._rate()
            self._watch(self.written_tokens, self.written_tokens + left, rate, self._places())
        if self._bar is None and now - self._said >= LINE_EVERY_SECONDS:
            self._said = now
            self._say(self.line())

    def close(self) -> None:
        """Leaves the terminal in order."""
        if self._bar is not None:
            self._bar.set_description_str(self.line(), refresh=False)
            self._bar.close()

    def line(self) -> str:
        """Where every stage is, how fast, how long still."""
        return f"{self._places()}; {self._rate_and_time()}"

    def _places(self) -> str:
        return ", ".join(f"{s} {self._done[s]:,}/{self._total:,}" for s in self._stages)

    def _rate(self) -> float:
        (then, tokens), now = self._marks[0], time.monotonic()
        return (self.written_tokens - tokens) / max(now - then, 1e-9)

    def _rate_and_time(self) -> str:
        rate = self._rate()
        left = f", {clock(self.left_tokens() / rate)} left" if rate > 0 else ""
        return f"{rate:,.0f} tokens/s{left}"

    def left_tokens(self) -> float:
        """Tokens that are still to be written; a stage without any text yet is taken for average."""
        overall = self.written_tokens / max(1, self._texts.total())
        return sum(
            (self._total - self._done[stage])
            * (self._tokens[stage] / self._texts[stage] if self._texts[stage] else overall)
            for stage in self._stages
        )
