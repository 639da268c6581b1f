"""What an answer stands for: the same meaning in its several notations brought together.

    x = 5           the value 5, named x            x = a or b, y = 1 ± √2   several values
    -2 ≤ x ≤ 7      the interval [-2, 7], named x   x ∈ A                    A, named x
    (p, q) = (3, 2) a tuple with named items        no solution, ∅, {}       the empty set

A name is dropped only when something stands on its other side; whether two names may differ is the
comparison's business. What is none of these stays as it was read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evals.expression import (
    EMPTY,
    INFINITY,
    Call,
    Group,
    Matrix,
    Node,
    Quantity,
    Relation,
    Symbol,
    Word,
    symbols,
    walk,
)

EQUAL = {"=", "≈", "≡"}
ORDER = {"<", "<=", ">", ">="}
FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
NOTHING = re.compile(
    r"(?:there (?:is|are) )?(?:no (?:real |such )?(?:solutions?|roots?|values?|numbers?|integers?)"
    r"|none|empty set|the empty set|does not exist|no solutions? exists?)"
)


@dataclass(frozen=True)
class Piece:
    """An interval, or a point where both ends are one."""

    low: Node
    high: Node
    low_closed: bool
    high_closed: bool


@dataclass(frozen=True)
class RealSet:
    """A union of intervals and points, in no order."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Meaning:
    """A value and the name it was given to."""

    value: Node | RealSet
    name: Node | None = None
    relation: Relation | None = None
    """The equation or inequality as it was written."""


REALS = Symbol("ℝ")
ALL_REALS = RealSet((Piece(Call("neg", (INFINITY,)), INFINITY, False, False),))
EVERYTHING = re.compile(r"(?:the set of )?all (?:the )?reals?(?: numbers?)?")


def meaning(node: Node) -> Meaning:
    """What an answer stands for."""
    if node == REALS or (isinstance(node, Word) and EVERYTHING.fullmatch(node.text)):
        return Meaning(ALL_REALS)
    if isinstance(node, Word):
        return Meaning(EMPTY if NOTHING.fullmatch(node.text) else node)
    if isinstance(node, Relation):
        return meaning_of_relation(node)
    if isinstance(node, Call) and node.name == "∪":
        return Meaning(union(node) or node)
    return Meaning(both_signs(node))


def meaning_of_relation(node: Relation) -> Meaning:
    """A named value, an interval, or the relation itself."""
    operators, first, last = set(node.operators), node.terms[0], node.terms[-1]
    if operators <= EQUAL:
        if is_name(first) and first != last:
            return Meaning(both_signs(without_union(last)), first, node)
        if is_name(last) and len(node.terms) == 2:
            return Meaning(both_signs(first), last, node)
        if not symbols(node) and not any(isinstance(n, Word) for n in walk(node)):
            return Meaning(both_signs(last), None, None)
    if node.operators == ("∈",):
        return Meaning(without_union(last), first, node)
    if operators <= ORDER and (interval := as_interval(node)):
        return interval
    return Meaning(node, None, node)


def without_union(node: Node) -> Node | RealSet:
    """A union as a set of reals."""
    if node == REALS:
        return ALL_REALS
    is_union = isinstance(node, Call) and node.name == "∪"
    return union(node) or node if is_union and isinstance(node, Call) else node


def is_name(node: Node) -> bool:
    """x, a_1, f(x), |AB|, AB, NO/BO, ∠APC: something that only has a name."""
    if isinstance(node, Symbol):
        return node.name not in {"π", "e", "∞"}
    if isinstance(node, Word):
        return True
    if isinstance(node, Group):
        return bool(node.items) and all(isinstance(item, Symbol) for item in node.items)
    if not isinstance(node, Call):
        return False
    if node.name in {"apply", "∠", "△", "prime"} or node.name.startswith("accent"):
        return True
    if node.name == "abs":
        return is_name(node.args[0])
    if node.name == "ratio":
        return all(is_name(argument) for argument in node.args)
    if node.name in {"*", "/"}:
        leaves = [leaf for leaf in walk(node) if not isinstance(leaf, Call)]
        names = [leaf.name for leaf in leaves if isinstance(leaf, Symbol)]
        capitals = len(names) == len(leaves) and all(name[:1].isupper() for name in names)
        calculus = node.name == "/" and bool({"d", "\\partial"} & set(names))
        return len(names) == len(leaves) and (capitals or calculus)
    return False


def as_interval(node: Relation) -> Meaning | None:
    """`a < x ≤ b`, `x ≥ a`: the interval of the one name in it."""
    terms, operators = node.terms, node.operators
    if len(terms) == 2:
        if is_name(terms[1]) and not symbols(terms[0]):
            terms, operators = (terms[1], terms[0]), (FLIPPED[operators[0]],)
        if not is_name(terms[0]) or symbols(terms[1]):
            return None
        closed = operators[0] in {"<=", ">="}
        below = operators[0] in {"<", "<="}
        low, high = (Call("neg", (INFINITY,)), terms[1]) if below else (terms[1], INFINITY)
        piece = Piece(low, high, closed and not below, closed and below)
        return Meaning(RealSet((piece,)), terms[0], node)
    if len(terms) != 3 or not is_name(terms[1]) or symbols(terms[0]) or symbols(terms[2]):
        return None
    if set(operators) <= {">", ">="}:
        terms = terms[::-1]
        operators = tuple(FLIPPED[operator] for operator in operators[::-1])
    if not set(operators) <= {"<", "<="}:
        return None
    piece = Piece(terms[0], terms[2], operators[0] == "<=", operators[1] == "<=")
    return Meaning(RealSet((piece,)), terms[1], node)


def union(node: Node) -> RealSet | None:
    """Intervals and finite sets joined by ∪."""
    if isinstance(node, Call) and node.name == "∪":
        left, right = union(node.args[0]), union(node.args[1])
        return RealSet(left.pieces + right.pieces) if left and right else None
    return as_real_set(node)


def as_real_set(node: Node) -> RealSet | None:
    """An interval in brackets, or a set of points."""
    if not isinstance(node, Group):
        return None
    if node.opening == "{":
        return RealSet(tuple(Piece(item, item, True, True) for item in node.items))
    if len(node.items) != 2 or not node.opening:
        return None
    return RealSet((Piece(*node.items, node.opening == "[", node.closing == "]"),))


def both_signs(node: Node | RealSet) -> Node | RealSet:
    """`a ± b` as two values; in a list or a set, among the others."""
    if isinstance(node, Group) and node.opening in {"", "{"}:
        items: list[Node] = []
        for item in node.items:
            several = signs_of(item)
            items.extend(several)
        return Group(node.opening, node.closing, tuple(items))
    if isinstance(node, RealSet | Group | Matrix | Relation):
        return node
    several = signs_of(node)
    return Group("", "", several) if len(several) > 1 else node


def signs_of(node: Node) -> tuple[Node, ...]:
    """The values of a formula with ±, all of whose signs go together."""
    if not any(isinstance(n, Call) and n.name in {"pm", "mp"} for n in walk(node)):
        return (node,)
    if isinstance(node, Relation):
        values = signs_of(node.terms[-1])
        return tuple(Relation(node.operators, (*node.terms[:-1], value)) for value in values)
    return (with_sign(node, "+"), with_sign(node, "-"))


def with_sign(node: Node, sign: str) -> Node:
    """± as one of the two; ∓ as the other."""
    if isinstance(node, Quantity):
        return Quantity(with_sign(node.value, sign), node.unit)
    if not isinstance(node, Call):
        return node
    arguments = tuple(with_sign(argument, sign) for argument in node.args)
    other = "-" if sign == "+" else "+"
    return Call({"pm": sign, "mp": other}.get(node.name, node.name), arguments)
