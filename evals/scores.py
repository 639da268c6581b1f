"""From graded rows to the figures of one benchmark.

Accuracy never stands alone: beside it are the shares of outputs without an answer and of outputs
cut at `max_tokens`, how often each status and each extraction rule came up, and how many answers the
grader did not survive. Problems weigh the same however often they were sampled; rows whose gold
answer cannot be read are counted, and left out of the accuracy. With several samples there are avg@k
(the accuracy), pass@k and maj@k for every power of two; with several seeds, mean and spread of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from evals.grading_pool import DIED, TOO_SLOW
from evals.statistics import wilson_interval
from evals.statistics_samples import MAX_VOTERS, majority_at_k, over_seeds, pass_at_k

Row = Mapping[str, Any]
Figure = Callable[[Sequence[Row], int], float]
NO_ANSWER = ("no answer found", "truncated")
RIGHT = object()
"""The one camp of all right answers, however they are spelt."""
MOST_NAMED = 20
"""Problems that are listed where the grader failed."""


def score_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """The entry of scores.json for one benchmark."""
    graded = [row for row in rows if row["correct"] is not None]
    problems = {row["id"] for row in rows}
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    failed = [row["id"] for row in rows if row["rule"] in (DIED, TOO_SLOW)]
    lenient = [row for row in rows if row.get("correct_compat") is not None]
    return {
        "problems": len(problems),
        "samples": len(rows) // len(problems) // len(seeds),
        "seeds": seeds,
        **share("accuracy", per_problem(graded, "correct")),
        **(share("accuracy_compat", per_problem(lenient, "correct_compat")) if lenient else {}),
        **share("compliance", per_problem(rows, "complies")),
        **(over_samples(graded) if len(rows) > len(problems) else {}),
        "no_answer_rate": rate(row["status"] in NO_ANSWER for row in graded),
        "truncation_rate": rate(row["finish_reason"] == "length" for row in rows),
        "statuses": dict(Counter(row["status"] for row in rows if row["status"]).most_common()),
        "limit_reached": sum(row["status"] == "limit reached" for row in rows),
        "unparsable_gold": sum(row["status"] == "unparsable gold" for row in rows),
        "grader_failures": len(failed),
        "grader_failed_on": list(dict.fromkeys(failed))[:MOST_NAMED],
        "rules": dict(Counter(row["rule"] for row in graded if row["rule"]).most_common()),
        "mean_words": sum(row["words"] for row in rows) / len(rows),
        "mean_tokens": sum(row["tokens"] for row in rows) / len(rows),
    }


def over_samples(graded: Sequence[Row]) -> dict[str, Any]:
    """avg@n, pass@k and maj@k of sampled answers: over problems, then over seeds."""
    by_seed: dict[int, dict[str, list[Row]]] = {}
    for row in graded:
        by_seed.setdefault(row["seed"], {}).setdefault(row["id"], []).append(row)
    if not by_seed:
        return {}
    drawn = min(len(rows) for problems in by_seed.values() for rows in problems.values())

    def figure(of: Figure, k: int) -> dict[str, Any]:
        seeds = [fmean(of(rows, k) for rows in problems.values()) for problems in by_seed.values()]
        return {**asdict(over_seeds(seeds)), "per_seed": seeds}

    sizes = [2**power for power in range(drawn.bit_length())]
    voters = [k for k in sizes if k > 1 and drawn <= MAX_VOTERS]
    return {
        f"avg_at_{drawn}": figure(lambda rows, _: right_of(rows) / len(rows), drawn),
        "pass_at": {str(k): figure(passed, k) for k in sizes},
        "majority_at": {str(k): figure(majority, k) for k in voters},
    }


def passed(rows: Sequence[Row], k: int) -> float:
    """pass@k of one problem."""
    return pass_at_k(len(rows), right_of(rows), k)


def majority(rows: Sequence[Row], k: int) -> float:
    """maj@k of one problem. Right answers are one camp, as all equal the gold answer; wrong ones are the
    same when their text is, which splits their votes a little."""
    marks = [bool(row["correct"]) for row in rows]
    answers = [
        RIGHT if right else None if row["extracted"] is None else " ".join(row["extracted"].split())
        for row, right in zip(rows, marks, strict=True)
    ]
    return majority_at_k(answers, marks, k)


def right_of(rows: Sequence[Row]) -> int:
    """How many of them are right."""
    return sum(bool(row["correct"]) for row in rows)


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
