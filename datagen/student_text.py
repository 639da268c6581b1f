"""Reading what a student wrote: its equations, in order, and the number it gives as the answer.

The text is untrusted. It is read with two regular expressions whose repetitions are all bounded or
possessive, so that time grows with the length of the text only, and arithmetic is done by hand on
numbers of at most twelve digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = r"(?<![0-9.,])\$?[0-9]{1,12}+(?:,[0-9]{3})?(?:\.[0-9]{1,6}+)?(?![0-9])"
_OPERATION = r"[-+*/x\u00d7\u00f7\u00b7\u2212]"
_UNIT = r"(?:\s?(?!x(?![a-z]))[a-z]{1,15})?"
_EQUATION = re.compile(
    rf"({_NUMBER}{_UNIT}(?:\s{{0,3}}{_OPERATION}\s{{0,3}}{_NUMBER}{_UNIT}){{1,7}})"
    rf"(?=\s{{0,3}}=\s{{0,3}}(-?{_NUMBER}))"
)
_TERM = re.compile(rf"({_NUMBER}){_UNIT}\s{{0,3}}({_OPERATION})?")
_BOXED = re.compile(rf"\\boxed\s{{0,3}}\{{\s{{0,3}}(-?{_NUMBER})\s{{0,3}}\}}")
_STATED = re.compile(rf"answer(?: is)?:?\s{{1,3}}(-?{_NUMBER})", re.IGNORECASE)
_SAME_OPERATION = str.maketrans("x\u00d7\u00b7\u00f7\u2212", "***/-")


@dataclass(frozen=True)
class Equation:
    """`left operation right = claimed`, as the student wrote it on this line of the text."""

    left: Fraction
    operation: str
    right: Fraction
    claimed: Fraction
    line: int

    @property
    def true_value(self) -> Fraction | None:
        """What the left side really makes; None for a division by zero."""
        return apply(self.left, self.operation, self.right)

    @property
    def expression(self) -> str:
        """The left side in the world's own notation."""
        return f"{show(self.left)} {self.operation} {show(self.right)}"


def apply(left: Fraction, operation: str, right: Fraction) -> Fraction | None:
    """The exact result; None for a division by zero."""
    if operation == "+":
        return left + right
    if operation == "-":
        return left - right
    if operation == "*":
        return left * right
    return left / right if right else None


def show(value: Fraction) -> str:
    """The number as a student would write it."""
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.6g}"


def read_equations(text: str) -> list[Equation]:
    """All equations in the order of the text; `a + b - c = d` counts as two of them."""
    return [
        equation
        for number, line in enumerate(text.split("\n"))
        for match in _EQUATION.finditer(line)
        for equation in _binary_steps(match.group(1), _value(match.group(2)), number)
    ]


def read_answer(text: str) -> Fraction | None:
    """The number in the last box, else the last one called the answer, else none."""
    for pattern in (_BOXED, _STATED):
        found = [match.group(1) for match in pattern.finditer(text)]
        if found:
            return _value(found[-1])
    return None


def has_box(line: str) -> bool:
    """Whether the line claims to hold the answer."""
    return "\\boxed" in line


def numbers_in(text: str) -> set[str]:
    """The whole numbers that occur in the text, as written."""
    return set(re.findall(r"[0-9]++", text))


def _value(written: str) -> Fraction:
    return Fraction(written.replace(",", "").replace("$", ""))


def _binary_steps(expression: str, claimed: Fraction, line: int) -> Iterator[Equation]:
    """The expression as steps of two numbers, products first; only the last one claims a result."""
    values, operations = _terms(expression)
    while operations:
        products = [place for place, sign in enumerate(operations) if sign in "*/"]
        place = products[0] if products else 0
        operation = operations.pop(place)
        left, right = values[place], values.pop(place + 1)
        result = apply(left, operation, right)
        last = not operations or result is None
        yield Equation(left, operation, right, claimed if last else result or Fraction(0), line)
        if last:
            return
        values[place] = result or Fraction(0)


def _terms(expression: str) -> tuple[list[Fraction], list[str]]:
    values: list[Fraction] = []
    operations: list[str] = []
    for match in _TERM.finditer(expression):
        values.append(_value(match.group(1)))
        if match.group(2):
            operations.append(match.group(2).translate(_SAME_OPERATION))
    return values, operations[: len(values) - 1]
