"""Claims about values over seeds and paired differences: against brute force and against the statistics they use."""

from __future__ import annotations

from itertools import product
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.intervals import Interval
from evals.statistics import (
    bootstrap_interval,
    compare_paired,
    holm,
    mcnemar_exact,
    mean_interval,
    paired_t_test,
)
from launch.experiments.estimates import Difference, compare, estimate, verdict
from launch.experiments.measures import Reading
from launch.experiments.rows import corrected

Marks = dict[int, list[float]]
"""Seed → scores of its problems."""


def reading(seed: int, scores: list[float], shared: bool = False) -> Reading:
    """Problems of a file are the same for every seed, those of the built-in world are not."""
    names = [(f"p{place}" if shared else f"{seed}-{place}", "") for place in range(len(scores))]
    return Reading(fmean(scores), (dict(zip(names, scores, strict=True)),))


def readings(marks: Marks, shared: bool = False) -> dict[int, Reading]:
    return {seed: reading(seed, scores, shared) for seed, scores in marks.items()}


def width(interval: Interval | None) -> float:
    assert interval is not None
    return interval.high - interval.low


marks = st.lists(
    st.lists(st.integers(0, 1).map(float), min_size=6, max_size=6), min_size=3, max_size=5
).map(lambda seeds: dict(enumerate(seeds)))


@given(marks, st.booleans())
@settings(max_examples=8, deadline=None)
def test_the_interval_is_the_wider_of_seeds_and_problems(scores: Marks, shared: bool) -> None:
    found = estimate(readings(scores, shared), is_share=True)
    means = [fmean(values) for values in scores.values()]
    assert found.value == pytest.approx(fmean(means))
    over_seeds = paired_t_test(means, [0.0] * len(means)).interval
    every = [*zip(*scores.values(), strict=True)]
    problems = (
        [fmean(column) for column in every] if shared else [s for v in scores.values() for s in v]
    )
    over_problems = mean_interval(problems)
    assert found.problems == len(problems)
    widest = max(over_seeds, over_problems, key=width)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(max(0.0, widest.low))
    assert found.interval.high == pytest.approx(min(1.0, widest.high))
    assert found.by == ("seeds" if width(over_seeds) > width(over_problems) else "problems")


def test_two_seeds_say_nothing_about_the_spread_of_seeds() -> None:
    found = estimate(readings({0: [1.0] * 50, 1: [0.0] * 50}), is_share=True)
    assert found.by == "problems"


def test_nothing_solved_still_has_an_interval() -> None:
    found = estimate(readings({seed: [0.0] * 20 for seed in range(3)}), is_share=True)
    assert found.interval is not None
    assert found.interval.low == 0
    assert found.interval.high > 0.03


def test_lengths_are_bootstrapped_and_not_cut_at_one() -> None:
    words = {0: [10.0, 20.0, 40.0], 1: [12.0, 18.0, 50.0]}
    found = estimate(readings(words), is_share=False)
    expected = bootstrap_interval([10.0, 20.0, 40.0, 12.0, 18.0, 50.0])
    assert found.interval == expected


def test_a_value_without_problems_or_seeds_has_no_interval() -> None:
    assert estimate({0: Reading(3.0)}, is_share=False).interval is None
    given_one = {0: Reading(3.0, (), Interval(2.0, 5.0)), 1: Reading(4.0, (), Interval(3.0, 5.0))}
    assert estimate(given_one, is_share=False).interval == Interval(2.5, 5.0)


@given(marks, marks)
@settings(max_examples=8, deadline=None)
def test_a_difference_is_that_of_the_same_problems_with_the_same_seed(
    one: Marks, other: Marks
) -> None:
    found = compare(readings(one), readings(other), is_share=True)
    assert found is not None
    seeds = [seed for seed in one if seed in other]
    by_seed = {
        seed: fmean(a - b for a, b in zip(one[seed], other[seed], strict=True)) for seed in seeds
    }
    assert found.per_seed == pytest.approx(by_seed)
    assert found.value == pytest.approx(fmean(by_seed.values()))
    first, second = ([s for seed in seeds for s in side[seed]] for side in (one, other))
    pooled = compare_paired(first, second)
    assert found.p_problems == pytest.approx(pooled.p_value)
    over_seeds = paired_t_test([fmean(one[s]) for s in seeds], [fmean(other[s]) for s in seeds])
    assert found.p_seeds == pytest.approx(over_seeds.p_value, abs=1e-9)
    assert found.p_value == max(found.p_seeds, found.p_problems)
    assert width(found.interval) == pytest.approx(
        max(width(pooled.interval), width(over_seeds.interval))
    )


def test_problems_that_only_one_side_was_asked_are_left_out_and_counted() -> None:
    asked = {0: Reading(0.5, ({("a", "x"): 1.0, ("b", "x"): 0.0},))}
    others = {0: Reading(1.0, ({("a", "x"): 0.0, ("b", "other words"): 1.0},))}
    found = compare(asked, others, is_share=True)
    assert found is not None
    assert (found.value, found.problems, found.left_out) == (1.0, 1, 2)
    nothing = {0: Reading(1.0, ({("c", "x"): 1.0},))}
    assert compare(asked, nothing, is_share=True) is None
    assert compare(asked, {1: others[0]}, is_share=True) is None


def test_seeds_that_share_problems_are_averaged_before_the_test() -> None:
    """Three seeds of one file are no three times as many problems."""
    better = {seed: [1.0, 1.0, 1.0, 1.0] for seed in range(3)}
    worse = {seed: [0.0, 0.0, 0.0, 0.0] for seed in range(3)}
    shared = compare(readings(better, shared=True), readings(worse, shared=True), is_share=True)
    own = compare(readings(better), readings(worse), is_share=True)
    assert shared is not None
    assert own is not None
    assert shared.p_problems == pytest.approx(mcnemar_exact(4, 0))
    assert own.p_problems == pytest.approx(mcnemar_exact(12, 0))


def test_benchmarks_of_an_average_weigh_alike_in_the_test_too() -> None:
    """Against all patterns of signs, each benchmark's mean weighing the same."""
    parts = ([1.0, 1.0, -1.0], [1.0, 0.0, 1.0, 1.0, -1.0, 1.0])
    named = tuple({(f"{n}", ""): score for n, score in enumerate(part)} for part in parts)
    zeros = tuple(dict.fromkeys(part, 0.0) for part in named)
    found = compare({0: Reading(0.0, named)}, {0: Reading(0.0, zeros)}, is_share=True)
    weights = [score / len(part) for part in parts for score in part]
    observed = abs(sum(weights))
    sums = [abs(np.dot(signs, weights)) for signs in product((-1, 1), repeat=len(weights))]
    assert found is not None
    assert found.value == pytest.approx(fmean(fmean(part) for part in parts))
    assert found.p_problems == pytest.approx(np.mean(np.array(sums) >= observed - 1e-9))
    assert found.p_seeds is None


def test_a_difference_of_seeds_alone_is_tested_by_seeds_alone() -> None:
    one = {seed: Reading(value) for seed, value in enumerate([1.0, 2.0, 3.5])}
    other = {seed: Reading(value) for seed, value in enumerate([0.5, 1.0, 2.0])}
    found = compare(one, other, is_share=False)
    assert found is not None
    assert found.p_problems is None
    assert found.p_value == paired_t_test([1.0, 2.0, 3.5], [0.5, 1.0, 2.0]).p_value


def test_rows_that_some_seeds_lack_are_paired_in_none() -> None:
    one = {0: reading(0, [1.0, 0.0]), 1: Reading(0.9), 2: Reading(0.7)}
    other = {0: reading(0, [0.0, 0.0]), 1: Reading(0.4), 2: Reading(0.4)}
    found = compare(one, other, is_share=False)
    assert found is not None
    assert found.per_seed == pytest.approx({0: 0.5, 1: 0.5, 2: 0.3})
    assert found.p_problems is None


def difference(
    value: float, p: float, seeds: int | None = 7, problems: int | None = 900
) -> Difference:
    return Difference(
        value=value, interval=None, by="", per_seed={}, problems=100, left_out=0,
        p_seeds=p, p_problems=p, seeds_needed=seeds, problems_needed=problems,
    )  # fmt: skip


def test_verdicts_say_what_is_shown_and_what_is_not() -> None:
    assert verdict(difference(0.1, 0.01), 0.02, 3, 1) == "resolved"
    assert verdict(difference(-0.1, 0.01), 0.02, 3, -1) == "resolved"
    assert verdict(difference(-0.1, 0.01), 0.02, 3, 1) == "opposite, resolved"
    assert verdict(difference(0.1, 0.03), 0.09, 3, 1).startswith("not resolved among 3 (p = 0.030")
    said = verdict(difference(0.1, 0.3), 0.6, 3, 1)
    assert said == "not resolved at this n (p = 0.300; n ≈ 900 problems and 7 seeds would)"
    assert "no difference was seen" in verdict(difference(0.0, 1.0, None, None), 1.0, 3, 1)
    assert "too small a difference" in verdict(difference(1e-7, 0.9, None, None), 1.0, 3, 1)
    assert verdict(difference(0.1, 0.01), 0.02, 3, 0) == "opposite, resolved"
    assert verdict(difference(0.1, 0.4), 0.8, 3, 0) == "not contradicted at this n"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_p_values_are_corrected_by_holm_over_the_family(p_values: list[float]) -> None:
    family = {place: difference(0.1, p) for place, p in enumerate(p_values)}
    assert [p for _, p in corrected(family).values()] == holm(p_values)


def test_as_many_problems_as_are_named_would_resolve_the_difference() -> None:
    """The number of problems is that at which the statistics' own detectable difference is the one seen."""
    rng = np.random.default_rng(0)
    one = {0: list((rng.random(200) < 0.52).astype(float))}
    other = {0: list((rng.random(200) < 0.48).astype(float))}
    found = compare(readings(one), readings(other), is_share=True)
    assert found is not None
    assert found.problems_needed is not None
    spread = np.std(np.array(one[0]) - np.array(other[0]), ddof=1)
    detectable = 2.8016 * spread / np.sqrt(found.problems_needed)
    assert detectable == pytest.approx(abs(found.value), rel=0.01)
