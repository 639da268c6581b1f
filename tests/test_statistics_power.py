"""What n problems resolve: exact power against enumeration, and what the normal formula hides."""

from __future__ import annotations

from math import comb, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.statistics import detectable_difference, detectable_mean_difference, mcnemar_exact
from evals.statistics_power import McNemarPower


def power_by_enumeration(problems: int, share: float, difference: float) -> float:
    """Every number of discordant problems, every split, the real test."""
    heads, total = (1 + difference / share) / 2, 0.0
    for m in range(problems + 1):
        chance = comb(problems, m) * share**m * (1 - share) ** (problems - m)
        for k in range(m + 1):
            if mcnemar_exact(k, m - k) <= 0.05:
                total += chance * comb(m, k) * heads**k * (1 - heads) ** (m - k)
    return total


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.floats(0.05, 1.0), st.floats(0.0, 1.0))
def test_power_equals_enumeration(problems: int, share: float, part: float) -> None:
    expected = power_by_enumeration(problems, share, part * share)
    power = McNemarPower(problems, share).power(part * share)
    assert power == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("problems", "share", "difference", "power"),
    [
        (40, 0.3, 0.2421, 0.8000012141701084),
        (30, 0.5, 0.3, 0.5858893906953908),
        (60, 0.2, 0.15, 0.7053243288831081),
        (12, 1.0, 0.8, 0.8891300277100003),
    ],
)
def test_power_equals_reference_values(
    problems: int, share: float, difference: float, power: float
) -> None:
    """scipy 1.17: sum over m and k of binom.pmf(m, n, share) · binom.pmf(k, m, (1 + d/share)/2) where
    binomtest(k, m).pvalue <= 0.05."""
    assert McNemarPower(problems, share).power(difference) == pytest.approx(power, abs=1e-8)


def test_the_detectable_difference_has_the_promised_power_and_no_smaller_one() -> None:
    smallest = detectable_difference(100, 0.3)
    assert smallest is not None
    assert power_by_enumeration(100, 0.3, smallest) >= 0.8
    assert power_by_enumeration(100, 0.3, smallest - 2e-4) < 0.8


def test_forty_problems_resolve_little() -> None:
    """AMC23 has 40 problems. If two models differ on 12 of them, only 24 points would show."""
    assert detectable_difference(40, 0.3) == pytest.approx(0.2421, abs=2e-4)
    assert detectable_difference(40, 0.1) is None
    assert detectable_difference(5, 1.0) is None  # six coins must fall alike before p < 0.05
    assert detectable_difference(30, 0.0) is None


def test_on_many_problems_the_normal_formula_agrees() -> None:
    for problems, share in ((5000, 0.3), (12_032, 0.3), (20_000, 0.2)):
        exact = detectable_difference(problems, share)
        assert exact == pytest.approx(detectable_mean_difference(problems, sqrt(share)), rel=0.02)
    assert detectable_difference(20_001, 0.2) == pytest.approx(exact, rel=0.02)


def test_more_problems_resolve_smaller_differences() -> None:
    figures = [detectable_difference(n, 0.25) for n in (60, 120, 272, 500, 1319)]
    assert figures == sorted(figures, reverse=True)


def test_means_need_the_textbook_number_of_problems() -> None:
    """n = (z₀.₉₇₅ + z₀.₈)² sd² / d²: 7.849 sd²/d²."""
    smallest = detectable_mean_difference(785, 1.0)
    assert smallest == pytest.approx(0.1, abs=5e-5)
    assert detectable_mean_difference(785, 0.25) == pytest.approx(smallest / 4)


@pytest.mark.parametrize(("problems", "share"), [(0, 0.1), (10, -0.1), (10, 1.1)])
def test_impossible_designs_are_refused(problems: int, share: float) -> None:
    with pytest.raises(ValueError, match="problems >= 1"):
        detectable_difference(problems, share)
    with pytest.raises(ValueError, match="problems >= 1"):
        detectable_mean_difference(0, -share)
