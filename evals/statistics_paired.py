"""Two models on the same problems: difference, interval, p, and what n problems could have shown.

    one score a problem and model → paired_bootstrap (interval), sign_flip_test or mcnemar_exact (p),
                                    detectable difference → PairedComparison → resolution (in words)

Two models answer the same problems, so their difference is judged problem by problem: hard problems are hard
for both, and pairing takes that out. With one answer a problem, McNemar's test asks whether the problems that
only one model solves are a fair coin. With several samples a problem the same question is asked of the means: if
the models were alike, each problem's difference would as likely have the other sign. Flipping all signs, in all
2^n ways, gives an exact p that is clustered by problem, and is McNemar's where every score is 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, sqrt

import numpy as np

from evals.intervals import Interval, bootstrap_interval, paired_differences
from evals.statistics_power import (
    SIGNIFICANCE,
    detectable_difference,
    detectable_mean_difference,
)

MAX_DENOMINATOR = 4096
"""Means over more samples than this are rounded."""
MAX_CELLS = 2**21
"""Of the grid on which sums of differences are counted."""
MAX_COSINES = 2**25
"""Work of one sign-flip test: cells times different sizes; about a second."""


@dataclass(frozen=True)
class PairedComparison:
    """One model against another on the same problems."""

    problems: int
    difference: float
    """Mean accuracy of the one minus that of the other."""
    interval: Interval
    """Of the difference: percentile bootstrap over problems."""
    only_first: int | None
    """Problems that the first alone solves; None when problems were sampled several times."""
    only_second: int | None
    p_value: float
    """Two-sided and exact: McNemar's, or the sign-flip test over problems when they were sampled."""
    detectable: float | None
    """The true difference that as many problems, as discordant as these, show with 80 % power at 5 %; None
    where not even the largest possible difference would be shown."""


def compare_paired(
    first: Sequence[float], second: Sequence[float], draws: int = 10_000, seed: int = 0
) -> PairedComparison:
    """Compares per-problem scores (0 or 1, or means over samples) given in the same order of
    problems."""
    differences = paired_differences(first, second)
    interval = bootstrap_interval(differences.tolist(), draws, seed)
    single = all(score in (0, 1) for score in (*first, *second))
    only_first, only_second = int((differences > 0).sum()), int((differences < 0).sum())
    if single:
        p_value = mcnemar_exact(only_first, only_second)
        discordant_share = (only_first + only_second) / len(differences)
        detectable = detectable_difference(len(differences), discordant_share)
    else:
        p_value = sign_flip_test(differences.tolist())
        detectable = detectable_of_means(differences)
    return PairedComparison(
        problems=len(differences),
        difference=float(differences.mean()),
        interval=interval,
        only_first=only_first if single else None,
        only_second=only_second if single else None,
        p_value=p_value,
        detectable=detectable,
    )


def detectable_of_means(differences: np.ndarray) -> float | None:
    """From the spread over problems; None where there is no spread to judge by, or it would be above 1."""
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    smallest = detectable_mean_difference(len(differences), spread)
    return smallest if 0 < smallest <= 1 else None


def resolution(comparison: PairedComparison) -> str:
    """What may be said of the difference: its sign, or that so few problems do not tell."""
    if comparison.p_value < SIGNIFICANCE:
        return "higher" if comparison.difference > 0 else "lower"
    unresolved = f"not resolved at n = {comparison.problems}"
    if comparison.detectable is None:
        return f"{unresolved} (too few problems differ for any difference to be)"
    points = 100 * comparison.detectable
    return f"{unresolved} (80 % power only from {points:.1f} points)"


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of a split at least this uneven if each discordant problem were a fair coin."""
    discordant = only_first + only_second
    ways, tail = 1, 0  # ways: sequences of coins with k heads, in whole numbers of any size
    for k in range(min(only_first, only_second) + 1):
        tail += ways
        ways = ways * (discordant - k) // (k + 1)
    return min(1.0, 2 * tail / 2**discordant)


def sign_flip_test(differences: Sequence[float]) -> float:
    """Two-sided p of a sum at least this far from 0 if each problem's difference had either sign alike.

    All 2^n sign patterns are counted at once. Differences are whole multiples of a grid (means over n samples are
    multiples of 1/n), and the distribution of a sum of ±m₁ ± m₂ … has the characteristic function Π cos(m t); one
    Fourier transform gives the probability of every sum, to about 1e-15. Scores that fit no grid of MAX_CELLS and
    MAX_COSINES are rounded to the finest that does.
    """
    steps = whole_steps(differences)
    steps = steps[steps != 0]
    total = int(np.abs(steps).sum())
    if total == 0:
        return 1.0
    observed = abs(int(steps.sum()))
    sizes, counts = np.unique(np.abs(steps), return_counts=True)
    num_cells = 2 * total + 1
    angles = 2 * np.pi * np.arange(total + 1) / num_cells
    transform = np.ones(total + 1)
    for size, count in zip(sizes, counts, strict=True):
        transform *= np.cos(angles * size) ** count
    chance = np.fft.irfft(transform, num_cells)  # of the sums 0, 1, … total; then -total, … -1
    at_least = chance[observed : num_cells - observed + (observed > 0)].sum()
    return float(min(1.0, max(at_least, 0.0)))


def whole_steps(differences: Sequence[float]) -> np.ndarray:
    """The differences as whole multiples of a common grid."""
    values = np.asarray(differences, dtype=float)
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError("differences must be finite numbers, and at least one")
    distinct, reach = np.unique(np.abs(values)), max(1e-9, float(np.abs(values).sum()))
    fractions = (Fraction(value).limit_denominator(MAX_DENOMINATOR) for value in distinct)
    wanted = lcm(*(fraction.denominator for fraction in fractions))
    # On a grid of 1/g there are g·reach cells and at most g different sizes, however many there were before.
    affordable = max(MAX_COSINES / (reach * len(distinct)), sqrt(MAX_COSINES / reach))
    per_one = min(wanted, max(1, int(min(MAX_CELLS / reach, affordable))))
    return np.rint(values * per_one).astype(np.int64)
