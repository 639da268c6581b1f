"""When two different numbers still count as one answer: a rounded figure, or a benchmark's tolerance.

    rounded            a decimal of five or more significant digits equals what rounds to it
    absolute           the error that a problem states
    relative           a share of the gold answer; half a unit of its last digit where that is more, up to 5 %

A tolerance needs an inexact side, one written as a decimal: 1/3 is never 333/1000, and an integer is exact whatever
stands on the other side (2.00001 is not 2).

The last two come from a benchmark's policy. The first holds without one, on either side: a figure states its own
precision, half a unit of its last digit. The gold 4.12311 is √17 rounded, and a prediction of 0.0833333 for 1/12 is
right: nobody has five correct digits without the value. Fewer digits are an approximation, 1.41 for √2, which only a
benchmark of measured golds accepts. Whether a closed form was asked for cannot be seen from two answers, so it is not
judged. By that rule one unit of the last digit written is always too far.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from evals.expression import Call, Node, Number
from evals.policy import Policy

MIN_ROUNDED_DIGITS = 5
"""Half a unit of the last of five digits is 5·10⁻⁵ of the value at most."""


MAX_ROUNDING = Fraction(5, 100)
"""Of the gold: half a unit of a single digit would be up to a half of it (1e-24 would take 1.5e-24)."""


@dataclass(frozen=True)
class Figure:
    """How precisely a decimal was written."""

    digits: int
    unit_in_last_place: Fraction


def figure(node: Node) -> Figure | None:
    """The precision of a number written with a decimal point; None for exact forms."""
    if isinstance(node, Number):
        return Figure(node.digits, node.unit_in_last_place) if node.digits is not None else None
    if not isinstance(node, Call):
        return None
    inner = figure(node.args[0])
    if inner is None:
        return None
    if node.name == "neg":
        return inner
    if node.name == "percent":
        return Figure(inner.digits, inner.unit_in_last_place / 100)
    power = power_of_ten(node.args[1]) if node.name == "*" else None
    return Figure(inner.digits, inner.unit_in_last_place * power) if power else None


def power_of_ten(node: Node) -> Fraction | None:
    """10^k, for a small integer k."""
    if not isinstance(node, Call) or node.name != "^" or node.args[0] != Number(Fraction(10)):
        return None
    exponent, sign = node.args[1], 1
    if isinstance(exponent, Call) and exponent.name == "neg":
        exponent, sign = exponent.args[0], -1
    if not isinstance(exponent, Number) or exponent.value.denominator != 1:
        return None
    return Fraction(10) ** (sign * int(exponent.value)) if abs(exponent.value) <= 400 else None


def closeness(
    found: Fraction,
    expected: Fraction,
    figures: tuple[Figure | None, Figure | None],
    policy: Policy,
) -> str | None:
    """The rule by which two unequal values agree, if one does."""
    distance = abs(found - expected)
    integers = (found.denominator == 1) + (expected.denominator == 1)
    for written in figures:
        precise = written is not None and written.digits >= MIN_ROUNDED_DIGITS and not integers
        if precise and written and 2 * distance <= written.unit_in_last_place:
            return "rounded to the digits written"
    absolute, relative = policy.absolute_tolerance, policy.relative_tolerance
    if absolute is not None and integers < 2 and distance <= Fraction(absolute):
        return "absolute tolerance"
    of_gold = figures[1]
    if relative is None or figures == (None, None) or (integers == 2 and not of_gold):
        return None
    half_a_unit = of_gold.unit_in_last_place / 2 if of_gold else Fraction(0)
    rounding = min(half_a_unit, MAX_ROUNDING * abs(expected))
    if distance <= max(Fraction(relative) * abs(expected), rounding):
        return "relative tolerance"
    return None
