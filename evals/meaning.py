"""What an answer stands for: the same meaning in its several notations brought together.

    x = 5           the value 5, named x            x = a or b, y = 1 ± √2   several values
    -2 ≤ x ≤ 7      the interval [-2, 7], named x   x ∈ A                    A, named x
    (p, q) = (3, 2) a tuple with named items        no solution, ∅, {}       the empty set
    3x < 5, x ≠ 1, x < 1 or x > 3, {x : x > 2}      a set of reals (`real_sets`)
    ½ (1 0; 0 1)    a matrix (`matrices`)           twelve                   12

A name is dropped only when something stands on its other side; whether two names may differ is the
comparison's business. What is none of these stays as it was read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from evals.expression import (
    EMPTY,
    INFINITY,
    Call,
    Group,
    Matrix,
    Node,
    Number,
    Relation,
    Symbol,
    Word,
    is_scalar,
    symbols,
    walk,
)
from evals.limits import Work
from evals.matrices import worked_out
from evals.names import is_name
from evals.real_sets import (
    ALL_REALS,
    FLIPPED,
    OPERATIONS,
    ORDER,
    REALS,
    Piece,
    RealSet,
    all_but,
    all_or_any,
    half_line,
    real_set,
    solutions,
)
from evals.signs import both_signs, signs_of
from evals.vocabulary import NUMBER_WORDS

EQUAL = {"=", "≈", "≡"}
NOTHING = re.compile(
    r"(?:there (?:is|are) )?(?:no (?:real |such )?(?:solutions?|roots?|values?|numbers?|integers?)"
    r"|none|empty set|the empty set|does not exist|dne|no solutions? exists?)"
)


@dataclass(frozen=True)
class Meaning:
    """A value and the name it was given to."""

    value: Node | RealSet
    name: Node | None = None
    relation: Relation | None = None
    """The equation or inequality as it was written."""


EVERYTHING = re.compile(r"(?:the set of )?all (?:the )?reals?(?: numbers?)?")


def meaning(node: Node, work: Work) -> Meaning:
    """What an answer stands for."""
    if isinstance(node, Word):
        return Meaning(meaning_of_words(node))
    if isinstance(node, Relation):
        return meaning_of_relation(node, work)
    if isinstance(node, Call):
        return Meaning(of_sets_and_matrices(node, work) or both_signs(node))
    if isinstance(node, Group):
        return meaning_of_group(node, work)
    return Meaning(ALL_REALS if node == REALS else both_signs(node))


def meaning_of_words(node: Word) -> Node | RealSet:
    """The words that have a sign of their own."""
    if EVERYTHING.fullmatch(node.text):
        return ALL_REALS
    if NOTHING.fullmatch(node.text):
        return EMPTY
    if node.text in NUMBER_WORDS:
        return Number(Fraction(NUMBER_WORDS[node.text]))
    return INFINITY if node.text == "infinity" else node


def meaning_of_group(node: Group, work: Work) -> Meaning:
    """Conditions on one unknown as a set, `{x : x > 2}` and `x < 1 or x > 3`; or the items."""
    if node.opening == "{" and len(node.items) == 1 and isinstance(node.items[0], Relation):
        condition = condition_of(node.items[0])
        described = condition and meaning(condition, work).value
        if isinstance(described, RealSet):
            return Meaning(described)
    node = with_all_excluded(node)
    all_relations = all(isinstance(item, Relation) for item in node.items)
    conditions = meaning_of_conditions(node, work) if all_relations and not node.opening else None
    return conditions or Meaning(both_signs(node))


def with_all_excluded(group: Group) -> Group:
    """`x ≠ 1, 2` as x ≠ 1 and x ≠ 2."""
    first, *others = group.items or (group,)
    excludes = isinstance(first, Relation) and first.operators == ("!=",) and not group.opening
    if not excludes or not isinstance(first, Relation) or not all(map(is_scalar, others)):
        return group
    rest = (Relation(first.operators, (first.terms[0], other)) for other in others)
    return Group("", "", (first, *rest))


def condition_of(relation: Relation) -> Relation | None:
    """What stands behind the bar or the colon of `{x | x > 2}` and `{x ∈ ℝ : x > 2}`."""
    operators, terms = relation.operators, relation.terms
    if operators[0] == "∈" and len(terms) > 2:
        domain = terms[1]
        if operators[1] == "|" and domain == REALS and len(terms) > 3:
            return Relation(operators[2:], terms[2:])
        operators, terms = operators[1:], terms[1:]
        if terms[0] != Call("ratio", (REALS, relation.terms[0])):
            return None
        return Relation(operators, (relation.terms[0], *terms[1:]))
    if operators[0] == "|" and len(terms) > 2 and isinstance(terms[0], Symbol):
        return Relation(operators[1:], terms[1:])
    first = terms[0]
    if isinstance(first, Call) and first.name == "ratio" and len(first.args) == 2:
        return Relation(operators, (first.args[1], *terms[1:]))
    return None


def meaning_of_conditions(group: Group, work: Work) -> Meaning | None:
    """Several conditions on one unknown, at least one of which is an inequality."""
    meanings = [meaning(item, work) for item in group.items]
    names = {found.name for found in meanings}
    if len(names) != 1 or not any(isinstance(found.value, RealSet) for found in meanings):
        return None
    sets = [
        found.value if isinstance(found.value, RealSet) else points(found.value)
        for found in meanings
    ]
    joint = all_or_any(sets, work)
    return Meaning(joint, names.pop(), meanings[0].relation) if joint else None


def points(value: Node) -> RealSet:
    """A set of one number, or of several."""
    values = value.items if isinstance(value, Group) else (value,)
    return RealSet(tuple(Piece(found, found, True, True) for found in values))


def of_sets_and_matrices(node: Call, work: Work) -> Node | RealSet | None:
    """What a call makes of sets of reals or of matrices, if that is what it is applied to."""
    if node.name in OPERATIONS and (found := real_set(node, work)):
        return found
    has_matrix = any(isinstance(n, Matrix) for n in walk(node))
    return worked_out(node) if has_matrix else None


def meaning_of_relation(node: Relation, work: Work) -> Meaning:
    """A named value, a set of reals, or the relation itself."""
    operators, first, last = set(node.operators), node.terms[0], node.terms[-1]
    if operators <= EQUAL:
        if is_name(first) and first != last:
            return Meaning(value_or_set(last, work), first, node)
        if is_name(last) and len(node.terms) == 2:
            return Meaning(both_signs(first), last, node)
        if not symbols(node) and not any(isinstance(n, Word) for n in walk(node)):
            return Meaning(both_signs(last), None, None)
    if node.operators == ("∈",):
        return Meaning(value_or_set(last, work), first, node)
    return as_set(node, work) or Meaning(node, None, node)


def value_or_set(node: Node, work: Work) -> Node | RealSet:
    """What stands on the other side of a name."""
    if node == REALS:
        return ALL_REALS
    found = of_sets_and_matrices(node, work) if isinstance(node, Call) else None
    return found or both_signs(node)


def as_set(node: Relation, work: Work) -> Meaning | None:
    """The set that an inequality leaves to the one name in it: `a < x ≤ b`, `x ≥ a`, `x ≠ a`, `3x < 5`."""
    if not set(node.operators) <= {*ORDER, "!="}:
        return None
    if interval := as_interval(node, work):
        return interval
    names = symbols(node)
    if len(names) != 1 or any(isinstance(n, Group | Word | Matrix) for n in walk(node)):
        return None
    name = names.pop()
    found = solutions(node, name, work)
    return Meaning(found, Symbol(name), node) if found else None


def as_interval(node: Relation, work: Work) -> Meaning | None:
    """Where a name stands alone between numbers."""
    terms, operators = node.terms, node.operators
    if len(terms) == 2:
        if is_name(terms[1]) and not symbols(terms[0]):
            terms, operators = (terms[1], terms[0]), (FLIPPED.get(operators[0], "!="),)
        if not is_name(terms[0]) or symbols(terms[1]) or not is_scalar(terms[1]):
            return None
        if isinstance(terms[0], Call) and terms[0].name == "abs" and len(symbols(terms[0])) == 1:
            return None
        if operators == ("!=",):
            outside = all_or_any([all_but(value) for value in signs_of(terms[1])], work)
            return Meaning(outside, terms[0], node) if outside else None
        return Meaning(half_line(operators[0], terms[1]), terms[0], node)
    if len(terms) != 3 or not is_name(terms[1]) or symbols(terms[0]) or symbols(terms[2]):
        return None
    if set(operators) <= {">", ">="}:
        terms = terms[::-1]
        operators = tuple(FLIPPED[operator] for operator in operators[::-1])
    if not set(operators) <= {"<", "<="}:
        return None
    piece = Piece(terms[0], terms[2], operators[0] == "<=", operators[1] == "<=")
    return Meaning(RealSet((piece,)), terms[1], node)
