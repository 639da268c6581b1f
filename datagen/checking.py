"""The teacher's eye: reads a student's text, follows it step by step, finds the first wrong one.

    text -> equations (`student_text`) -> joined one by one (`progress`) -> Finding

A text is right if its answer is right and no equation in it is false. Otherwise the finding names
the first step that fails and what kind of mistake it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from datagen.progress import Join, Progress
from datagen.student_text import Equation, read_answer, read_equations
from datagen.word_problems import Problem


class Mistake(StrEnum):
    """What can be wrong with a solution."""

    OPERATION = "wrong operation"
    OPERAND = "wrong operand"
    SLIP = "arithmetic slip"
    SKIPPED = "skipped step"
    EXTRA = "extra step"
    NO_ANSWER = "no answer"
    COPIED = "wrong final number"
    GARBAGE = "garbage"


@dataclass(frozen=True)
class Finding:
    """What the teacher found; `mistake` is None for a right solution."""

    mistake: Mistake | None
    place: int
    """Which of the student's equations it is about, counted from 0; their number if it is none."""
    equation: Equation | None
    """The equation that fails, where one does."""
    expected: Join | None
    """The step that was due, where one was."""


def check(problem: Problem, text: str) -> Finding:
    """The first thing that is wrong with the student's text, or that nothing is."""
    equations = read_equations(text)
    answer = read_answer(text)
    progress, place = follow(problem, equations)
    all_true = all(equation.true_value == equation.claimed for equation in equations)
    if answer == problem.final and all_true:
        return Finding(None, len(equations), None, None)
    if place < len(equations):
        return _about_equation(progress, equations[place], place)
    return _about_end(progress, answer, text, len(equations))


def follow(problem: Problem, equations: list[Equation]) -> tuple[Progress, int]:
    """Takes the equations one by one; stops at the first that is no right step and says which."""
    progress = Progress(problem.steps)
    for place, equation in enumerate(equations):
        join = progress.match(equation)
        if join is None or equation.claimed != join.value:
            return progress, place
        progress.accept(join, equation)
    return progress, len(equations)


def _about_equation(progress: Progress, equation: Equation, place: int) -> Finding:
    matched = progress.match(equation)
    if matched is not None:
        return Finding(Mistake.SLIP, place, equation, matched)
    due = progress.next_join()
    if due is None or _repeats(progress, equation):
        return Finding(Mistake.EXTRA, place, equation, due)
    best = max(progress.pending(), key=lambda join: (_likeness(equation, join), -join.gold_step))
    if best.gold_step != due.gold_step and _likeness(equation, best) > _likeness(equation, due):
        return Finding(Mistake.SKIPPED, place, equation, due)
    if equation.operation == due.operation:
        return Finding(Mistake.OPERAND, place, equation, due)
    return Finding(Mistake.OPERATION, place, equation, due)


def _about_end(progress: Progress, answer: Fraction | None, text: str, place: int) -> Finding:
    """All equations are right, but the text ends wrongly."""
    due = progress.next_join()
    if place == 0 and answer is None:
        kind = Mistake.GARBAGE if text.strip() else Mistake.NO_ANSWER
        return Finding(kind, place, None, due)
    if answer is None:
        return Finding(Mistake.NO_ANSWER, place, None, due)
    return Finding(Mistake.COPIED if due is None else Mistake.SKIPPED, place, None, due)


def _repeats(progress: Progress, equation: Equation) -> bool:
    return any(
        (equation.left, equation.operation, equation.right) == (old.left, old.operation, old.right)
        for old in progress.accepted
    )


def _likeness(equation: Equation, join: Join) -> int:
    """Two points for each number in common, one for the operation."""
    mine, theirs = [equation.left, equation.right], [Fraction(join.left), Fraction(join.right)]
    shared = 0
    for value in mine:
        if value in theirs:
            theirs.remove(value)
            shared += 1
    return 2 * shared + (equation.operation == join.operation)
