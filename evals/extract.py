"""Where is the final answer in a free text? The rule that found it is recorded with it.

In order of trust, the last match of each:

    boxed        the last balanced \\boxed{…} that is not blank, braces nested
    hashes       what follows #### on its line, when that line is the last or reads as a number
    phrase       what follows "final answer is", "answer is", "answer:"
    whole text   a short text that is nothing but an answer
    last number  a guess of last resort, so its share is worth watching

Every rule is one pass over the text. The answer is returned as it was written; reading it is
`equivalence`.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Literal

from evals.rationals import MAX_ANSWER_CHARS, TooLarge, read_number

Rule = Literal["boxed", "hashes", "phrase", "whole text", "last number"]


@dataclass(frozen=True)
class Extraction:
    """The answer as it was written, and the rule that found it."""

    answer: str
    rule: Rule


def extract_answer(text: str) -> Extraction | None:
    """The final answer of a model's output."""
    marked = extract_marked(text)
    if marked is not None:
        return marked
    if is_bare_answer(text):
        return Extraction(text.strip(), "whole text")
    number = last_number(text)
    return Extraction(number, "last number") if number else None


def extract_marked(text: str) -> Extraction | None:
    """The answer where the text itself says which one it is; no guessing, so fit for reference
    solutions."""
    if boxed := last_box(text):
        return Extraction(boxed, "boxed")
    if hashed := last_hashed(text):
        return Extraction(hashed, "hashes")
    if phrased := last_phrased(text):
        return Extraction(phrased, "phrase")
    return None


BOX = re.compile(r"\\f?boxed\s{0,8}$")
LONGEST_BOX_COMMAND = len("\\fboxed") + 8


def last_box(text: str) -> str | None:
    """One pass with a stack of open braces. Of nested boxes the outer one, as it closes last."""
    open_braces: list[int | None] = []  # where a box's content starts, None for any other brace
    answer = None
    for brace in re.finditer(r"\\[{}]|[{}]", text):
        if brace.group() == "{":
            command = text[max(0, brace.start() - LONGEST_BOX_COMMAND) : brace.start()]
            open_braces.append(brace.end() if BOX.search(command) else None)
        elif brace.group() == "}" and open_braces:
            start = open_braces.pop()
            if (
                start is not None
                and not text[start : brace.start()].isspace()
                and start < brace.start()
            ):
                answer = (start, brace.start())
    return text[slice(*answer)].strip() if answer else None


def last_hashed(text: str) -> str | None:
    """GSM8K's marker. A Markdown heading of level four looks alike, hence the condition."""
    _, marker, after = text.rpartition("####")
    line, _, following = after.partition("\n")
    answer = line.strip(" \t\r*#")
    if not marker or not answer or len(answer) > MAX_ANSWER_CHARS:
        return None
    return answer if not following.strip() or reads_as_number(answer) else None


PHRASE = re.compile(r"\banswer(?:\s{1,3}is|\s?:|\*\*\s?:)", re.IGNORECASE)
MATH = (("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("$", "$"))
SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")


def last_phrased(text: str) -> str | None:
    """The sentence after the last "answer is": its leading formula, its leading number, or all of
    it."""
    match = last_match(PHRASE, text)
    if match is None:
        return None
    rest = text[match.end() : match.end() + 2 * MAX_ANSWER_CHARS].lstrip(" \t\r\n:*")
    end = SENTENCE_END.search(rest)
    sentence = (rest[: end.start()] if end else rest).strip(" \t\r*")
    if reads_as_number(sentence):
        return sentence
    formula = leading_formula(rest)
    return formula or value_of_sentence(sentence) or sentence or None


def leading_formula(text: str) -> str | None:
    """The content of the math delimiters that the text starts with."""
    for opening, closing in MATH:
        if text.startswith(opening):
            content, found, _ = text[len(opening) :].partition(closing)
            return content.strip() or None if found and "\n\n" not in content else None
    return None


def value_of_sentence(sentence: str) -> str | None:
    """`3 + 4 = 7` says 7 and so does `the sum is 7`; otherwise a leading number, if any."""
    for verb in ("=", " is "):
        _, found, value = sentence.rpartition(verb)
        if found and reads_as_number(value):
            return value.strip()
    return leading_number(sentence)


def leading_number(sentence: str) -> str | None:
    """`5, because …` and `5 (see above)` say 5; `5 or 6` and `5 + x` do not."""
    number = re.match(r"[^\s,;(]{1,100}(?=\s?[,;(])|[\d,]{1,100}(?=,\s)", sentence)
    return number.group() if number and reads_as_number(number.group()) else None


WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
MAX_BARE_CHARS = 200
MAX_BARE_WORD = 20


def is_bare_answer(text: str) -> bool:
    """A number, a formula without prose, or a single word, on one line."""
    text = text.strip()
    if not text or "\n" in text or len(text) > MAX_BARE_CHARS:
        return False
    one_word = len(text) <= MAX_BARE_WORD and len(text.split()) == 1
    return one_word or reads_as_number(text) or WORD.search(text) is None


NUMBER = re.compile(
    r"(?:(?<![\w)\]}.])[-+\u2212])?"  # a sign, unless it subtracts from what stands before it
    r"(?:\\[dtc]?frac\s?\{[-+]?\d{1,40}\}\s?\{\d{1,40}\}|\\[dtc]?frac\d\d"
    r"|(?<![\w.])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,9}(?!\w))?(?:/\d+(?!\d|\.\d))?"
    r"|(?<![\w.])\.\d+)"
    r"(?:\s?\\?%)?"
)


def last_number(text: str) -> str | None:
    """The last number of the text, as it was written."""
    match = last_match(NUMBER, text)
    return match.group() if match else None


def last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last of the matches from left to right."""
    last = deque(pattern.finditer(text), maxlen=1)
    return last[0] if last else None


def reads_as_number(text: str) -> bool:
    """Whether the whole text is a number within the reader's bounds."""
    try:
        return read_number(text) is not None
    except TooLarge:
        return False
