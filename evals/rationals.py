"""Is a text a number as it is written, and which? The reader's tree, if it is nothing but a literal.

    [x =] [sign] decimal | fraction | mixed number | figure × 10^k   [percent] [unit words]

Extraction asks this of candidates: `1 1/2 hours` is a number, `3 + 4` and `2\\pi` are formulas although
they have values. What is beyond the reader's bounds raises TooLarge.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from evals.expression import Call, Node, Quantity, Relation, Symbol
from evals.expression import Number as Literal
from evals.limits import MAX_ANSWER_CHARS, TooLarge, Unreadable
from evals.reader import read_formula
from evals.tolerance import power_of_ten

__all__ = ["MAX_ANSWER_CHARS", "Number", "TooLarge", "read_number"]


MAX_WORDS = 12
"""Of a number with its unit. Longer texts are prose, which need not be read to be refused."""


@dataclass(frozen=True)
class Number:
    """An exact rational. With `percent`, the value is the figure before the sign."""

    value: Fraction
    percent: bool = False
    name: str | None = None
    """The letter it was given to, as in `x = 5`."""

    def agrees(self, other: Number) -> bool:
        """Equal values in the same form; two different names never agree, a missing one does."""
        named_alike = self.name is None or other.name is None or self.name == other.name
        return self.value == other.value and self.percent == other.percent and named_alike


def read_number(text: str) -> Number | None:
    """The number that the whole text is, if it is one. Raises TooLarge beyond the bounds."""
    if len(text.split()) > MAX_WORDS or not any(map(str.isdigit, text)):
        return None
    try:
        tree = read_formula(text)
    except Unreadable:
        return None
    name = None
    if (
        isinstance(tree, Relation)
        and tree.operators == ("=",)
        and isinstance(tree.terms[0], Symbol)
    ):
        name, tree = tree.terms[0].name, tree.terms[1]
    sign = -1 if isinstance(tree, Call) and tree.name == "neg" else 1
    figure, percent = without_marks(tree.args[0] if isinstance(tree, Call) and sign < 0 else tree)
    value = literal(figure)
    return None if value is None else Number(sign * value, percent, name)


def without_marks(node: Node) -> tuple[Node, bool]:
    """What stands before a unit, a degree sign or a percent sign, and whether it was the last."""
    percent = isinstance(node, Call) and node.name == "percent"
    if isinstance(node, Quantity):
        return node.value, False
    marked = isinstance(node, Call) and node.name in {"percent", "deg"}
    return (node.args[0] if isinstance(node, Call) and marked else node), percent


def literal(node: Node) -> Fraction | None:
    """The value of what is written as one number."""
    if isinstance(node, Literal):
        return node.value
    if not isinstance(node, Call):
        return None
    first = literal(node.args[0]) if node.name in {"neg", "/", "*", "^"} else None
    if node.name == "neg":
        return None if first is None else -first
    if node.name == "^" or first is None:
        return power_of_ten(node)
    if node.name == "*":
        power = power_of_ten(node.args[1])
        return None if power is None else first * power
    second = literal(node.args[1])
    return first / second if second else None
