"""The built-in world: problems that are sound, splits that never meet, a teacher that checks."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistakes import Flawed, flawed

from datagen.arithmetic import problem_of, problems, teacher
from datagen.checking import Mistake, check
from datagen.progress import runs_of
from datagen.records import Record
from datagen.stories.families import FAMILIES
from datagen.student_text import numbers_in, read_answer, read_equations
from datagen.word_problems import Problem, compute

TRAIN = problems("train", 1300)
TEST = problems("test", 650)


def answered(problem: Problem, text: str) -> Record:
    return replace(problem.record(), student_answer=text)


def many_flawed(mistake: Mistake, count: int = 300) -> list[tuple[Problem, Flawed]]:
    made = [(p, flawed(p, mistake, Random(i))) for i, p in enumerate(TRAIN[:count])]
    return [(problem, flaw) for problem, flaw in made if flaw is not None]


@pytest.mark.parametrize("made", [TRAIN, TEST], ids=["train", "test"])
def test_gold_solutions_compute_what_they_say(made: list[Problem]) -> None:
    for problem in made:
        assert_sound(problem)


def assert_sound(problem: Problem) -> None:
    assert 2 <= len(problem.steps) <= 5
    for index, step in enumerate(problem.steps):
        assert compute(step.left.value, step.operation, step.right.value) == step.value
        for operand in (step.left, step.right):
            assert operand.source is None or operand.source < index
            if operand.source is not None:
                assert problem.steps[operand.source].value == operand.value
    lines = problem.answer.split("\n")
    assert len(lines) == len(problem.steps) + 1
    assert lines[-1] == f"The answer is \\boxed{{{problem.final}}}."
    assert read_answer(problem.answer) == problem.final
    assert "{" not in problem.prompt


def test_every_result_of_a_step_is_used() -> None:
    for problem in TRAIN:
        used = {o.source for step in problem.steps for o in (step.left, step.right)}
        assert used - {None} == set(range(len(problem.steps) - 1)), problem.prompt


def test_there_are_eight_families_with_several_wordings_and_all_lengths() -> None:
    by_family = {family.name: [p for p in TRAIN if p.family == family.name] for family in FAMILIES}
    assert len(by_family) >= 8
    for members in by_family.values():
        assert len({p.template for p in members}) >= 20
        assert len({len(p.steps) for p in members}) >= 2
    assert {len(p.steps) for p in TRAIN} == {2, 3, 4, 5}


def test_no_sentence_pattern_and_no_numbers_occur_in_both_splits() -> None:
    train = [*TRAIN, *problems("train", 1300, seed=1)]
    test = [*TEST, *problems("test", 650, seed=1)]
    assert not {s for p in train for s in p.template} & {s for p in test for s in p.template}
    assert not {p.numbers for p in train} & {p.numbers for p in test}
    assert not {p.prompt for p in train} & {p.prompt for p in test}


def test_problems_are_a_pure_function_of_split_seed_and_index() -> None:
    assert problems("train", 50) == problems("train", 80)[:50]
    assert problems("train", 50) != problems("train", 50, seed=1)
    for problem in (TRAIN[17], TEST[5]):
        assert problem_of(problem.record().id) == problem
    assert len({p.prompt for p in TRAIN}) > 0.99 * len(TRAIN)


def test_unknown_splits_ids_and_stages_are_refused() -> None:
    with pytest.raises(ValueError, match="train and test"):
        problems("dev", 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="built-in world"):
        problem_of("gsm8k-12")
    with pytest.raises(ValueError, match="critique, refine, teach"):
        teacher("answer", TRAIN[0].record(), 0)
    with pytest.raises(ValueError, match="needs a student answer"):
        teacher("critique", TRAIN[0].record(), 0)


@pytest.mark.parametrize("mistake", list(Mistake), ids=lambda m: m.name)
def test_teacher_names_the_step_and_the_kind_of_every_injected_mistake(mistake: Mistake) -> None:
    made = many_flawed(mistake)
    assert len(made) >= 60
    found = [(check(p, flaw.text), flaw) for p, flaw in made]
    wrong_place = [flaw for finding, flaw in found if finding.place != flaw.place]
    assert not wrong_place
    other_kind = [flaw for finding, flaw in found if finding.mistake != flaw.mistake]
    # A changed operand or sign may by chance look like another mistake in the same place.
    allowed = 0.15 if mistake in (Mistake.OPERAND, Mistake.OPERATION) else 0
    assert len(other_kind) <= allowed * len(found), other_kind[:3]


@pytest.mark.parametrize("mistake", list(Mistake), ids=lambda m: m.name)
def test_critique_concludes_wrong_and_never_gives_the_answer(mistake: Mistake) -> None:
    for problem, flaw in many_flawed(mistake):
        for seed in range(3):
            text = teacher("critique", answered(problem, flaw.text), seed)
            assert text.endswith("\nConclusion: wrong")
            allowed = numbers_in(problem.prompt) | numbers_in(flaw.text)
            assert str(problem.final) in allowed or str(problem.final) not in numbers_in(text)
            assert "{" not in text


@pytest.mark.parametrize("mistake", list(Mistake), ids=lambda m: m.name)
def test_refinement_is_right_and_keeps_the_right_lines_of_the_student(mistake: Mistake) -> None:
    for problem, flaw in many_flawed(mistake):
        refined = teacher("refine", answered(problem, flaw.text), 1)
        assert check(problem, refined).mistake is None
        assert read_answer(refined) == problem.final
        assert all(e.true_value == e.claimed for e in read_equations(refined))
        gold = problem.answer.split("\n")
        assert refined.split("\n")[: flaw.place] == gold[: flaw.place]


def test_right_solutions_are_told_so_and_kept_in_the_words_of_the_student() -> None:
    for problem in [*TRAIN[:150], *TEST[:150]]:
        for text in (problem.answer, teacher("teach", problem.record(), 3)):
            assert teacher("critique", answered(problem, text), 0).endswith("\nConclusion: right")
            assert teacher("refine", answered(problem, text), 0) == text


def test_another_order_of_gains_and_losses_is_accepted() -> None:
    problem = next(
        p
        for p in TRAIN
        if [s.operation for s in p.steps] == ["+", "-"] and len(runs_of(p.steps)) == 1
        if p.steps[0].left.value > p.steps[1].right.value
    )
    start, gain = problem.steps[0].left.value, problem.steps[0].right.value
    loss = problem.steps[1].right.value
    text = (
        f"It is {start} - {loss} = {start - loss}.\nThen {start - loss} + {gain} = {problem.final}."
    )
    assert check(problem, f"{text}\nThe answer is {problem.final}").mistake is None
    first_line = text.split("\n")[0]
    refined = teacher("refine", answered(problem, first_line), 0)
    assert refined.startswith(first_line)
    assert check(problem, refined).mistake is None
    stale = f"It is {start} + {gain} = {start + gain}.\nThen {start} - {loss} = {start - loss}."
    finding = check(problem, stale)
    assert (finding.mistake, finding.place) == (Mistake.OPERAND, 1)


def test_teacher_explains_more_than_the_gold_solution_and_varies_by_seed() -> None:
    taught = [teacher("teach", p.record(), 0) for p in TRAIN[:200]]
    words = [
        sum(len(t.split()) for t in texts) for texts in (taught, [p.answer for p in TRAIN[:200]])
    ]
    assert words[0] > 1.25 * words[1]
    assert all(check(p, t).mistake is None for p, t in zip(TRAIN, taught, strict=False))
    assert len({teacher("teach", TRAIN[0].record(), seed) for seed in range(10)}) > 1
    text = answered(TRAIN[0], "12 + 1 = 14")
    assert len({teacher("critique", text, seed) for seed in range(20)}) > 3
    assert teacher("critique", text, 5) == teacher("critique", text, 5)


PIECES = st.sampled_from(
    [
        "12",
        "+",
        "-",
        "*",
        "/",
        "=",
        " ",
        "\n",
        "0",
        "9" * 40,
        "\\boxed{",
        "}",
        "x",
        "\u0664",
        "$",
        ",",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.text(max_size=400), st.lists(PIECES, max_size=80).map("".join)), st.integers(0, 40)
)
def test_any_text_gets_a_critique_and_a_right_refinement(text: str, index: int) -> None:
    problem = TRAIN[index]
    record = answered(problem, text)
    assert re.search(r"\nConclusion: (right|wrong)$", teacher("critique", record, index))
    assert read_answer(teacher("refine", record, index)) == problem.final


@pytest.mark.parametrize(
    "text",
    [
        "1+" * 50_000,
        "1 " * 100_000,
        "9" * 200_000,
        "1+1=" * 25_000,
        "\\boxed{" * 30_000,
        " " * 200_000,
    ],
    ids=["plus", "ones", "digits", "equals", "boxes", "blanks"],
)
def test_hostile_text_is_read_in_time(text: str) -> None:
    start = time.perf_counter()
    teacher("critique", answered(TRAIN[0], text), 0)
    teacher("refine", answered(TRAIN[0], text), 0)
    assert time.perf_counter() - start < 5
