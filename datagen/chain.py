"""The chain: one record's way through the stages, as a function of the texts that are there.

    record -> begin -> Due(work) -> follow(text) -> Due(next work), ... -> Complete, Dropped or Failed

A chain is a line: answer, critique, refine, teach. After each text the gates rule: keep it and go on,
ask again with another seed, or drop the record. `replay` follows the texts that are known already, so
what a record needs next never has to be remembered: it is read from the journals. teach depends on
none of the others, but comes last: nothing is paid for a record that is dropped before.

Texts are known as they were written. What the next stage and the reader get is without its thinking
trace, if the settings say so: a changed setting of this kind rereads, and pays only for what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from datagen.gates import GateConfig, Judge, Ruling, rule, without_retry
from datagen.generators import Failure
from datagen.journal import Entry
from datagen.plan import StagePlan, Work, plan_work
from datagen.records import Record
from datagen.thinking import visible
from datagen.verdicts import read_verdict


@dataclass(frozen=True)
class Course:
    """What all chains have in common."""

    stages: tuple[StagePlan, ...]
    gates: GateConfig
    judge: Judge | None = None
    rulings: dict[str, Ruling] = field(default_factory=dict, repr=False, compare=False)
    """What was ruled before, by key: it is asked for again when the files are written, and costs time."""


@dataclass(frozen=True)
class Ruled:
    """A text that was looked at, and what the gates say of it."""

    entry: Entry
    ruling: Ruling


@dataclass(frozen=True)
class Due:
    """A record that waits for a text."""

    record: Record
    """With the texts of the stages before."""
    place: int
    """The stage, as an index into the course's."""
    work: Work
    """What is to be written."""
    ruled: tuple[Ruled, ...] = ()
    """The texts so far, those that were asked for again included."""


@dataclass(frozen=True)
class Complete:
    """A record with all its texts."""

    record: Record
    ruled: tuple[Ruled, ...]


@dataclass(frozen=True)
class Dropped:
    """A record that a gate left out; it holds the texts up to the one that was found wanting."""

    record: Record
    place: int
    gate: str
    ruled: tuple[Ruled, ...]


@dataclass(frozen=True)
class Failed:
    """A record of which the next text could not be had."""

    record: Record
    place: int
    work: Work
    failure: Failure
    ruled: tuple[Ruled, ...]


Position = Due | Complete | Dropped | Failed
"""Where a record stands."""


def begin(record: Record, course: Course) -> Position:
    """A record before its first text."""
    return _at(record, 0, course, ())


def _at(record: Record, place: int, course: Course, ruled: tuple[Ruled, ...]) -> Position:
    if place == len(course.stages):
        return Complete(record, ruled)
    return Due(record, place, plan_work(course.stages[place], record), ruled)


def follow(due: Due, entry: Entry, course: Course) -> Position:
    """Where the record stands once its text is there."""
    plan, work = due.work.plan, due.work
    text, _ = visible(entry.text, plan.thinking)
    ruling = rule_on(due, entry, text, course)
    ruled = (*due.ruled, Ruled(entry, ruling))
    if ruling.action == "retry":
        again = plan_work(plan, due.record, work.attempt + 1, ruling.max_tokens)
        return Due(due.record, due.place, again, ruled)
    return _go_on(due, entry, text, ruled, course)


def _go_on(due: Due, entry: Entry, text: str, ruled: tuple[Ruled, ...], course: Course) -> Position:
    """Where the record stands after the stage's last text."""
    ruling = ruled[-1].ruling
    record = fill(due.record, due.work.plan, entry, text, ruling)
    if ruling.action == "drop":
        return Dropped(record, due.place, ruling.gate, ruled)
    return _at(record, due.place + 1, course, ruled)


def rule_on(due: Due, entry: Entry, text: str, course: Course) -> Ruling:
    """What the gates say of a text."""
    known = course.rulings.get(due.work.key)
    if known is None:
        reason = str(entry.provenance.get("finish_reason"))
        attempt, limit = due.work.attempt, due.work.sampling.max_tokens
        stage = due.work.plan.name
        known = rule(stage, due.record, text, reason, attempt, course.gates, course.judge, limit)
        course.rulings[due.work.key] = known
    return known


def fill(record: Record, plan: StagePlan, entry: Entry, text: str, ruling: Ruling) -> Record:
    """The record with a stage's text, and with what can be read from it."""
    changes: dict[str, Any] = {plan.stage.fills: text}
    if plan.name == "answer":
        changes["student_correct"] = ruling.correct
    if plan.name == "critique":
        changes["verdict"] = read_verdict(text)
    gates = {"gates": list(ruling.found)} if ruling.found else {}
    return record.with_stage(plan.name, entry.provenance | gates, **changes)


def fail(due: Due, failure: Failure, course: Course) -> Position:
    """Where the record stands when its text could not be had. Where a cut text does not fit with more room, the
    one that is there has to do: the gates rule on it once more, as if nothing could be asked for again."""
    if failure.kind == "too long" and due.work.attempt > 0:
        *before, last = due.ruled
        last = replace(last, ruling=without_retry(last.ruling, due.work.plan.name, course.gates))
        text, _ = visible(last.entry.text, due.work.plan.thinking)
        return _go_on(due, last.entry, text, (*before, last), course)
    return Failed(due.record, due.place, due.work, failure, due.ruled)


def replay(
    position: Position,
    known: Callable[[str], Entry | None],
    course: Course,
    writers: Collection[str] = ("student", "teacher"),
) -> Position:
    """Follows all texts that are known, by key: those of these writers, up to the first that is not."""
    while isinstance(position, Due) and position.work.plan.stage.writer in writers:
        entry = known(position.work.key)
        if entry is None:
            break
        position = follow(position, entry, course)
    return position
