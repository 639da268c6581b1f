"""Teachers that are not sound: one that errs, one that misleads, and one that is vague.

    arithmetic-errs-NN       misjudges NN % of the records: the critique is false, the refinement follows it to
                             a wrong number, and its own solutions of these are wrong in the same way
    arithmetic-misleads-NN   the same false critiques, but the refinement is the sound teacher's
    arithmetic-vague         says whether the answer is right, and neither where nor why; refines soundly

Which records are misjudged hangs on a hash of the record's id: it is the same at all stages and for both
kinds of teachers, and those at 25 % are among those at 50 %. A false critique uses the wordings of the
sound teacher (`datagen.tutor`) for an objection to a step that is right (`datagen.misreading`), or it
praises a wrong answer. All others, and all that is right, are told by the sound teacher.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random

from datagen.arithmetic import asked, teacher
from datagen.checking import check
from datagen.misreading import Misreading, misread, right_beginning
from datagen.records import Record
from datagen.student_text import numbers_in, read_answer, read_equations, show
from datagen.tutor import (
    NOUNS,
    PRAISE,
    RIGHT,
    VERBS,
    WITHOUT_NUMBERS,
    WORDINGS,
    critique,
    discreet,
    may_stay,
    ordinal,
    refine,
)
from datagen.word_problems import Problem, Step, final_line

Teacher = Callable[[str, Record, int], str]

SHARE_OF_PRAISE = 0.5
"""Of the misjudged answers that are wrong, so many are praised; the others get a false objection."""
VAGUE_WRONG = (
    "Something is not right here. Look at it once more.",
    "This cannot be accepted. Try it again with more care.",
    "There is a mistake somewhere. Think about it again.",
    "I am not content with this. Please do it again.",
    "This went wrong. Read everything again and write a better solution.",
)
VAGUE_RIGHT = (
    "This looks good.",
    "I have nothing to say against this. Go on like that.",
    "Well done, this can stay as it is.",
    "This is fine.",
)


def errs(percent: int) -> Teacher:
    """The teacher that misjudges so many records and believes itself."""

    def erring_teacher(stage: str, record: Record, seed: int) -> str:
        problem, text = asked(stage, record)
        if not is_misjudged(record.id, percent):
            return teacher(stage, record, seed)
        if stage == "teach":
            return wrong_solution(problem, seed)
        if stage == "critique":
            return false_critique(problem, text, seed)
        return false_refinement(problem, text, seed)

    return erring_teacher


def misleads(percent: int) -> Teacher:
    """The teacher that tells so many students something false and knows better itself."""

    def misleading_teacher(stage: str, record: Record, seed: int) -> str:
        problem, text = asked(stage, record)
        if stage == "critique" and is_misjudged(record.id, percent):
            return false_critique(problem, text, seed)
        return teacher(stage, record, seed)

    return misleading_teacher


def vague(stage: str, record: Record, seed: int) -> str:
    """The teacher that only says whether the answer is right."""
    problem, text = asked(stage, record)
    if stage != "critique":
        return teacher(stage, record, seed)
    rng = Random(f"vague/{problem.id}/{seed}")
    if check(problem, text).mistake is None:
        return f"{rng.choice(VAGUE_RIGHT)}\nConclusion: right"
    return f"{rng.choice(VAGUE_WRONG)}\nConclusion: wrong"


def is_misjudged(record_id: str, percent: int) -> bool:
    """Whether a teacher that errs at this rate errs about this record."""
    return _lot("misjudged", record_id) * 100 < percent


def false_critique(problem: Problem, text: str, seed: int) -> str:
    """Praise for some wrong answers, an objection to something right for all others."""
    if not _is_praised(problem, text):
        return misleading_critique(problem, text, seed)
    rng = Random(f"praise/{problem.id}/{seed}")
    wordings = rng.sample(RIGHT, len(RIGHT))
    known = numbers_in(problem.prompt) | numbers_in(text)
    bodies = [wording.format(hint=problem.steps[-1].hint) for wording in wordings]
    return f"{discreet(bodies, problem, known)}\nConclusion: right"


def misleading_critique(problem: Problem, text: str, seed: int) -> str:
    """An objection to something right in the sound teacher's words, or a false remedy where nothing is right.

    Where nothing false leads to a new number (hardly ever), the sound critique."""
    misreading = misread(problem, text)
    if misreading is None:
        return critique(problem, text, seed)
    rng = Random(f"misleading/{problem.id}/{seed}")
    wordings = rng.sample(WORDINGS[misreading.claim], len(WORDINGS[misreading.claim]))
    praise = rng.choice(PRAISE) if misreading.equation is not None and misreading.place else ""
    slots = _slots(problem, misreading)
    bodies = [praise + wording.format(**slots) for wording in wordings]
    known = numbers_in(problem.prompt) | numbers_in(text)
    body = discreet([*bodies, WITHOUT_NUMBERS.format(**slots)], problem, known)
    return f"{body}\nConclusion: wrong"


def what_it_leads_to(problem: Problem, text: str) -> int | None:
    """The wrong number that follows from `misleading_critique`, whatever its seed."""
    misreading = misread(problem, text)
    return misreading.final if misreading else None


def false_refinement(problem: Problem, text: str, seed: int) -> str:
    """What follows from `false_critique`: the praised answer as it is, or the misread solution."""
    if _is_praised(problem, text):
        return text.strip()
    misreading = misread(problem, text)
    if misreading is None:
        return refine(problem, text, seed)
    num_right = right_beginning(problem, read_equations(text))
    kept = _first_steps(text, min(misreading.place, num_right))
    return _told(kept, misreading.steps, Random(f"refine/{problem.id}/{seed}"))


def wrong_solution(problem: Problem, seed: int) -> str:
    """The teacher's own solution of a problem that it misreads."""
    misreading = misread(problem, problem.answer)
    steps = problem.steps if misreading is None else misreading.steps
    return _told([], steps, Random(f"teach/{problem.id}/{seed}"))


def _told(kept: list[str], steps: tuple[Step, ...], rng: Random) -> str:
    """The first steps in the student's lines, the others in the teacher's, and the number in which they end."""
    told = [rng.choice(step.full).replace("{eq}", step.equation) for step in steps[len(kept) :]]
    return "\n".join([*kept, *told, final_line(steps[-1].value)])


def _first_steps(text: str, count: int) -> list[str]:
    """The lines of the first steps, as long as each holds one step and no answer."""
    lines = text.split("\n")
    numbers = [equation.line for equation in read_equations(text)]
    kept: list[str] = []
    for number in numbers[:count]:
        if numbers.count(number) > 1 or not may_stay(lines[number]):
            break
        kept.append(lines[number].strip())
    return kept


def _slots(problem: Problem, misreading: Misreading) -> dict[str, str]:
    """Everything that a wording may mention."""
    place, instead, equation = misreading.place, misreading.instead, misreading.equation
    where = f"after the {ordinal(place - 1)} step" if place else "at the beginning"
    slots = {
        "mistake": str(misreading.claim),
        "nth": ordinal(place),
        "where": where,
        "Where": where[0].upper() + where[1:],
    }
    if instead is not None:
        slots |= {
            "hint": instead.hint,
            "left": str(instead.left.value),
            "other": str(instead.right.value),
            "right": VERBS[instead.operation],
            "right_noun": NOUNS[instead.operation],
        }
    if equation is not None:
        slots |= {
            "expression": equation.expression,
            "written": f"{equation.expression} = {show(equation.claimed)}",
            "wrong": VERBS[equation.operation],
            "wrong_noun": NOUNS[equation.operation],
            "misfit": _misfit(problem.steps[place], instead),
        }
    return slots


def _misfit(step: Step, instead: Step | None) -> str:
    """The right number that is said not to belong there."""
    changed_left = instead is not None and instead.left != step.left
    return str(step.left.value if changed_left else step.right.value)


def _is_praised(problem: Problem, text: str) -> bool:
    answer = read_answer(text)
    if answer is None or answer == problem.final:
        return False
    return _lot("praised", f"{problem.id}/{text}") < SHARE_OF_PRAISE


def _lot(purpose: str, about: str) -> float:
    """A number from 0 to 1, always the same for the same."""
    digest = hashlib.sha256(f"{purpose}/{about}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
