"""Attempts at a problem as a weak student would write them: one mistake, carried on to the end.

    problem -> which step, which mistake -> the steps that follow from it -> a text like a student's

What the base student's curriculum shows it of wrong work (`datagen.curriculum`). A slip, a wrong operation, a
wrong number or a step left out is planted at a random place; later steps go on from the wrong result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from datagen.word_problems import MAX_VALUE, Operand, Problem, Step, compute, final_line

KINDS = ("slip", "operation", "operand", "skipped")
SLIPS = (-10, -5, -3, -2, -1, 1, 2, 3, 5, 10)
"""How far off a slip may be."""


def attempt(problem: Problem, rng: Random, wrong: bool) -> str:
    """A right solution in mixed words, or one with a mistake and a wrong answer."""
    steps = wrong_steps(problem, rng) if wrong else problem.steps
    lines = [rng.choice((step.terse, *step.full)).replace("{eq}", step.equation) for step in steps]
    return "\n".join([*lines, final_line(steps[-1].value)])


def wrong_steps(problem: Problem, rng: Random) -> Sequence[Step]:
    """Steps with one planted mistake that end in a wrong number."""
    while True:
        steps = _spoiled(problem, rng.randrange(len(problem.steps)), rng.choice(KINDS), rng)
        if steps and steps[-1].value != problem.final:
            return steps


def _spoiled(problem: Problem, place: int, kind: str, rng: Random) -> list[Step]:
    """The steps with this mistake at this place; none where a number would leave the world."""
    results: dict[int, int] = {}  # of each step, as this student has it
    steps: list[Step] = []
    for index, step in enumerate(problem.steps):
        left, right = (_as_known(operand, results) for operand in (step.left, step.right))
        operation = step.operation
        if index == place and kind == "skipped":
            results[index] = left.value
            continue
        if index == place and kind == "operation":
            operation = rng.choice([other for other in "+-*/" if other != operation])
        if index == place and kind == "operand":
            others = [number for number in problem.numbers if number != right.value]
            right = Operand(rng.choice(others or [right.value + 1]))
        value = compute(left.value, operation, right.value)
        if value is not None and index == place and kind == "slip":
            value += rng.choice(SLIPS)
        if value is None or not 0 <= value <= MAX_VALUE:
            return []
        results[index] = value
        steps.append(replace(step, left=left, right=right, operation=operation, value=value))
    return steps


def _as_known(operand: Operand, results: dict[int, int]) -> Operand:
    """The operand with the value that the student has for it."""
    if operand.source is None:
        return operand
    return replace(operand, value=results.get(operand.source, operand.value))
