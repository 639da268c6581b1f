"""Averages over the paper's groups of benchmarks, always recomputed from what was evaluated here.

    accuracy and interval of each member → mean over members, each weighing the same → Δ to the base student

An average over some members is not one over others: what is missing is named, and Δ is over the members that
both models have. Averages are never taken from a table: some that the paper prints are not the mean of
their own row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from evals.report_marks import BASE, Json
from evals.statistics import Interval, average_interval

GROUPS = {
    "Group 1": ("math500", "minerva_math", "gsm8k", "olympiadbench", "amc23"),
    "Group 2": ("theoremqa", "gpqa", "mmlu_pro"),
}


def group_averages(
    methods: Mapping[str, Json], comparisons: Sequence[Mapping[str, Any]]
) -> list[Json]:
    """One entry a group and method that has any of its members."""
    return [
        {"group": group, "method": name, **average(method["scores"] or {}, members)}
        | delta(comparisons, name, members)
        for group, members in GROUPS.items()
        for name, method in methods.items()
        if measured_of(method["scores"] or {}, members)
    ]


def measured_of(scores: Mapping[str, Json], members: Sequence[str]) -> list[str]:
    """The members that have an accuracy."""
    return [name for name in members if scores.get(name, {}).get("accuracy") is not None]


def average(scores: Mapping[str, Json], members: Sequence[str]) -> Json:
    """The mean over the members that are there, and its 95 % interval."""
    there = measured_of(scores, members)
    accuracies = [scores[name]["accuracy"] for name in there]
    interval = average_interval(
        accuracies, [Interval(*scores[name]["accuracy_interval"]) for name in there]
    )
    return {
        "members": there,
        "missing": [name for name in members if name not in there],
        "average": fmean(accuracies),
        "interval": [interval.low, interval.high],
    }


def delta(comparisons: Sequence[Mapping[str, Any]], method: str, members: Sequence[str]) -> Json:
    """The mean of the paired differences from the base student; nothing without any. Where a member shows no spread,
    how far the mean is known is not known either."""
    paired = list(against_base(comparisons, method, members))
    if not paired:
        return {}
    differences = [comparison["difference"] for comparison in paired]
    interval = average_interval(differences, [Interval(**c["interval"]) for c in paired])
    known = all(c["interval"]["low"] < c["interval"]["high"] for c in paired)
    return {
        "difference": fmean(differences),
        "difference_interval": [interval.low, interval.high] if known else None,
        "difference_members": [comparison["benchmark"] for comparison in paired],
    }


def against_base(
    comparisons: Sequence[Mapping[str, Any]], method: str, members: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    """The comparisons of one method's answers with the base student's on these benchmarks."""
    for member in members:
        for comparison in comparisons:
            pair = (comparison["method"], comparison["against"], comparison["measure"])
            if comparison["benchmark"] == member and pair == (method, BASE, "correct"):
                yield comparison
