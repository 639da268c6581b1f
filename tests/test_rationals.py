"""Reading an answer as an exact number, and comparing two such answers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.equivalence import compare
from evals.rationals import MAX_ANSWER_CHARS, TooLarge, read_number

fractions = st.fractions(max_denominator=10**6)


@given(st.text(alphabet="0123456789.,-+/\\frac{}()$%^eE xm=", max_size=40))
def test_number_like_texts_are_read_or_refused(text: str) -> None:
    try:
        number = read_number(text)
    except TooLarge:
        return
    assert number is None or isinstance(number.value, Fraction)


@given(fractions)
def test_every_spelling_of_a_fraction_is_the_same_number(value: Fraction) -> None:
    a, b = abs(value.numerator), value.denominator
    sign = "-" if value < 0 else ""
    for spelling in (
        f"{value}",
        f"{sign}\\frac{{{a}}}{{{b}}}",
        f"\\dfrac{{{sign}{a}}}{{{b}}}",
        f"${sign}\\left(\\tfrac{{{a}}}{{{b}}}\\right)$",
        f"{sign}{a}/{b}.",
        f"x = {value}",
        f"{value} hens",
        f"\\text{{{value}}}",
    ):
        assert read_number(spelling).value == value, spelling


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_integers_are_never_equal_within_a_tolerance(value: int) -> None:
    assert compare(f"{value:,}", str(value)).outcome == "equal"
    assert compare(f"{value}.000", str(value)).outcome == "equal"
    assert compare(f"{value}e3", f"{value * 1000}").outcome == "equal"
    assert compare(str(value + 1), str(value)).outcome == "different"
    assert compare(f"{value}.{'0' * 20}1", str(value)).outcome == "different"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-1e6, max_value=1e6))
def test_decimals_are_read_exactly(value: object) -> None:
    assert read_number(f"{value:f}").value == Fraction(f"{value:f}")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("0.5", "1/2"), ("1/2", r"\frac12"), ("0.5", r"\frac12"), (".5", "0.5"), ("+7", "7"),
        ("$1,000.99", "1000.99"), (r"\$5", "5"), ("5 €", "5"), ("12 dollars.", "12"),
        ("28 %", r"28\%"), ("28 percent", "28%"), (r"14{,}916", "14916"), (r"1\,234", "1234"),
        (r"32,\! 349", "32349"), ("1 1/2", "1.5"), (r"1\frac{1}{2}", "3/2"),
        (r"\frac{\frac{1}{2}}{3}", "1/6"), ("-(1/2)", "-0.5"), (r"3 \times 10^{4}", "30000"),
        ("1.5e-3", "0.0015"), ("60 km/h", "60"), (r"5\text{ m}^2", "5"), ("−5", "-5"),
        (r"74^\circ", "74"), ("x = 5", "5"), ("**42**", "42"), ("007", "7"), ("-0", "0"),
        (r"\text{North  East}", "north east"), ("x + 1", "x+1"), (r"\dfrac{x}{2}", r"\frac{x}{2}"),
    ],
)  # fmt: skip
def test_equal_answers(left: str, right: str) -> None:
    assert compare(left, right).outcome == compare(right, left).outcome == "equal"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("50%", "5"), ("5", "5,1"), ("1,22", "122"), ("5 million", "5"),
        ("5 or 6", "5"), ("3x", "3"), ("3m", "3"), ("5 - a", "5"), ("5/a", "5"), ("2 pi", "2"),
        ("2^10", "2"), ("5!", "5"), ("x=5", "y=5"), ("(1,2)", "[1,2]"), (r"\{5\}", "5"),
        ("1.2.3", "1.2"), ("1/0", "0"), ("", ""), ("x", "X"),
        ("not 5", "5"), ("1e-400", "0"), ("5 and a half", "5"), (str(10**20 + 1), str(10**20)),
        ("٣", "4"), ("5-3", "5"),
    ],
)  # fmt: skip
def test_different_answers(left: str, right: str) -> None:
    assert compare(left, right).outcome == compare(right, left).outcome == "different"


@pytest.mark.parametrize(
    "huge", ["1e1000000", "1e-99999999999", "9" * 500, "(" * 300 + "1" + ")" * 300]
)
def test_numbers_beyond_the_bounds_are_refused_not_judged(huge: str) -> None:
    assert compare(huge, "1").outcome == "limit reached"
    assert compare(huge, huge).outcome == "equal"
    with pytest.raises(TooLarge):
        read_number(huge)


def test_an_answer_longer_than_the_bound_is_refused_not_judged() -> None:
    assert compare("1" + " " * MAX_ANSWER_CHARS + "2", "12").outcome == "limit reached"
