"""Finding the answer in a text: each rule, which of two wins, and texts that mean harm."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.extract import extract_answer, extract_marked
from evals.rationals import read_number

fractions = st.fractions(max_denominator=10**6)
words = st.text(alphabet="abcdefghij klmnop.,", max_size=60)
LATEX = "$ $$ \\( \\) \\[ \\boxed{ { } \\frac12 answer\u00a0is #### ** (C) 5 yes = . , and \\text{ x <think> </think>"
PIECES = [*LATEX.split(" "), "<answer>", "<|im_start|>", "\n", " "]


def found_in(text: str) -> tuple[str, str] | None:
    """The answer and its rule."""
    found = extract_answer(text)
    return (found.answer, found.rule) if found else None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{12}", "12"),
        (r"\boxed{1}, or rather \boxed{2}. Check: 3", "2"),
        (r"\boxed{5}. Wait, that is wrong. \boxed{6}", "6"),
        (r"\boxed{\frac{1}{\frac{2}{3}}}", r"\frac{1}{\frac{2}{3}}"),
        (r"\boxed{a \} b}", r"a \} b"),
        (r"\boxed{7} and then \boxed{8", "7"),
        (r"{ \boxed{7}", "7"),
        (r"\boxed {7}", "7"),
        (r"\\boxed{7}", "7"),
        (r"\fbox{7}", "7"),
        (r"\boxed{\text{the box \boxed{7}}}", r"\text{the box \boxed{7}}"),
        (r"$\boxed 5$ hens", "5"),
        (r"$\boxed\frac{1}{2}$", r"\frac{1}{2}"),
        (r"I box 4: \boxed{4}. Always use \boxed{}.", "4"),
        (r"\boxed{4}. I hope the final answer is correct.", "4"),
        ("\\boxed{\n\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}\n}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"),
    ],
)  # fmt: skip
def test_the_last_balanced_box_wins(text: str, answer: str) -> None:
    assert found_in(text) == (answer, "boxed")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\[ \boxed{-2} \quad \text{and} \quad \boxed{1}. \]", "-2, 1"),
        (r"$\boxed{1}$, $\boxed{2}$, and $\boxed{3}$", "1, 2, 3"),
        (r"$x = \boxed{1}$ and $y = \boxed{1}$", "1, 1"),
        (r"\boxed{(3,3)} \text{ for part (a) and } \boxed{(1,1)}", "(3,3), (1,1)"),
        (r"\boxed{3} and \boxed{3}", "3"),
        (r"\boxed{0.5} or \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{10} and then \boxed{42}", "42"),
        (r"\boxed{10} = \boxed{2} \cdot 5, so \boxed{5}", "5"),
        ("\\boxed{1}\n\n\\boxed{2}", "2"),
        ("\\boxed{1}\n\\boxed{2}", "2"),
    ],
)
def test_boxes_strung_together_are_one_answer(text: str, answer: str) -> None:
    assert found_in(text) == (answer, "boxed")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 3.5. I am sure.", "3.5"),
        ("The answer is 4. No: the final answer is $\\frac{1}{2}$.", "\\frac{1}{2}"),
        ("Final Answer: The final answer is $7$. I hope it is correct.", "7"),
        ("Therefore, the answer is: 7", "7"),
        ("**Answer:** 17 dollars", "17 dollars"),
        ("**Final Answer**\n\n42", "42"),
        ("### Final Answer\n\n\\[\n\\frac{3}{4}\n\\]", "\\frac{3}{4}"),
        ("The answer is **42**.", "42"),
        ("Answer $ 9 $", "9"),
        ("so the answer would be approximately 3.14.", "3.14"),
        ("The answer to the last question is 17.", "17"),
        ("The answer is 3 + 4 = 7.", "7"),
        ("The answer is $2^{10} = 1024$.", "1024"),
        ("Final answer: The volume is 120. I hope so.", "120"),
        ("Final Answer: Jane started 3 hours ago.", "3"),
        ("The answer is 5, as 2 + 3 is 5", "5"),
        ("The answer is 42 because geometry proves it", "42"),
        ("The answer is 42. This answer is reasonable.", "42"),
        ("The answer is 42. The answer is one that nobody in the class had expected.", "42"),
        ("The answer is not 5, the answer is 6.", "6"),
        ("The answer is 5 million dollars.", "5 million dollars"),
        ("The answer is 5 or 6.", "5 or 6"),
        ("Answer: 1,3,5", "1,3,5"),
        ("The answer is $5 = x$.", "5 = x"),
        ("The answer is right triangle.", "right triangle"),
        ("The answer is 15(3x+2).", "15(3x+2)"),
        ("The answer is $x=1$ and $x=2$.", "x=1, x=2"),
        ("The answer is $5\\pi$ square units.", "5\\pi"),
        ("The answer is $\\sqrt{3}$ %.", "\\sqrt{3}\\%"),
        ("The answer is \\begin{pmatrix} 1 \\\\\n 2 \\end{pmatrix}.", "\\begin{pmatrix} 1 \\\\\n 2 \\end{pmatrix}"),
        ("The answer is 34\\text{ sq. units}.", "34\\text{ sq. units}"),
        ("The answer is 2:30 p.m. on Monday", "2:30 p.m. on Monday"),
        ("The correct answer is Paris.", "Paris"),
        ("The answer is no solution.", "no solution"),
        ("The final answer is True.", "True"),
        ("He pays $8 * 2 = $16.\nA: 16", "16"),
        ("Twice $2 is $4.\nThe answer is 5.\n\nQuestion: What is 2 + 2?\nThe answer is 4.", "5"),
        ("first \\boxed{255}, so $10,200 + $255. Final Answer: The final answer is $10,455$.", "10,455"),
    ],
)  # fmt: skip
def test_the_last_announced_value_is_found(text: str, answer: str) -> None:
    assert found_in(text) == (answer, "phrase")


def test_a_ratio_of_names_is_no_announcement() -> None:
    assert extract_marked("A:B=3:2") is None


def test_reasoning_longer_than_what_is_read_is_still_reasoning() -> None:
    assert extract_answer("<think>" + "so it is 5. " * 50_000) is None


def test_an_announcement_that_is_not_final_leaves_the_box() -> None:
    assert found_in(r"\boxed{5}. So this answer is 3 more than 2.") == ("5", "boxed")
    assert found_in(r"\boxed{5}. Without the hat the answer is 3.") == ("5", "boxed")
    assert found_in(r"\boxed{5}. The final answer is $5$.") == ("5", "boxed")


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("9 * 2 = 18\n#### 18", "18", "hashes"),
        ("#### 1,234\n", "1,234", "hashes"),
        ("so\n#### The answer is 12", "12", "hashes"),
        ("#### Step one\nThe answer is 5.", "5", "phrase"),
        ("-3/4", "-3/4", "whole text"),
        ("yes", "yes", "whole text"),
        ("(1, 2)", "(1, 2)", "whole text"),
        ("odd $n$", "odd $n$", "whole text"),
        ("AB=9, CD=4", "AB=9, CD=4", "whole text"),
        ("Hence the statement is **false**.", "false", "truth value"),
        ("Yes, it converges absolutely.", "Yes", "truth value"),
        ("Therefore $x \\geq 5$ is the solution.", "x \\geq 5", "formula"),
        ("the pair $(x, y)$ that solves it is $(7, 6)$.", "(7, 6)", "formula"),
        ("Hence $n = 3 \\cdot 4 = 12$.", "12", "formula"),
        ("a matrix: $\\begin{pmatrix}0 & 1\\end{pmatrix}$", "\\begin{pmatrix}0 & 1\\end{pmatrix}", "formula"),
        ("The area of $\\triangle ABC$ is 24.", "24", "last number"),
        ("We have $a = 5$. In all that makes 30 dollars.", "30", "last number"),
        ("The maximum is 7 when $x = 3$.", "7", "last number"),
        ("She pays $5 for each and $10 in total", "10", "last number"),
        ("He pays $3 for one and two cost 6$.", "6", "last number"),
        ("In all $8 * 2 = $16 for him", "16", "last number"),
        ("We find 5 hens beside the line $AB$", "5", "last number"),
        ("Yes, she has 5 hens", "5", "last number"),
        ("She has 3 and 4 hens, 7 in all", "7", "last number"),
        ("that costs $1,250.50 then", "1,250.50", "last number"),
        ("he owes -5 euros here", "-5", "last number"),
        ("we get 12-8 hens", "8", "last number"),
        ("P is 2/3. Good luck to you", "2/3", "last number"),
        ("about 30% of them agree", "30%", "last number"),
        ("It cannot be A, so I think it's B", "B", "option"),
    ],
)  # fmt: skip
def test_without_announcement_the_rule_says_what_the_answer_rests_on(
    text: str, answer: str, rule: str
) -> None:
    assert found_in(text) == (answer, rule)


@pytest.mark.parametrize(
    "text",
    ["", "   \n", "**Answer:**", "The answer is $$.", "I do not know what to say here", "no idea",
     "<think>\\boxed{3}", "<think>5</think>\n", "<|im_start|>think\nit is 5"],
)  # fmt: skip
def test_a_text_without_an_answer_has_none(text: str) -> None:
    assert extract_answer(text) is None
    assert extract_marked(text) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>so \\boxed{3}</think>\n\nThe answer is \\boxed{4}", "4"),
        ("\\boxed{3}, I think</think> The answer is 4.", "4"),
        ("<think>3</think><answer>12</answer>", "12"),
        ("<think>3</think><answer> \\boxed{12}", "12"),
        ("<answer>5</answer> No: \\boxed{6}", "6"),
        ("<|im_start|>think\nit is 5\n<|im_start|>answer\nAnswer: 7<|im_end|>", "7"),
        ("The answer is 4.<|im_end|>\n<|im_start|>user\nAnd 3 + 5?", "4"),
        ("<|im_start|>assistant\nThe answer is 4.<|im_end|>", "4"),
        ("The answer is 4.</s> The answer is 5.", "4"),
    ],
)
def test_only_what_the_model_says_to_its_reader_counts(text: str, answer: str) -> None:
    found = found_in(text)
    assert found is not None
    assert found[0] == answer


@given(words, fractions, words)
def test_a_box_is_found_in_any_prose(before: str, value: object, after: str) -> None:
    found = extract_answer(f"{before} \\boxed{{{value}}} {after}")
    assert found is not None
    assert found.rule == "boxed"
    assert read_number(found.answer).value == value


@given(words.filter(lambda text: "answer" not in text), fractions)
def test_an_announced_number_is_found_in_any_spelling(before: str, value: object) -> None:
    for announced in (
        f"The answer is {value}.",
        f"**Final Answer:** \\({value}\\)",
        f"Therefore, the answer is: ${value}$.",
        f"#### {value}",
        f"<answer>{value}</answer>",
    ):
        found = extract_answer(f"{before}\n{announced}")
        assert found is not None
        assert read_number(found.answer).value == value, announced


@given(st.text(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_no_text_makes_the_extractor_fail(text: str) -> None:
    for choices in (0, 4):
        found = extract_answer(text, choices)
        assert found is None or found.answer.strip()


HOSTILE = {
    "open braces": "{" * 100_000,
    "closed braces": "}" * 100_000,
    "open boxes": r"\boxed{" * 20_000,
    "nested boxes": r"\boxed{" * 20_000 + "1" + "}" * 20_000,
    "unbraced boxes": r"\boxed" * 20_000,
    "many boxes": r"\boxed{1}, " * 20_000,
    "digits": "7" * 100_000,
    "commas": "1,111," * 20_000,
    "groups": ",111" * 30_000 + "1",
    "fractions": r"\frac{1}" * 20_000,
    "slashes": "1/" * 50_000,
    "phrases": "answer is " * 20_000,
    "phrases with colons": "answer: " * 20_000,
    "headings": "final answer\n" * 20_000,
    "hashes": "#" * 100_000,
    "spaces": "answer" + " " * 100_000,
    "dollars": "answer is " + "$" * 100_000,
    "dollars apart": "answer is " + "$ " * 100_000,
    "formulas": "answer is " + "$x$. " * 50_000,
    "backslashes": "\\" * 100_000,
    "points": "1." * 50_000,
    "signs": "-" * 100_000,
    "stars": "the answer is " + "*" * 100_000 + "5",
    "options": "option " * 20_000,
    "conclusions": "so " * 50_000,
    "thoughts": "<think>" * 20_000,
    "turns": "<|im_start|>" * 20_000,
    "sentences": "the answer is " + "a. " * 50_000,
    "call": "__import__('os').abort()",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_take_no_time(name: str) -> None:
    for choices in (0, 10):
        started = time.process_time()
        extract_answer(HOSTILE[name], choices)
        assert time.process_time() - started < 1.0
