"""Ratings: what a judge says of a critique, and how it is asked.

    record, critique → wording `judge` → reply → read_rating → Rating, or asked again with another seed

A reply must end with the two lines that it was asked for. Nothing is guessed from prose: of each scale the last
line that begins with its name counts, and a value that is no whole number from 1 to 5 is no rating.
"""

from __future__ import annotations

from collections.abc import Generator as Coroutine
from collections.abc import Sequence
from dataclasses import dataclass, replace

from datagen.generators import Failure, Outcome, Request, Sampling
from datagen.plan import derive_seed
from datagen.records import Record
from datagen.thinking import visible
from datagen.wordings import load_template
from evals.diagnostics.asking import Ask

SCALES = ("informativeness", "specificity")
STAGE = "judge"
"""What a scripted judge is told it is asked for; the record holds the critique to be rated."""
ATTEMPTS = 3
"""A reply without a rating is asked for again twice."""
FRESH_TEMPERATURE = 0.7
"""Of further attempts; the first is greedy, and a greedy one would only repeat itself."""

TEMPLATE = load_template("judge")
_BEFORE = " \t*_#>`-\u2022.)0123456789"
"""May stand before a scale's name: marks of lists, headings and bold type."""
_OPENS, _CLOSES = " \t*_`([", " \t\r*_`.)]"
"""May stand before and after a value."""
_VALUES = {str(value): value for value in range(1, 6)}


@dataclass(frozen=True)
class Rating:
    """From 1 to 5 each."""

    informativeness: int
    specificity: int


@dataclass(frozen=True)
class Rated:
    """What became of one critique."""

    rating: Rating | None
    reply: str
    """The last one, as it was written; empty where none came."""
    attempts: int
    why_not: str = ""
    """Without a rating: the reason."""


def read_rating(reply: str) -> Rating | None:
    """The rating that a reply ends with, its thinking left aside; None where either value is missing."""
    lines = visible(reply)[0].split("\n")
    informativeness, specificity = (last_value(lines, scale) for scale in SCALES)
    if informativeness is None or specificity is None:
        return None
    return Rating(informativeness, specificity)


def last_value(lines: Sequence[str], scale: str) -> int | None:
    """The value on the scale's last line; None where that is none."""
    values = [value for line in lines if (value := after_name(line, scale)) is not None]
    if not values:
        return None
    value = values[-1].lstrip(_OPENS).rstrip(_CLOSES).casefold()
    for ending in ("/5", "out of 5"):
        value = value.removesuffix(ending).rstrip(_CLOSES)
    return _VALUES.get(value)


def after_name(line: str, scale: str) -> str | None:
    """What follows `SCALE:` on a line that begins with it."""
    line = line.lstrip(_BEFORE)
    if line[: len(scale)].casefold() != scale:
        return None
    name_ends, colon, value = line[len(scale) :].partition(":")
    return value if colon and not name_ends.strip(_OPENS) else None


def rate(
    record: Record, critique: str, seed: int, max_tokens: int
) -> Coroutine[Sequence[Ask], list[Outcome], Rated]:
    """Asks for a rating of this text as a critique of the record's answer, until a reply has one."""
    shown = replace(record, critique=critique)
    reply, cut = "", False
    for attempt in range(ATTEMPTS):
        (outcome,) = yield [ask_judge(shown, seed, attempt, max_tokens)]
        if isinstance(outcome, Failure):
            return Rated(None, "", attempt + 1, f"no rating by the judge: {outcome.kind}")
        reply, cut = outcome.text, outcome.finish_reason == "length"
        if (rating := read_rating(reply)) is not None:
            return Rated(rating, reply, attempt + 1)
    why_not = f"no rating in {ATTEMPTS} replies of the judge"
    if cut:
        why_not += f", the last cut at max_tokens = {max_tokens}"
    return Rated(None, reply, ATTEMPTS, why_not)


def ask_judge(record: Record, seed: int, attempt: int, max_tokens: int) -> Ask:
    """One request. Seeds differ by record and attempt, and not by the critique: the same text of the same record
    is rated alike."""
    content = TEMPLATE.render(
        problem=record.prompt,
        student_answer=record.student_answer or "",
        critique=record.critique or "",
    )
    own = derive_seed(seed, STAGE, record.id, attempt)
    request = Request(record.id, ({"role": "user", "content": content},), own, STAGE, record)
    temperature = FRESH_TEMPERATURE if attempt else 0.0
    return Ask(request, Sampling(temperature=temperature, max_tokens=max_tokens))
