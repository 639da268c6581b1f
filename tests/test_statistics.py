"""Intervals and paired comparisons, against enumeration and published values."""

from __future__ import annotations

from itertools import product
from math import erfc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals import intervals
from evals.intervals import bootstrap_means
from evals.statistics import (
    average_interval,
    bootstrap_interval,
    compare_paired,
    mcnemar_exact,
    mean_interval,
    paired_bootstrap,
    resolution,
    sign_flip_test,
    wilson_interval,
)


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


def test_sampled_problems_are_compared_by_their_means() -> None:
    comparison = compare_paired([0.5, 1.0, 0.75, 1.0], [0.25, 1.0, 0.25, 0.5])
    assert (comparison.only_first, comparison.only_second) == (None, None)
    assert comparison.p_value == pytest.approx(2 / 8)  # all three that differ have one sign


def test_more_samples_of_a_problem_do_not_make_more_problems() -> None:
    """Clustered: the same score from one sample or from a thousand equal ones says the same."""
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 2, 40).tolist(), rng.integers(0, 2, 40).tolist()
    from_one = compare_paired(first, second)
    repeated = [np.repeat(scores, 1000).reshape(40, 1000).mean(1) for scores in (first, second)]
    assert compare_paired(*(scores.tolist() for scores in repeated)) == from_one


differences_of_few_problems = st.lists(
    st.integers(-6, 6).map(lambda n: n / 6) | st.integers(-4, 4).map(lambda n: n / 4),
    min_size=1,
    max_size=9,
)


@given(differences_of_few_problems)
def test_sign_flips_equal_enumerating_all_signs(differences: list[float]) -> None:
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    far = sum(abs(total) >= abs(sum(differences)) - 1e-9 for total in sums) / len(sums)
    assert sign_flip_test(differences) == pytest.approx(far, abs=1e-12)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 50))
def test_sign_flips_of_single_answers_are_mcnemar(first: int, second: int, both: int) -> None:
    differences = [1.0] * first + [-1.0] * second + [0.0] * (both + 1)
    expected = mcnemar_exact(first, second)
    assert sign_flip_test(differences) == pytest.approx(expected, rel=1e-9, abs=1e-13)


def test_sign_flips_bear_scores_without_a_common_denominator() -> None:
    scores = np.random.default_rng(2).normal(0.02, 0.3, 1000)
    normal = erfc(abs(scores.sum()) / np.sqrt(2 * (scores**2).sum()))
    assert sign_flip_test(scores.tolist()) == pytest.approx(normal, rel=0.02)


def test_the_bootstrap_holds_its_promise() -> None:
    """The interval of a mean of clustered scores covers the true mean in about 95 of 100 worlds."""
    rng = np.random.default_rng(11)
    covered = 0
    for world in range(300):
        ability = rng.beta(
            0.6, 0.9, size=120
        )  # of the problems: most are nearly always right or wrong
        scores = rng.binomial(4, ability) / 4
        interval = bootstrap_interval(scores.tolist(), draws=400, seed=world)
        covered += interval.low <= 0.4 <= interval.high
    assert 0.91 <= covered / 300 <= 0.98


def test_bootstrap_means_have_the_exact_moments() -> None:
    scores = np.array([0.0, 0.25, 0.25, 1.0, 0.5])
    means = bootstrap_means(scores, draws=200_000, seed=1)
    assert means.mean() == pytest.approx(scores.mean(), abs=0.002)
    assert means.std() == pytest.approx(scores.std() / np.sqrt(5), rel=0.01)


def test_the_bootstrap_draws_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).random(50)
    whole = bootstrap_means(scores, 1000, seed=3)
    monkeypatch.setattr(intervals, "MAX_DRAWN_AT_ONCE", 777)
    assert bootstrap_means(scores, 1000, seed=3) == pytest.approx(whole, rel=1e-12)


def test_a_comparison_says_when_nothing_is_resolved() -> None:
    few = compare_paired([1, 0, 1, 0] * 10, [1, 0, 0, 0] * 5 + [1, 0, 1, 1] * 5)
    assert resolution(few).startswith("not resolved at n = 40 (")
    assert resolution(compare_paired([1, 1, 0], [1, 0, 1])).endswith("for any difference to be)")
    many = compare_paired([1, 0, 1, 1] * 20, [1, 0, 1, 0] * 20)
    assert resolution(many) == "higher"
    assert resolution(compare_paired([1, 0, 1, 0] * 20, [1, 0, 1, 1] * 20)) == "lower"


@pytest.mark.parametrize("scores", [[], [float("nan")], [float("inf"), 1.0]])
def test_scores_that_are_no_numbers_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match=r"scores|finite|finite numbers"):
        bootstrap_interval(scores)
    with pytest.raises(ValueError, match="finite numbers"):
        sign_flip_test(scores)


def test_unequal_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        paired_bootstrap([1.0], [1.0, 0.0])


def test_a_mean_gets_the_interval_that_fits_its_scores() -> None:
    solved = [1.0] * 7 + [0.0] * 13
    assert mean_interval(solved) == wilson_interval(7, 20)
    assert mean_interval([0.5] * 20) == wilson_interval(10, 20), "no spread is not no doubt"
    assert mean_interval([1 / 3] * 3).low < 1 / 3 < mean_interval([1 / 3] * 3).high
    shares = [0.25, 0.5, 1.0, 0.0] * 200
    many, drawn = mean_interval(shares), bootstrap_interval(shares)
    assert (many.low, many.high) == pytest.approx((drawn.low, drawn.high), abs=0.003)
    one_hit = mean_interval([0.125] + [0.0] * 11)
    assert one_hit.high > bootstrap_interval([0.125] + [0.0] * 11).high


@pytest.mark.parametrize(("problems", "hard", "easy"), [(12, 1, 9), (30, 0.3, 0.7), (40, 2, 2)])
def test_intervals_of_sampled_problems_hold_the_truth_as_often_as_they_say(
    problems: int, hard: float, easy: float
) -> None:
    """Eight samples of problems whose difficulty is beta distributed; the truth is over all such problems."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(1000):
        scores = rng.binomial(8, rng.beta(hard, easy, problems)) / 8
        interval = mean_interval(scores.tolist())
        held.append(interval.low <= hard / (hard + easy) <= interval.high)
    assert 0.92 < sum(held) / len(held) < 0.99


def test_an_average_of_benchmarks_is_known_better_than_each() -> None:
    one = wilson_interval(30, 100)
    alone = average_interval([0.3], [one])
    assert (alone.low, alone.high) == pytest.approx((one.low, one.high))
    four = average_interval([0.3] * 4, [one] * 4)
    assert 0.3 - four.low == pytest.approx((0.3 - one.low) / 2)
    assert four.high - 0.3 == pytest.approx((one.high - 0.3) / 2)


def test_the_interval_of_an_average_covers_as_often_as_it_says() -> None:
    """Benchmarks of 40, 30 and 200 problems, of which one is nearly hopeless."""
    rng = np.random.default_rng(0)
    sizes, truth = (40, 30, 200), (0.5, 0.03, 0.8)
    covered = 0
    for _ in range(2000):
        solved = [int(rng.binomial(n, p)) for n, p in zip(sizes, truth, strict=True)]
        means = [right / n for right, n in zip(solved, sizes, strict=True)]
        parts = [wilson_interval(right, n) for right, n in zip(solved, sizes, strict=True)]
        interval = average_interval(means, parts)
        covered += interval.low <= sum(truth) / 3 <= interval.high
    assert 0.935 < covered / 2000 < 0.975
