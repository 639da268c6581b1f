"""How long the texts are: of the records that students learn from, and of the answers before and after training.

    words of every text → mean, median, 95th percentile, longest, counts in bins on an axis that a group shares

The axis of a group ends where one text in two hundred of its longest kind is longer; the last bin holds those, too.
Words are what stands between blanks: of every text, whoever wrote it, and without a tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

from datagen.records import Record
from evals.plots_shapes import bins
from evals.report_marks import Json, read_answers

BINS = 48
END = 0.995
"""Share of a kind's texts that its group's axis must hold."""
TEXTS = {
    "prompt": "prompts",
    "answer": "gold solutions",
    "student_answer": "student's answers",
    "critique": "critiques",
    "refined_answer": "refinements",
    "teacher_answer": "teacher's own answers",
}


def length_results(run: Path, records: Sequence[Record], results: Mapping[str, Any]) -> list[Json]:
    """One group for the records, one a benchmark; none where there are no texts."""
    of_records = {
        label: [count_words(text) for record in records if (text := getattr(record, field))]
        for field, label in TEXTS.items()
    }
    groups = [group("training records", of_records)]
    evaluated = [name for name, method in results["methods"].items() if method["scores"]]
    for benchmark in results["benchmarks"]:
        groups.append(group(benchmark, dict(answer_lengths(run, evaluated, benchmark))))
    return [one for one in groups if one["rows"]]


def answer_lengths(
    run: Path, methods: Sequence[str], benchmark: str
) -> Iterator[tuple[str, list[int]]]:
    """(method, words of each of its answers)."""
    for method in methods:
        answers = read_answers(run, method, benchmark)
        yield method, [row["words"] for rows in answers.values() for row in rows]


def count_words(text: str) -> int:
    """Words of a text."""
    return len(text.split())


def group(title: str, lengths: Mapping[str, Sequence[int]]) -> Json:
    """Kinds of texts on one axis."""
    known = {name: sorted(values) for name, values in lengths.items() if values}
    top = nice(max((at_share(values, END) for values in known.values()), default=1))
    return {
        "title": title,
        "top": top,
        "rows": [
            {
                "name": name,
                "texts": len(values),
                "mean": fmean(values),
                "p50": at_share(values, 0.5),
                "p95": at_share(values, 0.95),
                "longest": values[-1],
                "bins": bins(values, top, BINS),
            }
            for name, values in known.items()
        ],
    }


def at_share(ordered: Sequence[int], share: float) -> int:
    """The least length that this share of the texts does not exceed."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def nice(value: float) -> int:
    """The next of 8, 10, 12, 15, 20, 25, 30, 40, 50, 60 and these times ten, a hundred, …"""
    scale = 1
    while True:
        for step in (8, 10, 12, 15, 20, 25, 30, 40, 50, 60):
            if value <= step * scale:
                return step * scale
        scale *= 10


def length_header() -> list[str]:
    """Of the table in report.md."""
    return ["texts", "kind", "count", "mean words", "median", "95th percentile", "longest"]


def length_rows(groups: Sequence[Json]) -> Iterator[list[str]]:
    """One row for each kind of text."""
    for one in groups:
        for row in one["rows"]:
            figures = [f"{row[key]:,}" for key in ("p50", "p95", "longest")]
            yield [one["title"], row["name"], f"{row['texts']:,}", f"{row['mean']:.1f}", *figures]
