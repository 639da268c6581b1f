"""From graded rows to the figures of one benchmark.

Accuracy never stands alone: beside it are the shares of outputs without an answer and of outputs
cut at `max_tokens`, and which extraction rules fired. Problems weigh the same however often they
were sampled; rows whose gold answer cannot be read are counted, and left out of the accuracy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evals.statistics import wilson_interval

Row = Mapping[str, Any]


def score_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """The entry of scores.json for one benchmark."""
    graded = [row for row in rows if row["correct"] is not None]
    problems = {row["id"] for row in rows}
    return {
        "problems": len(problems),
        "samples": len(rows) // len(problems),
        **share("accuracy", per_problem(graded, "correct")),
        **share("compliance", per_problem(rows, "complies")),
        "no_answer_rate": rate(row["status"] == "no answer found" for row in graded),
        "truncation_rate": rate(row["finish_reason"] == "length" for row in rows),
        "limit_reached": sum(row["status"] == "limit reached" for row in rows),
        "unparsable_gold": sum(row["status"] == "unparsable gold" for row in rows),
        "rules": dict(Counter(row["rule"] for row in graded if row["rule"]).most_common()),
        "mean_words": sum(row["words"] for row in rows) / len(rows),
        "mean_tokens": sum(row["tokens"] for row in rows) / len(rows),
    }


def per_problem(rows: Iterable[Row], field: str) -> dict[str, float]:
    """The mean of a yes-or-no field over each problem's samples; without one, no entry."""
    values: dict[str, list[bool]] = {}
    for row in rows:
        if row[field] is not None:
            values.setdefault(row["id"], []).append(row[field])
    return {identity: sum(marks) / len(marks) for identity, marks in values.items()}


def share(name: str, values: Mapping[str, float]) -> dict[str, Any]:
    """A mean over problems with its 95 % interval; nulls where nothing was measured."""
    if not values:
        return {name: None, f"{name}_interval": None}
    total = min(sum(values.values()), len(values))
    interval = wilson_interval(total, len(values))
    return {name: total / len(values), f"{name}_interval": [interval.low, interval.high]}


def rate(marks: Iterable[bool]) -> float | None:
    """The share of true marks; None of none."""
    values = list(marks)
    return sum(values) / len(values) if values else None
