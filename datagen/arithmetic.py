"""The built-in world: word problems without end, and a teacher that can really check answers.

    problems("train", 500) -> Problem.record() -> a student answers -> teacher("critique", ...)

The stories are drawn in `datagen.word_problems`, `datagen.worlds` names the sets of families they
are drawn from, a student's text is checked in `datagen.checking`, and `datagen.tutor` says what the
teacher found. Everything is a pure function of world, split, seed and index, so a record's id is
enough to find its problem again.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import cast

from datagen.records import Record
from datagen.stories.parts import Split
from datagen.tutor import critique, refine, teach
from datagen.word_problems import FIRST_WORLD, Problem
from datagen.worlds import WORLDS

__all__ = ["Problem", "problem_of", "problems", "teacher"]

_ID = re.compile(
    r"(arithmetic(?:-[a-z0-9]+)*)-(train|test)-([0-9]{1,9})-([0-9]{6,9})(?:#[0-9]{1,6})?"
)
STAGES = ("critique", "refine", "teach")


def problems(split: Split, count: int, seed: int = 0, world: str = FIRST_WORLD) -> list[Problem]:
    """The first `count` problems of a world's split; another seed gives other ones."""
    WORLDS[world].check(split)
    return [WORLDS[world].problem(split, seed, index) for index in range(count)]


@lru_cache(maxsize=4096)
def problem_of(record_id: str) -> Problem:
    """The problem that a record was made of; kept, since every stage asks for it again."""
    match = _ID.fullmatch(record_id)
    if match is None or match[1] not in WORLDS:
        raise ValueError(
            f"the arithmetic teacher knows records of the built-in world only (an id such as "
            f"'arithmetic-train-0-000123'), not {record_id!r}"
        )
    world, split, seed, index = match.groups()
    return WORLDS[world].problem(cast(Split, split), int(seed), int(index))


def teacher(stage: str, record: Record, seed: int) -> str:
    """What the teacher writes about the record at this stage; the seed chooses the words."""
    problem, text = asked(stage, record)
    if stage == "teach":
        return teach(problem, seed)
    return critique(problem, text, seed) if stage == "critique" else refine(problem, text, seed)


def asked(stage: str, record: Record) -> tuple[Problem, str]:
    """The record's problem and the student's text; that is empty where the problem alone is to be solved."""
    if stage not in STAGES:
        raise ValueError(
            f"the arithmetic teacher knows the stages {', '.join(STAGES)}, not {stage!r}"
        )
    if stage != "teach" and record.student_answer is None:
        raise ValueError(f"{record.id}: the stage {stage} needs a student answer")
    return problem_of(record.id), record.student_answer or ""
