"""Makes one mistake of a chosen kind in a gold solution: what the teacher must then find."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from datagen.checking import Mistake
from datagen.progress import Progress, same_step
from datagen.student_text import read_equations
from datagen.word_problems import Problem, compute, final_line


@dataclass(frozen=True)
class Flawed:
    """A solution with one mistake and the place where it is."""

    text: str
    mistake: Mistake
    place: int


def flawed(problem: Problem, mistake: Mistake, rng: Random) -> Flawed | None:
    """The gold solution with this mistake, or None where it cannot be made in this problem."""
    place = rng.randrange(len(problem.steps))
    lines = problem.answer.split("\n")[:-1]
    if mistake is Mistake.NO_ANSWER:
        return Flawed("\n".join(lines[:place]), mistake, place) if place else Flawed("", mistake, 0)
    if mistake is Mistake.COPIED:
        text = "\n".join([*lines, final_line(problem.final + rng.choice((1, 10)))])
        return Flawed(text, mistake, len(lines))
    if mistake is Mistake.EXTRA:
        text = "\n".join([*lines, f"Then it is {problem.final} + 3 = {problem.final + 3}."])
        return Flawed(f"{text}\n{final_line(problem.final + 3)}", mistake, len(lines))
    if mistake is Mistake.GARBAGE:
        return Flawed(rng.choice(("the of of", "\u00e9 \u0664 + \u0664", "12 12")), mistake, 0)
    if mistake is Mistake.SKIPPED:
        text = "\n".join([*lines[:place], final_line(problem.final + 1)])
        return Flawed(text, mistake, place)
    return _with_false_step(problem, mistake, place, lines, rng)


def _with_false_step(
    problem: Problem, mistake: Mistake, place: int, lines: list[str], rng: Random
) -> Flawed | None:
    step = problem.steps[place]
    left, operation, right = step.left.value, step.operation, step.right.value
    value: int | None = step.value
    if mistake is Mistake.SLIP:
        value = step.value + rng.choice((-10, -1, 1, 10))
    elif mistake is Mistake.OPERATION:
        operation = rng.choice([sign for sign in "+-*/" if sign != operation])
        value = compute(left, operation, right)
    else:
        right += rng.choice((-2, -1, 1, 2))
        value = compute(left, operation, right)
    if value is None or value < 0 or right <= 0:
        return None
    line = f"So it is {left} {operation} {right} = {value}."
    if mistake is not Mistake.SLIP and _is_a_step(problem, lines[:place], line):
        return None
    text = "\n".join([*lines[:place], line, final_line(value)])
    return None if value == problem.final else Flawed(text, mistake, place)


def _is_a_step(problem: Problem, before: list[str], line: str) -> bool:
    """Whether the changed line happens to be something that may or will be done anyway."""
    progress = Progress(problem.steps)
    for equation in read_equations("\n".join(before)):
        join = progress.match(equation)
        assert join is not None
        progress.accept(join, equation)
    (changed,) = read_equations(line)
    return progress.match(changed) is not None or any(
        same_step(changed, join) for join in Progress(problem.steps).pending()
    )
