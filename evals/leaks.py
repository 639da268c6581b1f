"""Does a critique tell the gold answer? Found with the evaluator's own reading of answers.

    critique → what it calls the answer (boxes, "the answer is …", "should be …")      is it the gold one?
             → else its numbers, formulas or words, where prompt and student hold no such value

A value that the prompt or the student wrote is no secret, so mentioning it tells nothing unless the critique says that
it is the answer. Small whole numbers are everywhere (step 2, x^2, 3 mistakes): they count only where a result stands,
behind "=", "is", "gives". Where the student's answer was right there is nothing left to tell.
Not found: values spelt as words ("seven"), and what a reader would have to work out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import chain, islice

from evals.anchors import matches_at, places
from evals.equivalence import compare
from evals.extract_boxes import all_boxes
from evals.extract_options import MAX_CHOICES, chosen_option
from evals.extract_phrases import announcements, last_hashed, value_announced
from evals.extract_values import Span, formulas, is_name, numbers, value_of_formula
from evals.extract_visible import MAX_TEXT_CHARS
from evals.grading import grade, read_gold
from evals.limits import MAX_ANSWER_CHARS, TooLarge
from evals.rationals import read_number

MAX_ANNOUNCED = 40
MAX_FORMULAS = 60
MAX_FORMULA_CHARS = 200
MAX_COMMON = 20
"""Whole numbers up to here are too common to mean anything by themselves."""
MIN_WORD_CHARS = 5
"""Of an answer in words that is looked for anywhere."""


def gives_away(critique: str, gold: str, prompt: str, student_answer: str) -> bool:
    """Whether the critique tells the gold answer to a student who did not have it."""
    expected = read_gold(gold)
    if expected is None or not expected.strip() or len(expected) > MAX_ANSWER_CHARS:
        return False
    critique = critique[-MAX_TEXT_CHARS:]
    told = announces(critique, expected) or mentions(critique, expected, (prompt, student_answer))
    return told and not grade(student_answer, gold).correct


# ---- what the critique calls the answer --------------------------------------------------------------

CORRECTION = re.compile(
    r"\b(?:should|must|ought\sto|would|needs?\sto|has\sto)\s(?:instead\s|actually\s|then\s|really\s)?"
    r"(?:be|have\sbeen|equal|get|give|read|come\s(?:out\s)?(?:to|as)|obtain|yield|arrive\sat|end\sup\swith)\b[ :]?"
    r"|\b(?:correct|right|true|actual|expected|real|proper)\s(?:\w+\s){0,2}?(?:is|was|being|equals|would\sbe|=|:)"
    r"|\b(?:final|end)\s(?:result|value|total|number|figure)\s(?:is|equals|would\sbe|=|:)"
)
CORRECTING = ("should", "must", "ought", "would", "need", "has", "correct", "right", "true", "actual", "expected",
              "real", "proper", "final", "end")  # fmt: skip
"""What a correction begins with."""
DENIES = re.compile(r"\b(?:not|cannot|never|neither|nor|isn't|can't|wasn't)\b|n't\b")
LETTER = re.compile(r"\(?([A-J])[).]?")


def announces(critique: str, expected: str) -> bool:
    """Whether the critique says of the gold value that it is the answer or what should have come out."""
    letter = LETTER.fullmatch(expected.strip())
    if letter and chosen_option(critique, MAX_CHOICES) == letter[1]:
        return True
    return any(same(value, expected) for value in announced_values(critique))


def announced_values(critique: str) -> Iterator[str]:
    """Boxes, and the values behind words that announce or correct."""
    yield from (box.content for box in all_boxes(critique))
    if hashed := last_hashed(critique):
        yield hashed[0]
    corrections = matches_at(CORRECTION, critique, places(critique, CORRECTING))
    for match in islice(chain(announcements(critique), corrections), MAX_ANNOUNCED):
        if DENIES.search(match.group()) or DENIES.search(
            critique[match.start() - 12 : match.start()]
        ):
            continue
        value, plain = value_announced(critique[match.end() : match.end() + MAX_FORMULA_CHARS])
        if value is not None and plain:
            yield value


def same(value: str, expected: str) -> bool:
    """Whether two values are equal; a percent sign alone is no difference here."""
    left, right = number_of(value), number_of(expected)
    if left is not None and right is not None:
        return left == right
    return compare(value, expected).outcome == "equal"


@lru_cache(
    maxsize=50_000
)  # texts are full of the same few numbers, and are looked through for each
def number_of(text: str) -> Fraction | None:
    """The number that the whole text is, its unit and percent sign left aside."""
    try:
        number = read_number(text) if len(text) <= MAX_ANSWER_CHARS else None
    except TooLarge:
        return None
    return number.value if number else None


# ---- what it mentions --------------------------------------------------------------------------------


def mentions(critique: str, expected: str, known: tuple[str, ...]) -> bool:
    """Whether the gold value stands in the critique and in none of the known texts."""
    value = number_of(expected)
    if value is not None:
        return mentions_number(critique, value) and not any(
            has_number(text, value) for text in known
        )
    if any(character in expected for character in "\\^_=+*/()[]{}0123456789"):
        return mentions_formula(critique, expected, squeezed(" ".join(known)))
    return has_words(critique, expected) and not any(has_words(text, expected) for text in known)


RESULT_BEFORE = re.compile(
    r"(?:=|≈|→|\\approx|\\to|\\rightarrow|\\implies|\b(?:is|are|was|equals?|equal\sto|gives?|gave|gets?|getting|becomes?"
    r"|be|been|yields?|makes?|obtains?|leaves?|leaving|total\sof|sum\sof|result\sof|value\sof|answer\sof|namely"
    r"|results?\sin|arrives?\sat|comes?\sto|ends?\sup\swith|costs?|takes?|weighs?|measures?))\s?(?:only|exactly|just|simply|actually)?\s?[$*(\\{[]{0,4}\s?$"
)
COUNTS = re.compile(
    r"\s?(?:(?:main|key|major|minor|small|serious|significant|different|distinct|other|more|possible|such|"
    r"logical|arithmetic|conceptual|critical|important)\s){0,2}"
    r"(?:errors?|mistakes?|issues?|problems?|steps?|parts?|points?|gaps?|reasons?|ways?|things?|flaws?|slips?|cases?"
    r"|lines?|places?|times|plus|minus|or|and|to|more|less|fewer)\b"
    r"|\s?(?:[+*/^<>(!]|-\s?[\w(]|\\(?:times|cdot|div|sqrt|pi)|[A-Za-z](?![A-Za-z])|-(?=[a-z]))|(?:st|nd|rd|th)\b"
)


REFERS = re.compile(
    r"\b(?:step|line|equation|theorem|lemma|page|section|chapter|example|exercise|problem|figure|table|part)s?\s\(?$",
    re.IGNORECASE,
)


def mentions_number(critique: str, value: Fraction) -> bool:
    """Whether the number stands somewhere; a common one only where a result stands."""
    common = value.denominator == 1 and abs(value) <= MAX_COMMON
    for found in numbers(critique):
        if number_of(found.group()) != value:
            continue
        before = critique[max(0, found.start() - 40) : found.start()]
        if common and RESULT_BEFORE.search(before) and not COUNTS.match(critique, found.end()):
            return True
        if not common and not REFERS.search(before):
            return True
    return False


COEFFICIENT = re.compile(r"[A-Za-z](?![A-Za-z])|\^")


def has_number(text: str, value: Fraction) -> bool:
    """Whether the number stands anywhere in the text, other than before a letter as in `5x`."""
    return any(
        number_of(found.group()) == value and not COEFFICIENT.match(text, found.end())
        for found in numbers(text)
    )


def mentions_formula(critique: str, expected: str, known: str) -> bool:
    """Whether a formula of the critique says the same as the expected one, and is not quoted from what is known.

    What is known is compared by its signs, not by what it means: `(x^2 - 9)/(x - 3)` means its answer.
    """
    plain = squeezed(expected)
    signs = re.compile(rf"(?<![\d.^]){re.escape(plain)}(?![\w^])")
    if signs.search(known):
        return False
    # Spaces are gone, so words run into an answer that begins with a letter: formulas alone can hold it.
    if len(plain) > 2 and not plain[0].isalpha() and signs.search(squeezed(critique)):
        return True
    names = letters(expected)
    tried = (span for span in formulas(critique) if worth_comparing(span, expected, names))
    for span in islice(tried, MAX_FORMULAS):
        sides = {span.content, value_of_formula(span.content), span.content.rpartition("=")[2]}
        told = (side for side in sides if side.strip() and squeezed(side) not in known)
        if any(same(side, expected) for side in told):
            return True
    return False


INEQUALITY = re.compile(r"[<>]|\\(?:leq?|geq?|lt|gt)(?![A-Za-z])")


def worth_comparing(span: Span, expected: str, names: frozenset[str]) -> bool:
    """Cheap reasons why a formula cannot tell the expected one come first: reading costs a millisecond. An
    inequality is the same set as its solution, and yet the problem does not tell the answer."""
    content = span.content
    if len(content) > MAX_FORMULA_CHARS or is_name(content) or number_of(content) is not None:
        return False
    alike = bool(INEQUALITY.search(content)) == bool(INEQUALITY.search(expected))
    return alike and names <= letters(content)


COMMAND = re.compile(r"\\[A-Za-z]+")


def letters(formula: str) -> frozenset[str]:
    """The letters that stand for something."""
    return frozenset(filter(str.isalpha, COMMAND.sub(" ", formula)))


LAYOUT = re.compile(r"\s|\$|\\(?:left|right|,|;|!|:|quad)(?![A-Za-z])|\\[()\[\]]|\*\*")


def squeezed(text: str) -> str:
    """Without spaces, delimiters and layout."""
    return LAYOUT.sub("", text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac"))


def has_words(text: str, expected: str) -> bool:
    """Whether the answer's words stand in the text, in this order; short ones are looked for nowhere."""
    wanted, held = plain_words(expected), plain_words(text)
    return len(wanted) >= MIN_WORD_CHARS and f" {wanted} " in f" {held} "


def plain_words(text: str) -> str:
    """Words and spaces alone."""
    return " ".join(re.findall(r"\w+", text.casefold()))
