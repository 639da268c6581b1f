"""The samples a report embeds: training records, and test problems with every model's answer.

    records, evals/*/BENCHMARK.jsonl → drawn evenly → Sample with its verdicts → the browser, filtered by styles alone

A sample is drawn evenly over the file, not from its head, as files are often sorted. However large a run is, the page
stays bounded: so many samples a set, so many characters a text, and fewer where there are many sets and models. How
many of how many are shown is said, and a text that is cut says by how much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from datagen.records import Record
from evals.report_generation import conclusion, is_right
from evals.report_marks import BASE, read_answers

SAMPLES_SHOWN = 50
"""Of each set."""
CHARACTERS_SHOWN = 6000
"""Of one text at most."""
LEAST_CHARACTERS = 300
PAGE_CHARACTERS = 4_000_000
"""Of all texts together, about."""
RECORDS = "training records"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Text:
    """A titled text of a sample, and whether it is right (None: not known)."""

    title: str
    body: str
    right: bool | None = None
    note: str = ""
    method: str = ""
    """Of an answer: the model that wrote it."""


@dataclass(frozen=True)
class Sample:
    """One foldable entry of the browser."""

    id: str
    question: str
    texts: tuple[Text, ...]
    before: bool | None
    """Whether the student's answer before training is right."""
    after: Mapping[str, bool | None]
    """By method: whether its answer is."""
    refined: bool | None = None
    """Of a training record: whether the refinement is right."""


@dataclass(frozen=True)
class SampleSet:
    """Samples from one file or benchmark, and how many there would be."""

    title: str
    is_records: bool
    samples: tuple[Sample, ...]
    total: int


def sample_sets(
    run: Path, records: Sequence[Record], results: Mapping[str, Any]
) -> list[SampleSet]:
    """The benchmarks in order, then the training records; sets without samples are left out."""
    evaluated = [name for name, method in results["methods"].items() if method["scores"]]
    count = len(results["benchmarks"]) + bool(records)
    length = characters_of_a_text(count, max(5, len(evaluated) + 2))
    sets = [problem_set(run, evaluated, name, length) for name in results["benchmarks"]]
    sets.append(record_set(records, length))
    return [one for one in sets if one.samples]


def characters_of_a_text(sets: int, texts: int) -> int:
    """How much of each text is shown, so that all of them fit the page."""
    room = PAGE_CHARACTERS // max(1, sets * texts * SAMPLES_SHOWN)
    return max(LEAST_CHARACTERS, min(CHARACTERS_SHOWN, room))


def record_set(records: Sequence[Record], length: int) -> SampleSet:
    """Records as they went into training."""
    samples = tuple(record_sample(record, length) for record in spread(records, SAMPLES_SHOWN))
    return SampleSet(RECORDS, True, samples, len(records))


def record_sample(record: Record, length: int) -> Sample:
    """Question, gold, student, critique, refinement, and what the teacher writes unprompted by them."""
    refined = is_right(record, record.refined_answer)
    texts = (
        ("Gold solution", record.answer, None, ""),
        ("Student's answer", record.student_answer, record.student_correct, ""),
        ("Critique", record.critique, None, concludes(record)),
        ("Refinement", record.refined_answer, refined, ""),
        ("Teacher alone", record.teacher_answer, is_right(record, record.teacher_answer), ""),
    )
    shown = tuple(
        Text(title, clip(body, length), right, note)
        for title, body, right, note in texts
        if body is not None
    )
    return Sample(
        record.id, clip(record.prompt, length), shown, record.student_correct, {}, refined
    )


def concludes(record: Record) -> str:
    """What the critique says in the end, and whether that is so."""
    said = conclusion(record.critique)
    if said is None:
        return ""
    word = "right" if said else "wrong"
    if record.student_correct is None:
        return f"concludes: {word}"
    return f"concludes: {word}, which {'holds' if said is record.student_correct else 'is not so'}"


def problem_set(run: Path, evaluated: Sequence[str], benchmark: str, length: int) -> SampleSet:
    """Test problems of one benchmark; the first sample of each model that has one."""
    answers = {name: read_answers(run, name, benchmark) for name in evaluated}
    ids = list(dict.fromkeys(identity for rows in answers.values() for identity in rows))
    samples = [problem_sample(identity, answers, length) for identity in spread(ids, SAMPLES_SHOWN)]
    return SampleSet(benchmark, False, tuple(samples), len(ids))


def problem_sample(
    identity: str, answers: Mapping[str, Mapping[str, list[dict[str, Any]]]], length: int
) -> Sample:
    """A problem with the answers before and after training."""
    rows = {name: by_id[identity][0] for name, by_id in answers.items() if identity in by_id}
    first = next(iter(rows.values()))
    texts = [Text("Gold answer", clip(first["gold"], length))] if first["gold"] is not None else []
    texts += [
        Text(titled(name), clip(row["output"], length), mark(row), str(row["reason"] or ""), name)
        for name, row in rows.items()
    ]
    after = {name: mark(row) for name, row in rows.items() if name != BASE}
    before = mark(rows[BASE]) if BASE in rows else None
    return Sample(identity, clip(first["prompt"], length), tuple(texts), before, after)


def titled(name: str) -> str:
    """What a model's answer is called."""
    return "Before training" if name == BASE else f"After {name}"


def mark(row: Mapping[str, Any]) -> bool | None:
    """Right or not, by answer or by check."""
    judged = row["correct"] if row["correct"] is not None else row["complies"]
    return None if judged is None else bool(judged)


def methods_of(sets: Sequence[SampleSet]) -> list[str]:
    """Every method that has an answer after training, in the order of the report."""
    return list(dict.fromkeys(m for one in sets for s in one.samples for m in s.after))


def classes(sample: Sample, place: int, is_records: bool, methods: Sequence[str]) -> Iterator[str]:
    """What the filters select a sample by; see report_filters.py."""
    yield "s"
    yield f"set-{place}"
    yield from verdict_class("b", sample.before)
    if is_records:
        yield "rec"
        yield from verdict_class("r", sample.refined)
    for number, name in enumerate(methods):
        yield from verdict_class(f"m{number}", sample.after.get(name))
    for right in set(sample.after.values()):
        yield from verdict_class("any", right)


def verdict_class(kind: str, right: bool | None) -> Iterator[str]:
    """`b-yes`, `b-no`; nothing where it is not known."""
    if right is not None:
        yield f"{kind}-{'yes' if right else 'no'}"


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` items at even distances, in order; all of them when there are not more."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def clip(text: str, length: int = CHARACTERS_SHOWN) -> str:
    """At most so many characters; what is left out is counted."""
    left_out = len(text) - length
    return f"{text[:length]} … [{left_out:,} more characters]" if left_out > 0 else text
