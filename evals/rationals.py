"""Reading a number exactly: a short text in, a fraction out, or nothing when the text is no
number.

    [x =] [sign] [currency] number [currency] [percent] [unit words]

A hand-written descent over a normalised text (`notation.normalise`). Length, digits, exponents
and nesting are bounded before any arithmetic, so `1e1000000` is refused (`TooLarge`) instead of
being computed, and nothing a model writes is ever evaluated: `9^9^9` is simply not a number here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from evals.limits import MAX_ANSWER_CHARS, MAX_DIGITS, MAX_EXPONENT, MAX_NESTING, TooLarge
from evals.notation import normalise

__all__ = ["MAX_ANSWER_CHARS", "Number", "TooLarge", "read_normalised", "read_number"]

MAX_UNIT_WORDS = 6


@dataclass(frozen=True)
class Number:
    """An exact rational. With `percent`, the value is the figure before the sign."""

    value: Fraction
    percent: bool = False
    name: str | None = None
    """The letter it was given to, as in `x = 5`."""

    def agrees(self, other: Number) -> bool:
        """Equal values in the same form; two different names never agree, a missing one does."""
        named_alike = self.name is None or other.name is None or self.name == other.name
        return self.value == other.value and self.percent == other.percent and named_alike


GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
DIGITS = re.compile(r"\d+")
EXPONENT = re.compile(r"[eE]([+-]?\d+)|\s*[*x]\s*10\s*\^\s*(?:\{\s*([+-]?\d+)\s*\}|([+-]?\d+))")
CURRENCY = re.compile(r"\s*(?:(?:US)?\$|[€£¥₹])")
PERCENT = re.compile(r"\s*(?:%|per\s?cent\b|percentage\b|pct\b)", re.IGNORECASE)
NAMED = re.compile(r"(?P<name>[A-Za-z])\s*=(?!=)\s*")
# Words after a number that are no unit, because they change what is said.
NOT_UNITS = frozenset(
    {"or", "and", "to", "plus", "minus", "times", "over", "by", "of", "than", "not"}
)
NOT_UNITS |= {
    "but",
    "is",
    "pi",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "log",
    "ln",
    "mod",
    "squared",
    "cubed",
}
NOT_UNITS |= {"factorial", "half", "halves", "thirds", "dozen", "hundred", "thousand", "million"}
NOT_UNITS |= {"billion", "trillion"}
ONE_LETTER_UNITS = frozenset("mgshlLKCFNJWVA")


def read_number(text: str) -> Number | None:
    """The number that the whole text is, if it is one. Raises TooLarge beyond the bounds."""
    if len(text) > MAX_ANSWER_CHARS:
        raise TooLarge(f"longer than {MAX_ANSWER_CHARS} characters")
    return read_normalised(normalise(text))


def read_normalised(text: str) -> Number | None:
    """As read_number, for a text already normalised and bounded."""
    named = NAMED.match(text)
    reader = Reader(text, named.end() if named else 0)
    sign = reader.sign()
    if reader.skip(CURRENCY) and sign == 1:
        sign = reader.sign()
    value = reader.mixed()
    if value is None:
        return None
    reader.skip(CURRENCY)
    percent = reader.skip(PERCENT)
    if not is_unit(reader.rest()):
        return None
    return Number(sign * value, percent, named.group("name") if named else None)


def is_unit(rest: str) -> bool:
    """True for nothing, and for words that name a unit; a word that would change the value is not
    one."""
    words = rest.split()
    if not words:
        return True
    if len(words) > MAX_UNIT_WORDS or not (rest[0].isspace() or len(words[0]) > 1):
        return False  # `3m` may be a product, `3 m` is a length
    parts = [without_power(part) for word in words for part in word.strip("().,").split("/")]
    return all(part in ONE_LETTER_UNITS or is_unit_word(part) for part in parts)


def is_unit_word(word: str) -> bool:
    """`dollars`, `km`, `foot-pounds`; not `or`, `million`, `x`."""
    return (
        len(word) > 1
        and word.replace("-", "a").isalpha()
        and word[0] != "-"
        and word.lower() not in NOT_UNITS
    )


def without_power(unit: str) -> str:
    """`m^2`, `m^{2}` and `m²` are `m` here."""
    for power in ("^{2}", "^{3}", "^2", "^3", "²", "³"):
        unit = unit.removesuffix(power)
    return unit


@dataclass
class Reader:
    """A position in a text; every method either reads what it names and moves on, or returns None
    and stays."""

    text: str
    at: int = 0
    depth: int = 0

    def rest(self) -> str:
        """What has not been read."""
        return self.text[self.at :]

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Moves past the pattern if it comes next."""
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return match is not None

    def spaces(self) -> None:
        """Moves past white space."""
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1

    def sign(self) -> int:
        """An optional + or -."""
        self.spaces()
        character = self.text[self.at : self.at + 1]
        if character and character in "+-":
            self.at += 1
            self.spaces()
            return -1 if character == "-" else 1
        return 1

    def mixed(self) -> Fraction | None:
        """A number, or a whole number with a proper fraction after it: 1 1/2, 1\\frac{1}{2}."""
        start = self.at
        value = self.quotient()
        if value is None or value.denominator != 1 or not self.text[start : self.at].isdigit():
            return value
        whole_end = self.at
        self.spaces()
        latex = self.text.startswith("\\frac", self.at)
        spaced = self.at > whole_end and self.text[self.at : self.at + 1].isdecimal()
        fraction = self.quotient() if latex or spaced else None
        if (
            fraction is not None
            and 0 < fraction < 1
            and (latex or "/" in self.text[whole_end : self.at])
        ):
            return value + fraction
        self.at = whole_end
        return value

    def quotient(self) -> Fraction | None:
        """term [/ term]"""
        numerator = self.term()
        before_slash = self.at
        self.spaces()
        if numerator is None or self.text[self.at : self.at + 1] != "/":
            self.at = before_slash
            return numerator
        self.at += 1
        self.spaces()
        denominator = self.term()
        if denominator is None:  # `60 km/h`, `5 /day`: the slash belongs to a unit
            self.at = before_slash
            return numerator
        return numerator / denominator if denominator else None

    def term(self) -> Fraction | None:
        """A decimal, a \\frac, or a signed number in brackets."""
        if self.text.startswith("\\frac", self.at):
            return self.latex_fraction()
        if self.text[self.at : self.at + 1] in ("(", "{"):
            return self.group()
        return self.decimal()

    def group(self) -> Fraction | None:
        """( number ) or { number }"""
        start, closing = self.at, {"(": ")", "{": "}"}[self.text[self.at]]
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise TooLarge(f"nested deeper than {MAX_NESTING}")
        self.at += 1
        sign, value = self.sign(), self.quotient()
        self.spaces()
        self.depth -= 1
        if value is None or self.text[self.at : self.at + 1] != closing:
            self.at = start
            return None
        self.at += 1
        return sign * value

    def latex_fraction(self) -> Fraction | None:
        """\\frac{a}{b}, and \\frac12 where an argument is a single digit."""
        start = self.at
        self.at += len("\\frac")
        numerator = self.latex_argument()
        denominator = self.latex_argument() if numerator is not None else None
        if numerator is None or not denominator:
            self.at = start
            return None
        return numerator / denominator

    def latex_argument(self) -> Fraction | None:
        """A brace group or one digit."""
        self.spaces()
        character = self.text[self.at : self.at + 1]
        if character == "{":
            return self.group()
        if character.isdecimal():
            self.at += 1
            return Fraction(int(character))
        return None

    def decimal(self) -> Fraction | None:
        """1,234.5e6 · .5 · 3 * 10^{4}"""
        start = self.at
        whole = self.digits(GROUPED) or self.digits(DIGITS)
        decimals = ""
        if DIGITS.match(self.text, self.at + 1) and self.text[self.at] == ".":
            self.at += 1
            decimals = self.digits(DIGITS)
        if not whole and not decimals:
            self.at = start
            return None
        if len(whole) + len(decimals) > MAX_DIGITS:
            raise TooLarge(f"more than {MAX_DIGITS} digits")
        return Fraction(int(whole + decimals), 10 ** len(decimals)) * self.power_of_ten()

    def digits(self, pattern: re.Pattern[str]) -> str:
        """The digits of a run that matches, without its thousands separators; empty when none
        comes next."""
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return match.group().replace(",", "") if match else ""

    def power_of_ten(self) -> Fraction:
        """An optional `e6` or `* 10^{6}`."""
        match = EXPONENT.match(self.text, self.at)
        if match is None:
            return Fraction(1)
        self.at = match.end()
        figure = next(group for group in match.groups() if group is not None)
        if len(figure) > len(str(MAX_EXPONENT)) + 1 or abs(int(figure)) > MAX_EXPONENT:
            raise TooLarge(f"an exponent beyond {MAX_EXPONENT}")
        return Fraction(10) ** int(figure)
