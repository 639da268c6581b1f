"""From graded rows to the figures of one benchmark.

Accuracy never stands alone: beside it are the shares of outputs without an answer and of outputs
cut at `max_tokens`, how often each status and each extraction rule came up, and how many answers the
grader did not survive. Problems weigh the same however often they were sampled; rows whose gold
answer cannot be read are counted, and left out of the accuracy. Several answers a problem, by samples
or by seeds, have figures of their own (evals.scores_samples).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from evals.grading_pool import DIED, TOO_SLOW
from evals.scores_samples import sample_figures
from evals.statistics_shares import mean_interval

Row = Mapping[str, Any]
SCORES_VERSION = "3"
"""Counts up when figures are added or defined anew, so that finished evaluations are scored again."""
NO_ANSWER = ("no answer found", "truncated")
MOST_NAMED = 20
"""Problems that are listed where the grader failed."""


def score_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """The entry of scores.json for one benchmark."""
    graded = [row for row in rows if row["correct"] is not None]
    problems = {row["id"] for row in rows}
    judged = {
        row["id"] for row in rows if row["correct"] is not None or row["complies"] is not None
    }
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    failed = [row["id"] for row in rows if row["rule"] in (DIED, TOO_SLOW)]
    lenient = [row for row in rows if row.get("correct_compat") is not None]
    return {
        "problems": len(problems),
        "judged": len(judged),
        "samples": len(rows) // len(problems) // len(seeds),
        "seeds": seeds,
        **share("accuracy", per_problem(graded, "correct")),
        **(share("accuracy_compat", per_problem(lenient, "correct_compat")) if lenient else {}),
        **share("compliance", per_problem(rows, "complies")),
        **(sample_figures(graded) if len(rows) > len(problems) else {}),
        "no_answer_rate": rate(row["status"] in NO_ANSWER for row in graded),
        "truncation_rate": rate(row["finish_reason"] == "length" for row in rows),
        "statuses": dict(Counter(row["status"] for row in rows if row["status"]).most_common()),
        "grader_failures": len(failed),
        "grader_failed_on": list(dict.fromkeys(failed))[:MOST_NAMED],
        "rules": dict(Counter(row["rule"] for row in graded if row["rule"]).most_common()),
        "mean_words": mean_of(rows, "words"),
        "mean_steps": mean_of(rows, "steps"),
        "mean_tokens": mean_of(rows, "tokens"),
    }


def in_short(score: Row) -> str:
    """`41.0 % right [35.9, 46.3], n = 300, no answer 1.3 %, cut 0.0 %`: an accuracy never stands alone."""
    shares = [
        f"{100 * score[field]:.1f} % {word} [{100 * low:.1f}, {100 * high:.1f}]"
        for field, word in (("accuracy", "right"), ("compliance", "obeyed"))
        if score.get(field) is not None
        for low, high in [score[f"{field}_interval"]]
    ]
    beside = [
        f"{word} {100 * score[field]:.1f} %"
        for field, word in (("no_answer_rate", "no answer"), ("truncation_rate", "cut"))
        if score.get(field) is not None
    ]
    unjudged = score["problems"] - score["judged"]
    size = f"n = {score['judged']}" + (f" ({unjudged} more not judged)" if unjudged else "")
    return ", ".join([*(shares or ["no score"]), size, *beside])


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
    interval = mean_interval(list(values.values()))
    return {name: fmean(values.values()), f"{name}_interval": [interval.low, interval.high]}


def rate(marks: Iterable[bool]) -> float | None:
    """The share of true marks; None of none."""
    values = list(marks)
    return sum(values) / len(values) if values else None


def mean_of(rows: Iterable[Row], field: str) -> float | None:
    """The mean of a count over the rows that have it."""
    values = [row[field] for row in rows if row.get(field) is not None]
    return fmean(values) if values else None
