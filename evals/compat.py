"""The leniency of the grader behind published tables, reproduced so that numbers can be compared.

That grader, a modified Qwen2.5-Math one, accepts a number that is the gold answer times 100 or over
100, within 1 % of it, or equal after rounding to one decimal; it ignores names, so x = 5 is y = 5.
It also takes any last number for the answer, which is `extract`'s business. Off by default.
"""

from __future__ import annotations

from fractions import Fraction

from evals.limits import TooLarge
from evals.rationals import read_number


def leniently_equal(prediction: str, gold: str) -> bool:
    """Whether two numbers pass its rules."""
    found, expected = number_after_name(prediction), number_after_name(gold)
    if found is None or expected is None:
        return False
    if any(found == candidate for candidate in (expected, expected * 100, expected / 100)):
        return True
    for candidate in (expected / 100, expected, expected * 100):
        if candidate and abs(found - candidate) <= abs(candidate) / 100:
            return True
    return bool(round(found, 1) == round(expected, 1))


def number_after_name(text: str) -> Fraction | None:
    """The number, with `x =` and a percent sign ignored."""
    try:
        number = read_number(text.rpartition("=")[2].strip())
    except TooLarge:
        return None
    return number.value if number else None
