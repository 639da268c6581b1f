"""Values in a text: formulas between math delimiters, numbers in prose, and which of them is the last.

    text → formulas (spans) and numbers → the last one that is a value

A dollar sign is a delimiter or a currency. It opens a formula where what it encloses is spaced alike on both sides and
holds no prose, so "$8 * 2 = $16" has none.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from evals.anchors import matches_at
from evals.rationals import MAX_ANSWER_CHARS, TooLarge, read_number

WINDOW_CHARS = 20_000
"""Where nothing marks an answer, it is looked for in this much of the end."""


@dataclass(frozen=True)
class Span:
    """A value as it was written, and where it stands (a formula with its delimiters)."""

    content: str
    start: int
    end: int


DELIMITER = re.compile(r"\\\\|\\[$()\[\]]|\$\$?")
CLOSING = {"\\(": "\\)", "\\[": "\\]"}


def formulas(text: str) -> Iterator[Span]:
    """Formulas in order, from one pass over the delimiters."""
    opened: re.Match[str] | None = None
    for mark in DELIMITER.finditer(text):
        kind = mark.group()
        if kind in (r"\\", r"\$"):
            continue
        if opened is not None and CLOSING.get(opened.group(), opened.group()) == kind:
            content = text[opened.end() : mark.start()][: MAX_ANSWER_CHARS + 1]
            if is_formula(content, dollars="$" in kind):
                yield Span(content.strip(), opened.start(), mark.end())
                opened = None
                continue
        opened = mark if kind in ("$", "$$", "\\(", "\\[") else None


LATEX_WORDS = re.compile(
    r"\\(?:text|mbox|textbf|textit|mathrm|operatorname|begin|end)\s?\{[^{}]{0,200}\}(?:\{[clr|]{1,20}\})?"
    r"|\\[A-Za-z]+"
)
PROSE = re.compile(
    r"(?<![A-Za-z])(?:[a-z]{3,}|an|as|at|be|by|do|go|he|if|in|is|it|me|my|no|of|on|or|so|to|up|us|we)(?![A-Za-z])"
)
FUNCTIONS = {"sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "max", "min", "gcd", "lcm", "mod", "sqrt",
             "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "det", "lim", "inf", "sup", "deg"}  # fmt: skip


def has_prose(text: str) -> bool:
    """Whether words stand in it that no formula holds."""
    return any(word.group() not in FUNCTIONS for word in PROSE.finditer(LATEX_WORDS.sub(" ", text)))


def is_formula(content: str, *, dollars: bool) -> bool:
    """Whether the text between two delimiters can be a formula."""
    if not content.strip() or len(content) > MAX_ANSWER_CHARS or "\n\n" in content:
        return False
    if not dollars:
        return True
    return content[0].isspace() == content[-1].isspace() and not has_prose(content)


NAME = re.compile(
    r"\\?(?:triangle|angle|overline|vec)?\s?\{?[A-Za-z]{1,4}\}?(?:_\{?\w{1,3}\}?)?'*(?:\([a-z]\))?"
)
NUMERIC_VALUE = re.compile(
    r"[\d\s.,+\-*/^(){}=]|\\(?:times|cdot|div|[dt]?frac|left|right|sqrt|pi|%)|%"
)


def is_name(formula: str) -> bool:
    """`x`, `AB`, `\\triangle ABC` and `f(x)` name something; they answer no question."""
    return NAME.fullmatch(formula.rstrip(".,;:")) is not None


def value_of_formula(formula: str) -> str:
    """`3 + 4 = 7` and `A = 5 \\cdot 2 = 10` say what stands last; `x = 5` and `x + y = 1` stay equations."""
    if "\\begin" in formula or "=" not in formula:
        return formula
    left, _, right = formula.rpartition("=")
    if not right.strip() or left.rstrip().endswith(("<", ">", "!", "\\", ":")):
        return formula
    computed = not NUMERIC_VALUE.sub("", left)
    chain = "=" in left and "," not in left
    return right.strip() if chain or (computed and any(map(str.isdigit, right))) else formula


NUMBER = re.compile(
    r"(?:(?<![\w)\]}.])[-+\u2212])?"  # a sign, unless it subtracts from what stands before it
    r"(?:\\[dtc]?frac\s?\{[-+]?\d{1,40}\}\s?\{\d{1,40}\}|\\[dtc]?frac\d\d"
    r"|(?<![\w.])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,9}(?!\w))?(?:/\d+(?!\d|\.\d))?"
    r"|(?<![\w.])\.\d+)"
    r"(?:\s?\\?%)?"
)


NUMBER_STARTS = re.compile(  # one class first: the search skips all other characters at once
    r"[-+\u2212.\\\d](?:(?<=\d)\d*|(?<=\.)(?=\d)|(?<=[-+\u2212])(?=[\d.\\])|(?<=\\)(?=[dtc]?frac))"
)


def numbers(text: str) -> Iterator[re.Match[str]]:
    """All matches of NUMBER."""
    return matches_at(NUMBER, text, (match.start() for match in NUMBER_STARTS.finditer(text)))


def last_number(text: str) -> Span | None:
    """The last number of the text, as it was written."""
    last = deque(numbers(text), maxlen=1)
    return Span(last[0].group(), last[0].start(), last[0].end()) if last else None


SENTENCE_END = re.compile(r"(?<!\\)(?<!\.[a-z])[.!?](?=\s|$)|\n")
SAYS = re.compile(r"\b(?:is|are|equals)\b")
SAYS_NUMBER = re.compile(
    rf"\b(?:is|are|equals)\s(?P<number>{NUMBER.pattern})\s(?:when|where|at|if|for|with)\b[^.\n]{{0,100}}$"
)


def last_formula(text: str) -> Span | None:
    """The last formula that is more than a name."""
    last: deque[Span] = deque(
        (span for span in formulas(text) if not is_name(span.content)), maxlen=1
    )
    return last[0] if last else None


def closing_value(text: str) -> tuple[Span, bool] | None:
    """The last value of a text that marks none, and whether it is a formula.

    A number behind the last formula wins where a sentence ends between them, or says "is" (`$AB$ is 5`).
    """
    text = text[-WINDOW_CHARS:]
    formula, number = last_formula(text), last_number(text)
    if formula is None:
        return (number, False) if number else None
    if number is not None and number.start >= formula.end:
        between = formula.content[-1:] + text[formula.end : number.start]
        if SENTENCE_END.search(between) or SAYS.search(between):
            return number, False
    before = SAYS_NUMBER.search(text, max(0, formula.start - 200), formula.start)
    if before:
        return Span(before["number"], before.start("number"), before.end("number")), False
    percent = PERCENT_AFTER.match(text, formula.end)
    content = value_of_formula(formula.content.rstrip(".,;: ")) + ("\\%" if percent else "")
    return Span(content, formula.start, formula.end), True


PERCENT_AFTER = re.compile(r"\s?(?:\\?%|per\s?cent\b|pct\b)")


def reads_as_number(text: str) -> bool:
    """Whether the whole text is a number within the reader's bounds."""
    try:
        return len(text) <= MAX_ANSWER_CHARS and read_number(text) is not None
    except TooLarge:
        return False


def reads_as_same_number(left: str, right: str) -> bool:
    """Whether two texts are the same number in two spellings."""
    if max(len(left), len(right)) > MAX_ANSWER_CHARS:
        return False
    try:
        numbers = read_number(left), read_number(right)
    except TooLarge:
        return False
    return numbers[0] is not None and numbers[1] is not None and numbers[0].agrees(numbers[1])
