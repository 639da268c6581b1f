"""A judge of critiques that knows the truth: it solves the problem, reads the answer itself, and rates by rule.

    record (problem, student_answer, critique) -> what the critique says -> held against the truth -> two ratings

Informativeness (is the student told what helps?) begins at 2 for a right verdict; the true place, the true
reason and the true numbers add to it. Whatever is false makes it 1: the verdict, the place, a reason that does
not hold, words or numbers of another story. Specificity (is it about this very text?) counts four things that
can be pointed at: a step, its place, numbers of the story or the text, and what is the matter; a critique that
belongs to another story has none of them. The judge reads words and numbers, not meaning: it is made for the
critiques of the built-in world's teachers.

It also writes what misleads (`datagen.flawed_tutor`), with the number to which it leads as the last line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from datagen.arithmetic import problem_of
from datagen.checking import Finding, Mistake, check
from datagen.flawed_tutor import VAGUE_RIGHT, VAGUE_WRONG, misleading_critique, what_it_leads_to
from datagen.misreading import FALSE_REASONS
from datagen.records import Record
from datagen.student_text import numbers_in
from datagen.tutor import (
    ANSWER_MISSING,
    NOUNS,
    ORDINALS,
    PRAISE,
    RIGHT,
    STALE,
    VERBS,
    WITHOUT_NUMBERS,
    WORDINGS,
    ordinal,
)
from datagen.verdicts import read_verdict
from datagen.word_problems import Problem

STAGES = ("judge", "mislead")
NO_STORY = 0.25
"""A critique of whose own words a larger share is neither the story's nor the text's is about another story."""
SHARE_OF_REASON = 0.7
"""So many words of the true reason must occur."""

_WORD = re.compile(r"[a-z]++")
_SAYS_WRONG = re.compile(r"\b(?:wrong|incorrect|mistake|not right)\b", re.IGNORECASE)
_ANY_NUMBER = r"\b[0-9]{1,6}\b"
_FALSE = [
    re.compile(re.escape(text).replace(r"\{left\}", _ANY_NUMBER).replace(r"\{right\}", _ANY_NUMBER))
    for reasons in FALSE_REASONS.values()
    for text in reasons
]
_REMEDIES = {
    Mistake.SLIP: re.compile(
        r"\bis not [0-9]|\bthan [0-9]|\bit is (?:less|more)\b|too (?:big|small)"
    ),
    Mistake.EXTRA: re.compile(r"one too many|not needed|leave it out", re.IGNORECASE),
    Mistake.COPIED: re.compile(r"\bbox\b|another number"),
}
"""What says what is the matter where no reason out of the story is due."""


@dataclass(frozen=True)
class Reading:
    """What a critique says, held against the truth."""

    verdict_holds: bool
    is_foreign: bool
    """About another story."""
    is_false: bool
    """It names another place than the true one, or gives a reason that does not hold."""
    speaks_of_steps: bool
    names_place: bool
    gives_reason: bool
    gives_numbers: bool
    """The false calculation, or the numbers of the step that is due."""
    quotes: bool
    """Numbers of the story or of the student's text."""


def judge(stage: str, record: Record, seed: int) -> str:
    """The two ratings in lines of their own, or a misleading critique and what it leads to."""
    if stage not in STAGES:
        raise ValueError(
            f"the arithmetic judge knows the stages {', '.join(STAGES)}, not {stage!r}; it is no teacher"
        )
    problem, text = problem_of(record.id), record.student_answer or ""
    if stage == "mislead":
        number = what_it_leads_to(problem, text)
        critique = misleading_critique(problem, text, seed)
        return critique if number is None else f"{critique}\nLeads to: {number}"
    informativeness, specificity = rate(problem, text, record.critique or "")
    return f"Informativeness: {informativeness}\nSpecificity: {specificity}"


def rate(problem: Problem, text: str, critique: str) -> tuple[int, int]:
    """Informativeness and specificity of a critique of this text, 1 to 5 each."""
    finding = check(problem, text)
    said = read(problem, text, critique, finding)
    if said.is_foreign:
        return 1, 1
    specificity = 1 + sum((said.speaks_of_steps, said.names_place, said.gives_reason, said.quotes))
    if not said.verdict_holds or said.is_false:
        return 1, specificity
    if finding.mistake is None:
        return 2 + said.speaks_of_steps + said.gives_reason, specificity
    return 2 + said.names_place + said.gives_reason + said.gives_numbers, specificity


def read(problem: Problem, text: str, critique: str, finding: Finding) -> Reading:
    """What the critique says about the text."""
    body = "\n".join(line for line in critique.split("\n") if not line.startswith("Conclusion:"))
    verdict = read_verdict(critique) or ("wrong" if _SAYS_WRONG.search(body) else None)
    truth = "right" if finding.mistake is None else "wrong"
    known = numbers_in(problem.prompt) | numbers_in(text)
    places = _places(body)
    true_place = _true_place(finding)
    foreign_place = bool(places) and truth == "wrong" and true_place not in places
    return Reading(
        verdict_holds=verdict == truth,
        is_foreign=_is_foreign(problem, text, body),
        is_false=foreign_place or any(false.search(body.lower()) for false in _FALSE),
        speaks_of_steps=bool(places)
        or re.search(r"\b(?:step|steps|story|box)\b", body) is not None,
        names_place=bool(places),
        gives_reason=_gives_reason(problem, finding, body),
        gives_numbers=_gives_numbers(finding, body),
        quotes=bool(numbers_in(body) & known),
    )


def _places(body: str) -> set[str]:
    """Which steps it names; what comes after the n-th step is the n-th and a bit."""
    named = {
        f"{'after ' if after else ''}{nth}"
        for after, nth in re.findall(r"(after )?the (\w+) step\b", body.lower())
        if nth in (*ORDINALS, "last", "next")
    }
    if re.search(
        r"\bat the beginning\b|\bthere is no step\b|no steps? |no calculation", body.lower()
    ):
        named.add("beginning")
    return named | ({"last"} if re.search(r"\bin the box\b", body) else set())


def _true_place(finding: Finding) -> str:
    """The place of the mistake in the words of `_places`."""
    if finding.mistake is Mistake.COPIED:
        return "last"
    if finding.expected is None and finding.equation is None:
        return "last"
    if finding.mistake in (Mistake.SKIPPED, Mistake.NO_ANSWER, Mistake.GARBAGE):
        return f"after {ordinal(finding.place - 1)}" if finding.place else "beginning"
    return ordinal(finding.place)


def _gives_reason(problem: Problem, finding: Finding, body: str) -> bool:
    """Whether it says why, in the words of the true reason, or what exactly is wrong with numbers."""
    remedy = _REMEDIES.get(finding.mistake) if finding.mistake else None
    if remedy is not None:
        return remedy.search(body) is not None
    if finding.mistake is None:
        hint = problem.steps[-1].hint
    elif finding.expected is None:
        return "result of the last step" in body
    else:
        hint = problem.steps[finding.expected.gold_step].hint
    wanted, said = _words(hint), _words(body)
    return len(wanted & said) >= SHARE_OF_REASON * len(wanted)


def _gives_numbers(finding: Finding, body: str) -> bool:
    """Whether it quotes the calculation that fails, or both numbers of the due one."""
    due = finding.expected
    if finding.equation is not None and finding.equation.expression in body:
        return True
    return due is not None and {str(due.left), str(due.right)} <= numbers_in(body)


def _is_foreign(problem: Problem, text: str, body: str) -> bool:
    """Whether numbers or too many words are neither the story's nor the text's nor a critic's own."""
    own_numbers = {str(n) for n in (*problem.numbers, *(step.value for step in problem.steps))}
    if numbers_in(body) - numbers_in(problem.prompt) - numbers_in(text) - own_numbers:
        return True
    own = _words(body) - CRITICS_WORDS
    hints = " ".join(step.hint for step in problem.steps)
    strange = own - _words(f"{problem.prompt} {text} {problem.answer} {hints}")
    return len(strange) > NO_STORY * len(own)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _critics_words() -> frozenset[str]:
    """What any critique may say, whatever the story."""
    wordings = [text for kind in (*WORDINGS.values(), *FALSE_REASONS.values()) for text in kind]
    wordings += [
        *RIGHT,
        *PRAISE,
        *STALE,
        *VAGUE_RIGHT,
        *VAGUE_WRONG,
        ANSWER_MISSING,
        WITHOUT_NUMBERS,
    ]
    bare = [re.sub(r"\{\w+\}", " ", wording) for wording in wordings]
    spoken = [*bare, *ORDINALS, *VERBS.values(), *NOUNS.values(), *Mistake, *MORE_CRITICS_WORDS]
    return frozenset(_words(" ".join(spoken)))


MORE_CRITICS_WORDS = (
    "incorrect correct answer solution please review provide corrected student result fails",
    "at beginning after less more big small",
)
CRITICS_WORDS = _critics_words()
