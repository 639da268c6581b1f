"""The samples a report embeds: training records, and test problems with every method's answer.

A sample is drawn evenly over the file, not from its head, as files are often sorted. How many of how many are
shown is part of the sample; a text that is cut says by how much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from datagen.records import Record
from evals.report_generation import is_right, read_last_records
from evals.report_marks import read_answers

RECORDS_SHOWN = 40
PROBLEMS_SHOWN = 40
CHARACTERS_SHOWN = 6000

Item = TypeVar("Item")


@dataclass(frozen=True)
class Text:
    """A titled text of a sample, and whether it is right (None: not known)."""

    title: str
    body: str
    right: bool | None = None
    note: str = ""
    method: str = ""


@dataclass(frozen=True)
class Sample:
    """One foldable entry of the browser."""

    id: str
    question: str
    texts: tuple[Text, ...]
    groups: tuple[str, ...]
    """What the filters select it by."""


@dataclass(frozen=True)
class Browser:
    """A list of samples, and how many there would be."""

    title: str
    holds: Literal["records", "problems"]
    samples: tuple[Sample, ...]
    total: int


def record_browser(run: Path) -> Browser:
    """Records as they went into training."""
    records = read_last_records(run)
    samples = tuple(record_sample(record) for record in spread(records, RECORDS_SHOWN))
    return Browser("Training records", "records", samples, len(records))


def record_sample(record: Record) -> Sample:
    """Question, gold, student, critique, refinement, and what the teacher writes unprompted by them."""
    texts = (
        ("Gold solution", record.answer, None),
        ("Student's answer", record.student_answer, record.student_correct),
        ("Critique", record.critique, None),
        ("Refinement", record.refined_answer, is_right(record, record.refined_answer)),
        ("Teacher's own answer", record.teacher_answer, is_right(record, record.teacher_answer)),
    )
    shown = tuple(
        Text(title, clip(body), right) for title, body, right in texts if body is not None
    )
    group = {True: "right", False: "wrong", None: "unknown"}[record.student_correct]
    return Sample(record.id, clip(record.prompt), shown, (group,))


def problem_browser(run: Path, results: Mapping[str, Any], benchmark: str) -> Browser:
    """Test problems of one benchmark; the first sample of each method that has one."""
    evaluated = [name for name, method in results["methods"].items() if method["scores"]]
    answers = {name: read_answers(run, name, benchmark) for name in evaluated}
    ids = list(dict.fromkeys(identity for rows in answers.values() for identity in rows))
    samples = [problem_sample(identity, answers) for identity in spread(ids, PROBLEMS_SHOWN)]
    return Browser(benchmark, "problems", tuple(samples), len(ids))


def problem_sample(
    identity: str, answers: Mapping[str, Mapping[str, list[dict[str, Any]]]]
) -> Sample:
    """A problem with each method's answer; grouped by whether the methods agree in being right."""
    rows = {name: by_id[identity][0] for name, by_id in answers.items() if identity in by_id}
    first = next(iter(rows.values()))
    texts = [Text("Gold answer", clip(first["gold"]))] if first["gold"] is not None else []
    texts += [
        Text(name, clip(row["output"]), mark(row), str(row["reason"] or ""), name)
        for name, row in rows.items()
    ]
    marks = {mark(row) for row in rows.values()}
    group = "split" if len(marks) > 1 else "right" if marks == {True} else "wrong"
    return Sample(identity, clip(first["prompt"]), tuple(texts), (group,))


def mark(row: Mapping[str, Any]) -> bool | None:
    """Right or not, by answer or by check."""
    judged = row["correct"] if row["correct"] is not None else row["complies"]
    return None if judged is None else bool(judged)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` items at even distances, in order; all of them when there are not more."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def clip(text: str) -> str:
    """At most CHARACTERS_SHOWN characters; what is left out is counted."""
    left_out = len(text) - CHARACTERS_SHOWN
    return f"{text[:CHARACTERS_SHOWN]} … [{left_out} more characters]" if left_out > 0 else text
