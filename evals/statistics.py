"""What a score says: the one door to the evaluator's statistics.

    intervals.py             a share (Wilson), a mean over problems (bootstrap)
    statistics_shares.py     an accuracy, however often problems were sampled; an average of benchmarks
    statistics_paired.py     two models on the same problems: difference, interval, exact p, what n resolves
    statistics_power.py      the smallest difference that n problems resolve
    statistics_samples.py    several samples a problem: pass@k, avg@k, maj@k; several seeds: mean ± std
    statistics_effects.py    paired t, Cohen's d, odds ratio, Holm's correction

The rules that all of them keep: the problem is the unit, so samples of one problem are never counted as
independent; what can be counted exactly is not approximated; every draw is seeded; numpy is all they need.
"""

from __future__ import annotations

from evals.intervals import (
    Z_95,
    Interval,
    bootstrap_interval,
    paired_bootstrap,
    wilson_interval,
)
from evals.statistics_effects import (
    OddsRatio,
    PairedT,
    cohens_d,
    cohens_d_of_moments,
    holm,
    odds_ratio,
    paired_t_test,
)
from evals.statistics_paired import (
    PairedComparison,
    compare_paired,
    mcnemar_exact,
    resolution,
    sign_flip_test,
)
from evals.statistics_power import detectable_difference, detectable_mean_difference
from evals.statistics_samples import (
    SeedSummary,
    average_at_k,
    majority_at_k,
    over_seeds,
    pass_at_k,
)
from evals.statistics_shares import average_interval, mean_interval

__all__ = [
    "Z_95",
    "Interval",
    "OddsRatio",
    "PairedComparison",
    "PairedT",
    "SeedSummary",
    "average_at_k",
    "average_interval",
    "bootstrap_interval",
    "cohens_d",
    "cohens_d_of_moments",
    "compare_paired",
    "detectable_difference",
    "detectable_mean_difference",
    "holm",
    "majority_at_k",
    "mcnemar_exact",
    "mean_interval",
    "odds_ratio",
    "over_seeds",
    "paired_bootstrap",
    "paired_t_test",
    "pass_at_k",
    "resolution",
    "sign_flip_test",
    "wilson_interval",
]
