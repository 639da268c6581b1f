"""What a comparison needs of a result file: each problem's score, and a hash of what was asked.

    evals/METHOD/BENCHMARK.jsonl → rows → Mark of each problem

Rows hold whole outputs; marks are small, so those of all methods and benchmarks are held at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datagen.records import read_jsonl
from evals.scores import per_problem

BASE = "base"
Json = dict[str, Any]


@dataclass(frozen=True)
class Mark:
    """How one model did on one problem, in the mean over its samples; None where it was not judged."""

    prompt_sha256: str
    correct: float | None
    complies: float | None


Marks = Mapping[tuple[str, str], Mapping[str, Mark]]
"""(method, benchmark) → id → mark."""


def read_marks(run: Path, methods: Iterable[str], benchmarks: Iterable[str]) -> Marks:
    """The marks of all methods on all benchmarks."""
    names = list(benchmarks)
    return {(m, b): marks_of(read_answers(run, m, b)) for m in methods for b in names}


def read_answers(run: Path, method: str, benchmark: str) -> dict[str, list[Json]]:
    """The rows of one model on one benchmark, by problem."""
    path = run / "evals" / method / f"{benchmark}.jsonl"
    answers: dict[str, list[Json]] = {}
    for _, row in read_jsonl(path) if path.exists() else ():
        answers.setdefault(row["id"], []).append(row)
    return answers


def marks_of(answers: Mapping[str, list[Json]]) -> dict[str, Mark]:
    """One mark a problem."""
    rows = [row for problem in answers.values() for row in problem]
    correct, complies = (per_problem(rows, field) for field in ("correct", "complies"))
    return {
        name: Mark(problem[0]["prompt_sha256"], correct.get(name), complies.get(name))
        for name, problem in answers.items()
    }
