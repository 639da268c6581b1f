"""Intervals and tests, against enumeration and published values."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.statistics import compare_paired, mcnemar_exact, paired_bootstrap, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(
    successes: int, trials: int, low: float, high: float
) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), Table I, method 3."""
    interval = wilson_interval(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(figures: tuple[int, int]) -> None:
    successes, trials = figures
    interval, mirrored = (
        wilson_interval(successes, trials),
        wilson_interval(trials - successes, trials),
    )
    assert 0 <= interval.low <= successes / trials <= interval.high <= 1
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(successes, trials)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 0), (1, 6), (4, 4), (2, 7), (9, 1)])
def test_mcnemar_equals_enumerating_all_coin_sequences(first: int, second: int) -> None:
    discordant = first + second
    uneven = abs(first - second)
    flips = [abs(2 * sum(coins) - discordant) for coins in product((0, 1), repeat=discordant)]
    expected = sum(flip >= uneven for flip in flips) / len(flips)
    assert mcnemar_exact(first, second) == pytest.approx(expected)
    assert mcnemar_exact(second, first) == mcnemar_exact(first, second)


def test_mcnemar_survives_large_counts() -> None:
    assert mcnemar_exact(5000, 5000) == 1.0
    assert 0 <= mcnemar_exact(4000, 6000) < 1e-80


def test_the_bootstrap_agrees_with_the_normal_interval_on_many_problems() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 2, 2000), rng.integers(0, 2, 2000)
    difference = first - second
    spread = 1.96 * difference.std() / np.sqrt(len(difference))
    interval = paired_bootstrap(first.tolist(), second.tolist(), draws=4000)
    expected = (difference.mean() - spread, difference.mean() + spread)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=0.004)


def test_the_bootstrap_is_paired_and_seeded() -> None:
    hard = [1.0, 0.0] * 50
    assert paired_bootstrap(hard, hard) == paired_bootstrap(hard, hard, seed=9)
    assert paired_bootstrap(hard, hard).low == paired_bootstrap(hard, hard).high == 0
    easy = np.random.default_rng(3).random(100).tolist()
    assert paired_bootstrap(easy, hard) == paired_bootstrap(easy, hard)
    assert paired_bootstrap(easy, hard) != paired_bootstrap(easy, hard, seed=9)


def test_a_paired_comparison_counts_who_solves_what() -> None:
    comparison = compare_paired([1, 1, 1, 0], [0, 0, 1, 1])
    assert (comparison.only_first, comparison.only_second, comparison.problems) == (2, 1, 4)
    assert comparison.difference == pytest.approx(0.25)
    assert comparison.p_value == 1.0
    assert comparison.interval.low <= 0.25 <= comparison.interval.high


def test_mcnemar_is_left_out_when_problems_were_sampled() -> None:
    comparison = compare_paired([0.5, 1.0], [0.25, 1.0])
    assert comparison.p_value is None
    assert comparison.only_first is None


def test_unequal_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        paired_bootstrap([1.0], [1.0, 0.0])
