"""Finding the answer in a text, and reading it as an exact number."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.equivalence import compare
from evals.extract import extract_answer
from evals.rationals import MAX_ANSWER_CHARS, TooLarge, read_number

fractions = st.fractions(max_denominator=10**6)
words = st.text(alphabet="abcdefghij klmnop.,", max_size=60)


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        (r"so \boxed{12}", "12", "boxed"),
        (r"\boxed{1}, or rather \boxed{2}. Check: 3", "2", "boxed"),
        (r"\boxed{\frac{1}{\frac{2}{3}}}", r"\frac{1}{\frac{2}{3}}", "boxed"),
        (r"\boxed{a \} b}", r"a \} b", "boxed"),
        (r"\boxed{7} and then \boxed{8", "7", "boxed"),
        (r"{ \boxed{7}", "7", "boxed"),
        (r"\boxed {7}", "7", "boxed"),
        (r"I box 4: \boxed{4}. Always use \boxed{}.", "4", "boxed"),
        ("9 * 2 = 18\n#### 18", "18", "hashes"),
        ("#### 1,234\n", "1,234", "hashes"),
        ("#### Step one\nThe answer is 5.", "5", "phrase"),
        ("The answer is 3.5. I am sure.", "3.5", "phrase"),
        ("The answer is 4. No: the final answer is $\\frac{1}{2}$.", "$\\frac{1}{2}$", "phrase"),
        ("**Answer:** 17 dollars", "17 dollars", "phrase"),
        ("The answer is 3 + 4 = 7.", "7", "phrase"),
        ("Final answer: The volume is 120. I hope so.", "120", "phrase"),
        ("The answer is 5, as 2 + 3 is 5", "5", "phrase"),
        ("-3/4", "-3/4", "whole text"),
        ("yes", "yes", "whole text"),
        ("(1, 2)", "(1, 2)", "whole text"),
        ("She has 3 and 4 hens, 7 in all", "7", "last number"),
        ("that costs $1,250.50 then", "1,250.50", "last number"),
        ("he owes -5 euros here", "-5", "last number"),
        ("we get 12-8 hens", "8", "last number"),
        ("P is 2/3. Good luck to you", "2/3", "last number"),
        ("about 30% of them agree", "30%", "last number"),
    ],
)
def test_each_rule_finds_its_answer(text: str, answer: str, rule: str) -> None:
    found = extract_answer(text)
    assert found is not None
    assert (found.answer, found.rule) == (answer, rule)


@pytest.mark.parametrize("text", ["", "   \n", "I do not know what to say here", "\\boxed{}"])
def test_a_text_without_an_answer_has_none(text: str) -> None:
    found = extract_answer(text)
    assert found is None or found.rule == "whole text"
    assert extract_answer("I do not know what to say here") is None


@given(words, fractions, words)
def test_a_box_is_found_in_any_prose(before: str, value: Fraction, after: str) -> None:
    found = extract_answer(f"{before} \\boxed{{{value}}} {after}")
    assert found is not None
    assert found.rule == "boxed"
    assert read_number(found.answer).value == value


@given(st.text(max_size=300))
def test_no_text_makes_the_extractor_or_the_reader_fail(text: str) -> None:
    extract_answer(text)
    compare(text, "1")
    assert not text.strip() or compare(text, text).outcome == "equal"


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
        ("50%", "0.5"), ("50%", "50"), ("5", "5,1"), ("1,22", "122"), ("5 million", "5"),
        ("5 or 6", "5"), ("3x", "3"), ("3m", "3"), ("5 - a", "5"), ("5/a", "5"), ("2 pi", "2"),
        ("2^10", "2"), ("5!", "5"), ("x=5", "y=5"), ("(1,2)", "[1,2]"), (r"\{5\}", "5"),
        ("1.2.3", "1.2"), ("1/0", "0"), ("", ""), (r"\leftarrow", r"\rightarrow"), ("x", "X"),
        ("not 5", "5"), ("1e-400", "0"), ("5 and a half", "5"), (str(10**20 + 1), str(10**20)),
        ("0.3333333333333333", "1/3"), ("٣", "4"), ("5-3", "5"),
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


HOSTILE = {
    "tower": r"\boxed{9^9^9^9^9}",
    "exponent": "the answer is 1e1000000",
    "open braces": "{" * 100_000,
    "closed braces": "}" * 100_000,
    "open boxes": r"\boxed{" * 20_000,
    "nested boxes": r"\boxed{" * 20_000 + "1" + "}" * 20_000,
    "digits": "7" * 100_000,
    "commas": "1,111," * 20_000,
    "groups": ",111" * 30_000 + "1",
    "fractions": r"\frac{1}" * 20_000,
    "slashes": "1/" * 50_000,
    "phrases": "answer is " * 20_000,
    "hashes": "#" * 100_000,
    "spaces": "answer" + " " * 100_000,
    "dollars": "answer is " + "$" * 100_000,
    "backslashes": "\\" * 100_000,
    "points": "1." * 50_000,
    "signs": "-" * 100_000,
    "stars": "the answer is " + "*" * 100_000 + "5",
    "call": "__import__('os').abort()",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_take_no_time(name: str) -> None:
    started = time.perf_counter()
    found = extract_answer(HOSTILE[name])
    compare(found.answer if found else HOSTILE[name], "42")
    compare(HOSTILE[name], "42")
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("name", HOSTILE)
def test_short_hostile_answers_take_no_time(name: str) -> None:
    started = time.perf_counter()
    compare(HOSTILE[name][:MAX_ANSWER_CHARS], "42")
    assert time.perf_counter() - started < 0.2
