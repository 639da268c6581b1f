"""Are two equations or inequalities one relation? Both sides are brought to left - right ? 0.

    equations      2x + 4 = 0 and x = -2       equal up to a factor, which may be negative
    inequalities   -x < 2 and x > -2           up to a positive factor, or a negative one and turned

Equations are freed of negative powers first, so that x = 1/y is xy = 1. Inequalities are not: the
sign of a denominator matters.
"""

from __future__ import annotations

from fractions import Fraction

from evals.expression import Call, Group, Matrix, Node, Relation, Word, symbols
from evals.limits import Work
from evals.meaning import EQUAL
from evals.normal_form import normal_form
from evals.polynomials import Exponent, Polynomial, Ratio, multiply, reduced
from evals.real_sets import FLIPPED
from evals.sampling import same_values
from evals.scalars import Comparer


def proportional(left: Relation, right: Relation, comparer: Comparer) -> bool | None:
    """Whether one relation is a multiple of the other with the same sense; None where the sides
    cannot be computed with."""
    (first,), (second,) = left.operators, right.operators
    if {first, second} <= EQUAL:
        first = second = "="
    known = {"=", "!=", *FLIPPED}
    if first not in known or second not in known:
        return None
    if not all(map(is_computable, (*left.terms, *right.terms))):
        return None
    if symbols(left) != symbols(right):
        return False
    try:
        factor = factor_between(left, right, comparer.work, first in {"=", "!="})
    except ZeroDivisionError:
        return None
    if factor is None:
        return False
    if first in {"=", "!="} or second in {"=", "!="}:
        return first == second
    return second == (first if factor > 0 else FLIPPED[first])


def factor_between(
    left: Relation, right: Relation, work: Work, is_equation: bool
) -> Fraction | None:
    """c with left = c * right, sides subtracted; 1 where they have the same values."""
    differences = [Call("-", relation.terms) for relation in (left, right)]
    forms = [normal_form(difference, work) for difference in differences]
    if is_equation:
        tops = [without_negative_powers(form.top, work) for form in forms]
        factor = common_factor(tops[0], tops[1])
    else:
        factor = common_factor(forms[0].top, forms[1].top) if same_bottom(*forms) else None
    if factor is not None:
        return factor
    return Fraction(1) if same_values(differences[0], differences[1], True, work) else None


def same_bottom(left: Ratio, right: Ratio) -> bool:
    """Whether two ratios have the very same denominator."""
    return left.bottom == right.bottom


def without_negative_powers(polynomial: Polynomial, work: Work) -> Polynomial:
    """Times the smallest monomial that leaves no variable in a denominator."""
    lowest: dict[str, Exponent] = {}
    for monomial in polynomial:
        for atom, exponent in monomial:
            lowest[atom] = min(exponent, lowest.get(atom, 0))
    factor, monomial = reduced({atom: -exponent for atom, exponent in lowest.items() if exponent})
    return multiply(polynomial, {monomial: factor}, work) if monomial else polynomial


def common_factor(left: Polynomial, right: Polynomial) -> Fraction | None:
    """c with left = c * right."""
    if left.keys() != right.keys() or not left:
        return None
    factors = {left[monomial] / right[monomial] for monomial in left}
    return factors.pop() if len(factors) == 1 else None


def is_computable(term: Node) -> bool:
    """Whether a side of a relation is a number or a formula."""
    return not isinstance(term, Group | Matrix | Relation | Word) and not is_ratio(term)


def is_ratio(node: Node) -> bool:
    """Whether this is a : b."""
    return isinstance(node, Call) and node.name == "ratio"
