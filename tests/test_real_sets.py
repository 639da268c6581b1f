"""Sets of reals: what their operations hold is what logic says of every point."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.equivalence import compare
from evals.expression import Node, Number, Relation, infinite
from evals.limits import Work
from evals.meaning import meaning
from evals.reader import read_formula
from evals.real_sets import Piece, RealSet, combined, merged

POINTS = [Fraction(n, 2) for n in range(-2, 21)]
"""On both sides of every end that is drawn below."""
ends = st.integers(0, 6)
few = settings(max_examples=40, deadline=None)


def piece(low: int, length: int, low_closed: bool, high_closed: bool) -> Piece:
    """An interval between whole numbers."""
    high = Number(Fraction(low + length))
    return Piece(Number(Fraction(low)), high, low_closed, high_closed)


pieces = st.builds(piece, ends, st.integers(0, 3), st.booleans(), st.booleans())
sets = st.lists(pieces, max_size=4).map(lambda found: RealSet(tuple(found)))


def position(end: Node) -> float:
    """An end as a float."""
    if isinstance(end, Number):
        return float(end.value)
    return infinite(end) * float("inf")


def members(found: RealSet | None) -> list[Fraction]:
    """The points that lie in a set, by the definition of an interval."""
    assert found is not None

    def inside(point: Fraction, part: Piece) -> bool:
        low, high = position(part.low), position(part.high)
        above = point >= low if part.low_closed else point > low
        below = point <= high if part.high_closed else point < high
        return above and below

    return [p for p in POINTS if any(inside(p, part) for part in found.pieces)]


@pytest.mark.parametrize(
    ("sign", "rule"),
    [
        ("∪", operator.or_),
        ("∩", operator.and_),
        ("∖", lambda left, right: left and not right),
    ],
)
@few
@given(left=sets, right=sets)
def test_operations_hold_the_points_they_should(
    sign: str, rule: Callable[[bool, bool], bool], left: RealSet, right: RealSet
) -> None:
    a, b = members(left), members(right)
    joint = combined(left, right, sign, Work())
    assert members(joint) == [p for p in POINTS if rule(p in a, p in b)]


@few
@given(sets, sets)
def test_merged_sets_are_equal_when_they_have_the_same_points(
    left: RealSet, right: RealSet
) -> None:
    alike = merged(left, Work()) == merged(right, Work())
    assert alike == (members(left) == members(right))


@few
@given(st.integers(-5, 5).filter(bool), st.integers(-9, 9), st.sampled_from(["<", "<=", ">", ">="]))
def test_a_linear_inequality_holds_where_it_says(factor: int, shift: int, sign: str) -> None:
    relation = read_formula(f"{factor}x + {shift} {sign} 1")
    assert isinstance(relation, Relation)
    solved = meaning(relation, Work()).value
    assert isinstance(solved, RealSet)
    holds = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[sign]
    assert members(solved) == [p for p in POINTS if holds(factor * p + shift, 1)]


@pytest.mark.parametrize("unsolved", ["x^2<4", r"\sin x<1", r"\frac1x>2"])
def test_what_is_not_solved_is_left_undecided(unsolved: str) -> None:
    for solved in ("(-2,2)", "-2<x<2", "x>1", r"(0,1)\cup(1,2)"):
        assert compare(unsolved, solved).outcome == compare(solved, unsolved).outcome == "undecided"
    assert compare(unsolved, "5").outcome == "different"


def test_intervals_with_unknown_ends_are_compared_as_they_are() -> None:
    assert compare(r"(a,b)\cup(c,d)", r"(c,d)\cup(a,b)").outcome == "equal"
    assert compare(r"(a,b)\cup(c,d)", r"(c,d]\cup(a,b)").outcome == "different"


def test_an_interval_that_runs_backwards_is_no_set() -> None:
    assert compare(r"(3,1)\cup(4,5)", r"(4,5)").outcome == "different"
