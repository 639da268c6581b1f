"""Grading a whole file: rows in, the same rows with verdicts out.

    rows {pred, gold, choices?, tolerance?, error?, …} → policy of the row → grade → rows and a summary

A row may say how its benchmark compares answers: `choices`, the options of a multiple-choice problem
(their number, or a list of them), `tolerance`, the share of the gold answer by which a decimal may be
off, and `error`, the absolute error a problem states. All other fields pass through. With `compat` a row
gains `correct_compat` too: what the grader behind published tables says of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datagen.records import json_line, read_jsonl, write_whole
from evals.grading import grade, grade_leniently, verdict_fields
from evals.policy import Policy


@dataclass(frozen=True)
class GradeSummary:
    """How a file was graded. Rows with an unparsable gold do not count in the accuracy."""

    rows: int
    correct: int
    statuses: dict[str, int]
    lenient: tuple[int, int] | None = None
    """With `compat`: how many rows it takes for correct, and of how many."""

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
        said = f"{accuracy} ({self.correct} of {self.graded}; {statuses})"
        if self.lenient is None or self.lenient == (self.correct, self.graded):
            return said
        correct, of = self.lenient
        lenient = f"{100 * correct / of:.1f} % ({correct} of {of})" if of else "none"
        return f"{said}\ncompat, the leniency of published tables: accuracy {lenient}"


def grade_file(source: Path, target: Path, compat: bool = False) -> GradeSummary:
    """Grades JSONL rows `{pred, gold, …}`; every row gains what `verdict_fields` lists."""
    if source.resolve() == target.resolve():
        raise ValueError(f"{target}: the graded file must not be the file that is read")
    statuses: Counter[str] = Counter()
    lenient: Counter[bool | None] = Counter()
    graded: list[bytes] = []
    for row, policy in read_pairs(source):
        verdict = grade(row["pred"], row["gold"], policy)
        fields = verdict_fields(verdict)
        statuses[verdict.status] += 1
        if compat:
            fields["correct_compat"] = grade_leniently(row["pred"], row["gold"], verdict, policy)
            lenient[fields["correct_compat"]] += 1
        graded.append(json_line(row | fields))
    write_whole(target, b"".join(graded))
    both = (lenient[True], lenient[True] + lenient[False]) if compat else None
    return GradeSummary(len(graded), statuses["correct"], dict(statuses.most_common()), both)


def read_pairs(source: Path) -> Iterator[tuple[dict[str, Any], Policy]]:
    """The rows of a file to grade, and how each is compared. ValueError names the line that cannot be used."""
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
        try:
            policy = policy_of(row)
        except ValueError as problem:
            raise ValueError(f"{source}:{number}: {problem}") from None
        yield row | {"pred": str(row["pred"]), "gold": str(row["gold"])}, policy


def policy_of(row: Mapping[str, Any]) -> Policy:
    """How a row wants its answers compared; strictly, where it says nothing."""
    choices = row.get("choices") or 0
    if isinstance(choices, list):
        choices = len(choices)
    if isinstance(choices, bool) or not isinstance(choices, int):
        raise ValueError(
            f"'choices' must be a number of options or a list of them, got {choices!r}"
        )
    return Policy(
        relative_tolerance=bound(row, "tolerance"),
        absolute_tolerance=bound(row, "error"),
        choices=choices,
    )


def bound(row: Mapping[str, Any], field: str) -> float | None:
    """A tolerance; benchmarks also write it as text, such as `1e-1`, or leave it empty."""
    value = row.get(field)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass
    raise ValueError(f"{field!r} must be a number, got {value!r}")
