"""The spelling that the reference grader brings an answer to before it compares.

    layout and sizes dropped → units dropped → number words as digits → names, percent, zeros dropped

It changes answers as well as their spelling, which is why it is kept apart from our own: the letters
a, c, d, g, h, l, m, o, s and t count as units wherever they stand alone, `x=`, `y=` and `z=` vanish, and
so does every percent sign. The order of the steps matters and is the reference's: TIGER-AI-Lab's
CritiqueFineTuning, tools/evaluate_math/parser.py, `strip_string`. Texts are short (`compat` sees to
that) and every pattern is linear or bounded by that length.
"""

from __future__ import annotations

import re

from evals.compat_words import UNITS, number_in_words

Replacements = tuple[tuple[str | re.Pattern[str], str], ...]

LAYOUT: Replacements = (
    ("\\!", ""),
    (re.compile(r"\\begin\{array\}\{.*?\}"), r"\\begin{pmatrix}"),
    (re.compile(r"\\end\{array\}"), r"\\end{pmatrix}"),
    *(("bmatrix", "pmatrix"), ("tfrac", "frac"), ("dfrac", "frac")),
    *(("\\neq", "\\ne"), ("\\leq", "\\le"), ("\\geq", "\\ge")),
    *(("\\left", ""), ("\\right", ""), ("\\{", "{"), ("\\}", "}")),
)
CLOSING_TEXT = re.compile(r"\\text{.*?}$")
MATH_SIGNS: Replacements = (
    ("^{\\circ}", ""),
    ("^\\circ", ""),
    ("\\$", ""),
    ("$", ""),
    ("\\(", ""),
    ("\\)", ""),
)
NAMES: Replacements = (
    (re.compile(r"\\text\{(.*?)\}"), r"\1"),
    *((name + sign, "") for sign in ("=", "\\in", "\\to") for name in "xyz"),
    *(("\\emptyset", "{}"), ("(-\\infty,\\infty)", "\\mathbb{R}")),
    *(("\\%", ""), ("%", ""), (" .", " 0."), ("{.", "{0."), ("infinity", "\\infty")),
)
WORDS: Replacements = (("and", ""), ("\\mathbf", ""), (re.compile(r"\\mbox{.*?}"), ""))
ZEROS: Replacements = (
    (re.compile(r"(\d+)\.0*([^\d])"), r"\1\2"),
    (re.compile(r"(\d+)\.0*$"), r"\1"),
)
"""`5.0` becomes `5`; so does `5.` before anything but a digit."""
BARE_ROOT = re.compile(r"\\sqrt(\w+)")
QUOTIENT = re.compile(r"(0|-?[1-9]\d*|[^/]*sqrt[^/]*)/(0|-?[1-9]\d*|[^/]*sqrt[^/]*)")
FREE_UNITS = [re.compile(rf"(^|\W){unit}($|\W)") for unit in UNITS]
PLACE_OF_UNIT = {unit: place for place, unit in enumerate(UNITS) if re.fullmatch(r"\w+", unit)}
LONG_UNITS = [(unit.partition(".")[0], place) for place, unit in enumerate(UNITS)
              if unit not in PLACE_OF_UNIT]  # fmt: skip
"""What of a unit of several words has to be in a text, before it is worth a search."""


def respelt(text: str, keep_units: bool = False) -> str:
    """The reference's spelling of an answer. Minerva-Math is graded with `keep_units`."""
    text = replaced(text.strip().replace("\n", "").rstrip("."), LAYOUT)
    text = CLOSING_TEXT.sub("", text).strip() or text
    if not keep_units:
        text = without_units(text)
    text = number_in_words(replaced(text, MATH_SIGNS))
    text = replaced(text, NAMES)
    if "\\infty" not in text:
        text = text.replace("inf", "\\infty")
    text = replaced(text, WORDS)
    if "j" in text and "i" not in text:
        text = text.replace("j", "i")
    text = replaced(text, ZEROS)
    if not text:
        return text
    text = without_short_name("0" + text if text[0] == "." else text)
    text = BARE_ROOT.sub(r"\\sqrt{\1}", text).replace(" ", "")
    return slash_as_fraction(braced_fractions(text))


def replaced(text: str, replacements: Replacements) -> str:
    """The text after all replacements, in order."""
    for old, new in replacements:
        text = text.replace(old, new) if isinstance(old, str) else old.sub(new, text)
    return text


def without_units(text: str) -> str:
    """Drops units that stand alone, twice over, but never all there is."""
    places = {PLACE_OF_UNIT[run] for run in re.findall(r"\w+", text) if run in PLACE_OF_UNIT}
    places |= {place for beginning, place in LONG_UNITS if beginning in text}
    for place in 2 * sorted(places):
        text = FREE_UNITS[place].sub(r"\1\2", text) or text
    return text


def without_short_name(text: str) -> str:
    """`k=5` becomes `5`, where there is one equals sign and at most two characters before it."""
    name, _, value = text.partition("=")
    return value if text.count("=") == 1 and len(name) <= 2 else text


def braced_fractions(text: str) -> str:
    """`\\frac12` becomes `\\frac{1}{2}`; a fraction of fewer than two characters stops it all."""
    first, *others = text.split("\\frac")
    pieces = [first]
    for piece in others:
        if piece[:1] != "{":
            if len(piece) < 2:
                return text
            low = piece[1:] if piece[1] == "{" else f"{{{piece[1]}}}{piece[2:]}"
            piece = f"{{{piece[0]}}}{low}"
        pieces.append(piece)
    return "\\frac".join(pieces)


def slash_as_fraction(text: str) -> str:
    """`3/4` becomes a fraction, where both sides are integers or hold a root."""
    quotient = QUOTIENT.fullmatch(text)
    return f"\\frac{{{quotient[1]}}}{{{quotient[2]}}}" if quotient else text
