"""Do two short answers agree? Exact rational numbers first, normalised text otherwise.

Numbers are compared as fractions, so 0.5, 1/2 and \\frac12 are the same and 10^20 + 1 is not
10^20: there is no tolerance anywhere. `50%` equals only another percentage. An answer too long or
too large to be read is reported as such, never as different.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evals.notation import comparable_text, normalise
from evals.rationals import MAX_ANSWER_CHARS, TooLarge, read_normalised

Outcome = Literal["equal", "different", "limit reached"]


@dataclass(frozen=True)
class Comparison:
    """What was decided, and by which rule."""

    outcome: Outcome
    rule: str


def compare(prediction: str, gold: str) -> Comparison:
    """Compares two answers; identical text is equal even where it is too large to be read as a
    number."""
    prediction, gold = prediction.strip(), gold.strip()
    if prediction and prediction == gold:
        return Comparison("equal", "identical text")
    if max(len(prediction), len(gold)) > MAX_ANSWER_CHARS:
        return Comparison("limit reached", f"longer than {MAX_ANSWER_CHARS} characters")
    left, right = normalise(prediction), normalise(gold)
    try:
        numbers = read_normalised(left), read_normalised(right)
    except TooLarge as problem:
        return Comparison("limit reached", str(problem))
    if numbers[0] is not None and numbers[1] is not None:
        return Comparison(
            "equal" if numbers[0].agrees(numbers[1]) else "different", "exact rational"
        )
    equal = bool(left) and comparable_text(left) == comparable_text(right)
    return Comparison("equal" if equal else "different", "normalised text")
