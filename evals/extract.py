"""Where is the final answer in a free text? The rule that found it is recorded with it.

    output → visible text (its own turn, without reasoning) → in order of trust, the last match of each:

    boxed        the last balanced \\boxed{…} that is not blank, or the boxes that one sentence strings together
    tags         what <answer>…</answer> encloses
    hashes       what follows #### on its line, when that line is the last or reads as a number
    phrase       what follows "final answer is", "answer is", "answer:"
    whole text   a short text that is nothing but an answer
    truth value  a closing "the statement is false", an opening "Yes, …"
    formula      the last formula between math delimiters: a guess, so its share is worth watching
    last number  a guess of last resort, likewise

An answer repeated later wins over an earlier one: a "final answer" after the last box is the final answer. A percent
sign right behind a box belongs to its number. Nothing is guessed where the text denies the value, or says that there is
no answer. With `choices`, the problem has so many options and only their letters are answers (`extract_options`); the
rule is then `boxed`, `tags` or `option`, and a text that chooses none has no answer.

Every rule is a bounded number of passes over the text. The answer is returned as it was written; reading it is
`equivalence`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from evals.extract_boxes import Box, last_box
from evals.extract_options import boxed_option, chosen_option
from evals.extract_phrases import Announced, last_announced, last_hashed, may_announce
from evals.extract_values import (
    SENTENCE_END,
    Span,
    closing_value,
    has_prose,
    reads_as_number,
    reads_as_same_number,
)
from evals.extract_visible import last_tagged, visible_text

Rule = Literal[
    "boxed",
    "tags",
    "hashes",
    "phrase",
    "option",
    "whole text",
    "truth value",
    "formula",
    "last number",
]


@dataclass(frozen=True)
class Extraction:
    """The answer as it was written, and the rule that found it."""

    answer: str
    rule: Rule


def extract_answer(text: str, choices: int = 0) -> Extraction | None:
    """The final answer of a model's output; of a problem with `choices` options, a letter."""
    text = visible_text(text)
    made_up = NEXT_QUESTION.search(text, len(text) - len(text.lstrip()))
    before = text[: made_up.start()] if made_up else ""
    if choices:
        return extract_option(before, choices) or extract_option(text, choices)
    marked = marked_answer(before) or marked_answer(text)
    if marked is not None:
        return marked
    if is_bare_answer(text):
        return Extraction(text.strip(), "whole text")
    if truth := closing_truth(text):
        return Extraction(truth, "truth value")
    closing = closing_value(text)
    if closing is not None and is_denied(text, closing[0]):
        return None
    if closing is None:
        letter = CLOSING_LETTER.search(text, max(0, len(text) - 100))
        return Extraction(letter[1], "option") if letter else None
    value, is_formula = closing
    return Extraction(value.content, "formula" if is_formula else "last number")


NEXT_QUESTION = re.compile(
    r"\n\s{0,4}(?:#{1,4} |\*\*)?(?:Question|Q|Problem|Human|User|Instruction)\b[ \d]{0,4}(?:\*\*)?:"
)
"""Where a base model goes on to a problem of its own making, after it has answered ours."""


def extract_marked(text: str) -> Extraction | None:
    """The answer where the text itself says which one it is; no guessing, so fit for reference solutions."""
    return marked_answer(visible_text(text))


def marked_answer(text: str) -> Extraction | None:
    """The marks in order of trust, and the later one where two of the trusted ones disagree."""
    box, tagged = last_box(text), last_tagged(text)
    if tagged is not None and (box is None or box.start < tagged[1]):
        inner = last_box(tagged[0])
        announced = last_announced(tagged[0]) if inner is None else None
        if inner is not None:
            return Extraction(inner.content, "boxed")
        return Extraction(announced.answer if announced else tagged[0], "tags")
    if box is not None and not may_announce(text, box.end):
        return Extraction(with_percent(text, box), "boxed")
    announced = last_announced(text)
    if box is not None:
        if announced is not None and announced.start >= box.end and overrules(announced, box):
            return Extraction(announced.answer, "phrase")
        return Extraction(with_percent(text, box), "boxed")
    hashed = last_hashed(text)
    if hashed is not None:
        return Extraction(hashed[0], "hashes")
    return Extraction(announced.answer, "phrase") if announced else None


PERCENT_BEHIND = re.compile(r"\s?\$?\s?(?:\\?%|per\s?cent\b|pct\b)")


def with_percent(text: str, box: Box) -> str:
    """The number in a box, with the percent sign that was left outside of it."""
    outside = PERCENT_BEHIND.match(text, box.end) and reads_as_number(box.content)
    return f"{box.content}\\%" if outside and "%" not in box.content else box.content


def extract_option(text: str, choices: int) -> Extraction | None:
    """The letter chosen; whatever else the text holds is no answer."""
    box, tagged = last_box(text), last_tagged(text)
    if box is not None and (letter := boxed_option(box.content, choices)):
        return Extraction(letter, "boxed")
    if tagged is not None and (letter := boxed_option(tagged[0], choices)):
        return Extraction(letter, "tags")
    letter = chosen_option(text, choices) if text.strip() else None
    return Extraction(letter, "option") if letter else None


def overrules(announced: Announced, box: Box) -> bool:
    """Whether a later "final answer" is a value, and another one than the box."""
    answer = announced.answer.strip("$ ")
    same = answer == box.content or reads_as_same_number(answer, box.content)
    value = reads_as_number(answer) or (not has_prose(answer) and any(c.isdigit() for c in answer))
    return announced.final and value and not same


WORDS = re.compile(r"(?<![\\\w])[^\W\d_]{2,}")
IN_FORMULA = re.compile(r"\$[^$]{1,200}\$|\\\([^\\]{1,200}\\\)|\\[A-Za-z]+\s?(?:\{[^{}]{0,60}\})?")
QUALIFIERS = {"for", "some", "all", "any", "where", "when", "if", "with", "and", "or", "even", "odd", "except", "no",
              "integer", "integers", "real", "number", "numbers", "positive", "negative", "prime", "solution",
              "solutions", "percent", "pct", "degrees", "sin", "cos", "tan", "log", "ln", "sqrt", "pi"}  # fmt: skip
MAX_BARE_CHARS = 200
MAX_BARE_WORD = 20


def is_bare_answer(text: str) -> bool:
    """A number, a formula with at most a qualifier ("odd $n$"), or a single word, on one line."""
    text = text.strip()
    if not text or "\n" in text or len(text) > MAX_BARE_CHARS or text.rstrip("* ").endswith(":"):
        return False
    if reads_as_number(text) or (len(text) <= MAX_BARE_WORD and len(text.split()) == 1):
        return True
    words = WORDS.findall(IN_FORMULA.sub(" ", text))
    return all(word.lower() in QUALIFIERS or is_symbol(word) for word in words)


def is_symbol(word: str) -> bool:
    """`AB` and `xy` are names and products; `is` and `it` are words."""
    capitals = word.isupper() and len(word) <= 4
    return word.isascii() and (capitals or (len(word) == 2 and not has_prose(word.lower())))


DENIED = re.compile(
    r"\b(?:not|never|isn't|no answer\b.{0,60})\s(?:[a-z]{1,9}\s){0,2}\$?$", re.IGNORECASE
)
GIVES_UP = re.compile(
    r"\bno (?:final )?answer\b|\bnot enough information\b"
    r"|\b(?:can(?:not|'t|\snot)|could(?:n't|\snot)|(?:unable|impossible|not possible) to|do(?:n't|\snot))\s"
    r"(?:be\s)?(?:determined?|solved?|answer(?:ed)?|help|know|find|found|provide|computed?)\b",
    re.IGNORECASE,
)
GOES_ON = re.compile(r"\b(?:but|so|however|therefore|thus|hence|then)\b", re.IGNORECASE)
MAX_TAIL_CHARS = 400


def is_denied(text: str, value: Span) -> bool:
    """Whether the last value is one that the text rules out ("it is not 7"), or stands in a sentence that says there
    is no answer, or before it: then it is none, and nothing is guessed."""
    tail = text[-MAX_TAIL_CHARS:]
    place = tail.rfind(value.content)
    if place < 0:
        return False
    starts = [end.end() for end in SENTENCE_END.finditer(tail, 0, place)]
    sentence = starts[-1] if starts else 0
    said = GIVES_UP.search(tail, sentence)
    given_up = said is not None and GOES_ON.search(tail, said.end()) is None
    return given_up or DENIED.search(tail, 0, place) is not None


CLOSING_LETTER = re.compile(
    r"(?:\bis|\bbe|'s|\bchoose|\bpick|\b[Oo]ption)[\s*_]{1,4}\(?([B-HJ-Z])\)?[.*_]{0,4}\s*$"
)
STATED_TRUTH = re.compile(
    r"\b(?:statement|claim|assertion|proposition|conjecture|hypothesis|answer|sentence|premise)s?\b[^.\n]{0,120}"
    r"\b(?:is|are)[\s*_:]{1,4}(?:(?:therefore|thus|indeed|clearly|definitely|always)\s)?[*_\"']{0,3}"
    r"(?P<truth>true|false)[*_\"']{0,3}[.!]?\s*$",
    re.IGNORECASE,
)
OPENING_TRUTH = re.compile(r"\W{0,4}(?P<truth>yes|no|true|false)\b(?=[.,!*:;])", re.IGNORECASE)


def closing_truth(text: str) -> str | None:
    """The truth value a text ends on; or the one it opens with, where no number or formula could be meant."""
    stated = STATED_TRUTH.search(text, max(0, len(text) - 400))
    if stated:
        return stated["truth"]
    opening = OPENING_TRUTH.match(text)
    return opening["truth"] if opening and closing_value(text) is None else None
