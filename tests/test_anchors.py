"""Fast paths come to the same as what they stand for, on texts made of the words that they look for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datagen import echoes, refusals
from datagen.gates import GateConfig, rule
from datagen.records import Record
from evals import extract
from evals.anchors import lower, matches_at, places
from evals.extract_boxes import all_boxes
from evals.extract_phrases import PHRASE, announcements
from evals.extract_values import NUMBER, numbers
from evals.leaks import CORRECTING, CORRECTION
from launch.judging import AnswerJudge


def texts(pieces: Iterable[str], most: int = 16) -> st.SearchStrategy[str]:
    """Pieces, one behind the other."""
    return st.lists(st.sampled_from(list(pieces)), max_size=most).map("".join)


ANNOUNCED = ["final ", "Final\n", "semi", "answer", "ANSWERS", "result", "value", "solution", " is ", ": ", "\n",
             "A: ", "a: 3", "the ", "$", "3", "\u0130", "not "]  # fmt: skip
CORRECTED = ["should ", "must ", "ought to ", "would ", "needs to ", "need to ", "has to ", "correct ", "right ",
             "true ", "actual ", "expected ", "real ", "proper ", "final ", "end ", "be ", "get", "is", "value ", "=",
             "in", "3"]  # fmt: skip
NUMERIC = ["-", "+", "\u2212", ".", ",", "1", "23", "000", "\\frac", "\\dfrac", "{1}", "{", "}", "e", "/", "%", " ",
           "x", "\\", "\u0663", ")"]  # fmt: skip
BOXED = ["\\boxed{", "\\boxed", "\\fbox{", "framebox", "\\\\", "\\", "{", "}", "\\{", "\\}", " ", "\n", "3", "x",
         "The final answer is 4. ", "answer", "5"]  # fmt: skip


def spans(matches: Iterable[re.Match[str]]) -> list[tuple[int, int]]:
    return [match.span() for match in matches]


@given(texts(ANNOUNCED), st.integers(0, 20))
@example("semifinal result: 3", 0)
@example("semifinal value: 3", 0)
@example("semifinal solution: 3", 0)
@settings(max_examples=300)
def test_announcements_are_those_of_the_plain_search(text: str, start: int) -> None:
    start = min(start, len(text))
    assert spans(announcements(text, start)) == spans(PHRASE.finditer(text, start))


@given(texts(CORRECTED))
@settings(max_examples=500)
def test_corrections_are_those_of_the_plain_search(text: str) -> None:
    fast = matches_at(CORRECTION, text, places(text, CORRECTING))
    assert spans(fast) == spans(CORRECTION.finditer(text))


@given(texts(NUMERIC))
@settings(max_examples=500)
def test_numbers_are_those_of_the_plain_search(text: str) -> None:
    assert spans(numbers(text)) == spans(NUMBER.finditer(text))


@given(texts(BOXED))
@settings(max_examples=300)
def test_what_stands_before_the_first_box_changes_no_box(text: str) -> None:
    all_read = all_boxes(f"box {text}")  # the word makes it read the text from the start
    moved = [(box.content, box.start - 4, box.end - 4) for box in all_read]
    assert moved == [(box.content, box.start, box.end) for box in all_boxes(text)]


@given(texts(BOXED))
@settings(max_examples=300)
def test_a_box_with_no_announcement_behind_it_needs_no_search_for_one(text: str) -> None:
    with patch.object(extract, "may_announce", return_value=True):
        plain = extract.marked_answer(text)
    assert extract.marked_answer(text) == plain


@pytest.mark.parametrize("text", ["A\u0130B", "Stra\u00dfE", "\u212a", ""])
def test_lower_case_keeps_places(text: str) -> None:
    assert len(lower(text)) == len(text)
    assert lower(text).isascii() or "\u00df" in text


# ---- gates ------------------------------------------------------------------------------------------

DECLINING = ["I ", "i ", "I'm ", "I\u2019m ", "am ", "can't ", "cannot ", "unable to ", "help ", "assist ", "sorry ",
             "Sorry, ", "that is ", "something ", "do ", "as an AI, ", "AI ", "a ", "just ", "violates ",
             "goes against ", "our ", "guidelines ", "policies ", "no", ". ", "kiwi ", "= 5"]  # fmt: skip


@given(texts(DECLINING, 10))
@example("violates our policies ")
@example("goes against our policies ")
@settings(max_examples=500)
def test_no_text_declines_without_the_word_of_its_rule(text: str) -> None:
    opening = text.lower()
    plain = [pattern.pattern.replace("i(?<=\\bi)", "\\bi") for _, pattern in refusals.DECLINES]
    declines = any(re.search(pattern, opening) for pattern in plain)
    asked = (pattern for word, pattern in refusals.DECLINES if word in opening)
    assert any(pattern.search(opening) for pattern in asked) == declines


PROMPT = "Tom has 14 apples and buys 27 more. How many apples does he have?"
ECHOED = [
    PROMPT,
    PROMPT.upper(),
    *[f"{word} " for word in PROMPT.split()],
    "Question: ",
    "the ",
    "pears ",
    "?",
    "41 ",
]


@given(texts(ECHOED, 24))
@settings(max_examples=500)
def test_a_new_word_early_on_changes_no_verdict_on_an_echo(answer: str) -> None:
    with patch.object(echoes, "says_something_new", return_value=False):
        plain = echoes.echoes(PROMPT, answer)
    assert echoes.echoes(PROMPT, answer) is plain


def test_a_student_who_is_known_to_be_right_is_not_graded_again() -> None:
    found = {}
    for known in (True, False, None):
        record = Record(
            id="r",
            prompt=PROMPT,
            final_answer="41",
            student_answer="It is 42.",
            student_correct=known,
        )
        text = "The answer should be 41."
        found[known] = rule("critique", record, text, "stop", 0, GateConfig(), AnswerJudge()).found
    assert found == {True: (), False: ("leak",), None: ("leak",)}
