"""What stories of the built-in world are made of: sentences, the steps they ask for, and why.

A story is an opening, some events and a question (`datagen.word_problems` joins them). Each of
them is a `Part`: wordings for the prompt, the numbers it draws, and the steps it adds to the
solution. A step is written `left operation right` over the part's numbers, `now` (the amount so
far), `r1` and `r2` (the results of this part's first steps); the last result becomes `now`.

Wordings are kept apart by split: no sentence pattern of `test` occurs in `train`. A step has terse
sentences for the gold solution, fuller ones for the teacher, and a hint that says why without
giving a number that the prompt does not hold; `{eq}` stands for the equation.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Split = Literal["train", "test"]
Slot = range | MappingProxyType[str, int]


@dataclass(frozen=True)
class StepPattern:
    """One step of a solution, before names and numbers are filled in."""

    expression: str
    terse: tuple[str, ...]
    full: tuple[str, ...]
    hint: str


@dataclass(frozen=True)
class Part:
    """Sentences that may stand for each other, the numbers they need and the steps they cause."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    numbers: MappingProxyType[str, Slot]
    steps: tuple[StepPattern, ...] = ()
    start: str = "now"
    """What `now` is before the part's steps: an opening names one of its own numbers."""

    def wordings(self, split: Split) -> tuple[str, ...]:
        """The sentences this split may use."""
        return self.train if split == "train" else self.test


def _words(**values: int) -> MappingProxyType[str, int]:
    """Numbers that a story writes as words: `a_third=3` reads "a third" and counts 3."""
    return MappingProxyType({word.replace("_", " "): value for word, value in values.items()})


def numbers(**slots: Slot) -> MappingProxyType[str, Slot]:
    """The numbers a part draws: a range, or words with the number each means."""
    return MappingProxyType(slots)


FRACTIONS = _words(a_third=3, a_quarter=4, a_fifth=5)
PERCENTS = MappingProxyType({"10 percent": 10, "20 percent": 5, "25 percent": 4, "50 percent": 2})
TIMES = _words(twice=2, three_times=3, four_times=4)
DOZEN = _words(dozen=12)
WEEKS = _words(weeks=7)
HALF = _words(half=2)
TWO = _words(two=2)
FOUR = _words(four=4)
