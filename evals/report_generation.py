"""What data generation did: how many records reached each stage, and how good the texts were.

    data/{prompts, answers, critiques, refinements, teacher_answers}.jsonl → counts

The last file that exists holds every field, so quality is read from it; of the earlier ones only the number of
records matters. Of a run with rounds the last round is looked at. Verdicts of the teacher are read from the
critique's last line; refined answers are graded where a gold answer is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datagen.records import Record, read_records
from evals.grading import grade
from evals.report_training import parts_of

STAGES = (
    ("prompts", "prompt", ""),
    ("answers", "student_answer", "answer"),
    ("critiques", "critique", "critique"),
    ("refinements", "refined_answer", "refine"),
    ("teacher_answers", "teacher_answer", "teach"),
)
"""File name, the field it adds, the stage's name in the provenance."""


def generation_results(run: Path, records: Sequence[Record]) -> dict[str, Any] | None:
    """Counts of the whole generation; None for a run without data files. `records` are those of the last file."""
    data = data_folder(run)
    files = [name for name, _, _ in STAGES if (data / f"{name}.jsonl").exists()]
    if not files:
        return None
    return {
        "stages": [stage_counts(data, records, *stage) for stage in STAGES if stage[0] in files],
        "student_right": tally(record.student_correct for record in records),
        "conclusion_right": tally(conclusion(record.critique) for record in records),
        "refined_right": tally(is_right(record, record.refined_answer) for record in records),
        "teacher_right": tally(is_right(record, record.teacher_answer) for record in records),
    }


def data_folder(run: Path) -> Path:
    """Where the records lie; of a run with rounds, those of the last round that has any."""
    folders = [folder / "data" for _, folder in parts_of(run)]
    return next((folder for folder in reversed(folders) if folder.exists()), run / "data")


def read_last_records(run: Path) -> list[Record]:
    """The records with the most fields."""
    for name, _, _ in reversed(STAGES):
        path = data_folder(run) / f"{name}.jsonl"
        if path.exists():
            return read_records(path)
    return []


def stage_counts(
    data: Path, records: Sequence[Record], name: str, field: str, stage: str
) -> dict[str, Any]:
    """One stage: records in its file, how many texts were cut at the token limit, how long they are."""
    texts = [text for record in records if (text := getattr(record, field)) is not None]
    reasons = [record.provenance.get(stage, {}).get("finish_reason") for record in records]
    return {
        "stage": name,
        "records": count_lines(data / f"{name}.jsonl"),
        "cut": reasons.count("length") if stage else None,
        "mean_words": sum(len(text.split()) for text in texts) / len(texts) if texts else None,
    }


def count_lines(path: Path) -> int:
    """Lines that hold something."""
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def tally(marks: Iterable[bool | None]) -> dict[str, int]:
    """How many are true, false and not known."""
    known = list(marks)
    return {"yes": known.count(True), "no": known.count(False), "unknown": known.count(None)}


def conclusion(critique: str | None) -> bool | None:
    """What the critique's last `Conclusion: right|wrong` line says of the student's answer."""
    for line in reversed((critique or "").splitlines()):
        label, colon, verdict = line.strip(" *_.").lower().partition(":")
        if colon and label.strip(" *_") == "conclusion":
            return {"right": True, "correct": True, "wrong": False, "incorrect": False}.get(
                verdict.strip(" *_.")
            )
    return None


def is_right(record: Record, text: str | None) -> bool | None:
    """Whether a teacher's text arrives at the gold answer; None where either is missing."""
    gold = record.final_answer or record.answer
    if text is None or not gold:
        return None
    verdict = grade(text, gold)
    return None if verdict.status == "unparsable gold" else verdict.correct
