"""Do two numbers or formulas agree, and by which rule?

    units, sums written out → exact normal form → rounding and tolerance → numeric sampling
    → once more without a percent sign, or in radians (`quantities.other_readings`)

Exact stays exact: an integer is never equal within a tolerance, and neither are two fractions. What
a decimal may be off by is `tolerance`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from evals.expression import (
    Call,
    Node,
    infinite,
    symbols,
    walk,
)
from evals.large_operators import is_open, written_out
from evals.limits import Work
from evals.normal_form import normal_form
from evals.policy import Policy
from evals.polynomials import Ratio, is_decisive, same
from evals.quantities import in_radians, other_readings, without_units
from evals.sampling import real_value, same_values
from evals.tolerance import closeness, figure


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
    prediction, gold = (written_out(side, comparer.work) for side in (prediction, gold))
    verdict = values_agree(prediction, gold, comparer)
    rule = comparer.rule
    for pair in other_readings(prediction, gold) if verdict is False else ():
        if values_agree(*pair, comparer):
            return True
    if verdict is False and (is_open(prediction) or is_open(gold)):
        return comparer.decided(None, "a sum, an integral or a limit")
    return comparer.decided(verdict, rule)


def values_agree(prediction: Node, gold: Node, comparer: Comparer) -> bool | None:
    """The same of two values without units."""
    if is_base(prediction) or is_base(gold):
        return comparer.decided(prediction == gold, "numeral and base")
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


def is_base(node: Node) -> bool:
    """Whether this is a numeral in a base of its own. Who asks for one wants these digits: the same value in another
    base, or without one, restates the question."""
    return isinstance(node, Call) and node.name == "base"


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
