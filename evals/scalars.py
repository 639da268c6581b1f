"""Do two numbers or formulas agree, and by which rule?

    units → exact normal form → rounding and the policy's tolerance → numeric sampling

Exact stays exact: an integer is never equal within a tolerance, and neither are two fractions. A
decimal of five or more significant digits says that it is a rounded figure: it equals every value
that is no integer and rounds to it (`tolerance`). Being off by more needs a benchmark's policy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from evals.expression import Call, Node, Number, Quantity, Symbol, is_scalar, symbols, walk
from evals.limits import TooLarge, Unreadable, Work
from evals.normal_form import normal_form
from evals.policy import Policy
from evals.polynomials import Ratio, is_decisive, same
from evals.reader import read_formula
from evals.sampling import real_value, same_values
from evals.tolerance import closeness, figure
from evals.units import scale


@dataclass
class Comparer:
    """What one comparison carries along: the policy, the budget and the rules that decided."""

    policy: Policy
    work: Work = field(default_factory=Work)
    rule: str = ""

    def decided(self, equal: bool | None, rule: str) -> bool | None:
        """Notes the rule of the latest decision."""
        self.rule = rule
        return equal


def scalars_agree(prediction: Node, gold: Node, comparer: Comparer) -> bool | None:
    """True, False, or None when it cannot be decided."""
    prediction, gold, alike = without_units(prediction, gold)
    if not alike:
        return comparer.decided(False, "units")
    if is_base(prediction) or is_base(gold):
        return bases_agree(prediction, gold, comparer)
    infinities = infinite(prediction), infinite(gold)
    if infinities != (0, 0):
        return comparer.decided(infinities[0] == infinities[1], "infinity")
    prediction, gold = in_radians(prediction), in_radians(gold)
    left, right = defined(prediction, comparer.work), defined(gold, comparer.work)
    if left is None or right is None:
        return comparer.decided(None if left is right else False, "undefined value")
    a, b = left.constant, right.constant
    if same(left, right, comparer.work):
        return comparer.decided(True, "exact rational" if a is not None else "normal form")
    if is_close(prediction, gold, left, right, comparer):
        return True
    if a is not None and b is not None:
        return comparer.decided(False, "exact rational")
    if is_decisive(left) and is_decisive(right):
        return comparer.decided(False, "normal form")
    names = symbols(prediction) | symbols(gold)
    opaque = not is_plain(prediction) or not is_plain(gold)
    verdict = same_values(prediction, gold, bool(names) or opaque, comparer.work)
    return comparer.decided(verdict, "numeric sampling")


def defined(node: Node, work: Work) -> Ratio | None:
    """The normal form, or None of what has no value, such as 1/0."""
    try:
        return normal_form(node, work)
    except ZeroDivisionError:
        return None


def is_plain(node: Node) -> bool:
    """Whether a tree has nothing in it that only has a name."""
    return all(not isinstance(n, Call) or n.name != "apply" for n in walk(node))


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


def is_base(node: Node) -> bool:
    """Whether this is a numeral in another base."""
    return isinstance(node, Call) and node.name == "base"


def bases_agree(left: Node, right: Node, comparer: Comparer) -> bool:
    """Numerals of one base are equal as written; of two bases, when their values are equal."""
    values = numeral(left), numeral(right)
    comparer.decided(None, "numeral and base")
    return left == right or (values[0] is not None and values[0] == values[1])


def numeral(node: Node) -> int | None:
    """The value of a numeral such as 52_8."""
    if not (isinstance(node, Call) and node.name == "base"):
        return None
    digits, base = node.args
    if not (isinstance(digits, Number) and digits.digits is None and isinstance(base, Symbol)):
        return None
    if not base.name.isdigit() or not 2 <= int(base.name[:4]) <= 36:
        return None
    value = 0
    for digit in str(digits.value):
        if int(digit) >= int(base.name):
            return None
        value = value * int(base.name) + int(digit)
    return value


def infinite(node: Node) -> int:
    """1 for ∞, -1 for -∞, 0 for anything finite."""
    if isinstance(node, Symbol):
        return int(node.name == "∞")
    if isinstance(node, Call) and node.name in {"neg", "-"} and len(node.args) == 1:
        return -infinite(node.args[0])
    return 0


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


def is_close(prediction: Node, gold: Node, left: Ratio, right: Ratio, comparer: Comparer) -> bool:
    """Whether a decimal is the other value rounded, or within the policy's tolerance."""
    figures = figure(prediction), figure(gold)
    if figures == (None, None) and comparer.policy.absolute_tolerance is None:
        return False
    found = exact_or_real(left, prediction, comparer)
    expected = exact_or_real(right, gold, comparer)
    if found is None or expected is None:
        return False
    rule = closeness(found, expected, figures, comparer.policy)
    comparer.rule = rule or comparer.rule
    return rule is not None


def exact_or_real(form: Ratio, node: Node, comparer: Comparer) -> Fraction | None:
    """The value of a constant, exactly or to many digits."""
    if form.constant is not None:
        return form.constant
    if symbols(node) or not is_plain(node):
        return None
    value = real_value(node, comparer.work)
    if value is None:
        return None
    sign, mantissa, exponent, _ = value._mpf_
    return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** exponent
