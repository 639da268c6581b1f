"""Sets of real numbers: intervals, points, and what ∪, ∩, ∖ and an inequality in one unknown make of them.

    tree → pieces of the line → their ends in order → disjoint pieces, from left to right

    (0, 1] ∪ (1, 2)    (0, 2)                   ℝ ∖ {1}, x ≠ 1      (-∞, 1) ∪ (1, ∞)
    3x - 1 ≤ 8         (-∞, 3]                  |x| < 3             (-3, 3)
    x < 1 or x > 3     (-∞, 1) ∪ (3, ∞)         x > 1 and x < 3     (1, 3)

A piece begins and stops at a *cut*, just before or just behind an end, so that open and closed ends need no cases of
their own. Ends are ordered by value; where one has none, as in (a, b), pieces are joined but nothing is merged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from evals.expression import (
    INFINITY,
    Call,
    Group,
    Node,
    Number,
    Relation,
    Symbol,
    infinite,
    replaced,
    symbols,
)
from evals.limits import Work
from evals.normal_form import normal_form
from evals.polynomials import OPAQUE, Ratio
from evals.sampling import real_value

ORDER = {"<", "<=", ">", ">="}
FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
MINUS_INFINITY: Node = Call("neg", (INFINITY,))
REALS = Symbol("ℝ")
SAME_PLACE = 1e-40
"""Ends are computed to 60 digits."""

Cut = tuple[int, int]
"""The rank of an end, and 0 before it or 1 behind it."""
Span = tuple[Cut, Cut]


@dataclass(frozen=True)
class Piece:
    """An interval, or a point where both ends are one."""

    low: Node
    high: Node
    low_closed: bool
    high_closed: bool


@dataclass(frozen=True)
class RealSet:
    """A union of intervals and points."""

    pieces: tuple[Piece, ...]


ALL_REALS = RealSet((Piece(MINUS_INFINITY, INFINITY, False, False),))


def real_set(node: Node, work: Work) -> RealSet | None:
    """The set that brackets, braces and their combinations stand for."""
    if node == REALS:
        return ALL_REALS
    if isinstance(node, Group):
        return from_brackets(node)
    if not (isinstance(node, Call) and node.name in OPERATIONS):
        return None
    if node.name == "-" and REALS not in node.args:
        return None
    left, right = (real_set(argument, work) for argument in node.args)
    return combined(left, right, node.name, work) if left and right else None


def from_brackets(node: Group) -> RealSet | None:
    """An interval in brackets, or a set of points."""
    if node.opening == "{":
        return RealSet(tuple(Piece(item, item, True, True) for item in node.items))
    if len(node.items) != 2 or not node.opening:
        return None
    return RealSet((Piece(*node.items, node.opening == "[", node.closing == "]"),))


def combined(left: RealSet, right: RealSet, operation: str, work: Work) -> RealSet | None:
    """Two sets joined by ∪, ∩ or ∖. Without an order of the ends there is only the union, unmerged."""
    ends = ends_in_order((*left.pieces, *right.pieces), work)
    if ends is None:
        return RealSet(left.pieces + right.pieces) if operation == "∪" else None
    rank = {node: place for place, nodes in enumerate(ends) for node in nodes}
    spans = OPERATIONS[operation](spans_of(left, rank), spans_of(right, rank), len(ends) - 1)
    pieces = (
        Piece(ends[low][0], ends[high][0], not low_after, bool(high_after))
        for (low, low_after), (high, high_after) in spans
    )
    return RealSet(tuple(pieces))


def merged(pieces: RealSet, work: Work) -> RealSet:
    """The same set in disjoint pieces from left to right, as far as its ends have an order."""
    return combined(pieces, RealSet(()), "∪", work) or pieces


def ends_in_order(pieces: tuple[Piece, ...], work: Work) -> list[list[Node]] | None:
    """The ends by value, equal ones together, from -∞ to ∞; None where one has no value or an interval runs
    backwards."""
    nodes = {end for piece in pieces for end in (piece.low, piece.high)}
    values: dict[Node, Any] = {}
    for node in nodes:
        sign = infinite(node)
        value = real_value(node, work) if not sign else sign * float("inf")
        if value is None:
            return None
        values[node] = value
    if any(values[piece.low] > values[piece.high] for piece in pieces):
        return None
    groups: list[list[Node]] = [[MINUS_INFINITY]]
    previous: Any = -float("inf")
    for node in sorted(nodes, key=lambda node: (values[node], repr(node))):
        same = values[node] == previous or abs(values[node] - previous) <= SAME_PLACE
        if same:
            groups[-1].append(node)
        else:
            groups.append([node])
        previous = values[node]
    if previous == float("inf"):
        groups[-1].insert(0, INFINITY)
    else:
        groups.append([INFINITY])
    return groups


def spans_of(pieces: RealSet, rank: dict[Node, int]) -> list[Span]:
    """Disjoint spans between cuts, in order. Infinity is open whatever is written."""
    cuts = sorted(
        (
            (rank[piece.low], int(not piece.low_closed or infinite(piece.low) != 0)),
            (rank[piece.high], int(piece.high_closed and infinite(piece.high) == 0)),
        )
        for piece in pieces.pieces
    )
    return joined(cuts)


def joined(spans: list[Span]) -> list[Span]:
    """Sorted spans, with those that touch or overlap as one and the empty ones left out."""
    result: list[Span] = []
    for start, end in spans:
        if start >= end:
            continue
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def common(left: list[Span], right: list[Span]) -> list[Span]:
    """What both have."""
    pairs = ((max(a[0], b[0]), min(a[1], b[1])) for a in left for b in right)
    return sorted(pair for pair in pairs if pair[0] < pair[1])


def outside(spans: list[Span], last: int) -> list[Span]:
    """What is left of the line, whose ends have the ranks 0 and `last`."""
    cuts: list[Cut] = [(0, 1), *(cut for span in spans for cut in span), (last, 0)]
    pairs = zip(cuts[::2], cuts[1::2], strict=True)
    return [pair for pair in pairs if pair[0] < pair[1]]


OPERATIONS: dict[str, Callable[[list[Span], list[Span], int], list[Span]]] = {
    "∪": lambda left, right, last: joined(sorted(left + right)),
    "∩": lambda left, right, last: common(left, right),
    "∖": lambda left, right, last: common(left, outside(right, last)),
    "-": lambda left, right, last: common(left, outside(right, last)),
}


def all_or_any(sets: list[RealSet], work: Work) -> RealSet | None:
    """Several conditions on one unknown: all of them where that is possible (`x > 1 and x < 3`), else any of them
    (`x < 1, x > 3`), since nobody lists conditions that exclude each other."""
    every: RealSet | None = sets[0]
    some: RealSet | None = sets[0]
    for other in sets[1:]:
        every = every and combined(every, other, "∩", work)
        some = some and combined(some, other, "∪", work)
    return every if every is None or every.pieces else some


def solutions(relation: Relation, name: str, work: Work) -> RealSet | None:
    """The solutions of a chain of inequalities in one unknown, each linear or the absolute value of something
    linear; None for any other."""
    result: RealSet | None = ALL_REALS
    for operator, left, right in zip(
        relation.operators, relation.terms, relation.terms[1:], strict=False
    ):
        step = one_inequality(operator, left, right, name, work)
        result = combined(result, step, "∩", work) if result and step else None
    return result


def one_inequality(operator: str, left: Node, right: Node, name: str, work: Work) -> RealSet | None:
    """`left operator right`, with ≠ as one of the operators."""
    if is_abs(right) and operator in FLIPPED:
        operator, left, right = FLIPPED[operator], right, left
    if is_abs(left) and isinstance(left, Call) and operator in ORDER and not symbols(right):
        inner = left.args[0]
        upper = one_inequality(operator, inner, right, name, work)
        minus = Call("neg", (right,))
        lower = one_inequality(FLIPPED[operator], inner, minus, name, work)
        joint = "∩" if operator in {"<", "<="} else "∪"
        return combined(upper, lower, joint, work) if upper and lower else None
    difference = Call("-", (left, right))
    root = root_of_linear(difference, name, work)
    if root is None:
        return None
    end, rising = root
    if operator == "!=":
        return all_but(end)
    return half_line(operator if rising else FLIPPED[operator], end)


def is_abs(node: Node) -> bool:
    """Whether this is an absolute value."""
    return isinstance(node, Call) and node.name == "abs"


def half_line(operator: str, end: Node) -> RealSet:
    """The numbers x with `x operator end`."""
    closed = operator in {"<=", ">="}
    if operator in {"<", "<="}:
        return RealSet((Piece(MINUS_INFINITY, end, False, closed),))
    return RealSet((Piece(end, INFINITY, closed, False),))


def all_but(end: Node) -> RealSet:
    """All numbers but one."""
    return RealSet(half_line("<", end).pieces + half_line(">", end).pieces)


def root_of_linear(node: Node, name: str, work: Work) -> tuple[Node, bool] | None:
    """Where a formula that is linear in the name is zero, and whether it rises there."""
    try:
        if not is_linear(normal_form(node, work), name):
            return None
        at_zero, at_one = (
            replaced(node, Symbol(name), Number(Fraction(value))) for value in (0, 1)
        )
        root = Call("/", (at_zero, Call("-", (at_zero, at_one))))
        exact = normal_form(root, work).constant
    except ZeroDivisionError:
        return None
    slope = real_value(Call("-", (at_one, at_zero)), work)
    if not slope:
        return None
    return (root if exact is None else Number(exact)), bool(slope > 0)


def is_linear(form: Ratio, name: str) -> bool:
    """Whether the name occurs to the first power only, and in nothing that is not taken apart."""
    if any(name in atom for monomial in form.bottom for atom, _ in monomial):
        return False
    atoms = [pair for monomial in form.top for pair in monomial]
    return all(
        exponent == 1 if atom == name else not (atom.startswith(OPAQUE) and name in atom)
        for atom, exponent in atoms
    )
