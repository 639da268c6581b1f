"""The leak detector: its precision and recall on critiques made by hand, and its limits."""

from __future__ import annotations

import time

import pytest
from leak_cases import APPLES, APPLES_RIGHT, APPLES_WRONG, CASES

from datagen.arithmetic import problems, teacher
from datagen.records import Record
from evals.leaks import gives_away


def test_precision_and_recall_on_the_cases() -> None:
    found = [(gives_away(*case[:4]), case[4]) for case in CASES]
    true_found = found.count((True, True))
    assert true_found / (true_found + found.count((True, False))) >= 0.95
    assert true_found / (true_found + found.count((False, True))) >= 0.9


@pytest.mark.parametrize("sentence", ["The answer is 41.", "\\boxed{41}", "So 14 + 27 = 41."])
def test_a_right_student_has_nothing_left_to_be_told(sentence: str) -> None:
    assert gives_away(sentence, "41", APPLES, APPLES_WRONG)
    assert not gives_away(sentence, "41", APPLES, APPLES_RIGHT)


def test_quoting_prompt_or_student_tells_nothing_unless_it_is_called_the_answer() -> None:
    student = "There are 41 left, so the answer is 42."
    assert not gives_away("You say that 41 are left.", "41", APPLES, student)
    assert gives_away("The answer is 41, as you had before.", "41", APPLES, student)
    assert not gives_away("It says 41 apples.", "41", "He has 41 apples.", "The answer is 42.")


def test_the_worlds_own_teacher_keeps_the_answer_back() -> None:
    told = 0
    for problem in problems("train", 150):
        record = Record(id=problem.id, prompt=problem.prompt, student_answer="So \\boxed{0}")
        text = teacher("critique", record, 1)
        told += gives_away(text, str(problem.final), record.prompt, "So \\boxed{0}")
        whole = f"{text}\nThe answer should be {problem.final}."
        assert gives_away(whole, str(problem.final), record.prompt, "So \\boxed{0}")
    assert told == 0


@pytest.mark.parametrize("piece", ["the answer is ", "$x+1$ ", "41 ", "\\boxed{", "- ", "= 4"])
def test_long_texts_take_time_in_proportion(piece: str) -> None:
    started = time.perf_counter()
    gives_away(piece * 5000, "2\\sqrt{3}", piece * 5000, piece * 5000)
    gives_away(piece * 5000, "7", piece * 5000, piece * 5000)
    assert time.perf_counter() - started < 5
