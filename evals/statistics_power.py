"""What a comparison could have shown at all: the smallest difference that n problems resolve.

    n problems, share of them that only one model solves → power of McNemar's exact test → detectable difference

"No significant difference" on forty problems says little: this module says how little. The power is summed
exactly over the number of discordant problems and over how they split, because the usual normal formula promises
too much where it matters, on small benchmarks: the exact test needs six discordant problems before it can
reject anything. Samples (several a problem) have means instead of splits; there the normal formula serves.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

SIGNIFICANCE = 0.05
"""Two-sided."""
POWER = 0.8
Z_POWER = 0.8416212335729143
"""The standard normal's 80 % point."""
Z_SIGNIFICANCE = 1.959963984540054
DEVIATIONS = 6.0
"""How much of the distribution of the number of discordant problems is summed, each side."""
ALMOST_ONE = 1 - 1e-12
"""Keeps logarithms finite where a share is 0 or 1."""
PRECISION = 1e-4
"""Of a detectable difference: a hundredth of a point."""
EXACT_UP_TO = 20_000
"""Problems; beyond, the normal formula is right to 1 % of its value and costs nothing."""


def detectable_difference(problems: int, discordant_share: float) -> float | None:
    """The smallest true difference of two accuracies that McNemar's exact test shows with 80 % power at 5 %
    two-sided, if `discordant_share` of the problems are solved by one model alone; None if not even a split
    of all of them to one side would do."""
    if problems < 1 or not 0 <= discordant_share <= 1:
        raise ValueError(
            f"problems >= 1 and a discordant share in [0, 1] are needed, got {problems}, {discordant_share}"
        )
    if problems > EXACT_UP_TO:
        smallest = detectable_mean_difference(problems, sqrt(discordant_share))
        return smallest if 0 < smallest <= discordant_share else None
    test = McNemarPower(problems, discordant_share)
    low, high = 0.0, discordant_share
    if test.power(high) < POWER:
        return None
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if test.power(middle) >= POWER else (middle, high)
    return high


def detectable_mean_difference(problems: int, difference_std: float) -> float:
    """The same for means over samples: normal formula, from the standard deviation of the per-problem
    differences (ddof 1)."""
    if problems < 1 or difference_std < 0:
        raise ValueError(
            f"problems >= 1 and a deviation >= 0 are needed, got {problems}, {difference_std}"
        )
    return (Z_SIGNIFICANCE + Z_POWER) * difference_std / sqrt(problems)


class McNemarPower:
    """The exact test on n problems with a given share of discordant ones. What does not depend on the true
    difference is computed once; `power` is then called many times.        Axes: M discordant problems, K heads."""

    def __init__(self, problems: int, discordant_share: float) -> None:
        share = min(discordant_share, ALMOST_ONE)
        middle, spread = problems * share, sqrt(problems * share * (1 - share))
        low = max(0, int(middle - DEVIATIONS * spread) - 1)
        high = min(problems, int(middle + DEVIATIONS * spread) + 2)
        log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, problems + 1)))])
        count_M = np.arange(low, high + 1)
        heads_K = np.arange(0, high // 2 + 1)
        self.chance_M = np.exp(
            log_factorial[problems] - log_factorial[count_M] - log_factorial[problems - count_M]
            + count_M * np.log(max(share, 1 - ALMOST_ONE)) + (problems - count_M) * np.log1p(-share)
        )  # fmt: skip
        self.heads_K = heads_K
        self.tails_MK = np.maximum(count_M[:, None] - heads_K, 0)
        self.log_ways_MK = (
            log_factorial[count_M][:, None] - log_factorial[heads_K] - log_factorial[self.tails_MK]
        )
        self.share = share
        self.rejects_MK = self._rejections(count_M)

    def _rejections(self, count_M: np.ndarray) -> np.ndarray:
        """Which splits the test rejects: as many heads or fewer have at most half the significance."""
        possible = 2 * self.heads_K <= count_M[:, None]
        fair_MK = np.where(possible, np.exp(self.log_ways_MK - count_M[:, None] * np.log(2)), 0)
        tail_MK = np.cumsum(fair_MK, axis=1)
        return possible & (2 * tail_MK <= SIGNIFICANCE)

    def power(self, difference: float) -> float:
        """Probability of a rejection, either way, if this is the true difference."""
        heads = (1 + min(difference / self.share, ALMOST_ONE)) / 2 if self.share else 0.5
        log_heads, log_tails = np.log(heads), np.log1p(-heads)
        either_MK = np.exp(
            self.log_ways_MK + self.heads_K * log_heads + self.tails_MK * log_tails
        ) + np.exp(self.log_ways_MK + self.heads_K * log_tails + self.tails_MK * log_heads)
        return float(self.chance_M @ np.where(self.rejects_MK, either_MK, 0).sum(axis=1))
