"""Multiple choice: which letter a text chooses, and that none is guessed."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.extract import extract_answer


def letter_in(text: str, choices: int = 10) -> str | None:
    """The letter that was found."""
    found = extract_answer(text, choices)
    return found.answer if found else None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        (r"\boxed{C}", "C"), (r"\boxed{(C)}", "C"), (r"\boxed{\text{C}}", "C"), (r"\boxed{c}", "C"),
        (r"\boxed{C. 42}", "C"), (r"\boxed{\text{(C) }42}", "C"), (r"\boxed{\textbf{(A)}\ 5}", "A"),
        (r"A box too many: \boxed{42}. The answer is C.", "C"),
        ("The answer is C", "C"), ("The answer is (C).", "C"), ("**Answer: C**", "C"), ("Answer:\nC", "C"),
        ("Answer: **C. Paris**", "C"), ("The correct answer is:\n\n**B) foo**", "B"), ("the answer is (b)", "B"),
        ("answer: d", "D"), ("The answer is 'C'.", "C"), (r"Thus the answer is \(C\).", "C"),
        (r"the correct answer is option $\textbf{(B)}$", "B"), ("The final answer is **(J)**", "J"),
        ("The correct option is B because A is wrong", "B"), ("I would choose D.", "D"), ("I'd go with (B)", "B"),
        ("I choose option (A).", "A"), ("Choice B", "B"), ("option C is correct", "C"),
        ("(D) is the correct answer", "D"), ("The answer is A because it fits", "A"), ("The answer is I.", "I"),
        ("<think>The answer is B.</think> The answer is C", "C"), ("<answer>(C)</answer>", "C"),
        ("C", "C"), ("(c)", "C"), ("C. Paris", "C"), ("C) Paris", "C"), ("long talk.\n\n**C**", "C"),
        ("Hence, (E).", "E"),
        ("It's not A because it makes no sense, therefore I think it's B", "B"),
    ],
)  # fmt: skip
def test_a_chosen_letter_is_found_in_every_spelling(text: str, letter: str) -> None:
    assert letter_in(text) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is C. Option B is incorrect.", "C"),
        ("The answer is C. A and B are wrong, D is a distractor", "C"),
        ("The answer is C.\n\nA is a matter of taste, I think.", "C"),
        ("Answer: C\n\nExplanation: A is wrong, as B", "C"),
        ("The answer is C. However, some argue option D is close.", "C"),
        ("The answer is B. Wait, actually the answer is D.", "D"),
        ("The answer isn't A. The answer is B", "B"),
        ("Not option A; the answer must be D", "D"),
        ("Answer is C, not B.", "C"),
        ("The answer is C.\n\nQuestion: Who was it?\nThe answer is B.", "C"),
    ],
)
def test_the_last_choice_beats_stray_letters(text: str, letter: str) -> None:
    assert letter_in(text) == letter


@pytest.mark.parametrize(
    "text",
    [
        "A good way to think: I think",
        "I",
        "The answer is a matter of taste",
        "The answer is I think something else",
        "The answer is not B.",
        "So we have B or C.",
        "Answer: B or C",
        "Both A and B",
        "A: foo\nB: bar\nC: baz",
        "A vitamin C deficiency",
        r"\boxed{42}",
        r"\boxed{A, C}",
        r"\boxed{A \cup B}",
        "The answer is 42",
        "The answer is K.",
        "",
        "<think>The answer is B",
    ],
)
def test_no_letter_is_guessed(text: str) -> None:
    assert letter_in(text, 8) is None


@given(
    st.integers(2, 26),
    st.sampled_from(["The answer is ({}).", "**{}**", "\\boxed{{{}}}", "Answer: {}"]),
)
def test_every_option_is_found_and_no_other(choices: int, form: str) -> None:
    for position, letter in enumerate(string.ascii_uppercase):
        expected = letter if position < choices else None
        assert letter_in(form.format(letter), choices) == expected


def test_a_letter_is_an_option_only_where_there_are_choices() -> None:
    assert extract_answer("The answer is C", 4).rule == "option"
    assert extract_answer("The answer is C").rule == "phrase"
    with pytest.raises(ValueError, match="choices"):
        extract_answer("The answer is C", 27)
