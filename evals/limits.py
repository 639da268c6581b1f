"""The bounds within which an answer is read and compared, and the two ways to be refused.

Everything a model writes is untrusted, so every cost is bounded before it is paid: characters
before reading, nesting and nodes while reading, digits and exponents before arithmetic, and steps
of algebra while comparing. Steps are counted, never timed: the outcome is the same on every
machine, and no signal is needed, so it works in threads.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_ANSWER_CHARS = 1000
MAX_DIGITS = 400
MAX_EXPONENT = 400
"""Of a number in scientific notation."""
MAX_NESTING = 40
MAX_NODES = 2000
MAX_HEIGHT = 120
"""Levels of a tree; work on trees is recursive, so this bounds the stack."""
MAX_INTEGER_BITS = 100_000
"""Of an exact integer that a power or a factorial makes."""
MAX_FACTORIAL = 3000
MAX_TERMS = 400
"""Of one polynomial."""
MAX_STEPS = 150_000
"""Of one comparison. A step is a few microseconds, so this is about half a second."""


class TooLarge(ValueError):
    """The answer is, or may be, beyond what is read or computed."""


class Unreadable(ValueError):
    """The text is no formula."""


@dataclass
class Work:
    """What is left of a comparison's budget."""

    steps: int = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Counts steps before they are taken."""
        self.steps -= steps
        if self.steps < 0:
            raise TooLarge(f"more than {MAX_STEPS} steps of algebra")
