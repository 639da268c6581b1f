"""What readings over seeds say: a value with its interval, and a difference with its p.

    readings of one variant, by seed              → Estimate
    readings of two variants, on common problems  → Difference → verdict

Two things make a value uncertain: which problems were asked, and which seed was trained with. Each gives an interval,
a t over seeds (three or more) and one over problems, and the wider one counts; each gives a p, and the larger one
counts. Over seeds the unit is the seed; over problems it is the problem, whose scores are first averaged over the
seeds that share it (a file's problems; those of the built-in world are other ones with every seed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, sqrt
from statistics import fmean

import numpy as np

from evals.statistics import (
    Interval,
    average_interval,
    bootstrap_interval,
    detectable_mean_difference,
    mean_interval,
    paired_t_test,
)
from evals.statistics_effects import t_interval, t_quantile
from evals.statistics_paired import sign_flip_test
from evals.statistics_power import SIGNIFICANCE, Z_POWER
from launch.experiments.measures import Reading, Scores

MIN_SEEDS = 3
"""Fewer say nothing about the spread between seeds."""
MOST_NAMED = 1_000_000
"""A difference that takes more problems or seeds than this is not worth a number."""


@dataclass(frozen=True)
class Estimate:
    """A value over seeds."""

    value: float
    interval: Interval | None
    """95 %; None where neither seeds nor problems tell."""
    by: str
    """What the interval is over: seeds, problems, or nothing."""
    per_seed: Mapping[int, float]
    problems: int
    """Different ones, over all seeds."""


@dataclass(frozen=True)
class Difference:
    """One variant minus another."""

    value: float
    interval: Interval | None
    by: str
    per_seed: Mapping[int, float]
    problems: int
    left_out: int
    """Problems that only one of the two was asked."""
    p_seeds: float | None
    p_problems: float | None
    seeds_needed: int | None
    """For a true difference of this size to be shown with 80 % power at 5 %; None where that has no number."""
    problems_needed: int | None

    @property
    def p_value(self) -> float | None:
        """The larger of both: a difference must hold over seeds and over problems."""
        known = [p for p in (self.p_seeds, self.p_problems) if p is not None]
        return max(known) if known else None


def estimate(readings: Mapping[int, Reading], is_share: bool) -> Estimate:
    """The mean over seeds and its interval."""
    values = {seed: reading.value for seed, reading in readings.items()}
    pools = pooled([reading.parts for reading in readings.values()])
    whole = list(readings.values())
    over_problems = interval_over_problems(pools, is_share) if pools else given(whole)
    interval, by = wider(interval_over_seeds(list(values.values())), over_problems)
    if is_share and interval is not None:
        interval = Interval(max(0.0, interval.low), min(1.0, interval.high))
    return Estimate(fmean(values.values()), interval, by, values, sum(map(len, pools)))


def compare(
    first: Mapping[int, Reading], second: Mapping[int, Reading], is_share: bool
) -> Difference | None:
    """First minus second, on the problems that both were asked with the same seed; None without any."""
    seeds = [seed for seed in first if seed in second]
    paired = {seed: paired_parts(first[seed], second[seed]) for seed in seeds}
    scored = all(paired.values())  # rows of some seeds alone pair nothing
    if not seeds or any(not part for parts in paired.values() for part in parts):
        return None
    per_seed = {
        seed: fmean(fmean(part.values()) for part in paired[seed])
        if scored
        else first[seed].value - second[seed].value
        for seed in seeds
    }
    pools = pooled(list(paired.values()))
    over_problems = interval_over_problems(pools, is_share=False) if pools else None
    interval, by = wider(interval_over_seeds(list(per_seed.values())), over_problems)
    value = fmean(per_seed.values())
    weighted = weighted_differences(pools)
    many = len(seeds) >= MIN_SEEDS
    zeros = [0.0] * len(seeds)
    return Difference(
        value=value,
        interval=interval,
        by=by,
        per_seed=per_seed,
        problems=sum(map(len, pools)),
        left_out=sum(left_out(first[seed], second[seed]) for seed in seeds),
        p_seeds=paired_t_test(list(per_seed.values()), zeros).p_value if many else None,
        p_problems=p_over_problems(weighted, is_share),
        seeds_needed=seeds_needed(list(per_seed.values()), value) if many else None,
        problems_needed=problems_needed(weighted, value),
    )


def paired_parts(first: Reading, second: Reading) -> tuple[Scores, ...]:
    """The differences of the problems that both have, part by part; none where either has no scores."""
    if len(first.parts) != len(second.parts):
        return ()
    return tuple(
        {problem: one[problem] - other[problem] for problem in one if problem in other}
        for one, other in zip(first.parts, second.parts, strict=True)
    )


def left_out(first: Reading, second: Reading) -> int:
    """Problems without a counterpart."""
    pairs = zip(first.parts, second.parts, strict=False)
    return sum(len(one.keys() ^ other.keys()) for one, other in pairs)


def pooled(parts_of_seeds: Sequence[tuple[Scores, ...]]) -> list[list[float]]:
    """The problems of each part over all seeds; one that several seeds share has its mean."""
    if not all(parts_of_seeds):
        return []
    pools = []
    for parts in zip(*parts_of_seeds, strict=True):
        scores: dict[tuple[str, str], list[float]] = {}
        for part in parts:
            for problem, score in part.items():
                scores.setdefault(problem, []).append(score)
        pools.append([fmean(values) for values in scores.values()])
    return pools


def interval_over_seeds(values: Sequence[float]) -> Interval | None:
    """Student's t; None of fewer than three."""
    if len(values) < MIN_SEEDS:
        return None
    return t_interval(values)


def interval_over_problems(pools: Sequence[Sequence[float]], is_share: bool) -> Interval | None:
    """Of the mean over problems, of one benchmark or of the average of several. Shares have Wilson's interval, which
    is honest where nothing or everything was solved; others the bootstrap. A single problem has none."""
    if any(len(scores) < 2 for scores in pools):
        return None
    intervals = [
        mean_interval(scores) if is_share else bootstrap_interval(scores) for scores in pools
    ]
    if len(intervals) == 1:
        return intervals[0]
    return average_interval([fmean(scores) for scores in pools], intervals)


def given(readings: Sequence[Reading]) -> Interval | None:
    """The interval that the files give. Seeds look at the same records, so it is not narrower for more of them."""
    intervals = [reading.interval for reading in readings]
    known = [interval for interval in intervals if interval is not None]
    if not known or len(known) < len(intervals):
        return None
    return Interval(fmean(i.low for i in known), fmean(i.high for i in known))


def wider(seeds: Interval | None, problems: Interval | None) -> tuple[Interval | None, str]:
    """The wider interval, and what it is over."""
    if seeds is None or problems is None:
        known = seeds or problems
        return known, "" if known is None else "seeds" if seeds is not None else "problems"
    is_seeds = seeds.high - seeds.low > problems.high - problems.low
    return (seeds, "seeds") if is_seeds else (problems, "problems")


def weighted_differences(pools: Sequence[Sequence[float]]) -> list[float]:
    """Differences whose plain mean is the mean of the parts' means: every benchmark weighs the same."""
    total = sum(map(len, pools))
    return [score * total / (len(pools) * len(pool)) for pool in pools for score in pool]


def p_over_problems(differences: Sequence[float], is_share: bool) -> float | None:
    """Exact, by flipping signs, of shares (McNemar's test where each is solved or not); paired t of other values."""
    if len(differences) < 2:
        return None
    if is_share:
        return sign_flip_test(differences)
    return paired_t_test(differences, [0.0] * len(differences)).p_value


def problems_needed(differences: Sequence[float], value: float) -> int | None:
    """How many problems that spread like these would show this difference."""
    if len(differences) < 2 or value == 0:
        return None
    spread = float(np.std(differences, ddof=1))
    detectable = detectable_mean_difference(len(differences), spread)
    return countable(len(differences) * (detectable / value) ** 2)


def seeds_needed(differences: Sequence[float], value: float) -> int | None:
    """The same for seeds; of few, Student's t asks for more."""
    spread = float(np.std(differences, ddof=1))
    if value == 0:
        return None
    for seeds in range(2, 100):
        if (t_quantile(seeds - 1) + Z_POWER) * spread / sqrt(seeds) <= abs(value):
            return max(MIN_SEEDS, seeds)
    return countable((detectable_mean_difference(1, spread) / value) ** 2)


def countable(count: float) -> int | None:
    """As a whole number, where it is one that somebody could run."""
    return ceil(count) if count < min(MOST_NAMED, inf) else None


def verdict(difference: Difference, p_holm: float, family: int, claimed: int) -> str:
    """`resolved`, `not resolved at this n (…)` or `opposite, resolved`, for a claim of the sign `claimed`; sign 0
    claims that there is no difference, which a test can contradict but not show."""
    p_value = difference.p_value
    if p_value is None:
        return "not tested: neither seeds nor problems to test with"
    if claimed == 0:
        return "opposite, resolved" if p_holm < SIGNIFICANCE else "not contradicted at this n"
    if p_holm < SIGNIFICANCE:
        return "resolved" if difference.value * claimed > 0 else "opposite, resolved"
    if p_value < SIGNIFICANCE:
        return f"not resolved among {family} ({shown_p(p_value)}, corrected {shown_p(p_holm)})"
    return f"not resolved at this n ({shown_p(p_value)}; {what_would(difference)})"


def what_would(difference: Difference) -> str:
    """How many problems or seeds would show a difference of this size."""
    if difference.value == 0:
        return "no difference was seen"
    needed = []
    if difference.p_problems is not None and difference.p_problems >= SIGNIFICANCE:
        needed.append((difference.problems_needed, "problems"))
    if difference.p_seeds is not None and difference.p_seeds >= SIGNIFICANCE:
        needed.append((difference.seeds_needed, "seeds"))
    if any(count is None for count, _ in needed):
        return "too small a difference to name an n that would"
    return "n ≈ " + " and ".join(f"{count:,} {unit}" for count, unit in needed) + " would"


def shown_p(p_value: float) -> str:
    """p as it is printed."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
