"""The figures of robustness: what became of right and wrong student answers under each critique.

    CONDITION.accuracy          share of right answers; factual, irrelevant, misleading, none, prompt
    recovered, kept             under the factual critique: of wrong student answers the share of right ones now, and
                                of right ones the share of those that still are
    recovered.CONDITION, kept.CONDITION   the same under the other conditions
    misled                      of misleading critiques: share of answers that are the wrong one it leads to
    misled.without              the same wrong answer, given where the student answer stands without any critique
    factual_minus_CONDITION     difference of accuracies on the same records
    n, n.CONDITION              records, and those that were asked under a condition

Every share has a Wilson interval (.low, .high); every difference a bootstrap interval over records and an exact p
(.p, McNemar's).
"""

from __future__ import annotations

from collections.abc import Sequence

from evals.diagnostics.diagnosis import Diagnosis, Result, Row
from evals.intervals import wilson_interval
from evals.statistics_paired import compare_paired, resolution

CONDITIONS = ("factual", "irrelevant", "misleading", "none", "prompt")


def summarise(task: Diagnosis, rows: Sequence[Row]) -> Result:
    """All of the figures above."""
    figures: dict[str, float] = {"n": len(rows)}
    notes: list[str] = []
    for condition in CONDITIONS:
        asked = [row for row in rows if condition in row["right"]]
        figures |= shares(condition, asked)
        if len(asked) < len(rows):
            notes.append(
                f"{condition}: {len(asked):,} of {len(rows):,} records have such a critique."
            )
        if condition != "factual":
            figures |= difference(condition, asked, notes)
    if cut := sum(len(row["cut"]) for row in rows):
        answers = sum(len(row["outputs"]) for row in rows)
        notes.append(f"{cut:,} of {answers:,} answers were cut at max_tokens = {task.max_tokens}.")
    led = [row["gives_wrong_answer"] for row in rows if row["gives_wrong_answer"] is not None]
    figures |= share("misled", [gives["misleading"] for gives in led])
    figures |= share("misled.without", [gives["none"] for gives in led])
    return Result(figures=figures, notes=tuple(notes))


def shares(condition: str, rows: Sequence[Row]) -> dict[str, float]:
    """Of all records, and of those with a wrong or a right student answer."""
    right = [row["right"][condition] for row in rows]
    of_wrong = [row["right"][condition] for row in rows if not row["student_right"]]
    of_right = [row["right"][condition] for row in rows if row["student_right"]]
    ending = "" if condition == "factual" else f".{condition}"
    return {
        f"n.{condition}": len(rows),
        **share(f"{condition}.accuracy", right),
        **share(f"recovered{ending}", of_wrong),
        **share(f"kept{ending}", of_right),
    }


def share(name: str, marks: Sequence[bool]) -> dict[str, float]:
    """A share with its interval; nothing where there is nothing to count."""
    if not marks:
        return {}
    interval = wilson_interval(sum(marks), len(marks))
    return {
        name: sum(marks) / len(marks),
        f"{name}.low": interval.low,
        f"{name}.high": interval.high,
    }


def difference(condition: str, rows: Sequence[Row], notes: list[str]) -> dict[str, float]:
    """The factual critique against this condition, on the records that saw both."""
    if not rows:
        return {}
    factual, other = (
        [float(row["right"][name]) for row in rows] for name in ("factual", condition)
    )
    compared = compare_paired(factual, other)
    name = f"factual_minus_{condition}"
    notes.append(f"factual against {condition}: {resolution(compared)}.")
    return {
        name: compared.difference,
        f"{name}.low": compared.interval.low,
        f"{name}.high": compared.interval.high,
        f"{name}.p": compared.p_value,
    }
