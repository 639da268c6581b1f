r"""The words of a problem, the same however it is spelled: what duplicates and contamination are judged by.

    text → a drawing as one word → NFKC, lower case → LaTeX and symbols in one spelling → words, numbers, operators

`\frac{1}{2}`, `½` and `1/2` give the same three words; so do `x^2`, `x²` and "x squared", `\pi` and
`π`, "twenty-five" and `25`, `1,000` and `1{,}000`. Brackets, dollar signs, punctuation and marks of
multiplication are left out; the other operators stay, since `7 - 3` is another problem than `7 + 3`.
Wording is not touched: no word is left out and none is stemmed. What is lost: `(3 + 4) 5` and `3 + 4 * 5`
have the same words.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

SUPERSCRIPTS = str.maketrans({mark: f"^{i}" for i, mark in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
GREEK = {
    code: f" {name.removeprefix('GREEK SMALL LETTER ').lower()} "
    for code in range(0x3B1, 0x3CA)
    if " " not in (name := unicodedata.name(chr(code))).removeprefix("GREEK SMALL LETTER ")
}
SYMBOLS = str.maketrans(
    {
        "−": "-", "⁄": "/", "÷": "/", "×": " ", "·": " ", "⋅": " ", "∗": " ", "*": " ",
        "≤": " <= ", "≥": " >= ", "≠": " != ", "√": " sqrt ", "∞": " infty ", "°": " degrees ",
        "–": " ", "—": " ", "→": " to ", "∈": " in ", "∪": " cup ", "∩": " cap ", "∠": " angle ",
        "△": " triangle ", "∑": " sum ", "∫": " int ", "≡": " equiv ", "’": "'",
    }
    | {chr(code): name for code, name in GREEK.items()}
)  # fmt: skip

_DRAWING = re.compile(r"\[asy\].*?(?:\[/asy\]|\Z)", re.DOTALL)
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{[^{}]{0,40}\}(?:\{[^{}]{0,40}\})?")
_FRACTION_OF_DIGITS = re.compile(r"\\[dt]?frac\s*([0-9])\s*([0-9])")
_FRACTION = re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_GROUP = re.compile(r"(\\(?![dtc]?frac)[a-z]+\s?|[_^])\{([^{}]*)\}")
_COMMAND = re.compile(r"\\([a-z]+)\*?|\\.")
_THOUSANDS = re.compile(r"(?<=[0-9])(?:,|\{,\}|\\[,!]|,\\!)(?=[0-9]{3}(?![0-9]))")
_HYPHEN = re.compile(r"(?<=[a-z]{2})-(?=[a-z])")
_WORD = re.compile(  # scripts without spaces give a word a character
    r"0drawing[0-9a-f]{12}|[0-9]+(?:\.[0-9]+)?|[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_]+|[-+/^=%]|[<>!]=?"
)

COMMANDS = {
    "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=",
    "lt": "<", "gt": ">", "ne": "!=", "neq": "!=", "div": "/", "over": "/", "circ": "degrees",
    "degree": "degrees", "lvert": "", "rvert": "", "rightarrow": "to", "varphi": "phi",
    "varepsilon": "epsilon", "vartheta": "theta", "bmod": "mod", "pmod": "mod",
}  # fmt: skip
"""What a LaTeX command is called here; one that is not named keeps its name."""
LAYOUT = frozenset((
    "frac", "dfrac", "tfrac", "cfrac", "left", "right", "big", "bigl", "bigr", "bigg", "biggl",
    "biggr", "text", "textbf", "textit", "textrm", "mathrm", "mathbf", "mathbb", "mathcal",
    "mathit", "mathsf", "operatorname", "mbox", "hbox", "boxed", "displaystyle", "textstyle",
    "limits", "quad", "qquad", "hspace", "vspace", "cdot", "cdots", "times", "ldots", "dots",
    "vdots", "ddots", "hline", "label", "tag", "nonumber", "overline", "underline", "hfill",
    "newline", "item", "begin", "end", "par", "phantom", "color", "bf", "rm", "it", "emph",
))  # fmt: skip
"""LaTeX commands that say how something looks."""
SPELLED = {
    "plus": "+", "minus": "-", "equals": "=", "percent": "%", "degree": "degrees", "times": "",
    "squared": "^ 2", "cubed": "^ 3", "infinity": "infty", "dollar": "", "dollars": "",
}  # fmt: skip
PHRASES = (
    (re.compile(r"\bdivided by\b"), " / "),
    (re.compile(r"\b(?:the )?square root of\b"), " sqrt "),
    (re.compile(r"\bto the power(?: of)?\b"), " ^ "),
    (re.compile(r"\bmultiplied by\b"), " "),
    (re.compile(r"\^\s*\{?\s*(?:degrees|\\circ)"), " degrees "),
)
NESTED = 6
"""So many braces deep a fraction keeps its bar."""
_UP_TO_19 = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_BY_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ONES = {name: number for number, name in enumerate(_UP_TO_19)}
TENS = {name: 10 * number for number, name in enumerate(_BY_TENS, start=2)}


def canonical_words(text: str) -> list[str]:
    """The words, numbers and operators of a text, in their order."""
    if "[asy]" in text:
        text = _DRAWING.sub(_drawing_as_word, text)
    text = text.translate(SUPERSCRIPTS)
    text = unicodedata.normalize("NFKC", text).lower().translate(SYMBOLS)
    text = _THOUSANDS.sub("", text)
    text = _HYPHEN.sub(" ", text)
    for pattern, replacement in PHRASES:
        text = pattern.sub(replacement, text)
    if "\\" in text:
        text = without_latex(text)
    return spelled_out_numbers(_WORD.findall(text))


def _drawing_as_word(match: re.Match[str]) -> str:
    """One word for a drawing, which begins with a digit: another drawing is like another number."""
    code = "".join(match[0].split()).encode("utf-8", "surrogatepass")
    return f" 0drawing{hashlib.sha256(code).hexdigest()[:12]} "


def without_latex(text: str) -> str:
    """The text with fractions as `a / b` and commands as words."""
    text = _ENVIRONMENT.sub(" ", text)
    text = _FRACTION_OF_DIGITS.sub(r" \1 / \2 ", text)
    for _ in range(NESTED if "frac" in text else 0):  # from the inside
        text, groups = _GROUP.subn(r"\1 \2 ", text)
        text, fractions = _FRACTION.subn(r" \1 / \2 ", text)
        if not groups + fractions:
            break
    return _COMMAND.sub(_command_as_word, text)


def _command_as_word(match: re.Match[str]) -> str:
    name = match[1]
    if name is None:
        return "%" if match[0] == "\\%" else " "
    return " " if name in LAYOUT else f" {COMMANDS.get(name, name)} "


def spelled_out_numbers(words: list[str]) -> list[str]:
    """Numbers and operators that are written as words, in digits and signs."""
    kept: list[str] = []
    ten = False  # the word before was `twenty`, …
    for word in words:
        if word in ONES:
            if ten and 0 < ONES[word] < 10:
                kept[-1] = str(int(kept[-1]) + ONES[word])
            else:
                kept.append(str(ONES[word]))
        elif word in TENS:
            kept.append(str(TENS[word]))
        elif word in SPELLED:
            kept += SPELLED[word].split()
        else:
            kept.append(word)
        ten = word in TENS
    return kept
