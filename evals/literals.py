"""Numbers and names as they are written: decimals, periods, numerals in a base, subscripts, primes."""

from __future__ import annotations

import re
from fractions import Fraction

from evals.expression import Call, Node, Number, Symbol
from evals.limits import MAX_DIGITS, MAX_EXPONENT, TooLarge, Unreadable
from evals.position import Position


def number(text: str) -> Number:
    """A decimal, perhaps with an exponent."""
    mantissa, _, exponent = text.replace("E", "e").partition("e")
    whole, point, decimals = mantissa.partition(".")
    if len(mantissa) > MAX_DIGITS:
        raise TooLarge(f"more than {MAX_DIGITS} digits")
    if len(exponent) > len(str(MAX_EXPONENT)) + 1 or abs(int(exponent or 0)) > MAX_EXPONENT:
        raise TooLarge(f"an exponent beyond {MAX_EXPONENT}")
    power = Fraction(10) ** int(exponent or 0)
    value = Fraction(int((whole + decimals) or "0"), 10 ** len(decimals)) * power
    if not (point and decimals) and not exponent:
        return Number(value)
    digits = len((whole + decimals).lstrip("0"))
    return Number(value, digits, power / 10 ** len(decimals))


def repeating(reader: Position, start: Number, text: str) -> Node:
    """0.1\\overline{6} is 1/6; 52_8 is written in base 8."""
    if (reader.peek() == "overline" and start.digits is not None) or (
        reader.peek() == "overline" and "." in text
    ):  # fmt: skip
        reader.take()
        digits = reader.plain_argument()
        if not digits.isdigit() or len(digits) > 50:
            raise Unreadable("a period that is no digits")
        shift = 10 ** len(text.partition(".")[2])
        return Number(start.value + Fraction(int(digits), (10 ** len(digits) - 1) * shift))
    if text.endswith(".") and reader.peek() == "(" and (period := period_in_brackets(reader)):
        return Number(start.value + Fraction(int(period), 10 ** len(period) - 1))
    if reader.accept("_"):
        base = reader.plain_argument()
        return Call("base", (start, Symbol(BASES.get(base, base))))
    return start


def period_in_brackets(reader: Position) -> str:
    """The digits in `0.(3)`, read; empty where it is none."""
    digits, closing = reader.token(1), reader.token(2)
    if not (digits and closing and digits.text.isdecimal() and closing.text == ")"):
        return ""
    if len(digits.text) > 50:
        raise TooLarge("a period of more than 50 digits")
    reader.at += 3
    return digits.text


BASES = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7"}
BASES |= {"eight": "8", "nine": "9", "ten": "10", "twelve": "12", "sixteen": "16"}
NUMERAL = re.compile(r"([0-9A-Fa-f]{1,40})_\s?\{?\s?(1[1-6])\s?\}?")


def lettered_numeral(text: str) -> Node | None:
    """`2B_{16}`, where it is the whole text: elsewhere letters are names."""
    match = NUMERAL.fullmatch(text)
    if match is None or not match[1][0].isdigit() or match[1].isdigit():
        return None
    return Call("base", (Symbol(match[1].upper()), Symbol(match[2])))


def suffix(reader: Position) -> str:
    """Subscripts and primes."""
    text = ""
    while True:
        if reader.accept("_"):
            text += "_" + reader.plain_argument().replace(" ", "")
        elif reader.accept("'") or reader.accept("prime"):
            text += "'"
        elif reader.peek() == "^" and (inner := reader.token(1)) and inner.text == "{" and (
            (primes := reader.token(2)) and primes.text in {"prime", "'"}
        ):  # fmt: skip
            reader.take()
            text += "'" * reader.plain_argument().count("prime")
        elif reader.peek() == "^" and (inner := reader.token(1)) and inner.text == "prime":
            reader.at += 2
            text += "'"
        else:
            return text


def symbol_of(inner: Node, mark: str, suffix_text: str) -> Node:
    """An accented name."""
    if isinstance(inner, Symbol):
        if inner.name in {"i", "j", "k"} and mark in {"^", "→"}:
            return inner  # unit vectors are written in bold, with a hat or an arrow
        return Symbol(inner.name + mark + suffix_text)
    return Call("accent " + mark, (inner,))
