"""Effects and families of tests: paired t, Cohen's d, odds ratio, and Holm's correction.

    measurements of the same examples under two models → paired_t_test          (gradient norms, entropies)
    ratings of two groups                              → cohens_d, odds_ratio   (critiques of wrong, right answers)
    p-values of many benchmarks                        → holm

Student's t needs the incomplete beta function, which numpy lacks: it is summed here from its continued fraction
(DLMF 8.17.22), in logarithms, so that p-values far below 1e-16 keep their digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, lgamma, log, log1p, sqrt

import numpy as np

from evals.intervals import Z_95, Interval, paired_differences

MAX_TERMS = 10_000
"""Of the continued fraction; a few dozen suffice at any size that occurs."""


@dataclass(frozen=True)
class PairedT:
    """Student's t of paired measurements."""

    pairs: int
    difference: float
    standard_error: float
    interval: Interval
    """Of the mean difference, 95 %."""
    t: float
    p_value: float
    """Two-sided."""


@dataclass(frozen=True)
class OddsRatio:
    """The odds of a mark in one group over those in another."""

    ratio: float
    interval: Interval
    """Woolf's 95 % interval: normal in the logarithm."""
    corrected: bool
    """Whether a half was added to every cell because one was empty (Haldane and Anscombe)."""


def paired_t_test(first: Sequence[float], second: Sequence[float]) -> PairedT:
    """Are measurements of the same examples higher under the first? Two equal lists have t 0 and p 1; a constant
    difference has an infinite t and p 0."""
    differences = paired_differences(first, second)
    if len(differences) < 2 or not np.isfinite(differences).all():
        raise ValueError(f"at least two finite pairs are needed, got {len(differences)}")
    freedom = len(differences) - 1
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / sqrt(len(differences))
    t = mean / error if error else 0.0 if mean == 0 else inf if mean > 0 else -inf
    return PairedT(
        pairs=len(differences),
        difference=mean,
        standard_error=error,
        interval=t_interval(differences),
        t=t,
        p_value=t_two_sided(t, freedom),
    )


def t_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Student's 95 % interval of the mean of two values or more."""
    reach = t_quantile(len(values) - 1) * float(np.std(values, ddof=1)) / sqrt(len(values))
    mean = float(np.mean(values))
    return Interval(mean - reach, mean + reach)


def t_two_sided(t: float, freedom: float) -> float:
    """Probability of a Student t at least this far from 0."""
    if not isfinite(t):
        return 0.0
    return incomplete_beta(freedom / 2, 0.5, freedom, t * t)


def t_quantile(freedom: float) -> float:
    """The 97.5 % point of Student's t, by halving."""
    low, high = 1.0, 13.0  # 12.706 with one degree of freedom
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_two_sided(middle, freedom) > 0.05 else (low, middle)
    return (low + high) / 2


def incomplete_beta(a: float, b: float, part: float, rest: float) -> float:
    """The regularised I_x(a, b) at x = part / (part + rest). Both parts are given, because 1 - x would lose all
    digits of a small one."""
    if part == 0 or rest == 0:
        return 0.0 if part == 0 else 1.0
    x, y = part / (part + rest), rest / (part + rest)
    if x > (a + 1) / (a + b + 2):  # where the fraction for the other side converges faster
        return 1.0 - incomplete_beta_fraction(b, a, y, x)
    return incomplete_beta_fraction(a, b, x, y)


def incomplete_beta_fraction(a: float, b: float, x: float, y: float) -> float:
    """x^a y^b / (a B(a, b)) over the continued fraction 1 + d₁/(1 + d₂/(1 + …)), evaluated front to back by
    the ratios of successive numerators and denominators (Lentz's method); y is 1 - x."""
    log_y = log(y) if y < 0.5 else log1p(-x)
    log_front = a * log(x) + b * log_y + lgamma(a + b) - lgamma(a) - lgamma(b) - log(a)
    fraction, upper, lower = 1.0, 1.0, 0.0
    for term in range(1, MAX_TERMS):
        m = term // 2
        if term % 2:
            step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1 / (1 + step * lower)
        upper = 1 + step / upper
        fraction *= upper * lower
        if abs(upper * lower - 1) < 1e-15:
            break
    return exp(log_front) / fraction


def cohens_d(first: Sequence[float], second: Sequence[float]) -> float:
    """Difference of two independent groups' means in pooled standard deviations (ddof 1)."""
    if min(len(first), len(second)) < 2:
        raise ValueError(f"two or more values a group are needed: {len(first)}, {len(second)}")
    return cohens_d_of_moments(
        (float(np.mean(first)), float(np.std(first, ddof=1)), len(first)),
        (float(np.mean(second)), float(np.std(second, ddof=1)), len(second)),
    )


def cohens_d_of_moments(first: tuple[float, float, int], second: tuple[float, float, int]) -> float:
    """The same from (mean, sd, n) of each group, as a paper prints them."""
    (mean_1, sd_1, n_1), (mean_2, sd_2, n_2) = first, second
    pooled = sqrt(((n_1 - 1) * sd_1**2 + (n_2 - 1) * sd_2**2) / (n_1 + n_2 - 2))
    if pooled == 0:
        raise ValueError("without any spread inside the groups Cohen's d is not defined")
    return (mean_1 - mean_2) / pooled


def odds_ratio(marked_1: int, total_1: int, marked_2: int, total_2: int) -> OddsRatio:
    """How many times higher the odds of the mark are in the first group."""
    for marked, total in ((marked_1, total_1), (marked_2, total_2)):
        if total < 1 or not 0 <= marked <= total:
            raise ValueError(f"{marked} of {total} cannot be marked")
    cells = [marked_1, total_1 - marked_1, marked_2, total_2 - marked_2]
    corrected = 0 in cells
    a, b, c, d = (cell + 0.5 * corrected for cell in cells)
    middle = log(a) - log(b) - log(c) + log(d)
    reach = Z_95 * sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    return OddsRatio(exp(middle), Interval(exp(middle - reach), exp(middle + reach)), corrected)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the order given: the chance of any false finding among them stays
    below the level at which they are read, whatever their dependence."""
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values lie in [0, 1], got {list(p_values)}")
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
