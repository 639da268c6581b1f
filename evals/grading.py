"""Grading: a model's output against the gold answer, and a whole file of such pairs.

    prediction → extract_answer → compare with the gold answer → Verdict

A verdict says more than right or wrong: an output without an answer, an answer beyond the
reader's bounds and a gold answer that cannot be read are outcomes of their own. The last one is
an error of the data, so it is counted apart and never held against the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datagen.records import json_line, read_jsonl, write_whole
from evals.equivalence import STRICT, compare, is_unparsable
from evals.extract import extract_answer, extract_marked
from evals.policy import Policy

GRADER_VERSION = "2"
"""Counts up when a verdict may change, so that finished evaluations are graded again."""

Status = Literal[
    "correct", "wrong", "no answer found", "unparsable gold", "limit reached", "undecided"
]
OF_OUTCOME: dict[str, Status] = {
    "equal": "correct",
    "different": "wrong",
    "limit reached": "limit reached",
    "undecided": "undecided",
}


@dataclass(frozen=True)
class Verdict:
    """The outcome for one output."""

    status: Status
    correct: bool
    extracted: str | None
    """The answer as the model wrote it."""
    rule: str | None
    """Which extraction rule found it, for example `boxed` or `last number`."""
    reason: str
    """One line: the status and what it rests on."""


def grade(prediction: str, gold: str, policy: Policy = STRICT) -> Verdict:
    """Whether the final answer of `prediction` is `gold`, an answer or a reference solution."""
    expected = read_gold(gold)
    if expected is None or is_unparsable(expected):
        return Verdict(
            "unparsable gold", False, None, None, "unparsable gold: no answer can be read from it"
        )
    found = (
        extract_answer(prediction, policy.choices) if policy.choices else extract_answer(prediction)
    )
    if found is None:
        return Verdict("no answer found", False, None, None, "no answer found")
    comparison = compare(found.answer, expected, policy)
    status = OF_OUTCOME[comparison.outcome]
    return Verdict(
        status, status == "correct", found.answer, found.rule, f"{status}: {comparison.rule}"
    )


def read_gold(gold: str) -> str | None:
    """The short answer: what a solution marks as its answer, or a single line as it stands."""
    marked = extract_marked(gold)
    if marked is not None:
        return marked.answer
    gold = gold.strip()
    return gold if gold and "\n" not in gold else None


@dataclass(frozen=True)
class GradeSummary:
    """How a file was graded. Rows with an unparsable gold do not count in the accuracy."""

    rows: int
    correct: int
    statuses: dict[str, int]

    @property
    def graded(self) -> int:
        """Rows that have a readable gold answer."""
        return self.rows - self.statuses.get("unparsable gold", 0)

    @property
    def accuracy(self) -> float | None:
        """None when there was nothing to grade."""
        return self.correct / self.graded if self.graded else None

    def __str__(self) -> str:
        share = self.accuracy
        accuracy = "no accuracy" if share is None else f"accuracy {100 * share:.1f} %"
        statuses = ", ".join(f"{count} {status}" for status, count in self.statuses.items())
        return f"{accuracy} ({self.correct} of {self.graded}; {statuses})"


def grade_file(source: Path, target: Path) -> GradeSummary:
    """Grades JSONL rows `{pred, gold, …}`; every row gains what `verdict_fields` lists."""
    if source.resolve() == target.resolve():
        raise ValueError(f"{target}: the graded file must not be the file that is read")
    statuses: Counter[str] = Counter()
    graded: list[bytes] = []
    for row in read_pairs(source):
        verdict = grade(row["pred"], row["gold"])
        statuses[verdict.status] += 1
        graded.append(json_line(row | verdict_fields(verdict)))
    write_whole(target, b"".join(graded))
    return GradeSummary(len(graded), statuses["correct"], dict(statuses.most_common()))


def verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """What a graded row gains."""
    return {
        "correct": verdict.correct,
        "extracted": verdict.extracted,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "status": verdict.status,
    }


def read_pairs(source: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file to grade. ValueError names the line that cannot be used."""
    for number, row in read_jsonl(source):
        for field in ("pred", "gold"):
            if field not in row:
                found = ", ".join(row) or "none"
                raise ValueError(
                    f"{source}:{number}: the field {field!r} is missing (fields found: {found})"
                )
            if isinstance(row[field], bool) or not isinstance(row[field], str | int | float):
                kind = type(row[field]).__name__
                raise ValueError(f"{source}:{number}: {field!r} must be text, got {kind}")
        yield row | {"pred": str(row["pred"]), "gold": str(row["gold"])}
