"""Functions whose value at a rational number is rational: exact, within the bounds on size."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from evals.limits import MAX_FACTORIAL, TooLarge


def factorial(value: Fraction) -> Fraction | None:
    """n! of a natural number."""
    if value.denominator != 1 or value < 0:
        return None
    if value > MAX_FACTORIAL:
        raise TooLarge(f"a factorial beyond {MAX_FACTORIAL}")
    return Fraction(math.factorial(int(value)))


def binomial(top: Fraction, low: Fraction) -> Fraction | None:
    """A binomial coefficient of natural numbers."""
    if top.denominator != 1 or low.denominator != 1 or top < 0:
        return None
    if top > MAX_FACTORIAL:
        raise TooLarge(f"a binomial coefficient beyond {MAX_FACTORIAL}")
    return Fraction(math.comb(int(top), int(low))) if low >= 0 else Fraction(0)


EXACT: dict[str, Callable[[Fraction], Fraction | None]] = {
    "abs": abs,
    "floor": lambda value: Fraction(math.floor(value)),
    "ceil": lambda value: Fraction(math.ceil(value)),
    "!": factorial,
    "sgn": lambda value: Fraction((value > 0) - (value < 0)),
    "sin": lambda value: None if value else Fraction(0),
    "cos": lambda value: None if value else Fraction(1),
    "tan": lambda value: None if value else Fraction(0),
}
