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
OF_SEVERAL: dict[str, Callable[..., int | Fraction]] = {
    "max": max,
    "min": min,
    "gcd": math.gcd,
    "lcm": math.lcm,
}
"""Applied to a list; the last two to whole numbers."""
MAX_BITS_OF_LCM = 10_000


def of_several(name: str, values: list[Fraction]) -> Fraction | None:
    """The function of a list of rationals."""
    if name in {"max", "min"}:
        return Fraction(OF_SEVERAL[name](values))
    if any(value.denominator != 1 for value in values):
        return None
    if sum(value.numerator.bit_length() for value in values) > MAX_BITS_OF_LCM:
        raise TooLarge(f"numbers of more than {MAX_BITS_OF_LCM} bits")
    return Fraction(OF_SEVERAL[name](*map(int, values)))


def modulo(value: Fraction, modulus: Fraction) -> Fraction | None:
    """The remainder of whole numbers."""
    whole = value.denominator == modulus.denominator == 1 and modulus > 0
    return value % modulus if whole else None


OF_TWO: dict[str, Callable[[Fraction, Fraction], Fraction | None]] = {
    "binom": binomial,
    "mod": modulo,
}
