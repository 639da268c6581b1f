"""pass@k, avg@k and maj@k are expectations over subsets: here all subsets are written out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.statistics import SeedSummary, average_at_k, majority_at_k, over_seeds, pass_at_k

counts = st.integers(1, 9).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
)


@given(counts)
def test_pass_at_k_equals_enumerating_subsets(figures: tuple[int, int, int]) -> None:
    n, c, k = figures
    marks = [i < c for i in range(n)]
    subsets = list(combinations(marks, k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets), rel=1e-12)
    average = sum(sum(subset) / k for subset in subsets) / len(subsets)
    assert average_at_k(n, c, k) == pytest.approx(average, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "c", "k"), [(200, 7, 100), (1000, 1, 1), (4096, 100, 32), (10**6, 3, 5), (10**6, 1, 2)]
)
def test_pass_at_k_keeps_its_digits_for_many_samples(n: int, c: int, k: int) -> None:
    exact = 1 - Fraction(comb(n - c, k), comb(n, k))
    assert pass_at_k(n, c, k) == pytest.approx(float(exact), rel=1e-12)


def test_pass_at_k_at_its_borders() -> None:
    assert pass_at_k(8, 0, 8) == 0.0
    assert pass_at_k(8, 1, 8) == 1.0
    assert pass_at_k(10**7, 10**7 - 1, 1) == pytest.approx(1 - 1e-7, rel=1e-15)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5), (0, 0, 1)])
def test_impossible_counts_are_refused(n: int, c: int, k: int) -> None:
    for estimate in (pass_at_k, average_at_k):
        with pytest.raises(ValueError, match=r"cannot be right|k must lie between"):
            estimate(n, c, k)


def vote_by_enumeration(answers: Sequence[Hashable], correct: Sequence[bool], k: int) -> Fraction:
    """The definition: every subset votes; leaders of a tie are taken alike; a camp is as right as its members."""
    right = {a: [m for b, m in zip(answers, correct, strict=True) if b == a] for a in answers}
    total = Fraction(0)
    subsets = list(combinations(answers, k))
    for subset in subsets:
        votes = Counter(answer for answer in subset if answer is not None)
        leaders = [answer for answer, n in votes.items() if n == max(votes.values())]
        for answer in leaders:
            total += Fraction(sum(right[answer]), len(right[answer]) * len(leaders))
    return total / len(subsets)


polls = st.lists(
    st.tuples(st.sampled_from([None, "a", "b", "c", "d"]), st.booleans()), min_size=1, max_size=9
).flatmap(lambda poll: st.tuples(st.just(poll), st.integers(1, len(poll))))


@given(polls)
def test_majority_equals_enumerating_subsets(
    drawn: tuple[list[tuple[str | None, bool]], int],
) -> None:
    poll, k = drawn
    answers = [answer for answer, _ in poll]
    correct = [mark and answer is not None for answer, mark in poll]
    expected = float(vote_by_enumeration(answers, correct, k))
    assert majority_at_k(answers, correct, k) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_a_tie_is_worth_its_expectation_in_any_order() -> None:
    assert majority_at_k(["7", "8", "7", "8"], [True, False, True, False]) == 0.5
    assert majority_at_k(["8", "7"], [False, True]) == majority_at_k(["7", "8"], [True, False])


def test_outputs_without_an_answer_do_not_vote() -> None:
    assert majority_at_k([None, None, None, "7"], [False, False, False, True]) == 1.0
    assert majority_at_k([None, None], [False, False]) == 0.0


def test_equal_answers_vote_together_by_key_or_by_comparison() -> None:
    answers, correct = ["1/2", "0.5", "3", "3", "2/4"], [True, True, False, False, True]
    assert majority_at_k(answers, correct) == 0.0
    assert majority_at_k(answers, correct, key=Fraction) == 1.0
    same = lambda a, b: Fraction(a) == Fraction(b)  # noqa: E731
    assert majority_at_k(answers, correct, equal=same) == 1.0
    with pytest.raises(ValueError, match="not both"):
        majority_at_k(answers, correct, key=Fraction, equal=same)


def test_equality_is_asked_of_the_first_of_each_camp_only() -> None:
    asked = []

    def equal(one: int, other: int) -> bool:
        asked.append((one, other))
        return one % 3 == other % 3

    majority_at_k(list(range(30)), [False] * 30, equal=equal)
    assert len(asked) <= 30 * 3
    assert {one for one, _ in asked} <= {0, 1, 2}


def test_one_vote_is_one_sample_and_many_votes_settle() -> None:
    answers = ["a"] * 40 + ["b"] * 24
    correct = [a == "a" for a in answers]
    figures = [majority_at_k(answers, correct, k) for k in (1, 3, 9, 33)]
    assert figures[0] == pytest.approx(40 / 64)
    assert figures == sorted(figures)
    assert figures[-1] > 0.98


@pytest.mark.parametrize(
    ("answers", "correct", "k"),
    [(["a"], [], 1), (["a"], [True], 2), ([], [], None), (["a"] * 1001, [True] * 1001, 5)],
)
def test_impossible_polls_are_refused(
    answers: list[str], correct: list[bool], k: int | None
) -> None:
    with pytest.raises(ValueError, match=r"marks|k must lie|at most 1000"):
        majority_at_k(answers, correct, k)


def test_seeds_are_summarised_with_their_divisor() -> None:
    values = [40 / 3, 40 / 3, 10.0]
    assert over_seeds(values).std == pytest.approx(1.92450089729875)  # np.std(ddof=1)
    assert over_seeds(values, ddof=0).std == pytest.approx(1.5713484026367717)  # np.std
    assert over_seeds(values).mean == pytest.approx(np.mean(values))
    assert over_seeds([5.0]) == SeedSummary(seeds=1, mean=5.0, std=None, ddof=1)
    assert over_seeds([5.0], ddof=0).std == 0.0
    with pytest.raises(ValueError, match="ddof"):
        over_seeds([], ddof=1)
