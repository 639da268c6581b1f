"""t, d, odds ratio and Holm against scipy 1.17 and statsmodels 0.15; each constant names the call behind it."""

from __future__ import annotations

from itertools import product
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.statistics import (
    cohens_d,
    cohens_d_of_moments,
    holm,
    mcnemar_exact,
    odds_ratio,
    paired_t_test,
    pass_at_k,
    sign_flip_test,
    wilson_interval,
)
from evals.statistics_effects import t_quantile, t_two_sided

FIRST = [2.1, 3.4, 1.9, 5.6, 4.4, 3.8, 2.7]
SECOND = [1.8, 3.9, 1.2, 4.1, 4.5, 2.9, 2.2]


def test_paired_t_equals_its_reference() -> None:
    """scipy.stats.ttest_rel(FIRST, SECOND) and its confidence_interval()."""
    result = paired_t_test(FIRST, SECOND)
    assert (result.t, result.p_value) == pytest.approx((1.896844121467385, 0.10663540429942267))
    expected = (-0.13671004436055573, 1.0795671872176986)
    assert (result.interval.low, result.interval.high) == pytest.approx(expected)
    assert result.pairs == 7


@pytest.mark.parametrize(
    ("t", "freedom", "p_value"),
    [
        (0.5, 1, 0.7048327646991335),
        (12.706, 1, 0.05000080235813319),
        (2.0, 9, 0.07655282377070101),
        (5.0, 499, 7.951451882128965e-07),
        (40.0, 499, 8.817210478092078e-158),
        (1.0, 100_000, 0.3173129275641102),
        (0.001, 3, 0.9992648949694609),
        (100.0, 2, 9.998500249956258e-05),
    ],
)
def test_tails_of_t_keep_their_digits(t: float, freedom: int, p_value: float) -> None:
    """2 * scipy.stats.t.sf(t, freedom)."""
    assert t_two_sided(t, freedom) == pytest.approx(p_value, rel=1e-9)
    assert t_two_sided(-t, freedom) == t_two_sided(t, freedom)


def test_quantiles_of_t_equal_their_reference() -> None:
    """scipy.stats.t.ppf(0.975, freedom)."""
    expected = [
        12.706204736174694,
        4.302652729749462,
        2.262157162798205,
        1.9647293909876886,
        1.9599877075345095,
    ]
    quantiles = [t_quantile(freedom) for freedom in (1, 2, 9, 499, 100_000)]
    assert quantiles == pytest.approx(expected, rel=1e-9)


def test_t_of_measurements_without_spread() -> None:
    assert paired_t_test([1.0, 2.0], [1.0, 2.0]).p_value == 1.0
    constant = paired_t_test([2.0, 3.0], [1.0, 2.0])
    assert (constant.t, constant.p_value) == (inf, 0.0)
    for pair in ([1.0], [float("nan"), 1.0]):
        with pytest.raises(ValueError, match="two finite pairs"):
            paired_t_test(pair, pair)


def test_cohens_d_equals_its_reference() -> None:
    """scipy.stats.ttest_ind(x, y).statistic * sqrt(1/5 + 1/6)."""
    x, y = [4.1, 3.9, 5, 4.4, 3.2], [3.1, 3.6, 4.2, 2.8, 3.3, 3.0]
    assert cohens_d(x, y) == pytest.approx(1.3577277107831365, rel=1e-12)
    assert cohens_d(y, x) == -cohens_d(x, y)
    moments = [(float(np.mean(v)), float(np.std(v, ddof=1)), len(v)) for v in (x, y)]
    assert cohens_d_of_moments(*moments) == pytest.approx(cohens_d(x, y))
    with pytest.raises(ValueError, match="spread"):
        cohens_d([1.0, 1.0], [2.0, 2.0])
    with pytest.raises(ValueError, match="two or more"):
        cohens_d([1.0], [2.0, 3.0])


@pytest.mark.parametrize(
    ("cells", "ratio", "low", "high", "corrected"),
    [
        ((9370, 10_000, 7080, 10_000), 6.134068693390727, 5.5979149645, 6.7215738313, False),
        ((12, 15, 7, 16), 5.142857142857143, 1.0330846727367322, 25.601947536179264, False),
        ((5, 5, 2, 6), 19.8, 0.7435416352862617, 527.2603192544367, True),
    ],
)
def test_odds_ratios_equal_their_reference(
    cells: tuple[int, int, int, int], ratio: float, low: float, high: float, corrected: bool
) -> None:
    """statsmodels Table2x2([[a, b], [c, d]]).oddsratio and .oddsratio_confint(), a half added in the third."""
    result = odds_ratio(*cells)
    found = (result.ratio, result.interval.low, result.interval.high)
    assert found == pytest.approx((ratio, low, high), rel=1e-9)
    assert result.corrected == corrected


def test_impossible_marks_are_refused() -> None:
    with pytest.raises(ValueError, match="6 of 5"):
        odds_ratio(6, 5, 1, 5)


def test_holm_equals_its_reference() -> None:
    """statsmodels multipletests(p, method="holm")[1]."""
    corrected = holm([0.01, 0.04, 0.03, 0.005, 0.2, 0.04])
    assert corrected == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.2, 0.12])
    assert holm([]) == []
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm([1.2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_holm_rejects_what_testing_step_by_step_rejects(p_values: list[float]) -> None:
    """The definition: go up the sorted list while p_(i) <= 0.05 / (m - i), stop at the first that is not."""
    rejected = 0
    for rank, p in enumerate(sorted(p_values)):
        if p * (len(p_values) - rank) > 0.05:
            break
        rejected += 1
    assert sum(p <= 0.05 for p in holm(p_values)) == rejected


class TestLive:
    """The same comparisons on random figures, where scipy or statsmodels is installed."""

    def test_against_scipy(self) -> None:
        stats = pytest.importorskip("scipy.stats")
        rng = np.random.default_rng(0)
        for size in (2, 5, 50, 500):
            first, second = rng.normal(0.1, 1, size), rng.normal(0, 1, size)
            expected = stats.ttest_rel(first, second)
            result = paired_t_test(first.tolist(), second.tolist())
            found = (result.t, result.p_value)
            assert found == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
        for t, freedom in product((0.01, 0.7, 3.0, 30.0), (1, 2, 7, 100, 12_000)):
            assert t_two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=1e-9)
        for n, c, k in ((10, 3, 4), (512, 9, 32), (4096, 100, 32)):
            assert pass_at_k(n, c, k) == pytest.approx(stats.hypergeom.sf(0, n, c, k), rel=1e-7)
        for size in (4, 9):
            scores = rng.integers(-4, 5, size) / 4
            exact = stats.permutation_test(
                (scores,), np.mean, permutation_type="samples", n_resamples=np.inf
            )
            assert sign_flip_test(scores.tolist()) == pytest.approx(exact.pvalue, abs=1e-12)

    def test_against_statsmodels(self) -> None:
        tables = pytest.importorskip("statsmodels.stats.contingency_tables")
        proportion = pytest.importorskip("statsmodels.stats.proportion")
        multitest = pytest.importorskip("statsmodels.stats.multitest")
        rng = np.random.default_rng(1)
        for _ in range(20):
            a, b, c, d = (int(n) for n in rng.integers(1, 200, 4))
            expected = tables.Table2x2([[a, b], [c, d]])
            result = odds_ratio(a, a + b, c, c + d)
            found = (result.ratio, result.interval.low, result.interval.high)
            assert found == pytest.approx((expected.oddsratio, *expected.oddsratio_confint()))
            p_value = tables.mcnemar([[0, a], [b, 0]], exact=True).pvalue
            assert mcnemar_exact(a, b) == pytest.approx(p_value, rel=1e-9)
            interval = wilson_interval(a, a + b)
            expected_ends = proportion.proportion_confint(a, a + b, method="wilson")
            assert (interval.low, interval.high) == pytest.approx(expected_ends)
            p_values = rng.random(6) / 10
            corrected = multitest.multipletests(p_values, method="holm")[1]
            assert holm(p_values.tolist()) == pytest.approx(corrected.tolist())
