"""What a score says: intervals for one model, paired comparisons for two.

Two models answer the same problems, so their difference is judged problem by problem: hard
problems are hard for both, and pairing takes that out. McNemar's test asks whether the problems
that only one of them solves are a fair coin; the bootstrap draws whole problems, which keeps
several samples of one problem together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

Z_95 = 1.959963984540054
"""The standard normal's 97.5 % point."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, as shares between 0 and 1 (or differences between -1 and 1)."""

    low: float
    high: float


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
    p_value: float | None
    """McNemar, exact, two-sided; None with several samples a problem."""


def wilson_interval(successes: float, trials: int, z: float = Z_95) -> Interval:
    """Wilson's score interval for a share: honest near 0 and 1 and for small samples.

    `successes` may be a sum of per-problem means; one trial a problem is then conservative.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"0 <= successes <= trials and trials >= 1, got {successes} of {trials}")
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    low = 0.0 if successes == 0 else max(0.0, centre - spread)
    high = 1.0 if successes == trials else min(1.0, centre + spread)
    return Interval(low, high)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of a split at least this uneven if each discordant problem were a fair coin."""
    discordant = only_first + only_second
    ways, tail = 1, 0  # ways: sequences of coins with k heads, in whole numbers of any size
    for k in range(min(only_first, only_second) + 1):
        tail += ways
        ways = ways * (discordant - k) // (k + 1)
    return min(1.0, 2 * tail / 2**discordant)


def paired_bootstrap(
    first: Sequence[float], second: Sequence[float], draws: int = 10_000, seed: int = 0
) -> Interval:
    """95 % interval of mean(first) - mean(second), problems drawn with replacement; seeded."""
    if len(first) != len(second) or not first:
        raise ValueError(
            f"two equally long, non-empty lists are needed, got {len(first)}, {len(second)}"
        )
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    rng = np.random.default_rng(seed)
    means = [
        differences[rng.integers(0, len(differences), len(differences))].mean()
        for _ in range(draws)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


def compare_paired(
    first: Sequence[float], second: Sequence[float], draws: int = 10_000, seed: int = 0
) -> PairedComparison:
    """Compares per-problem scores (0 or 1, or means over samples) given in the same order of
    problems."""
    interval = paired_bootstrap(first, second, draws, seed)
    single = all(score in (0, 1) for score in (*first, *second))
    only_first = sum(a > b for a, b in zip(first, second, strict=True))
    only_second = sum(b > a for a, b in zip(first, second, strict=True))
    return PairedComparison(
        problems=len(first),
        difference=float(np.mean(first) - np.mean(second)),
        interval=interval,
        only_first=only_first if single else None,
        only_second=only_second if single else None,
        p_value=mcnemar_exact(only_first, only_second) if single else None,
    )
