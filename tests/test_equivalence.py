"""Which answers are equal and which are not, and by which rule."""

from __future__ import annotations

import pytest

from evals.equivalence import compare, is_unparsable
from evals.policy import Policy


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"12 \frac{3}{5}", "63/5"), (r"x \in [-2,7]", r"-2\le x\le 7"),
        (r"x\in[-2,7]", "[-2,7]"), ("-2\u2264x\u22647", r"x \in [-2,7]"),
        (r"7 \ge x \ge -2", "[-2,7]"), (r"k \ge 2", r"[2,\infty)"), (r"\emptyset", "no solution"),
        (r"\{\}", r"\varnothing"), (r"\{1\pm\sqrt{5},-2\}", r"\{-2, 1+\sqrt5, 1-\sqrt5\}"),
        (r"3 \pm 2\sqrt2", r"3+2\sqrt2, 3-2\sqrt2"), (r"2\sin x\cos x", r"\sin 2x"),
        (r"\ln x^2", r"2\ln x"), (r"\log_2 8", "3"),
        (r"\frac{\log 2}{\log 2-\log 3}", r"\frac{\ln 2}{\ln 2-\ln 3}"),
        (r"\sin 30^\circ", "1/2"), (r"\frac{\pi}{2}", r"0.5\pi"),
        ("2^{-2/3}", r"\frac{1}{\sqrt[3]{4}}"), (r"\frac{100!}{2^{50}}", r"\frac{100!}{1024^5}"),
        (r"\binom{2n}{n}", r"\frac{(2n)!}{n!n!}"), ("1 km", "1000 m"),
        (r"1\text{ km}", r"1000\text{ m}"), (r"5\text{ cm}", "5"), (r"\$18.90", "18.9"),
        (r"5.4 \text{ cents}", "5.4"), (r"\text{(C)}", "C"), ("(C)", r"\text{C}"),
        (r"864 \mbox{ inches}^2", "864 square inches"), ("3, 5, 7", r"\{7,5,3\}"),
        (r"(2,\infty)", "x>2"), ("x>2", "2<x"), ("2x>4", "x>2"), ("4x+2y=6", "2x+y-3=0"),
        ("-x<2", "x>-2"), ("y = 2x + 3", "2x - y + 3 = 0"), ("y=2x+3", "2x+3"), ("f(x)=2x", "2x"),
        ("1,234,567", "1234567"), (r"0.\overline{3}", "1/3"), (r"0.1\overline{6}", r"\frac16"),
        (r"\sqrt{50}", r"5\sqrt2"), (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"),
        (r"e^{i\pi/3}", r"\frac{1+i\sqrt3}{2}"), ("(1+i)^2", "2i"),
        (r"\frac{1}{1+i}", r"\frac{1-i}{2}"), ("10^{-3}", "0.001"),
        ("4.5e33", r"4.5 \times 10^{33}"), ("7.8x10^2", "780"), ("3 x 10^4", "30000"),
        (r"1.5\times10^{-3}", "0.0015"), (r"\frac 59", "5/9"), (r"\frac 34", "0.75"),
        (r"\arcsin(10/13)", "np.arcsin(10/13)"), (r"\lfloor 7/2\rfloor", "3"), ("|{-3}|", "3"),
        (r"x=2 \text{ or } x=3", "2,3"), ("x=2,3", "x=3, x=2"), ("x=2,x=3", "2, 3"),
        (r"y^{\prime}+ry=0", "y'+ry=0"), (r"\frac{dM}{dt}=M^6", "M^6"), ("(x,y)=(1,2)", "(1,2)"),
        ("x=1,y=2", "(1,2)"), (r"\left(\frac{3}{5},\frac83\right]", "(0.6,8/3]"),
        (r"(-\infty,2)\cup(3,\infty)", r"(3,\infty)\cup(-\infty,2)"), (r"\frac{a}{b}", "a/b"),
        ("ab", "ba"), ("xyz", "zyx"), (r"2\cdot 3", "6"), (r"1-\frac1e", r"\frac{e-1}{e}"),
        (r"\tan x", r"\frac{\sin x}{\cos x}"), (r"\cot x", r"\frac{\cos x}{\sin x}"),
        ("x^{1/2}", r"\sqrt{x}"), (r"\text{east}", "East"), ("True", "true"),
        (r"\frac{270}7\text{ degrees}", r"\frac{270}{7}^\circ"), ("6 - 5i", "-5i+6"),
        (r"\frac{d !}{2 k(d-k) !}", r"\frac{d!}{2k(d-k)!}"), ("2^{k-1}", r"\frac{2^k}{2}"),
        ("(n-2)2^n+1", "1+n2^n-2^{n+1}"), ("4^n", "2^{2n}"), ("12:00", "12:00"),
        ("100, 200, 300", "100,200,300"),
        (r"\begin{pmatrix} -1/3 \\ 2/3\end{pmatrix}", r"\begin{bmatrix} -\frac13 \\ \frac23\end{bmatrix}"),
        ("1000m", "1 km"), ("5cm", "5 cm"), ("x = 5", "5"), (r"\infty", r"+\infty"),
        ("3 - x", "-(x-3)"), (r"\dfrac{-1}{2}", r"-\frac12"), (r"\sqrt[3]{8}", "2"),
        ("60 km/h", "60"), (r"-\log_{10} 250", r"-\frac{\ln 250}{\ln 10}"),
        (r"a \neq 0", "a != 0"), (r"5 \% ", "0.05"), (r"x\geq 5", r"[5, \infty)"),
        (r"3\frac12", "7/2"), (r"-1\frac12", "-1.5"), (r"x\to\infty", r"x \rightarrow \infty"),
        ("52_8", "52_{8}"), (r"\text{4:30 p.m.}", "4:30 p.m."),
        (r"\sqrt{x^2+2x+1}", r"\sqrt{(x+1)^2}"), ("2.5", r"\frac{5}{2}"), (r"14\,916", "14916"),
        ("1 1/2 hours", "1.5"), ("[0, 5]", "0, 5"), (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt3}"),
        (r"\sqrt{-4}", "2i"), ("0.333333", "1/3"),
    ],
)  # fmt: skip
def test_equal_in_another_notation(left: str, right: str) -> None:
    assert compare(left, right).outcome == compare(right, left).outcome == "equal"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("(1,2)", "[1,2]"), ("5", "5,1"), ("1e-7", "2e-7"), ("1-1/e", "1+1/e"), (r"4\sqrt2", "4"),
        ("0.04", "0.01"), ("1/2004!", "1/2006!"),
        ("100000000000000000001", "100000000000000000000"), ("x=5", "y=5"), ("x=5", "y = 5"),
        (r"x\ge5", "x>5"), ("x>5", "x<5"), ("(1,2)", "(2,1)"), (r"\{1,2\}", "(1,2)"),
        ("50", "0.5"), ("0.33", "1/3"), ("3.14", r"\pi"), ("|x|", "x"), (r"\sqrt{x^2}", "x"),
        ("f(x)", "f(y)"), ("I(0)", "0"), ("f(x)", "f(2)"), (r"5 \text{ cm}", r"5\text{ m}"),
        ("5 million", "5"), ("e^{-1000}+1", "1"), (r"10^{-200}\pi", "0"), ("204_5", "54"),
        ("204_5", "204"), ("52_8", "52_9"), ("listen", "silent"), ("even", "odd"),
        (r"\text{east}", r"\text{west}"), ("x<3", "3"), ("x=3", "x<3"), ("5", r"\{5\}"),
        ("3, 3", "3"), ("x^2", "x^{20}"), ("2x", "2"), ("a_1", "a_2"), (r"\sin x", r"\cos x"),
        ("2:3", "3:2"), ("1/0", "0"), (r"\infty", r"-\infty"), (r"(-\infty,2)", r"(-\infty,2]"),
        ("12:00", "12"), ("x+y=1", "x+y=2"), ("2x+y>1", "2x+y<1"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
        ("1,234", "1.234"), ("1000", "1,001"), (r"\pi", r"\frac{22}{7}"), ("9.999", "10"),
        ("3.0000001", "3"), ("2.00001", "2"), (r"\frac{1}{3}", "0.3333"), ("B", "B, C"),
        ("1,2,3,4", "1,2,3"), ("x=1, x=2", "x=1"), (r"\ln 2", r"\ln 3"), ("0.50001", "0.5"),
        ("sin(x)", "sin(y)"), ("no solution", "0"), (r"\emptyset", "0"), ("5 or 6", "5"),
        ("10 units", "100"), ("a", "A"), ("x", "X"), ("2^{10}", "2"), ("ABC", "BCD"),
        ("0.12346", "0.12344"), (r"1+\frac{\pi}{10^{30}}", "1"), ("10^{20}+1", "10^{20}"),
        (r"\frac{17}{3}", "5.66"), ("-5", "5"), ("(0,)", "0"), ("(1,2,3)", "(1,3,2)"),
        (r"\binom{5}{2}", r"\frac52"),
    ],
)  # fmt: skip
def test_never_equal(left: str, right: str) -> None:
    outcomes = {compare(left, right).outcome, compare(right, left).outcome}
    assert outcomes <= {"different", "undecided"}
    assert len(outcomes) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("x = 1/y", "xy = 1"), ("2x > 4", "-x < -2"), ("x+y<1", "2x+2y-2<0"), ("x=y", "y=x"),
        (r"\mathbb{R}", r"(-\infty,\infty)"), (r"x\in\mathbb{R}", "all real numbers"),
    ],
)  # fmt: skip
def test_one_relation_in_two_forms(left: str, right: str) -> None:
    assert compare(left, right).outcome == compare(right, left).outcome == "equal"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("x+y<1", "-x-y<-1"), (r"\frac{x}{x-y}>0", "x>0"), ("x+y=1", "x+y<1"), ("x^2=x", "x=1"),
        (r"x+y\le1", "x+y<1"), ("x+y=1", "1"), ("x+y=1", "x+z=1"), ("x=1", r"x\ne1"),
    ],
)  # fmt: skip
def test_other_relations_are_different(left: str, right: str) -> None:
    assert compare(left, right).outcome == compare(right, left).outcome == "different"


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("2cosx", "2"), ("2abcd", "2"), ("5 at most", "5"), ("at least 5", "5"), ("5 or more", "5"),
        ("10 mod 3", "10"), ("5x", "5"), ("not 5", "5"), ("5 million", "5"), ("5 and a half", "5"),
    ],
)  # fmt: skip
def test_words_that_change_a_number_are_no_units(answer: str, number: str) -> None:
    assert compare(answer, number).outcome == compare(number, answer).outcome == "different"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("5 min", "300 seconds"), (r"5\text{ min}", "5"), ("20 cats", "20"), ("5 sec", "5"),
        ("9.8 m/s^2", r"9.8 \text{ m/s}^2"), ("5 million", "5000000"), ("2cosx", r"2\cos x"),
    ],
)  # fmt: skip
def test_units_and_functions_are_told_apart(left: str, right: str) -> None:
    assert compare(left, right).outcome == compare(right, left).outcome == "equal"


def test_units_and_degrees_count_inside_lists() -> None:
    assert compare(r"5\text{ cm}, 3", r"5\text{ m}, 3").outcome == "different"
    assert compare(r"\sin 30^\circ, 2", r"\sin 30, 2").outcome == "different"
    assert compare(r"\sin 30^\circ, 2", r"2, \frac12").outcome == "equal"


def test_odd_roots_of_negative_numbers_are_real() -> None:
    assert compare(r"\sqrt[3]{-8}", "-2").outcome == "equal"
    assert compare(r"\sqrt[3]{-\pi}", r"-\sqrt[3]{\pi}").outcome == "equal"


@pytest.mark.parametrize(
    ("left", "right", "rule"),
    [
        ("1/2", "0.5", "exact rational"),
        (r"\sqrt{8}", r"2\sqrt2", "normal form"),
        (r"\sin 2x", r"2\sin x\cos x", "numeric sampling"),
        ("1,2", "2,1", "items of a list"),
        ("(1,2)", "(1, 2)", "items in order"),
        ("x>2", r"(2,\infty)", "intervals"),
        ("2x+4=0", "x+2=0", "relations up to a factor"),
        ("East", r"\text{east}", "words"),
        ("0.33333333", "1/3", "rounded to the digits written"),
    ],
)
def test_the_rule_that_decided_is_named(left: str, right: str, rule: str) -> None:
    assert compare(left, right).rule == rule


def test_a_tolerance_is_the_policys_and_only_for_inexact_numbers() -> None:
    measured = Policy(relative_tolerance=0.01)
    assert compare("2.49", "2.5").outcome == "different"
    assert compare("2.49", "2.5", measured).outcome == "equal"
    assert compare("2.4", "2.5", measured).outcome == "different"
    assert compare(r"2.49 \times 10^{8}", "2.5e8", measured).outcome == "equal"
    assert compare(r"\frac{249}{100}", r"\frac52", measured).outcome == "different"
    assert compare("1001", "1000", measured).outcome == "different"
    assert compare(r"\pi", "3.14", measured).outcome == "equal"


def test_the_gold_answers_last_digit_bounds_the_tolerance_from_below() -> None:
    assert compare("1.5612", "1.6", Policy(relative_tolerance=0.0)).outcome == "equal"
    assert compare("1.5412", "1.6", Policy(relative_tolerance=0.0)).outcome == "different"


def test_an_absolute_tolerance_is_the_error_a_problem_states() -> None:
    stated = Policy(absolute_tolerance=0.1)
    assert compare("4.3", "17/4", stated).outcome == "equal"
    assert compare("4.4", "17/4", stated).outcome == "different"
    assert compare("4", "5", Policy(absolute_tolerance=2)).outcome == "different"


def test_a_tolerance_reaches_into_lists() -> None:
    measured = Policy(relative_tolerance=0.01)
    assert compare("[0.99, 2.01]", "[1.0, 2.0]", measured).outcome == "equal"
    assert compare("[0.99, 2.1]", "[1.0, 2.0]", measured).outcome == "different"


@pytest.mark.parametrize(
    "choice", ["C", "(C)", "C.", r"\text{(C)}", "(c)", "(C) a tree", "option C"]
)
def test_a_choice_is_a_letter_however_it_is_written(choice: str) -> None:
    policy = Policy(choices=5)
    assert compare(choice, "C", policy).outcome == compare("C", choice, policy).outcome == "equal"
    assert compare(choice, "D", policy).outcome == "different"


def test_a_choice_may_be_named_by_its_text() -> None:
    assert compare("D", "(D) Alina").outcome == compare("Alina", "(D) Alina").outcome == "equal"
    assert compare("C", "(D) Alina").outcome == "different"
    assert compare("Mary", "(D) Alina").outcome == "different"


@pytest.mark.parametrize(
    "wrong", [{"relative_tolerance": -1}, {"absolute_tolerance": float("nan")}, {"choices": 27}]
)
def test_an_impossible_policy_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Policy(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("gold", [r"\frac{1", "1//2", "}", "((1)", "= =", r"\frac{}{}"])
def test_a_gold_answer_that_is_no_answer_is_an_error_of_the_data(gold: str) -> None:
    assert is_unparsable(gold)


@pytest.mark.parametrize(
    "gold", ["5", "f(x) = ax + b, where a is any integer", "no solution", "9^{9^{9^9}}", "x>2"]
)
def test_formulas_and_prose_are_answers(gold: str) -> None:
    assert not is_unparsable(gold)
