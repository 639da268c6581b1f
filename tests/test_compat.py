"""Claims: `compat` says what the grader behind published tables says; every expectation was measured on that grader."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.compat import leniently_correct, leniently_equal
from evals.compat_extract import announced_answer, chosen_option
from evals.compat_spelling import respelt
from evals.compat_values import beginning
from evals.compat_words import number_in_words
from evals.expression import Call, Number, Symbol
from evals.grading import grade, grade_leniently


def boxed(answer: str, gold: str) -> bool | None:
    """What it says of an output that holds the answer in a box."""
    return leniently_correct(f"It is \\boxed{{{answer}}}.", gold)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("50", "0.5"), ("0.5", "50"), ("5", "0.05"), ("100.005", "100"),  # 100 times, 0.01 %
        ("0.04", "0.01"), ("7.04", "7.0"), ("0", "0.04"), ("50\\%", "50"),  # one decimal
        ("0.3333", "\\frac{1}{3}"), ("1.41421", "\\sqrt{2}"), ("1e3", "1000"),
        ("x=5", "y=5"), ("w = 5", "5"), ("\\text{Area} = 5", "5"), ("f(x)=x+1", "x+1"),  # names
        ("5,1", "51"), ("\\sqrt{2},1", "\\sqrt{2}"), ("x^-1", "x"), ("1\\frac{1}{2}", "0.5"),
        ("(1,2)", "[1,2]"), ("[1.004,2]", "[1,200]"), ("\\{3,1,2\\}", "\\{1,2,3\\}"),
        ("(-\\infty,3)\\cup[5,\\infty)", "(-\\infty,3)\\cup(5,\\infty)"),
        ("x<5", "x>5"), ("x \\le 5", "x<5"), ("x^2=4", "x^2-4=0"), ("1 < 2", "3 < 4"),  # relations
        ("a+b", "b"), ("5 cm", "5 m"), ("5 \\text{ cm}", "5"), ("45^\\circ", "45"),  # units
        ("five apples", "5"), ("two thousand three hundred five", "2305"),
        ("5\\cdot 10^{3}", "7\\cdot 10^{3}"), ("10^{20}+1", "10^{20}"), ("1000", "10^{3}"),
        ("3 \\times 10^{5}", "300000"), ("\\frac{1}{2004!}", "\\frac{1}{2006!}"),
        ("\\begin{pmatrix} 1.0 \\\\ 2 \\end{pmatrix}", "\\begin{bmatrix} 1 \\\\ 2 \\end{bmatrix}"),
        ("(x+1)^2", "x^2+2x+1"), ("\\sin^2 x + \\cos^2 x", "1"), ("\\ln 8", "3\\ln 2"),
        ("\\log_2 8", "3"), ("\\binom{5}{2}", "10"), ("\\lfloor 2.5 \\rfloor", "2"), ("2x3", "6"),
        ("listen", "silent"), ("3+4j", "3+4i"), ("-.5", "-\\frac{1}{2}"), ("11:30", "\\frac{11}{30}"),
        ("\\sum_{k=1}^{n} ka", "\\sum_{k=1}^{n} ak"), ("\\sqrt[3]{8}", "2"),
    ],
)  # fmt: skip
def test_it_accepts_what_the_reference_accepts(answer: str, gold: str) -> None:
    assert boxed(answer, gold) is True


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("101", "100"), ("7.06", "7.0"), ("0.06", "0"), ("0.333", "\\frac{1}{3}"),
        ("1.414", "\\sqrt{2}"), ("5,1", "5"), ("1,2", "1"), ("(1,2)", "(2,1)"),
        ("1,2,3", "3,2,1"), ("52_8", "52_9"), ("2-\\sqrt 2", "2+\\sqrt 2"), ("odd", "even"),
        ("2x+1=y", "y=2x+1"), ("4=x^2", "x^2=4"), ("y=2x+2", "y=2x+1"), ("|x|", "x"),
        ("\\frac{\\pi}{4}", "0.785398"), ("2 \\pm \\sqrt{3}", "\\sqrt{3} \\pm 2"),
        ("1\\frac12", "1.5"), ("(1,2)", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"), ("-5", "5"),
        ("nan", "5"), ("", "5"),
    ],
)  # fmt: skip
def test_it_refuses_what_the_reference_refuses(answer: str, gold: str) -> None:
    assert boxed(answer, gold) is False


@pytest.mark.parametrize(
    ("output", "gold", "correct"),
    [
        ("I count 3 and then 4 of them", "4", True),
        ("The answer is 5.\n\nLet me check: 3+4=7.", "5", False),
        ("First \\boxed{3}, no: \\boxed{4}", "4", True),
        ("First \\boxed{3}, no: \\boxed{4}", "3", False),
        ("so \\boxed{5 and so on", "5", False),
        ("\\boxed 5$ is it", "5", True),
        ("\\fbox{5} is it, of 7", "7", True),
        ("\\boxed{5}. The answer is 6", "5", True),
        ("The final answer is $x+1$. I hope it is correct.", "x+1", True),
        ("The final answer is: 42.", "42", True),
        ("no idea at all", "5", False),
        ("total 1,234 apples", "1234", True),
        ("it is 5-7", "7", False),
        ("it is 5-7", "-7", True),
        ("The answer is (B).", "B", True),
        ("I pick option B, since A is wrong. Final: C", "B", False),
        ("A cat ate it", "A", True),
        ("\\boxed{12}, which is option B", "B", True),
        ("\\boxed{\\text{(C)}}", "C", True),
        ("\\boxed{A, C}", "AC", True),
        ("", "5", False),
    ],
)  # fmt: skip
def test_it_looks_for_the_answer_where_the_reference_looks(
    output: str, gold: str, correct: bool
) -> None:
    assert leniently_correct(output, gold) is correct


def test_units_stay_only_where_the_reference_leaves_them() -> None:
    assert leniently_correct("\\boxed{5 m}", "5 s")
    assert not leniently_correct("\\boxed{5 m}", "5 s", keep_units=True)


@pytest.mark.parametrize(
    ("output", "choices", "option"),
    [
        ("so the answer is (C), not B", 10, "C"),
        ("Answer: D\nThe answer: E", 10, "D"),
        ("Answer: D, answer: E\nanswer: F", 10, "E"),
        ("Answer:Answer:C", 10, "C"),
        ("maybe B, maybe J.", 10, "J"),
        ("no letter here", 10, "G"),
        ("the answer is B or C", 4, "B"),
        ("is it A? No, d", 4, "D"),
        ("The answer is A.\n\nThe answer is B.", 4, "A"),
        ("5", 4, None),
    ],
)
def test_options_are_found_as_the_two_references_find_them(
    output: str, choices: int, option: str | None
) -> None:
    assert chosen_option(output, choices) == option
    assert leniently_correct(output, "C", choices) is (option == "C")


def test_a_formula_is_read_as_far_as_it_is_one() -> None:
    assert beginning("5,1") == beginning("5") == beginning("5^{") == beginning("5)x")
    assert beginning("1+2\\sqrt2+3") == beginning("1+2")
    assert beginning("2x(") == Call("*", (beginning("2"), Symbol("\\x")))
    assert beginning("3;") is beginning("x=(1,2)") is beginning("(1+\\sqrt3)") is None
    assert isinstance(beginning("1,234"), Number)


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("\\dfrac12", "\\frac{1}{2}"), ("3/4", "\\frac{3}{4}"), ("x/4", "x/4"), ("5.00", "5"),
        ("x\\in [1, 2]", "[1,2]"), ("k = 7", "7"), ("12\\text{ m}", "12"), (".5", "0.5"),
        ("a", "a"), ("12 m a", "12"), ("\\sqrt3", "\\sqrt{3}"), ("\\frac1", "\\frac1"), ("inf", "\\infty"),
    ],
)  # fmt: skip
def test_the_reference_spells_it_so(text: str, spelling: str) -> None:
    assert respelt(text) == spelling


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("twenty one", "21"), ("no one", "1"), ("three point one four", "3.14"), ("007", "7"),
        ("one thousand million", "one thousand million"), ("point", "0"), ("cats", "cats"),
        ("two million five thousand ten", "2005010"), ("one one one one one", "1"),
    ],
)  # fmt: skip
def test_numbers_in_words_are_counted(text: str, number: str) -> None:
    assert number_in_words(text) == number


@pytest.mark.parametrize(
    "answer",
    [
        "9^{9^{9^{9}}}", "2^{100000000}", "5\\times10^{99999}", "(" * 400, "(1" * 60 + ")" * 60,
        "\\int_0^1 x dx", "1" * 5000, "\\frac" * 200, "((((((((((((((((1))))))))))))))))",
    ],
)  # fmt: skip
def test_where_it_cannot_follow_the_strict_verdict_stands(answer: str) -> None:
    started = time.monotonic()
    output = f"\\boxed{{{answer}}}"
    verdict = grade(output, "\\frac{1}{7}")
    assert grade_leniently(output, "\\frac{1}{7}", verdict) is False
    assert grade_leniently(f"\\boxed{{{answer}}}", "", verdict) is None
    assert time.monotonic() - started < 1


def test_it_is_beside_the_strict_verdict_and_may_differ_both_ways() -> None:
    for output, gold in (("\\boxed{50}", "0.5"), ("\\boxed{1.5}", "1\\frac{1}{2}")):
        verdict = grade(output, gold)
        assert grade_leniently(output, gold, verdict) is not verdict.correct


PIECES = st.sampled_from(
    [
        *(
            "\\boxed{",
            "}",
            "{",
            "(",
            ")",
            "[",
            "]",
            "5",
            "0.5",
            ",",
            "x",
            "=",
            "\\frac",
            "\\sqrt",
            "^",
        ),
        *(
            "_",
            "\\sin",
            "\\log",
            "+",
            "-",
            "/",
            "!",
            "|",
            " ",
            "\n",
            "answer is ",
            "A",
            "%",
            "\\text{",
        ),
        *("10", "\\begin{pmatrix}", "\\end{pmatrix}", "\\\\", "&", "<", "two", "e", "\\times10^{"),
        *("\u0663", "\u00b2", "."),
    ]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join), st.lists(PIECES, max_size=8).map("".join))
def test_it_never_raises_and_accepts_an_answer_as_its_own_gold(output: str, gold: str) -> None:
    assert leniently_correct(output, gold) in {True, False, None}
    spelling = respelt(gold)
    assert leniently_equal(spelling, spelling) is True
    assert chosen_option(output, 4) in {None, *"ABCD"}
    assert isinstance(announced_answer(output), str)


@pytest.mark.parametrize(
    "piece", ["1", "answer: ", "\\boxed{", "a ", "\\text{a}", "x^", "((", "\n"]
)
def test_long_outputs_cost_little(piece: str) -> None:
    started = time.monotonic()
    leniently_correct(piece * 20_000, "5")
    leniently_correct(piece * 20_000, "C", 10)
    leniently_correct("\\boxed{" + (piece * 1000)[:900] + "}", "5")
    assert time.monotonic() - started < 2
