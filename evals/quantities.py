"""Values with a unit, brought to one unit before they are compared.

    5 m, 5            the unit of one side is dropped
    5 m, 500 cm       converted; 5 m is not 5 cm, and never 5 kg
    5 apples, 5       words that only say what was counted do not matter
    90°, 90, π/2      degrees are plain numbers; against something in radians they are converted
    28%, 28, 0.28     a percent sign may be left out or be worked out, but 28 is never 0.28

The last two are second readings (`other_readings`): of a sign that one side wrote and the other did not. Whether the
sign may be left out is seen from the side that has it, so a factor of 100 is never granted to two plain numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from evals.expression import Call, Node, Number, Quantity, Symbol, is_scalar, symbols, walk
from evals.limits import TooLarge, Unreadable
from evals.reader import read_formula
from evals.units import scale


def without_units(left: Node, right: Node) -> tuple[Node, Node, bool]:
    """The values in one unit; not alike when both have known units of different dimensions."""
    first, second = unit_of(left), unit_of(right)
    if (first is None) != (second is None):
        left, right = with_letter_unit(left, second), with_letter_unit(right, first)
        first, second = unit_of(left), unit_of(right)
    if second is not None and first is None and symbols(left):
        return left, with_unit_as_names(right, symbols(left)), True
    if first is not None and second is None and symbols(right):
        return with_unit_as_names(left, symbols(right)), right, True
    if first is None or second is None or first == second:
        return bare(left), bare(right), True
    known, other_known = scale(first), scale(second)
    if known is None or other_known is None:
        return bare(left), bare(right), True
    (dimension, factor), (other, other_factor) = known, other_known
    if factor == other_factor:
        return bare(left), bare(right), dimension == other
    return converted(bare(left), factor), converted(bare(right), other_factor), dimension == other


def with_letter_unit(node: Node, other_unit: str | None) -> Node:
    """`1000 m` is a product of a number and a name, unless the other side has a unit of the kind."""
    if other_unit is None or not (isinstance(node, Call) and node.name == "*"):
        return node
    value, name = node.args
    if not isinstance(value, Number) or not isinstance(name, Symbol) or not scale(name.name):
        return node
    return Quantity(value, name.name)


def with_unit_as_names(node: Node, names: set[str]) -> Node:
    """`9.8 \\text{ m/s}` as the product 9.8 m/s, where the other side is written with these names."""
    if not isinstance(node, Quantity):
        return node
    try:
        unit = read_formula(node.unit)
    except (Unreadable, TooLarge):
        return node.value
    named = is_scalar(unit) and symbols(unit) and symbols(unit) <= names
    return Call("*", (node.value, unit)) if named else node.value


def converted(value: Node, factor: Fraction) -> Node:
    """A value in the base unit of its dimension."""
    return Call("*", (value, Number(factor)))


def unit_of(node: Node) -> str | None:
    """The unit written after a value."""
    return node.unit if isinstance(node, Quantity) else None


def bare(node: Node) -> Node:
    """The value without its unit."""
    return node.value if isinstance(node, Quantity) else node


TRIGONOMETRIC = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])


def in_radians(node: Node, inside: bool = False) -> Node:
    """Degrees as radians inside trigonometric functions and as plain numbers elsewhere."""
    if not isinstance(node, Call) or not any(
        isinstance(n, Call) and n.name == "deg" for n in walk(node)
    ):
        return node
    inside = inside or node.name in TRIGONOMETRIC
    arguments = tuple(in_radians(argument, inside) for argument in node.args)
    if node.name != "deg":
        return Call(node.name, arguments)
    if not inside:
        return arguments[0]
    return Call("/", (Call("*", (arguments[0], Symbol("π"))), Number(Fraction(180))))


def other_readings(prediction: Node, gold: Node) -> Iterator[tuple[Node, Node]]:
    """The pair once more where one side has a percent sign, or an angle in degrees, and the other has not."""
    if is_percent(prediction) != is_percent(gold):
        yield without_percent(prediction), without_percent(gold)
    if has_degrees(prediction) != has_degrees(gold) and (is_angle(prediction) or is_angle(gold)):
        yield in_radians(prediction, inside=True), in_radians(gold, inside=True)


def is_percent(node: Node) -> bool:
    """Whether this is a figure with a percent sign."""
    if not isinstance(node, Call):
        return False
    return node.name == "percent" or (node.name == "neg" and is_percent(node.args[0]))


def without_percent(node: Node) -> Node:
    """The figure before the sign."""
    if not is_percent(node) or not isinstance(node, Call):
        return node
    return node.args[0] if node.name == "percent" else Call("neg", (without_percent(node.args[0]),))


def has_degrees(node: Node) -> bool:
    """Whether a degree sign occurs."""
    return any(isinstance(n, Call) and n.name == "deg" for n in walk(node))


def is_angle(node: Node) -> bool:
    """Whether this may be an angle in radians: it has π in it, or is the inverse of a trigonometric function."""
    return any(
        n == Symbol("π") or (isinstance(n, Call) and n.name.startswith("arc")) for n in walk(node)
    )
