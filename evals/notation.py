"""Answers as text, for what is no formula: two of them are one once layout, spacing and case are dropped.

    text → one spelling (`spelling`) → commands around words and marks around the whole dropped

Used where reading is no help: options with their words, prose, and formulas beyond the reader's grammar.
"""

from __future__ import annotations

import re

from evals.spelling import closing_brace, one_spelling

FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
TIMES = re.compile(r"\\(?:times|cdot)(?![A-Za-z])")
DEGREES = re.compile(r"\^\s?\{?\s?\\circ(?![A-Za-z])\s?\}?")
TEXT_COMMANDS = tuple(
    "\\" + name
    for name in ("text", "textbf", "textit", "mathrm", "mathbf", "mbox", "operatorname", "boxed")
)
WRAPPERS = ("**", "`", '"')


def normalise(text: str) -> str:
    """The text in one spelling, without the commands and marks that only set it apart. Raises TooLarge."""
    text = FRACTION.sub(r"\\frac", one_spelling(text))
    text = DEGREES.sub(" degrees", TIMES.sub("*", text)).replace(r"\%", "%")
    for command in TEXT_COMMANDS:
        text = unwrap_command(text, command)
    return unwrap_marks(text)


def unwrap_command(text: str, command: str) -> str:
    """`\\text{m}` becomes ` m `; an unbalanced one is left as it is."""
    start = text.find(command + "{")
    while start >= 0:
        end = closing_brace(text, start + len(command))
        if end < 0:
            return text
        content, after = text[start + len(command) + 1 : end], text[end + 1 :]
        text = f"{text[:start]} {content}{' ' if after[:1].isalnum() else ''}{after}"
        start = text.find(command + "{")
    return text


def unwrap_marks(text: str) -> str:
    """Strips pairs such as `**…**` and closing punctuation until nothing changes."""
    previous = None
    while text != previous:
        previous = text
        text = text.strip().rstrip(".,;").rstrip()
        for mark in WRAPPERS:
            inner = text[len(mark) : -len(mark)]
            if len(text) > 2 * len(mark) and text == mark + inner + mark and mark not in inner:
                text = inner
    return text


def same_text(left: str, right: str) -> bool:
    """Whether two texts are one."""
    first, second = normalise(left), normalise(right)
    return bool(first) and comparable_text(first) == comparable_text(second)


LAYOUT_SPACE = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
"""Any but the space that keeps two numbers apart."""


def comparable_text(normalised: str) -> str:
    """Words are compared without regard to case and spacing; formulas keep their case and lose their spaces."""
    words = normalised.split()
    prose = all(word.isalpha() for word in words) and any(len(word) > 1 for word in words)
    return " ".join(words).casefold() if prose else LAYOUT_SPACE.sub("", normalised)
