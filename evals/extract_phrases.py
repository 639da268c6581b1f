"""The answer after words that announce it: "the answer is …", "**Final Answer:** …", "#### …".

    announcements, the last ones → the sentence behind each → its formula, its number, its few words

"The answer is 42. … This answer is reasonable." announces 42: an announcement that no value follows is passed over.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from evals.anchors import lower, matches_at, places
from evals.extract_values import (
    LATEX_WORDS,
    NUMBER,
    PERCENT_AFTER,
    SENTENCE_END,
    Span,
    formulas,
    has_prose,
    is_name,
    reads_as_number,
    value_of_formula,
)
from evals.rationals import MAX_ANSWER_CHARS

PHRASE = re.compile(
    r"\b(?P<final>final\s)?(?:answers?|(?<=final )(?:result|value|solution))\b"
    r"(?:[^\n.:;!?=$\\]{0,60}?(?:\b(?:is|are|be|equals|becomes)\b|:)|\s?="  # "answer in simplest form is"
    r"|[*_#: ]{0,6}\n|\s{1,3}(?=\$|\\[(\[]))"  # a heading; "Answer $5$"
    r"|(?:^|\n)A:(?=\s[^\n]{1,200}\s*$)",  # the closing line of a few-shot answer
    re.IGNORECASE,
)
ANNOUNCING = ("answer", "final", "result", "value", "solution", "\na:")
"""In lower case, what an announcement begins with where it is not the very start of the text."""
MAX_ANNOUNCEMENTS = 12
WINDOW_CHARS = 50_000


@dataclass(frozen=True)
class Announced:
    """An answer that the text announces."""

    answer: str
    start: int
    """Of the announcement."""
    final: bool
    """It was called final."""
    plain: bool
    """A formula, a number or a word or two; otherwise a sentence."""


def announcements(text: str, start: int = 0) -> Iterator[re.Match[str]]:
    """All matches of PHRASE from `start` on."""
    return matches_at(PHRASE, text, [start, *places(lower(text), ANNOUNCING, start)])


def may_announce(text: str, start: int) -> bool:
    """Whether anything at all behind `start` could be an announcement."""
    rest = text[start:].lower()
    return any(word in rest for word in ANNOUNCING)


def last_announced(text: str) -> Announced | None:
    """The last announcement with a value; else the last that says anything."""
    offset = max(0, len(text) - WINDOW_CHARS)
    sentence: Announced | None = None
    for match in reversed(deque(announcements(text, offset), maxlen=MAX_ANNOUNCEMENTS)):
        if DENIED.search(match.group()):
            continue
        rest = text[match.end() : match.end() + 2 * MAX_ANSWER_CHARS]
        answer, plain = value_announced(rest)
        if answer is None:
            continue
        found = Announced(answer, match.start(), bool(match["final"]), plain)
        if plain:
            return found
        sentence = sentence or found
    return sentence


DENIED = re.compile(r"\b(?:not|cannot|never)\b|n't\b", re.IGNORECASE)
LEADS = re.compile(
    r"(?:[\s:=*_#>`]|\b(?:therefore|thus|hence|then|so|also|still|indeed|simply|just|exactly|clearly|actually|equal to"
    r"|given by|approximately|about|roughly)\b,?|\\approx\b)*",
    re.IGNORECASE,
)
BOLD = re.compile(r"(?<![\w)])\*\*|\*\*(?![\w(])|`")
REASONS = re.compile(r",?\s(?:because|since|as|which|so that|due to|considering)\s")
EMPTY = re.compile(
    r"(?:not\b|in(?:correct|deed|valid)?\b|as\s|correct|right\W*$|wrong|reasonable|consistent|valid|verified|obtained|found"
    r"|given|found|unique|unchanged|in\s|what\b|that\b|this\b|shown|follows|below|above|and\b|or\b|,|\)|\?)",
    re.IGNORECASE,
)
CAPITALISED = re.compile(r"(?<![\\A-Za-z])[A-Z][a-z]+")
MAX_PLAIN_WORDS = 4


def value_announced(rest: str) -> tuple[str | None, bool]:
    """The value at the start of the text behind an announcement, and whether it is plainly one."""
    lead = LEADS.match(rest)
    rest = rest[lead.end() if lead else 0 :]
    spans = list(formulas(rest))
    end = len(first_sentence(rest, spans))
    sentence = BOLD.sub("", rest[:end]).strip(" \t\r\n*_")
    sentence = REASONS.split(sentence, maxsplit=1)[0].strip()
    inside = [span for span in spans if span.end <= end]
    alone = bool(inside) and inside[0].start == 0 and not rest[inside[0].end : end].strip(" *_")
    if reads_as_number(sentence) and not alone:
        return sentence, True
    if rest.startswith("\\begin{"):
        return leading_environment(rest), True
    if inside and inside[0].start == 0:
        return listed(rest, inside, end), True
    if not sentence.strip("$ ") or EMPTY.match(sentence):
        return None, False
    in_latex = not has_prose(sentence) and not CAPITALISED.search(LATEX_WORDS.sub("", sentence))
    if in_latex and not inside:
        return value_of_formula(sentence), True
    stated = stated_value(sentence, rest, inside)
    if stated is not None:
        return stated, True
    return sentence, len(sentence.split()) <= MAX_PLAIN_WORDS


def first_sentence(text: str, spans: list[Span]) -> str:
    """Up to the first sentence end that is in no formula and no braces (`\\text{ sq. units}`)."""
    for end in SENTENCE_END.finditer(text):
        before = text[: end.start()]
        in_braces = end.group() != "\n" and before.count("{") > before.count("}")
        if not in_braces and not any(span.start < end.start() < span.end for span in spans[:64]):
            return before
    return text


def leading_environment(text: str) -> str | None:
    """`\\begin{pmatrix} … \\end{pmatrix}` without delimiters."""
    name = text[len("\\begin{") : text.find("}")]
    end = text.find(f"\\end{{{name}}}")
    return text[: end + len(name) + 6] if end > 0 and len(name) < 20 else None


LISTING = re.compile(r"\s*(?:,|;|and|or|,\s*and|,\s*or)\s*")


def listed(rest: str, spans: list[Span], end: int) -> str:
    """The formula the sentence starts with, and those that follow as a list: `$3$ or $5$`."""
    chosen = [spans[0]]
    for span in spans[1:]:
        if not LISTING.fullmatch(rest[chosen[-1].end : span.start]):
            break
        chosen.append(span)
    percent = "\\%" if PERCENT_AFTER.match(rest, chosen[-1].end, end) else ""
    return ", ".join(value_of_formula(span.content) for span in chosen) + percent


VERB = re.compile(r"=|\s(?:is|are|equals|be)\s|:\s")
SCALED = re.compile(
    r"\s?(?:million|billion|trillion|thousand|hundred|dozen|times|or|and|plus|minus|over|to|pi\b|sqrt"
    r"|[-+*/^=<>(!\\\[])"
)
BEFORE_NUMBER = re.compile(
    r"(?:\b(?:not|minus|plus|over|times|than|or|and|least|most|to|between|root|no)|[-+*/^=<>(\[{,\\])\s?$"
)


def stated_value(sentence: str, rest: str, inside: list[Span]) -> str | None:
    """`the sum of the two is 7` says 7, and so does `3 + 4 = 7`; prose with one number in it says that number."""
    named = [span for span in inside if not is_name(span.content)]
    verbs = list(VERB.finditer(sentence))
    if verbs:
        said = sentence[verbs[-1].end() :].strip(" *$")
        if reads_as_number(said):
            return said
    if len(named) == 1 and (len(inside) > 1 or VERB.search(rest, 0, named[0].start)):
        return listed(rest, named, len(rest))
    if inside:
        return None
    if leading := leading_number(sentence):
        return leading
    numbers = list(NUMBER.finditer(sentence))
    prose = re.findall(r"[A-Za-z]{3,}", sentence)
    if len(numbers) == 1 and prose and is_alone(sentence, numbers[0]):
        return numbers[0].group()
    return None


def leading_number(sentence: str) -> str | None:
    """`5, because …` and `5 (see above)` say 5; `5 or 6` and `5 + x` do not."""
    number = re.match(r"[^\s,;(]{1,100}(?=\s?[,;(])|[\d,]{1,100}(?=,\s)", sentence)
    return number.group() if number and reads_as_number(number.group()) else None


def is_alone(sentence: str, number: re.Match[str]) -> bool:
    """Whether nothing beside the number makes it part of something else."""
    before, after = sentence[: number.start()], sentence[number.end() :]
    if SCALED.match(after) or BEFORE_NUMBER.search(before):
        return False
    return not after[:1].isalnum() and not re.search(r"\b(?:not|no|never|cannot)\b|n't\b", before)


def last_hashed(text: str) -> tuple[str, int] | None:
    """GSM8K's marker, and where it stands. A Markdown heading of level four looks alike, hence the condition."""
    before, marker, after = text.rpartition("####")
    line, _, following = after.partition("\n")
    answer = line.strip(" \t\r*#")
    if not marker or not answer or len(answer) > MAX_ANSWER_CHARS:
        return None
    announced = last_announced(answer)
    if announced is not None and announced.plain:
        answer = announced.answer
    return (answer, len(before)) if not following.strip() or reads_as_number(answer) else None
