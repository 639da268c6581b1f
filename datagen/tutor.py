"""The teacher's voice: critiques, refinements and solutions in words that a seed chooses.

A critique names the step, quotes what is wrong with it and says why; the final number never occurs
in it unless the prompt or the student wrote it first. A refinement keeps the student's own lines as
far as they are right and goes on from there. A solution is told more fully than the gold answer.
"""

from __future__ import annotations

from random import Random

from datagen.checking import Finding, Mistake, check, follow
from datagen.progress import Join, Progress
from datagen.student_text import Equation, has_box, numbers_in, read_answer, read_equations, show
from datagen.word_problems import Problem, final_line

ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip
VERBS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
NOUNS = {"+": "addition", "-": "subtraction", "*": "multiplication", "/": "division"}
MAX_KEPT_LINE = 160
"""Characters; a longer line of a student is told anew instead of being kept."""

RIGHT = (
    "Every step follows from the story and the arithmetic is right. In the end {hint}.",
    "This is correct: the steps are in order, and {hint}.",
    "The work is sound. It is well seen that {hint}.",
)
WORDINGS: dict[Mistake, tuple[str, ...]] = {
    Mistake.OPERATION: (
        "In the {nth} step you wrote {written}, but here you must {right}: {hint}.",
        "The {nth} step is the wrong kind of step. To {wrong} does not fit, because {hint}.",
        "{expression} in the {nth} step mixes up {wrong_noun} and {right_noun}: {hint}.",
        "The {nth} step should be a {right_noun} and not a {wrong_noun}, since {hint}.",
    ),
    Mistake.OPERAND: (
        "In the {nth} step you wrote {written}, but {misfit} does not belong there: {hint}.",
        "The {nth} step works with the wrong numbers. Use {left} and {other}: {hint}.",
        "{expression} in the {nth} step takes a number from the wrong place. Remember that {hint}.",
        "The {nth} step picks the wrong number. Read again: {hint}.",
    ),
    Mistake.SLIP: (
        "The {nth} step has the right idea, but {expression} is not {claimed}; this is too {size}.",
        "In the {nth} step {written} is a slip. Count again: it is {less}.",
        "Check the arithmetic of the {nth} step: {expression} makes {less} than {claimed}.",
        "The plan of the {nth} step is fine, but the result is too {size}. Work it out once more.",
    ),
    Mistake.SKIPPED: (
        "A step is left out {where}: {hint}.",
        "Something in the story is not used {where}. Think of this: {hint}.",
        "{Where} a {right_noun} is missing, because {hint}.",
        "You skip a part of the story {where}. First work with {left} and {other}: {hint}.",
    ),
    Mistake.EXTRA: (
        "The {nth} step, {expression}, is one too many: nothing in the story asks for it.",
        "You should not go on with {written}. The {nth} step is not needed.",
        "The {nth} step does something that the story does not say. Leave it out.",
    ),
    Mistake.NO_ANSWER: (
        "The solution stops too early. {Where} this is still to do: {hint}.",
        "There is no answer at the end. {Where} you must go on: {hint}.",
        "The work breaks off {where} and gives no final answer. Go on: {hint}.",
    ),
    Mistake.COPIED: (
        "All steps are right, but the number in the box is not the result of the last step.",
        "The answer in the box was copied wrongly. Take the result of the {last} step.",
        "You worked it out well and then gave another number. The {last} step has what is asked.",
    ),
    Mistake.GARBAGE: (
        "This is no solution: there is no step to follow. Begin with {left} and {other}: {hint}.",
        "I find no calculation here. Start at the beginning of the story: {hint}.",
        "There are no steps in this text. The first thing to see is this: {hint}.",
    ),
}
ANSWER_MISSING = (
    "All steps are done, but the final answer is not given. Box the result of the {last} step."
)
WITHOUT_NUMBERS = (
    "The {nth} step is where it goes wrong ({mistake}). Read the story again at this point."
)
PRAISE = ("Up to there all is right. ", "The steps before are right. ", "It starts well. ", "", "")
STALE = (" That number was used before; go on from the newest result.", "")


def critique(problem: Problem, text: str, seed: int) -> str:
    """What the teacher says about the student's text, with its conclusion as the last line."""
    finding = check(problem, text)
    rng = Random(f"critique/{problem.id}/{seed}")
    if finding.mistake is None:
        known = numbers_in(problem.prompt) | numbers_in(text)
        body = rng.choice(RIGHT).format(hint=problem.steps[-1].hint)
        return f"{discreet([body], problem, known)}\nConclusion: right"
    known = numbers_in(problem.prompt) | numbers_in(text)
    body = discreet(_phrasings(problem, finding, text, rng), problem, known)
    return f"{body}\nConclusion: wrong"


def refine(problem: Problem, text: str, seed: int) -> str:
    """A right solution that keeps what is right in the student's text, in the student's words."""
    kept, progress = _right_lines(problem, text)
    rng = Random(f"refine/{problem.id}/{seed}")
    lines = [*kept, *_rest(problem, progress, rng)]
    own_ending = [line for line in text.split("\n") if has_box(line)]
    keeps_ending = len(own_ending) == 1 and _is_plain_ending(own_ending[0], problem)
    return "\n".join([*lines, own_ending[0].strip() if keeps_ending else final_line(problem.final)])


def teach(problem: Problem, seed: int) -> str:
    """The teacher's own solution, told more fully than the gold answer."""
    rng = Random(f"teach/{problem.id}/{seed}")
    lines = _rest(problem, Progress(problem.steps), rng)
    return "\n".join([*lines, final_line(problem.final)])


def discreet(phrasings: list[str], problem: Problem, known: set[str]) -> str:
    """The first phrasing that does not give the answer away."""
    secret = {str(problem.final)} - known
    return next((body for body in phrasings if not secret & numbers_in(body)), phrasings[-1])


def _phrasings(problem: Problem, finding: Finding, text: str, rng: Random) -> list[str]:
    """Ways to say it, in random order; the last one holds no number at all."""
    assert finding.mistake is not None
    slots = _slots(problem, finding)
    wordings = list(WORDINGS[finding.mistake])
    rng.shuffle(wordings)
    if finding.mistake is Mistake.NO_ANSWER and finding.expected is None:
        wordings = [ANSWER_MISSING]
    praise = rng.choice(PRAISE) if finding.equation is not None and finding.place > 0 else ""
    stale = rng.choice(STALE) if _is_stale(problem, finding, text) else ""
    bodies = [praise + wording.format(**slots) + stale for wording in wordings]
    return [*bodies, WITHOUT_NUMBERS.format(**slots)]


def _slots(problem: Problem, finding: Finding) -> dict[str, str]:
    """Everything that a wording may mention."""
    due, place = finding.expected, finding.place
    where = f"after the {ordinal(place - 1)} step" if place else "at the beginning"
    slots = {
        "mistake": str(finding.mistake),
        "nth": ordinal(place),
        "last": "last",
        "where": where,
        "Where": where[0].upper() + where[1:],
    }
    if due is not None:
        slots |= _slots_of_due(problem, due)
    if finding.equation is not None:
        slots |= _slots_of_equation(finding.equation, due)
    return slots


def _slots_of_due(problem: Problem, due: Join) -> dict[str, str]:
    return {
        "hint": problem.steps[due.gold_step].hint,
        "left": str(due.left),
        "other": str(due.right),
        "right": VERBS[due.operation],
        "right_noun": NOUNS[due.operation],
    }


def _slots_of_equation(equation: Equation, due: Join | None) -> dict[str, str]:
    claimed = show(equation.claimed)
    true_value = equation.true_value
    too_big = true_value is not None and equation.claimed > true_value
    return {
        "expression": equation.expression,
        "claimed": claimed,
        "written": f"{equation.expression} = {claimed}",
        "wrong": VERBS[equation.operation],
        "wrong_noun": NOUNS[equation.operation],
        "size": "big" if too_big else "small",
        "less": "less" if too_big else "more",
        "misfit": _misfit(equation, due),
    }


def _misfit(equation: Equation, due: Join | None) -> str:
    """The number of the equation that the step has no use for."""
    wanted = (due.left, due.right) if due else ()
    strangers = [n for n in (equation.left, equation.right) if n not in wanted]
    return show(strangers[0]) if strangers else "this order"


def _is_stale(problem: Problem, finding: Finding, text: str) -> bool:
    """Whether the wrong number had already gone into an earlier result."""
    if finding.mistake is not Mistake.OPERAND or finding.equation is None:
        return False
    progress, _ = follow(problem, read_equations(text))
    used = {show(n) for old in progress.accepted for n in (old.left, old.right)}
    return _misfit(finding.equation, finding.expected) in used


def ordinal(place: int) -> str:
    """`first` for 0."""
    return ORDINALS[place] if place < len(ORDINALS) else "next"


def _right_lines(problem: Problem, text: str) -> tuple[list[str], Progress]:
    """The student's leading lines that do right steps and nothing else, and how far they come."""
    lines = text.split("\n")
    equations = read_equations(text)
    _, num_right = follow(problem, equations)
    stop = equations[num_right].line if num_right < len(equations) else len(lines)
    with_step = sorted({equation.line for equation in equations if equation.line < stop})
    kept: list[int] = []
    for number in with_step:
        trial = [e for e in equations if e.line in (*kept, number)]
        if not may_stay(lines[number]) or follow(problem, trial)[0].unshown:
            break
        kept.append(number)
    progress, _ = follow(problem, [e for e in equations if e.line in kept])
    return [lines[number].strip() for number in kept], progress


def may_stay(line: str) -> bool:
    """Whether a student's line is short enough to be kept, and does not give an answer."""
    return len(line) <= MAX_KEPT_LINE and not has_box(line)


def _rest(problem: Problem, progress: Progress, rng: Random) -> list[str]:
    """The steps that are still to do, in the teacher's words."""
    lines: list[str] = []
    while (join := progress.next_join()) is not None:
        wording = rng.choice(problem.steps[join.gold_step].full)
        lines.append(wording.replace("{eq}", join.equation))
        progress.accept(join)
    return lines


def _is_plain_ending(line: str, problem: Problem) -> bool:
    """Whether the student's last line gives the right answer and nothing else."""
    only_answer = numbers_in(line) == {str(problem.final)} and not read_equations(line)
    return only_answer and len(line) <= MAX_KEPT_LINE and read_answer(line) == problem.final
