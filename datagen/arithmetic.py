"""The built-in world: word problems without end, and a teacher that can really check answers.

    problems("train", 500) -> Problem.record() -> a student answers -> teacher("critique", ...)

The stories are drawn in `datagen.word_problems`, a student's text is checked in
`datagen.checking`, and `datagen.tutor` says what the teacher found. Everything is a pure
function of split, seed and index, so a record's id is enough to find its problem again.
"""

from __future__ import annotations

import re
from typing import get_args

from datagen.records import Record
from datagen.stories.parts import Split
from datagen.tutor import critique, refine, teach
from datagen.word_problems import Problem, draw_problem

__all__ = ["Problem", "problem_of", "problems", "teacher"]

_ID = re.compile(r"arithmetic-(train|test)-([0-9]{1,9})-([0-9]{6,9})")
STAGES = ("critique", "refine", "teach")


def problems(split: Split, count: int, seed: int = 0) -> list[Problem]:
    """The first `count` problems of a split; another seed gives other ones."""
    if split not in get_args(Split):
        raise ValueError(f"the arithmetic world has the splits train and test, not {split!r}")
    return [draw_problem(split, seed, index) for index in range(count)]


def problem_of(record_id: str) -> Problem:
    """The problem that a record was made of."""
    match = _ID.fullmatch(record_id)
    if match is None:
        raise ValueError(
            f"the arithmetic teacher knows records of the built-in world only (an id such as "
            f"'arithmetic-train-0-000123'), not {record_id!r}"
        )
    split, seed, index = match.groups()
    return draw_problem("train" if split == "train" else "test", int(seed), int(index))


def teacher(stage: str, record: Record, seed: int) -> str:
    """What the teacher writes about the record at this stage; the seed chooses the words."""
    if stage not in STAGES:
        raise ValueError(
            f"the arithmetic teacher knows the stages {', '.join(STAGES)}, not {stage!r}"
        )
    problem = problem_of(record.id)
    if stage == "teach":
        return teach(problem, seed)
    if record.student_answer is None:
        raise ValueError(f"{record.id}: the stage {stage} needs a student answer")
    if stage == "critique":
        return critique(problem, record.student_answer, seed)
    return refine(problem, record.student_answer, seed)
