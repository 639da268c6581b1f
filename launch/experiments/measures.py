"""One measure of one cell, read from the files that its jobs left.

    evals/base/{scores.json, BENCHMARK.jsonl}         → accuracy, average, compliance, words, steps, pass@K
    diagnostics/{NAME.json, NAME.jsonl}               → diagnostic
    train/OBJECTIVE/summary.json, data/summary.json   → account

A Reading is a value and, where there is one, the score of each problem: that is what a comparison pairs. Problems are
known by id and by the hash of what was asked, so two of them are one only if they are the same in words. What cannot
be read is a Gap: "not run" where a file is missing, "–" where the scale or the variant has no such thing,
"undefined" where a diagnostic says that its figure has no value on these records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isclose
from pathlib import Path
from statistics import fmean
from typing import Any

from datagen.plan import FILLED_BY, STAGES
from datagen.records import read_jsonl
from engine.config import suggest
from engine.objectives import OBJECTIVES
from evals.intervals import Interval
from evals.statistics import pass_at_k
from launch.experiments.experiment import DEFAULT_ASK, Measure, Variant
from launch.experiments.grid import Cell
from launch.experiments.scale import Scale

NOT_RUN = "not run"
NO_COLUMN = "–"
UNDEFINED = "undefined"
SECONDS_AN_HOUR = 3600
Scores = Mapping[tuple[str, str], float]
"""(id, hash of the prompt) → score."""


@dataclass(frozen=True)
class Reading:
    """What one cell says of one measure. Shares lie between 0 and 1."""

    value: float
    parts: tuple[Scores, ...] = ()
    """Scores of the problems, a part for each benchmark of an average; none where a value has no problems."""
    interval: Interval | None = None
    """Where the file gives one, and no scores to make one from."""


@dataclass(frozen=True)
class Gap:
    """Why there is no value."""

    state: str
    """NOT_RUN, NO_COLUMN or UNDEFINED."""
    why: str = ""
    """What a reader should know beyond that."""


@dataclass(frozen=True)
class Answer:
    """What is kept of a row of BENCHMARK.jsonl."""

    problem: tuple[str, str]
    seed: int
    correct: float | None
    """Right or not; of the harness's tasks their score."""
    complies: float | None
    words: float
    steps: float


def read_measure(cell: Cell, measure: Measure, scale: Scale) -> Reading | Gap:
    """The value of one measure in one cell."""
    if measure.kind == "diagnostic":
        return read_diagnostic(cell.diagnostics, measure)
    if measure.kind == "account":
        return read_account(cell, measure)
    if measure.kind != "average":
        return read_benchmark(cell, measure, measure.benchmark, scale)
    parts = [
        read_benchmark(cell, measure, column, scale)
        for column in scale.averages.get(measure.name, ())
    ]
    for part in parts:
        if isinstance(part, Gap):
            return part
    read = [part for part in parts if isinstance(part, Reading)]
    if not read:
        return Gap(NO_COLUMN)
    scores = tuple(part.parts[0] for part in read)
    return Reading(fmean(part.value for part in read), scores)


def read_benchmark(cell: Cell, measure: Measure, column: str, scale: Scale) -> Reading | Gap:
    """The mean over problems of one of the paper's columns."""
    folder = cell.evaluations.get(measure.ask or cell.variant.ask or DEFAULT_ASK)
    benchmark = scale.columns.get(column)
    if folder is None or benchmark is None:
        return Gap(NO_COLUMN)
    path = folder / f"{benchmark}.jsonl"
    if not (folder / "scores.json").exists() or not path.exists():
        return Gap(NOT_RUN)
    scores = scores_of(read_answers(path), measure)
    if not scores:
        return Gap(NO_COLUMN, f"no answer to {benchmark} has a figure for {measure.name}")
    return Reading(fmean(scores.values()), (scores,))


def scores_of(answers: Sequence[Answer], measure: Measure) -> Scores:
    """One score a problem: the mean over its answers, or pass@K in the mean over its seeds."""
    by_problem: dict[tuple[str, str], dict[int, list[float]]] = {}
    judged = any(answer.correct is not None for answer in answers)
    for answer in answers:
        value = value_of(answer, measure.kind, judged)
        if value is not None:
            by_problem.setdefault(answer.problem, {}).setdefault(answer.seed, []).append(value)
    if not measure.kind.startswith("pass@"):
        return {
            problem: fmean(value for values in seeds.values() for value in values)
            for problem, seeds in by_problem.items()
        }
    k = int(measure.kind.partition("@")[2])
    drawn = [len(values) for seeds in by_problem.values() for values in seeds.values()]
    if drawn and min(drawn) < k:
        raise ValueError(
            f"{measure.name}: pass@{k} needs {k} answers a problem and seed, and there are {min(drawn)}; "
            "set evaluate.samples in its [[asks]]"
        )
    return {
        problem: fmean(pass_at_k(len(values), round(sum(values)), k) for values in seeds.values())
        for problem, seeds in by_problem.items()
    }


def value_of(answer: Answer, kind: str, judged: bool) -> float | None:
    """What counts of an answer. A benchmark without gold answers is one of instructions: obeying them is right."""
    if kind in ("words", "steps"):
        return float(getattr(answer, kind))
    if kind == "compliance" or not judged:
        return answer.complies
    return answer.correct


def read_answers(path: Path) -> tuple[Answer, ...]:
    """The rows of a result file."""
    status = path.stat()
    return read_unchanged(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=512)
def read_unchanged(path: Path, changed: int, size: int) -> tuple[Answer, ...]:
    """The same, read once for all measures until the file is another."""
    return tuple(
        Answer(
            problem=(row["id"], row["prompt_sha256"]),
            seed=row["seed"],
            correct=as_number(row.get("score", row["correct"])),
            complies=as_number(row["complies"]),
            words=row["words"],
            steps=row["steps"],
        )
        for _, row in read_jsonl(path)
    )


def as_number(value: Any) -> float | None:
    """True is 1."""
    return float(value) if isinstance(value, bool | int | float) else None


def read_diagnostic(folder: Path | None, measure: Measure) -> Reading | Gap:
    """A figure of a diagnostic, with the rows it is the mean of where they are that."""
    if folder is None:
        return Gap(NO_COLUMN)
    path = folder / f"{measure.diagnostic}.json"
    if not path.exists():
        return Gap(NOT_RUN)
    told = read_json(path)
    figures = told["figures"]
    if figures.get(measure.figure) is None:
        if any("not defined" in note.lower() for note in told.get("notes", ())):
            return Gap(UNDEFINED)
        hint = suggest(measure.figure, list(figures))
        return Gap(NOT_RUN, f"{measure.diagnostic} gives no figure {measure.figure!r}{hint}")
    value = float(figures[measure.figure])
    scores = row_scores(folder / f"{measure.diagnostic}.jsonl", measure.figure, value)
    stem = measure.figure.removesuffix(".mean").removesuffix(".accuracy")
    return Reading(value, (scores,) if scores else (), given_interval(figures, stem))


def row_scores(path: Path, figure: str, value: float) -> Scores:
    """The rows' own values of a figure, if their mean is what the figure says; else none."""
    if not path.exists():
        return {}
    field = figure.removesuffix(".mean").removesuffix(".accuracy")
    scores = {
        (row["id"], ""): number
        for _, row in read_jsonl(path)
        if (number := as_number(row.get(field))) is not None
    }
    is_mean = bool(scores) and isclose(fmean(scores.values()), value, rel_tol=1e-6, abs_tol=1e-9)
    return scores if is_mean else {}


def given_interval(figures: Mapping[str, float], stem: str) -> Interval | None:
    """The interval that stands beside a figure: NAME.low and NAME.high."""
    low, high = figures.get(f"{stem}.low"), figures.get(f"{stem}.high")
    return None if low is None or high is None else Interval(float(low), float(high))


def read_account(cell: Cell, measure: Measure) -> Reading | Gap:
    """A figure of what data and training took: `train.device_seconds`, or a sum of such with ` + `."""
    folders = {"train": cell.training, "data": cell.data}
    stages = {"train": None, "data": stages_of(cell.variant)}
    total, gaps = 0.0, []
    keys = [key.strip() for key in measure.figure.split("+")]
    for key in keys:
        part, _, name = key.partition(".")
        if part not in folders or not name:
            raise ValueError(
                f"measure {measure.name!r}: figure {key!r} must be train.KEY or data.KEY, of their summary.json"
            )
        found = account_figure(folders[part], name, stages[part])
        if isinstance(found, Gap):
            gaps.append(found)
        else:
            total += in_unit(found, name, measure.unit)
    # A variant that was not trained has no training to account for; what it has is its sum.
    missing = [gap for gap in gaps if gap.state == NOT_RUN]
    if missing or len(gaps) == len(keys):
        return (missing or gaps)[0]
    return Reading(total)


def stages_of(variant: Variant) -> frozenset[str] | None:
    """The data stages whose texts a variant's objective needs, however many others the shared records have; None of
    one that is not trained."""
    if not variant.is_trained:
        return None
    objective = OBJECTIVES[variant.objective]
    fields, found = [*objective.sees, objective.writes], set[str]()
    while fields:
        stage = FILLED_BY.get(fields.pop())
        if stage is not None and stage not in found:
            found.add(stage)
            fields += STAGES[stage].shows
    return frozenset(found)


def account_figure(
    folder: Path | None, name: str, stages: frozenset[str] | None = None
) -> float | Gap:
    """One figure of a summary: of these stages alone, where it tells stages apart."""
    if folder is None:
        return Gap(NO_COLUMN)
    path = folder / "summary.json"
    if not path.exists():
        return Gap(NOT_RUN)
    summary = read_json(path)
    apart = [one for one in summary.get("stages", ()) if name in one]
    if stages is None or not apart:
        value = as_number(summary.get(name))
        unknown = Gap(NOT_RUN, f"a summary of {folder.name} says no {name}")
        return unknown if value is None else value
    own = [as_number(one[name]) for one in apart if one["stage"] in stages]
    known = [value for value in own if value is not None]
    if own and not known:
        return Gap(NO_COLUMN, f"{name} of texts by a script or a server is not known")
    return sum(known)


def in_unit(value: float, name: str, unit: str) -> float:
    """Seconds as hours, and hours as seconds, where the measure is in them."""
    if unit == "hours" and name.endswith("seconds"):
        return value / SECONDS_AN_HOUR
    return value * SECONDS_AN_HOUR if unit == "s" and name.endswith("hours") else value


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; files are renamed into place, so they are whole."""
    return dict(json.loads(path.read_text(encoding="utf-8")))
