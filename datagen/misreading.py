"""A solution misread: an objection to a step that is right, and the wrong number to which it leads.

    problem, text -> the student's leading right steps -> one of them taken for wrong -> Misreading

Whoever believes the objection does another step in the place of the right one, with another operation or
another number, or leaves it out, and goes on from there as the story says: that is the wrong solution
`steps`. It never ends in the right number or in the student's own. What is misread hangs on problem and
text alone, so that a critique and a refinement of the same text misread it alike; only words hang on seeds.
`datagen.flawed_tutor` tells it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

from datagen.checking import Mistake
from datagen.student_text import Equation, numbers_in, read_answer, read_equations
from datagen.word_problems import MAX_VALUE, Operand, Problem, Step, compute

FALSE_REASONS = {
    "+": (
        "the {right} come on top, so they are added",
        "{left} and {right} belong together, so they are added",
    ),
    "-": (
        "the {right} are gone, so they are taken away",
        "{right} of the {left} do not count, so they are taken away",
    ),
    "*": (
        "each of the {right} brings {left}, so this is a multiplication",
        "there are {left} of them {right} times, so this is a multiplication",
    ),
    "/": (
        "the {left} are shared equally among {right}, so this is a division",
        "every part takes {right} of the {left}, so this is a division",
    ),
}
"""By operation; they sound like the reasons of the sound teacher, and hold in other stories. The last one of
each names both numbers."""
ANY_VALUE = 10**6
"""Where no wrong solution stays among the world's numbers, a larger one must do."""

Target = tuple[int, Mistake | None]
"""A step to misread, and what is said to be wrong where the student has not done it."""


@dataclass(frozen=True)
class Misreading:
    """What is objected to, and what comes of it."""

    claim: Mistake
    place: int
    """The step of the solution, and of the text where it has one there."""
    equation: Equation | None
    """The student's right equation, where the objection is to one."""
    instead: Step | None
    """What is to be done in its place; None where it is to be left out."""
    steps: tuple[Step, ...]
    """The wrong solution."""

    @property
    def final(self) -> int:
        """The wrong number in which it ends."""
        return self.steps[-1].value


def misread(problem: Problem, text: str) -> Misreading | None:
    """An objection to the text; None where no objection leads to a new wrong number (hardly ever)."""
    equations = read_equations(text)
    num_right = right_beginning(problem, equations)
    answer = read_answer(text)
    avoided = {Fraction(problem.final), answer}
    lacking = Mistake.SKIPPED if equations or answer is not None else Mistake.GARBAGE
    rng = Random(f"misreading/{problem.id}/".encode() + text.encode("utf-8", "surrogatepass"))
    later: list[Target] = [(place, lacking) for place in range(num_right, len(problem.steps))]
    first: list[Target] = [(place, None) for place in range(num_right)] or later[:1]
    for places, limit in ((first, MAX_VALUE), (later, MAX_VALUE), (first + later, ANY_VALUE)):
        for claim, place, instead in _objections(problem, places, rng):
            steps = _believed(problem, place, instead, limit)
            if steps and Fraction(steps[-1].value) not in avoided:
                equation = equations[place] if place < num_right else None
                return Misreading(claim, place, equation, instead, steps)
    return None


def right_beginning(problem: Problem, equations: list[Equation]) -> int:
    """How many of the first equations are the first steps of the solution, one for one."""
    count = 0
    for equation, step in zip(equations, problem.steps, strict=False):
        numbers = (step.left.value, step.right.value, step.value)
        written = (equation.left, equation.right, equation.claimed)
        if equation.operation != step.operation or written != tuple(map(Fraction, numbers)):
            break
        count += 1
    return count


def _objections(
    problem: Problem, places: list[Target], rng: Random
) -> Iterator[tuple[Mistake, int, Step | None]]:
    """All that could be said about these steps, in random order, kind by kind."""
    found = [
        (lacking or claim, place, instead)
        for place, lacking in places
        for claim, instead in _false_steps(problem, problem.steps[place], rng)
        if lacking is None or instead is not None
    ]
    rng.shuffle(found)
    kinds = [Mistake.OPERATION, Mistake.OPERAND, Mistake.EXTRA]
    rng.shuffle(kinds)
    yield from sorted(found, key=lambda one: kinds.index(one[0]) if one[0] in kinds else 0)


def _false_steps(
    problem: Problem, step: Step, rng: Random
) -> Iterator[tuple[Mistake, Step | None]]:
    for operation in FALSE_REASONS:
        if operation != step.operation:
            yield Mistake.OPERATION, _argued(replace(step, operation=operation), rng)
    taken = {step.left.value, step.right.value}
    told = {int(number) for number in numbers_in(problem.prompt) if len(number) <= 3}
    for number in sorted(set(problem.numbers) & told - taken):
        if step.right.source is None:
            yield Mistake.OPERAND, _argued(replace(step, right=Operand(number)), rng)
        elif step.left.source is None:
            yield Mistake.OPERAND, _argued(replace(step, left=Operand(number)), rng, both=True)
    if step.operation in "+-" and step.left.source is not None and step.right.source is None:
        yield Mistake.EXTRA, None


def _argued(step: Step, rng: Random, both: bool = False) -> Step:
    """The false step with a false reason for it (of `both` its numbers); its value is found when it is believed."""
    reasons = FALSE_REASONS[step.operation]
    reason = reasons[-1] if both else rng.choice(reasons)
    reason = reason.format(left=step.left.value, right=step.right.value)
    return replace(step, full=(f"{reason[0].upper()}{reason[1:]}: {{eq}}.",), hint=reason)


def _believed(
    problem: Problem, place: int, instead: Step | None, limit: int
) -> tuple[Step, ...] | None:
    """The solution with the false step, or without one; None where a number does not work out."""
    results: dict[int, int] = {}  # of each step, for one who believes it
    steps: list[Step] = []
    for index, step in enumerate(problem.steps):
        if index == place and instead is None:
            results[index] = _known(step.left, results).value
            continue
        done = instead if index == place and instead is not None else step
        left, right = _known(done.left, results), _known(done.right, results)
        value = compute(left.value, done.operation, right.value)
        if value is None or not 0 < value <= limit:
            return None
        results[index] = value
        steps.append(replace(done, left=left, right=right, value=value))
    return tuple(steps)


def _known(operand: Operand, results: dict[int, int]) -> Operand:
    return operand if operand.source is None else replace(operand, value=results[operand.source])
