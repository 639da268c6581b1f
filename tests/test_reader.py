"""The reader: every spelling is one tree, every text is read or refused, and nothing is slow."""

from __future__ import annotations

import json
import os
import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.equivalence import compare
from evals.expression import Number
from evals.limits import MAX_ANSWER_CHARS, TooLarge, Unreadable
from evals.reader import read_formula

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("CGD_SHARED", ROOT.parent / "shared"))
BENCHMARKS = ("math500", "gsm8k", "amc23", "aime24", "aime25", "minerva_math", "olympiadbench")
BENCHMARKS += ("theoremqa",)

SOUP = tuple(
    r"""\frac \sqrt \pi \pm ( ) [ ] { } \{ \} , ; = < \le \cup \infty ! ^ _ % | 1 2 10 0.5 x y e i \sin
    \log \text{ and \\ & \begin{pmatrix} \end{pmatrix} \binom \lfloor $ - + * / : ' \overline \sum
    1e400 99999 \det \left \right \boxed{""".split()  # noqa: SIM905
)
numbers = st.one_of(
    st.integers(0, 999).map(str),
    st.tuples(st.integers(0, 99), st.integers(0, 99)).map("%d.%d".__mod__),
)
leaves = st.one_of(numbers, st.sampled_from(["x", "y", "n", r"\pi", "i", "e"]))


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Formulas one level deeper."""
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map(r"\frac{%s}{%s}".__mod__),
        two.map("(%s)+(%s)".__mod__),
        two.map(r"(%s) \cdot (%s)".__mod__),
        two.map("(%s)-(%s)".__mod__),
        inner.map(r"\sqrt{%s}".__mod__),
        inner.map("-(%s)".__mod__),
        inner.map("(%s)^2".__mod__),
        inner.map(r"\sin{(%s)}".__mod__),
    )


formulas = st.recursive(leaves, larger, max_leaves=5)
answers = st.one_of(
    formulas,
    st.tuples(formulas, formulas).map("(%s, %s)".__mod__),
    st.tuples(formulas, formulas).map("%s, %s".__mod__),
    st.tuples(formulas, formulas).map(r"\left[%s, %s\right)".__mod__),
    formulas.map("x = %s".__mod__),
)


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_makes_a_comparison_fail(left: str, right: str) -> None:
    assert compare(left, right).outcome == compare(right, left).outcome


@settings(deadline=None)
@given(st.lists(st.sampled_from(SOUP), max_size=14).map(" ".join))
def test_no_soup_of_latex_makes_a_comparison_fail(text: str) -> None:
    assert compare(text, "x+1").outcome == compare("x+1", text).outcome
    assert not text or compare(text, text).outcome == "equal"


@settings(deadline=None)
@given(answers)
def test_what_can_be_read_equals_itself(text: str) -> None:
    assert compare(text, text, identical_text=False).outcome == "equal"


@settings(deadline=None)
@given(answers, answers)
def test_comparison_is_symmetric(left: str, right: str) -> None:
    assert compare(left, right).outcome == compare(right, left).outcome


RESPELLINGS = [
    lambda text: f"$ {text} $",
    lambda text: text.replace(r"\frac", r"\dfrac"),
    lambda text: text.replace("(", r"\left( ").replace(r"\left\left(", r"\left("),
    lambda text: text.replace("-", "\u2212"),
    lambda text: text.replace("+", "  +  "),
    lambda text: text.translate({ord("0") + n: 0x0966 + n for n in range(10)}),
    lambda text: text.translate({ord("0") + n: 0xFF10 + n for n in range(10)}),
    lambda text: rf"\text{{{text}}}",
    lambda text: text + ".",
]


@pytest.mark.parametrize("respell", RESPELLINGS)
@settings(deadline=None)
@given(text=answers)
def test_spelling_does_not_matter(respell: object, text: str) -> None:
    assert callable(respell)
    assert compare(respell(text), text, identical_text=False).outcome == "equal"


@settings(deadline=None)
@given(st.fractions(max_denominator=10**6))
def test_fractions_are_read_exactly(value: Fraction) -> None:
    sign = "-" if value < 0 else ""
    top, bottom = abs(value.numerator), value.denominator
    for text in (f"{value}", rf"{sign}\frac{{{top}}}{{{bottom}}}", f"{sign}{top} / {bottom}"):
        assert compare(text, str(value), identical_text=False).outcome == "equal"
        assert compare(text, str(value + 1)).outcome == "different"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1 1/2", "3/2"), ("2\\frac58", "21/8"), ("1,234.5", "2469/2"), (".5", "1/2"), ("3.", "3")],
)
def test_numbers(text: str, value: str) -> None:
    tree = read_formula(text)
    assert isinstance(tree, Number)
    assert tree.value == Fraction(value)


HOSTILE = [
    "9^{9^{9^9}}", "9**9**9", "10^{10^{10}}", "1000000000!", "2^{100000000}", "1e999999999",
    "(a+b+c+d)^{200}", r"\cos^{1000000}(x)", r"\sin(10^{10^5})", r"\lfloor 10^{10^6}\pi\rfloor",
    "{" * 400 + "1" + "}" * 400, r"\frac{1}" * 140, "(" * 900, "-" * 990, "!" * 990, "5" + "!" * 900,
    "1," * 490 + "1", "x^" * 490 + "x", r"\sqrt" * 190, r"\text{" * 150, "|" * 990, "1_" * 490,
    "x!" * 490, r"\binom{3000}{1500}" * 50, "(x+1)(x+2)" * 95, "(x+y+z+1)^8" * 60,
    r"\begin{pmatrix}" + "1&" * 400, "__import__('os').system('x')", "\u2488" * 900,
    "(" + "+".join(f"x_{n}" for n in range(150)) + ")^8", "e^{e^{e^{e^{e^{e}}}}}", "0^{-1}", "0^0",
    r"\log_{1} 5", r"\tan 90^\circ", r"\sqrt[0]{5}", "\ufdfa" * 900, "5!!!!", r"\Gamma(10^7)",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_answers_are_refused_quickly(text: str) -> None:
    for other in ("42", "x^2+1", text[:500] + "+1"):
        start = time.perf_counter()
        assert compare(text[:MAX_ANSWER_CHARS], other).outcome != "equal"
        assert time.perf_counter() - start < 1


def test_the_limits_are_errors_of_their_own() -> None:
    for text in ("1" * 401, "(" * 200 + "1" + ")" * 200, "x" * (MAX_ANSWER_CHARS + 1)):
        with pytest.raises(TooLarge):
            read_formula(text)
    with pytest.raises(Unreadable):
        read_formula("1 +")


def test_comparing_works_in_threads() -> None:
    outcomes: list[str] = []

    def work() -> None:
        for _ in range(20):
            outcomes.append(compare(r"\sqrt{3+2\sqrt2}", r"1+\sqrt2").outcome)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["equal"] * 80


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_gold_answers_equal_themselves_through_the_reader(benchmark: str) -> None:
    file = SHARED / "data" / f"{benchmark}.jsonl"
    if not file.exists():
        pytest.skip("the benchmark files are not here")
    lines = file.read_text(encoding="utf-8").split("\n")
    golds = {str(json.loads(line)["answer"]) for line in lines if line}
    unequal = [g for g in golds if compare(g, g, identical_text=False).outcome != "equal"]
    assert not unequal
