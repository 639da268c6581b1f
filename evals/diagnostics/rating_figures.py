"""The figures of critique quality: ratings of critiques of wrong answers against those of right ones.

    SCALE.CLASS.mean .sd .se     of all critiques of a class: wrong, right (the student's answer)
    SCALE.delta .low .high       wrong minus right, with Welch's interval
    SCALE.d                      Cohen's d of that difference
    SCALE.CLASS.q1 … q5          means in five equal parts by length, the shortest critiques first
    words.CLASS.q1 … q5          and their mean length in words
    both_ge_4.CLASS .low .high   share rated 4 or 5 on both scales, with Wilson's interval
    odds_ratio .low .high        of that share, wrong over right, with Woolf's interval
    control.KIND.SCALE .low .high   means of real, generic and unrelated critiques of the same control records
    n.CLASS, control.n           how many

What cannot be computed (a class without two ratings, no spread) is left out, and a note says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from evals.diagnostics.diagnosis import Diagnosis, Result, Row
from evals.diagnostics.moments import moments
from evals.diagnostics.ratings import SCALES
from evals.intervals import Interval, wilson_interval
from evals.statistics_effects import cohens_d, odds_ratio, t_interval, t_quantile

CLASSES = ("wrong", "right")
CONTROLS = ("generic", "unrelated")
PARTS = 5
HIGH = 4


def summarise(task: Diagnosis, rows: Sequence[Row]) -> Result:
    """All of the figures above."""
    classes = {name: [row for row in rows if row["student_answer"] == name] for name in CLASSES}
    figures: dict[str, float] = {f"n.{name}": len(group) for name, group in classes.items()}
    notes: list[str] = []
    for name, group in classes.items():
        for scale in SCALES:
            figures |= moments(f"{scale}.{name}", values(group, scale)) if group else {}
        figures |= by_length(name, group)
        if len(group) < PARTS:
            notes.append(f"Critiques of {name} answers: {len(group)}, too few for parts by length.")
    for scale in SCALES:
        wrong, right = (values(classes[name], scale) for name in CLASSES)
        figures |= contrast(scale, wrong, right, notes)
    figures |= high_ratings(classes, notes)
    figures |= controls(rows, notes)
    if again := sum(row["attempts"] > 1 for row in rows):
        notes.append(f"{again:,} of {len(rows):,} replies held no rating at first; asked again.")
    return Result(figures=figures, notes=tuple(notes))


def values(rows: Sequence[Row], scale: str) -> list[float]:
    """The ratings on a scale."""
    return [row[scale] for row in rows]


def by_length(name: str, rows: Sequence[Row]) -> dict[str, float]:
    """Means of five parts as equal as can be; critiques of one length stay in the order of the records."""
    if len(rows) < PARTS:
        return {}
    order = np.argsort([row["words"] for row in rows], kind="stable")
    return {
        f"{what}.{name}.q{number}": float(np.mean([rows[place][what] for place in part]))
        for number, part in enumerate(np.array_split(order, PARTS), start=1)
        for what in (*SCALES, "words")
    }


def contrast(
    scale: str, wrong: Sequence[float], right: Sequence[float], notes: list[str]
) -> dict[str, float]:
    """Difference of the means and its size in standard deviations."""
    if min(len(wrong), len(right)) < 2:
        notes.append(f"{scale}: two ratings of each class are needed for a difference.")
        return {}
    interval = welch_interval(wrong, right)
    figures = {f"{scale}.delta": float(np.mean(wrong) - np.mean(right))} | bounds(
        f"{scale}.delta", interval
    )
    try:
        return figures | {f"{scale}.d": cohens_d(wrong, right)}
    except ValueError as error:  # all ratings alike
        notes.append(f"{scale}: {error}.")
        return figures


def welch_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """95 % interval of a difference of two independent means whose spreads may differ."""
    errors = [float(np.var(group, ddof=1)) / len(group) for group in (first, second)]
    difference = float(np.mean(first) - np.mean(second))
    if sum(errors) == 0:
        return Interval(difference, difference)
    freedom = sum(errors) ** 2 / sum(
        error**2 / (len(group) - 1) for error, group in zip(errors, (first, second), strict=True)
    )
    reach = t_quantile(freedom) * sqrt(sum(errors))
    return Interval(difference - reach, difference + reach)


def high_ratings(classes: dict[str, list[Row]], notes: list[str]) -> dict[str, float]:
    """Shares of critiques that are rated high on both scales."""
    figures: dict[str, float] = {}
    counts: list[int] = []
    for name, rows in classes.items():
        high = sum(min(row[scale] for scale in SCALES) >= HIGH for row in rows)
        counts += [high, len(rows)]
        if rows:
            figures[f"both_ge_4.{name}"] = high / len(rows)
            figures |= bounds(f"both_ge_4.{name}", wilson_interval(high, len(rows)))
    if not all(classes.values()):
        return figures
    odds = odds_ratio(*counts)
    if odds.corrected:
        notes.append("odds_ratio: a cell was empty, so a half was added to each.")
    return figures | {"odds_ratio": odds.ratio} | bounds("odds_ratio", odds.interval)


def controls(rows: Sequence[Row], notes: list[str]) -> dict[str, float]:
    """Means of records of which all three critiques were rated."""
    shown = [row for row in rows if "controls" in row]
    whole = [row for row in shown if all(row["controls"].get(kind) for kind in CONTROLS)]
    if len(whole) < len(shown):
        notes.append(
            f"Controls: {len(shown) - len(whole):,} of {len(shown):,} left out, of which a rating is missing."
        )
    figures: dict[str, float] = {"control.n": len(whole)}
    for scale in SCALES if whole else ():
        figures |= mean_with_interval(f"control.real.{scale}", values(whole, scale))
        for kind in CONTROLS:
            ratings = values([row["controls"][kind] for row in whole], scale)
            figures |= mean_with_interval(f"control.{kind}.{scale}", ratings)
    return figures


def mean_with_interval(name: str, ratings: Sequence[float]) -> dict[str, float]:
    """A mean and, of two ratings or more, Student's interval."""
    mean = float(np.mean(ratings))
    if len(ratings) < 2:
        return {name: mean}
    return {name: mean} | bounds(name, t_interval(ratings))


def bounds(name: str, interval: Interval) -> dict[str, float]:
    """An interval under the names that figures have."""
    return {f"{name}.low": interval.low, f"{name}.high": interval.high}
