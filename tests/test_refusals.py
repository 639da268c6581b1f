"""Refusals are found, and mathematics that cannot be done is not taken for one."""

from __future__ import annotations

import pytest

from datagen.refusals import MAX_REFUSAL_CHARS, is_refusal

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I\u2019m sorry, but I can\u2019t assist with that request.",
    "I cannot help with this request.",
    "Sorry, I can't assist with that.",
    "I'm sorry, I cannot.",
    "I apologize, but I am unable to provide assistance with this topic.",
    "I am not able to help with that. Is there anything else I can do for you?",
    "As an AI language model, I cannot form opinions on a student's work.",
    "As an AI, I don't have the ability to review solutions.",
    "I'm just an AI, I can't critique this.",
    "I can't fulfill this request.",
    "I cannot comply with this request because it violates the content policy.",
    "This request goes against my guidelines.",
    "I must decline to participate in this.",
    "I won't provide instructions for that.",
    "I'm afraid that is not something I can help with.",
    "I cannot provide a critique of this solution.",
    "I can't engage in this discussion.",
]
NOT_REFUSALS = [
    "I cannot find an integer solution, so the equation has none.",
    "I cannot find the roots by factoring, so I use the formula: x = 3.",
    "We can't divide by zero, so x = 0 is excluded.",
    "I can't simplify this further.",
    "I cannot help but notice that both sides are even.",
    "I'm sorry, I made a mistake above. Let me start again: 3 + 4 = 7.",
    "I am unable to determine the value from what is given.",
    "It is not possible to provide a single value: the system is underdetermined.",
    "The student cannot assume that n is even.",
    "The solution can't help being long.",
    "I cannot see why the second step holds; 4 * 6 is not 22.",
    "As an AI researcher, Ann earns 5000 a month, so she earns 60000 a year.",
    "Sorry, the second step is wrong.",
    "The answer is that nobody can help.",
    "I cannot help with the drawing, but the area is computed as follows. The answer is 12.",
    "As an AI language model, I cannot draw, but the sum is \\boxed{7}.",
    "This goes against the law of signs: minus times minus is plus.",
    "You must decline the offer to get the largest profit.",
    "",
    "42",
    "I cannot conclude. Conclusion: wrong",
    "No.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals_are_found(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize("text", NOT_REFUSALS)
def test_what_cannot_be_done_in_mathematics_is_no_refusal(text: str) -> None:
    assert not is_refusal(text)


def test_a_long_text_or_a_late_sentence_is_no_refusal() -> None:
    late = "The student adds the two numbers and gets it right. " * 8
    assert not is_refusal(late + REFUSALS[0])
    assert not is_refusal(REFUSALS[0] + " And so on." * MAX_REFUSAL_CHARS)
