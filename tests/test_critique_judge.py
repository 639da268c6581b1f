"""The judge that knows the truth: real above generic above unrelated, and nothing for what is false."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random
from statistics import fmean

import pytest
from mistakes import flawed

from datagen.arithmetic import problems
from datagen.checking import Mistake, check
from datagen.critique_content import GENERIC
from datagen.critique_judge import judge, rate
from datagen.flawed_tutor import false_critique, misleading_critique, vague, what_it_leads_to
from datagen.scripted import find_teacher
from datagen.tutor import critique
from datagen.word_problems import Problem


def some_texts() -> list[tuple[Problem, str]]:
    found: list[tuple[Problem, str]] = []
    kinds = list(Mistake)
    for index, problem in enumerate(problems("train", 240, 4, "arithmetic-wide")):
        mistake = kinds[index // 2 % len(kinds)]
        flaw = flawed(problem, mistake, Random(index)) if index % 2 else None
        found.append((problem, flaw.text if flaw else problem.answer))
    return found


TEXTS = some_texts()
REAL = [critique(problem, text, seed) for seed, (problem, text) in enumerate(TEXTS)]
UNRELATED = [*REAL[61:], *REAL[:61]]
WRONG = [check(problem, text).mistake is not None for problem, text in TEXTS]


def ratings(critiques: list[str], wrong: bool | None = None) -> list[tuple[int, int]]:
    return [
        rate(problem, text, said)
        for (problem, text), said, is_wrong in zip(TEXTS, critiques, WRONG, strict=True)
        if wrong is None or is_wrong == wrong
    ]


def means(critiques: list[str], wrong: bool | None = None) -> tuple[float, float]:
    rated = ratings(critiques, wrong)
    return fmean(one for one, _ in rated), fmean(one for _, one in rated)


def test_real_critiques_are_rated_above_generic_above_unrelated_ones() -> None:
    (real, generic, unrelated) = (means(c) for c in (REAL, [GENERIC] * len(TEXTS), UNRELATED))
    assert real[0] > 3.9 > 2 > generic[0] > 1.3 > 1.1 > unrelated[0]
    assert real[1] > 3.8 > 1.5 > max(generic[1], unrelated[1])


def test_critiques_of_wrong_answers_are_rated_above_those_of_right_ones() -> None:
    for of_wrong, of_right in zip(means(REAL, True), means(REAL, False), strict=True):
        assert of_wrong > of_right + 0.5
    assert len(set(ratings(REAL, True))) > 2
    assert len(set(ratings(REAL, False))) > 2


def test_a_false_critique_informs_nobody_however_specific_it_is() -> None:
    for tell in (false_critique, misleading_critique):
        false = [tell(problem, text, 0) for problem, text in TEXTS]
        informativeness, specificity = means(false)
        assert informativeness < 1.05
        assert specificity > 2.5


def test_a_vague_critique_is_true_and_that_is_all() -> None:
    told = [vague("critique", replace(p.record(), student_answer=t), 0) for p, t in TEXTS]
    assert set(ratings(told)) == {(2, 1)}


def test_each_thing_that_a_critique_says_counts() -> None:
    problem = next(p for p in problems("train", 40) if p.steps[1].operation == "-")
    first, second = problem.steps[:2]
    wrong = f"{second.left.value} - {second.right.value} = {second.value + 1}"
    text = f"It is {first.equation}.\nThen {wrong}.\nThe answer is {second.value + 1}."
    said = [
        "",
        "It is fine.\nConclusion: right",
        "Look again.\nConclusion: wrong",
        "The first step is wrong.\nConclusion: wrong",
        "The second step is wrong.\nConclusion: wrong",
        "The second step is wrong, the result is too big.\nConclusion: wrong",
        f"The second step is wrong, {wrong} is too big.\nConclusion: wrong",
    ]
    assert [rate(problem, text, one)[0] for one in said] == [1, 1, 2, 1, 3, 4, 5]
    assert [rate(problem, text, one)[1] for one in said[2:]] == [1, 3, 3, 4, 5]


def test_the_judge_replies_in_two_lines_and_writes_what_misleads() -> None:
    ask = find_teacher("arithmetic-judge")
    problem, text = TEXTS[1]
    record = replace(problem.record(), student_answer=text, critique=REAL[1])
    informativeness, specificity = rate(problem, text, REAL[1])
    assert ask("judge", record, 3) == (
        f"Informativeness: {informativeness}\nSpecificity: {specificity}"
    )
    body, _, last = ask("mislead", record, 3).rpartition("\n")
    assert body == misleading_critique(problem, text, 3)
    assert last == f"Leads to: {what_it_leads_to(problem, text)}"
    with pytest.raises(ValueError, match="judge, mislead, not 'refine'; it is no teacher"):
        ask("refine", record, 0)


@pytest.mark.parametrize(
    "text", ["9" * 200_000, "the 9 " * 40_000, "after the " * 20_000, "a" * 200_000]
)
def test_hostile_critiques_are_read_in_time(text: str) -> None:
    problem, answer = TEXTS[1]
    start = time.perf_counter()
    judge("judge", replace(problem.record(), student_answer=answer, critique=text), 0)
    assert time.perf_counter() - start < 5
