"""Answers to multiple-choice problems: a letter, in brackets or not, perhaps with the option's text.

    C   (C)   C.   \\text{(C)}   (C) Alina   option C

Only a letter that is one of the problem's options counts. Without a policy that says how many
there are, answers are choices only where one is written as a choice with its text, `(D) Alina`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evals.notation import normalise

LETTER = re.compile(
    r"(?:(?:option|choice|answer)\s?)?"
    r"(?:\(\s?(?P<inner>[A-Za-z])\s?\)|(?P<bare>[A-Za-z])(?P<mark>[.:)])?)(?P<text>\s.*)?",
    re.IGNORECASE | re.DOTALL,
)
GOES_ON = re.compile(r"(?:and|or)\b|[,&+]", re.IGNORECASE)
"""Behind a letter, more of a list: `(I) and (III)` is no option with its text."""
ALL_LETTERS = 26


@dataclass(frozen=True)
class Choice:
    """An option, as an answer names it."""

    letter: str
    text: str
    marked: bool
    """Whether brackets or a full stop say that the letter is an option."""


def choices_agree(prediction: str, gold: str, options: int) -> bool | None:
    """Whether both choose the same option; None where this is no matter of choices."""
    found, expected = choice(prediction, options), choice(gold, options)
    if options and expected is not None:
        if found is None:
            return bool(expected.text) and plain(prediction) == expected.text.casefold()
        return found.letter == expected.letter
    for full, short, other in ((expected, found, prediction), (found, expected, gold)):
        if full and full.marked and full.text[:1].isalpha() and len(full.text) > 1:
            if short and (short.marked or not short.text):
                return short.letter == full.letter
            return plain(other) == full.text.casefold()
    return None


def plain(text: str) -> str:
    """A text without layout and case."""
    return normalise(text).casefold()


def choice(answer: str, options: int) -> Choice | None:
    """The option that a whole answer names."""
    match = LETTER.fullmatch(normalise(answer))
    if match is None:
        return None
    letter = (match["inner"] or match["bare"]).upper()
    marked = match["inner"] is not None or (bool(options) and match["mark"] is not None)
    text = (match["text"] or "").strip()
    if (text and (not marked or GOES_ON.match(text))) or ord(letter) - ord("A") >= (
        options or ALL_LETTERS
    ):
        return None
    return Choice(letter, text, marked)
