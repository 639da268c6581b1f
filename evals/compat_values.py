"""Do two texts have one value, as the reference grader decides it with a computer algebra system?

    beginnings read → equal as formulas → relations equal but for their sign → constants within 0.01 %

The reference hands the texts to sympy's `parse_latex`, `parse_expr` and `latex2sympy` (CritiqueFineTuning,
tools/evaluate_math/grader.py, `symbolic_equal`); the second and third of them evaluate text, so only
plain sets are followed there. Equality is decided by our own normal forms and sampling.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import isclose

from evals.compat_reader import read_beginning
from evals.expression import Call, Node, Number, Relation, symbols
from evals.limits import Unreadable, Work
from evals.normal_form import normal_form
from evals.polynomials import is_decisive, same
from evals.sampling import real_value, same_values

SET = re.compile(r"\{[\w.,+-]*\}")


def values_agree(prediction: str, gold: str, work: Work) -> bool:
    """Whether the two texts, as far as they are read, mean the same. Raises TooLarge."""
    left, right = beginning(prediction), beginning(gold)
    if left is None or right is None:
        return left is right and sets_agree(prediction, gold)
    if isinstance(left, Relation) and isinstance(right, Relation):
        return relations_agree(left, right, work)
    if isinstance(left, Relation) or isinstance(right, Relation):
        return False
    return formulas_agree(left, right, work) or constants_close(left, right, work)


def beginning(text: str) -> Node | None:
    """The formula a text begins with; None where it begins with none."""
    for spelling in dict.fromkeys((text.replace("\\\\", "\\"), text)):
        try:
            return read_beginning(spelling)
        except Unreadable:
            continue
    try:
        return Number(Fraction(float(text)))
    except (ValueError, OverflowError):
        return None


def sets_agree(prediction: str, gold: str) -> bool:
    """Two sets of plain numbers and names, in any order."""
    if not (SET.fullmatch(prediction) and SET.fullmatch(gold)):
        return False
    return set(prediction[1:-1].split(",")) == set(gold[1:-1].split(","))


def relations_agree(left: Relation, right: Relation, work: Work) -> bool:
    """Whatever the signs of the relations: only the difference of their sides counts."""
    a, b = (Call("-", relation.terms) for relation in (left, right))
    if not symbols(a) or not symbols(b):
        truths = holds(left, work), holds(right, work)
        return None not in truths and truths[0] == truths[1]
    return formulas_agree(a, b, work) or formulas_agree(Call("neg", (a,)), b, work)


def holds(relation: Relation, work: Work) -> bool | None:
    """Whether a relation of numbers is true; None when that is not plain."""
    try:
        low, high = (normal_form(term, work).constant for term in relation.terms)
    except ZeroDivisionError:
        return None
    if low is None or high is None:
        return None
    sign = relation.operators[0]
    strict = low < high if "<" in sign else low > high if ">" in sign else False
    return low != high if sign == "!=" else strict or (low == high and "=" in sign)


def formulas_agree(left: Node, right: Node, work: Work) -> bool:
    """Equal for all values of the names."""
    try:
        first, second = normal_form(left, work), normal_form(right, work)
        if same(first, second, work):
            return True
    except ZeroDivisionError:
        return left == right
    if is_decisive(first) and is_decisive(second):
        return False
    names = bool(symbols(left) | symbols(right))
    return bool(same_values(left, right, names, work))


def constants_close(left: Node, right: Node, work: Work) -> bool:
    """Within 0.01 % of the larger one, where neither has a name in it."""
    if symbols(left) or symbols(right):
        return False
    a, b = real_value(left, work), real_value(right, work)
    if a is None or b is None:
        return False
    return isclose(float(a), float(b), rel_tol=1e-4)
