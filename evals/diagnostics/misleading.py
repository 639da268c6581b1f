"""Misleading critiques: false ones, each with the wrong answer to which it leads whoever follows it.

    the record's own fields (misleading_critique, misleading_answer), else
    record → wording `mislead` → reply → critique, and its last line `Leads to: ANSWER` → checked against gold

The wrong answer is what makes "misled" countable, so a reply without one, or with the right one, is no misleading
critique: it is asked for again with another seed, and after that the record goes without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from datagen.generators import Failure, Request, Sampling
from datagen.plan import derive_seed
from datagen.records import Record
from datagen.thinking import visible
from datagen.wordings import load_template
from evals.diagnostics.asking import Ask, Interview, conduct
from evals.diagnostics.diagnosis import Diagnosis
from evals.diagnostics.ratings import ATTEMPTS, FRESH_TEMPERATURE
from evals.grading import grade

STAGE = "mislead"
"""What a scripted judge is told it is asked for."""
CRITIQUE, ANSWER = "misleading_critique", "misleading_answer"
"""The fields of a record that brings its own."""
LEADS_TO = "leads to:"

TEMPLATE = load_template("mislead")


@dataclass(frozen=True)
class Misleading:
    """A false critique."""

    critique: str
    answer: str
    """The wrong answer that follows from it."""


def misleading_critiques(task: Diagnosis, records: Sequence[Record]) -> dict[str, Misleading]:
    """By record: its own, or what the judge writes. Records that end up without one are absent."""
    found: dict[str, Misleading] = {}
    lacking: list[Record] = []
    for record in records:
        own = own_of(record)
        if own is None:
            lacking.append(record)
        else:
            found[record.id] = own
    return found | dict(written(task, lacking))


def own_of(record: Record) -> Misleading | None:
    """What the record's own fields say; a ValueError where they say nothing usable."""
    given = {name: record.extra.get(name) for name in (CRITIQUE, ANSWER)}
    if all(value is None for value in given.values()):
        return None
    if not all(isinstance(value, str) and value.strip() for value in given.values()):
        raise ValueError(f"{record.id}: the fields {CRITIQUE} and {ANSWER} must both be texts")
    made = Misleading(str(given[CRITIQUE]), str(given[ANSWER]))
    if not is_wrong(made.answer, record):
        raise ValueError(f"{record.id}: {ANSWER} must be a readable answer other than the gold one")
    return made


def written(task: Diagnosis, records: Sequence[Record]) -> Iterator[tuple[str, Misleading]]:
    """What the judge writes about these records."""
    if task.judge is None or not records:
        return
    for row in conduct(task.judge(), (interview(task, record) for record in records)):
        if row[CRITIQUE]:
            yield row["id"], Misleading(row[CRITIQUE], row[ANSWER])


def interview(task: Diagnosis, record: Record) -> Interview:
    """Asks until a reply misleads."""
    for attempt in range(ATTEMPTS):
        (outcome,) = yield [ask(task, record, attempt)]
        if isinstance(outcome, Failure):
            break
        made = read_misleading(outcome.text)
        if made is not None and is_wrong(made.answer, record):
            return {"id": record.id, CRITIQUE: made.critique, ANSWER: made.answer}
    return {"id": record.id, CRITIQUE: None, ANSWER: None}


def ask(task: Diagnosis, record: Record, attempt: int) -> Ask:
    """One request; the first is greedy."""
    content = TEMPLATE.render(problem=record.prompt, student_answer=record.student_answer or "")
    seed = derive_seed(task.seed, STAGE, record.id, attempt)
    request = Request(record.id, ({"role": "user", "content": content},), seed, STAGE, record)
    temperature = FRESH_TEMPERATURE if attempt else 0.0
    return Ask(request, Sampling(temperature=temperature, max_tokens=task.max_tokens))


def read_misleading(reply: str) -> Misleading | None:
    """The critique above the last line, and the answer that this line names."""
    body, _, last = visible(reply)[0].rstrip().rpartition("\n")
    last = last.strip(" \t\r*_`")
    if not body.strip() or last[: len(LEADS_TO)].casefold() != LEADS_TO:
        return None
    answer = last[len(LEADS_TO) :].strip(" \t*_`")
    return Misleading(body.strip(), answer) if answer else None


def is_wrong(answer: str, record: Record) -> bool:
    """Whether this can be read as an answer, and is not the gold one."""
    return grade(boxed(answer), gold_of(record)).status == "wrong"


def boxed(answer: str) -> str:
    """An answer as a text that gives it, whatever it looks like."""
    return f"\\boxed{{{answer}}}"


def gold_of(record: Record) -> str:
    """The right answer, short or as a solution; empty where the record has none."""
    return record.final_answer or record.answer or ""


def fields_of(misleading: Misleading | None) -> dict[str, Any]:
    """For the record's row."""
    if misleading is None:
        return {CRITIQUE: None, ANSWER: None}
    return {CRITIQUE: misleading.critique, ANSWER: misleading.answer}
