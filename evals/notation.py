"""One spelling for what LaTeX and prose write in many: the text both sides of a comparison are
brought to.

Only what carries no meaning is dropped: math delimiters, spacing and font commands, currency
signs that LaTeX escapes, a closing full stop. Works on short texts; the caller bounds the length,
so plain loops are enough.
"""

from __future__ import annotations

import re

SAME_CHARACTER = str.maketrans(
    {"\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u00b7": "*", "\u2044": "/", "\u2019": "'"}
)
SPELLINGS = (
    (re.compile(r"\\!\s*"), ""),
    (re.compile(r"\\(?:displaystyle|left|right)(?![A-Za-z])"), ""),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])"), "*"),
    (re.compile(r"\^\s?\{?\s?\\circ(?![A-Za-z])\s?\}?|°"), " degrees"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\\\$"), ""),
    (re.compile(r"(?<=[0-9,])(?:\\,|[\u2009\u202f\xa0])\s?(?=[0-9]{3}(?![0-9]))"), ""),
    (re.compile(r"\\[,;: ]|\\q?quad(?![A-Za-z])|[~\u2009\u202f\xa0]"), " "),
)
TEXT_COMMANDS = tuple(
    "\\" + name
    for name in ("text", "textbf", "textit", "mathrm", "mathbf", "mbox", "operatorname", "boxed")
)
WRAPPERS = (
    ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"), ('"', '"'),
)  # fmt: skip


def normalise(text: str) -> str:
    """Drops math delimiters, spacing and font commands and a closing full stop."""
    text = text.translate(SAME_CHARACTER)
    for spelling, plain in SPELLINGS:
        text = spelling.sub(plain, text)
    for command in TEXT_COMMANDS:
        text = unwrap_command(text, command)
    return unwrap_delimiters(text)


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


def closing_brace(text: str, opening: int) -> int:
    """Where the brace opened at `opening` closes, or -1."""
    depth = 0
    for position in range(opening, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return -1


def unwrap_delimiters(text: str) -> str:
    """Strips pairs such as `$…$` and closing punctuation until nothing changes."""
    previous = None
    while text != previous:
        previous = text
        text = text.strip().rstrip(".,;").rstrip()
        for opening, closing in WRAPPERS:
            inner = text[len(opening) : len(text) - len(closing)]
            if (
                len(text) > len(opening) + len(closing)
                and text.startswith(opening)
                and text.endswith(closing)
            ):
                text = inner if opening not in inner else text
    return text


def comparable_text(normalised: str) -> str:
    """Words are compared without regard to case and spacing; formulas keep their case and lose
    their spaces."""
    words = normalised.split()
    prose = all(word.isalpha() for word in words) and any(len(word) > 1 for word in words)
    return " ".join(words).casefold() if prose else "".join(words)
