"""How far a share or a mean is known: Wilson's interval, and the bootstrap over problems.

    right answers of n problems        → wilson_interval
    one score a problem, of any kind   → bootstrap_interval (a mean), paired_bootstrap (of a difference)

A problem is the unit that is drawn. Several samples of one problem share its difficulty, so they enter as one
score, their mean; drawing samples as if each were a new problem would make every interval too narrow.
The draws are multinomial over the *distinct* scores, which is the same as drawing problems with replacement
and needs no list of n indices a draw: twelve thousand problems cost what forty do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

Z_95 = 1.959963984540054
"""The standard normal's 97.5 % point."""
MAX_DRAWN_AT_ONCE = 4_000_000
"""Counts held in memory at a time (32 MB)."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, as shares between 0 and 1 (or differences between -1 and 1)."""

    low: float
    high: float


def wilson_interval(successes: float, trials: float, z: float = Z_95) -> Interval:
    """Wilson's score interval for a share: honest near 0 and 1 and for small samples.

    `successes` may be a sum of per-problem means; one trial a problem is then conservative. Neither need be whole.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"0 <= successes <= trials and trials >= 1, got {successes} of {trials}")
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    low = 0.0 if successes == 0 else max(0.0, centre - spread)
    high = 1.0 if successes == trials else min(1.0, centre + spread)
    return Interval(low, high)


def bootstrap_interval(scores: Sequence[float], draws: int = 10_000, seed: int = 0) -> Interval:
    """95 % percentile interval of the mean of one score a problem, problems drawn with replacement; seeded."""
    if len(scores) == 0 or draws < 1:
        raise ValueError(f"scores and draws are needed, got {len(scores)} scores, {draws} draws")
    means = bootstrap_means(np.asarray(scores, dtype=float), draws, seed)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


def bootstrap_means(scores: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """The means of `draws` resamples."""
    if not np.isfinite(scores).all():
        raise ValueError("every score must be a finite number")
    values, counts = np.unique(scores, return_counts=True)
    rng = np.random.default_rng(seed)
    at_once = max(1, MAX_DRAWN_AT_ONCE // len(values))
    blocks = [
        rng.multinomial(len(scores), counts / len(scores), min(at_once, draws - done)) @ values
        for done in range(0, draws, at_once)
    ]
    return np.concatenate(blocks) / len(scores)


def paired_bootstrap(
    first: Sequence[float], second: Sequence[float], draws: int = 10_000, seed: int = 0
) -> Interval:
    """95 % interval of mean(first) - mean(second), problems drawn with replacement; seeded."""
    return bootstrap_interval(paired_differences(first, second).tolist(), draws, seed)


def paired_differences(first: Sequence[float], second: Sequence[float]) -> np.ndarray:
    """first - second, problem by problem; both lists are in the same order of problems."""
    if len(first) != len(second) or len(first) == 0:
        raise ValueError(
            f"two equally long, non-empty lists are needed, got {len(first)}, {len(second)}"
        )
    return np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
