"""The characters and LaTeX commands that mean the same: brought to one spelling before reading.

    text → one alphabet (Unicode to LaTeX) → layout dropped → thousands joined

Only layout is dropped: math delimiters, spacing, sizes, currency signs. Every pattern is linear.
"""

from __future__ import annotations

import re
import unicodedata

from evals.limits import MAX_ANSWER_CHARS, TooLarge

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
CHARACTERS = str.maketrans(
    {"½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}"}
    | {"⅔": r"\frac{2}{3}", "√": r"\sqrt ", "π": r"\pi ", "∞": r"\infty ", "∪": r"\cup "}
    | {"∩": r"\cap ", "∅": r"\emptyset ", "∈": r"\in ", "±": r"\pm ", "∓": r"\mp ", "≈": r"\approx "}
    | {"≤": "<=", "≥": ">=", "⩽": "<=", "⩾": ">=", "≠": "!=", "°": r"^\circ ", "×": "*", "·": "*"}
    | {"⋅": "*", "∗": "*", "÷": "/", "∕": "/", "⁄": "/", "′": "'", "’": "'", "：": ":", "，": ","}
    | dict.fromkeys("\u2212\u2013\u2014\u2010\u2011\u2012", "-")
    | dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\x00", None)
    | dict.fromkeys("$€£¥₹", " ")
)  # fmt: skip
LAYOUT = (
    (re.compile(r"\\!\s*"), ""),
    (re.compile(r"(?<=\d)\s?\{\s?,\s?\}\s?(?=\d)"), "\x01"),
    (re.compile(r"(?<=[0-9])(?:\\,|\\ |~|[\u2009\u202f\xa0])\s?(?=[0-9]{3}(?![0-9]))"), "\x01"),
    (re.compile(r"\\(?:displaystyle|textstyle|left|right|big|Big|bigg|Bigg|bigl|bigr|Bigl|Bigr"
                r"|limits|noindent|rm|bf|it)(?![A-Za-z])\.?"), " "),
    (re.compile(r"\\q?quad|(?<!\\)\\[,;:> ]|\\(?:thinspace|thickspace|medspace|enspace|hfill|hspace\{[^{}]*\})"
                r"(?![A-Za-z])|~"), " "),
    (re.compile(r"(?<!\\)\\[()\[\]]|\*\*(?=\s*$)|^\s*\*\*|`"), " "),
    (re.compile(r"\\\$"), " "),
    (re.compile(r"(?<=\d)\s?[x\u00d7]\s?(?=10\s?(?:\^|\*\*))"), "*"),
    (re.compile(r"\b(?:np|math|numpy|sympy)\.(?=[a-z])"), ""),
    (re.compile(r"(?<=per)\s(?=cent\b)"), ""),
    (re.compile(r"\(\s?\\?b?mod\s([^(){}]{1,40})\)|\\pmod\s?\{([^{}]{1,40})\}"), r"\\bmod{\1\2}"),
    (re.compile(r"\\p?mod(?![A-Za-z])"), r"\\bmod "),
    (re.compile(r"(?<=:\d\d)(\s?(?:\\text\s?\{)?\s?)(?:PM|[pP]\.[mM]\.)"), r"\1pm"),
    (re.compile(r"(?<=:\d\d)(\s?(?:\\text\s?\{)?\s?)(?:AM|[aA]\.[mM]\.)"), r"\1am"),
)  # fmt: skip


def one_spelling(text: str, thousands: bool = True) -> str:
    """The text in one alphabet, without layout. TooLarge when it is too long to be read."""
    if len(text) > MAX_ANSWER_CHARS:
        raise TooLarge(f"longer than {MAX_ANSWER_CHARS} characters")
    text = one_alphabet(MONEY.sub(r"\g<figure> dollars", text))
    for pattern, plain in LAYOUT:
        text = pattern.sub(plain, text)
    text = (join_thousands(text) if thousands else text).replace("\x01", "")
    text = LEADING.sub("", text.strip().rstrip(".,;:").strip().strip('"').strip())
    if text.startswith("]") or text.endswith("["):
        text = TURNED.sub(open_ends, text)
    return BASE.sub(r"_{\1}", text)


MONEY = re.compile(
    r"(?:\\\$|^\s{0,9}\$(?=[^$]{1,99}$))\s?(?P<figure>\d(?:(?:,|\{,\})?\d){0,40}(?:\.\d{1,20})?)"
    r"(?=[.)}\s$]{0,9}$|[,;]?\s(?:and|or|\\\$))"
)
"""An amount that is a whole answer or an item of a list, so that 5 dollars are not 5 cents."""
LEADING = re.compile(r"^(?:=(?!=)|\\approx(?![A-Za-z]))\s*(?=[^\s=])")
"""The sign that a value was cut off behind."""
TURNED = re.compile(r"([\[\]])([^\[\]]{1,200})([\[\]])")
BASE = re.compile(r"(?<=\d)\s?(?:\\text\s?\{\s?)?(?:\(\s?|in\s)?base[\s-](\d{1,2})\s?\)?\s?\}?$")


def open_ends(interval: re.Match[str]) -> str:
    """`]0, 1]` is `(0, 1]`: an open end written as a bracket turned away."""
    opening, inside, closing = interval.groups()
    return ("(" if opening == "]" else "[") + inside + (")" if closing == "[" else "]")


def one_alphabet(text: str) -> str:
    """ASCII and LaTeX for what Unicode has signs for; other letters stay."""
    text = text.replace(r"\$", " ").replace("$", " ").replace("\0", "")
    if text.isascii():
        return text
    text = re.sub(
        "[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,20}",
        lambda run: ("^{" if run.start() else "{") + run.group().translate(SUPERSCRIPTS) + "}",
        text,
    )  # fmt: skip
    text = text.translate(CHARACTERS)
    text = "".join(one_character(character) for character in text)
    if len(text) > 4 * MAX_ANSWER_CHARS:
        raise TooLarge(f"longer than {4 * MAX_ANSWER_CHARS} characters once spelled out")
    return text


def one_character(character: str) -> str:
    """Full-width and styled letters and any script's digits become plain ones."""
    if character.isascii():
        return character
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    plain = unicodedata.normalize("NFKC", character)
    if len(plain) == 1:
        return plain.translate(CHARACTERS) if not plain.isascii() else plain
    return character


CHAIN = re.compile(r"(?<![\d.,_^])\d+(?:,\d+)+(?![\d])")
THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")


def join_thousands(text: str) -> str:
    """`1,234,567` is one number where a whole chain of digit groups looks like one and no bracket
    is open: in `(1,234)` the comma separates."""
    pieces: list[str] = []
    end = 0
    for chain in CHAIN.finditer(text):
        pieces.append(text[end : chain.start()])
        joined = THOUSANDS.fullmatch(chain.group()) and not inside_brackets(text, chain.start())
        pieces.append(chain.group().replace(",", "") if joined else chain.group())
        end = chain.end()
    return "".join(pieces) + text[end:] if pieces else text


def inside_brackets(text: str, position: int) -> bool:
    """Whether a round, square or set bracket is open here."""
    before = text[:position]
    is_open = sum(map(before.count, "([")) > sum(map(before.count, ")]"))
    return is_open or before.count("\\{") > before.count("\\}") or before.strip() == "{"


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
