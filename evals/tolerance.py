"""When two different numbers still count as one answer: a rounded figure, or a benchmark's tolerance.

    rounded            a decimal of five or more significant digits equals what rounds to it
    absolute           the error that a problem states
    relative           a share of the gold answer, at least half a unit of its last digit

The last two come from the policy alone, and only where one side was written as a decimal. Integers
are exact: two of them are never close.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from evals.expression import Call, Node, Number
from evals.policy import Policy

MIN_ROUNDED_DIGITS = 5


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
    if distance <= max(Fraction(relative) * abs(expected), half_a_unit):
        return "relative tolerance"
    return None
