"""Teachers that err, mislead or are vague: false exactly where they should be, in the sound teacher's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistakes import flawed

from datagen.arithmetic import problems, teacher
from datagen.checking import Mistake, check
from datagen.flawed_tutor import (
    errs,
    is_misjudged,
    misleading_critique,
    misleads,
    vague,
    what_it_leads_to,
)
from datagen.misreading import misread
from datagen.records import Record
from datagen.scripted import ScriptedGenerator, find_teacher
from datagen.student_text import numbers_in, read_answer, read_equations, show
from datagen.tutor import ORDINALS, WITHOUT_NUMBERS, WORDINGS
from datagen.verdicts import read_verdict
from datagen.word_problems import Problem
from datagen.worlds import WORLDS


def some_texts() -> list[tuple[Problem, str]]:
    """Right solutions and every kind of wrong ones, of all worlds."""
    found: list[tuple[Problem, str]] = []
    kinds = list(Mistake)
    for name in WORLDS:
        for index, problem in enumerate(problems("test", 24, 3, name)):
            flaw = flawed(problem, kinds[index % len(kinds)], Random(index)) if index % 3 else None
            found.append((problem, flaw.text if flaw else problem.answer))
    return found


TEXTS = some_texts()
RIGHT = [(problem, text) for problem, text in TEXTS if check(problem, text).mistake is None]


def record_of(problem: Problem, text: str) -> Record:
    return replace(problem.record(), student_answer=text)


def is_worded_as(critique: str, mistake: Mistake) -> bool:
    """Whether a wording of this mistake can be seen in the critique, whatever stands in its slots."""
    for wording in WORDINGS[mistake]:
        pieces = [piece.split("}")[-1] for piece in wording.split("{")]
        if all(piece in critique for piece in pieces):
            return True
    return False


def test_at_every_rate_the_misjudged_are_so_many_and_those_of_lower_rates_among_them() -> None:
    ids = [f"arithmetic-train-0-{index:06d}" for index in range(4000)]
    hit = {
        percent: {i for i in ids if is_misjudged(i, percent)} for percent in (1, 25, 50, 75, 100)
    }
    assert hit[1] < hit[25] < hit[50] < hit[75] < hit[100] == set(ids)
    for percent, members in hit.items():
        assert abs(len(members) / len(ids) - percent / 100) < 0.03


def test_the_refinement_of_the_teacher_that_errs_is_wrong_exactly_on_misjudged_records() -> None:
    half = errs(50)
    kinds = set()
    for problem, text in TEXTS:
        record = record_of(problem, text)
        hit = is_misjudged(record.id, 50)
        for seed in (1, 2):
            refined, taught = half("refine", record, seed), half("teach", record, seed)
            assert (read_answer(refined) != problem.final) == hit, (text, refined)
            assert (read_answer(taught) != problem.final) == hit
            critique = half("critique", record, seed)
            if not hit:
                sound = [teacher(s, record, seed) for s in ("critique", "refine", "teach")]
                assert sound == [critique, refined, taught]
            else:
                assert critique != teacher("critique", record, seed)
        kinds.add((hit, check(problem, text).mistake is None))
    assert len(kinds) == 4


def test_what_the_teacher_that_errs_writes_fits_together() -> None:
    for problem, text in TEXTS:
        record = record_of(problem, text)
        critique = errs(100)("critique", record, 4)
        refined = errs(100)("refine", record, 9)
        if read_verdict(critique) == "right":
            assert read_answer(text) not in (None, problem.final)
            assert refined == text.strip()
        else:
            assert read_answer(refined) == what_it_leads_to(problem, text) != read_answer(text)
            equations = read_equations(refined)
            assert all(equation.true_value == equation.claimed for equation in equations)
            assert "{" not in critique + refined.replace("\\boxed{", "")


def test_misjudged_wrong_answers_are_praised_or_objected_to() -> None:
    wrong = [
        (p, t) for p, t in TEXTS if check(p, t).mistake and read_answer(t) not in (None, p.final)
    ]
    verdicts = [read_verdict(errs(100)("critique", record_of(p, t), 0)) for p, t in wrong]
    assert 0.3 < verdicts.count("right") / len(verdicts) < 0.7


def test_the_teacher_that_misleads_knows_better() -> None:
    for problem, text in TEXTS:
        record = record_of(problem, text)
        for stage in ("refine", "teach"):
            assert misleads(100)(stage, record, 3) == teacher(stage, record, 3)
        assert misleads(100)("critique", record, 3) == errs(100)("critique", record, 3)


def test_a_misleading_critique_of_a_right_answer_names_a_step_that_is_right() -> None:
    assert len(RIGHT) > 50
    claims = set()
    for problem, text in RIGHT:
        misreading = misread(problem, text)
        assert misreading is not None
        assert misreading.equation is not None
        assert read_equations(text)[misreading.place] == misreading.equation
        assert misreading.equation.true_value == misreading.equation.claimed
        critique = misleading_critique(problem, text, 5)
        assert critique.endswith("\nConclusion: wrong")
        written = f"{misreading.equation.expression} = {show(misreading.equation.claimed)}"
        named = f"{ORDINALS[misreading.place]} step" in critique
        assert named or written in critique or misreading.equation.expression in critique
        claims.add(misreading.claim)
    assert claims == {Mistake.OPERATION, Mistake.OPERAND, Mistake.EXTRA}


def test_misleading_critiques_use_the_wordings_of_the_sound_teacher_and_keep_the_answer() -> None:
    bare = WITHOUT_NUMBERS.split("{")[0]
    for problem, text in TEXTS:
        misreading = misread(problem, text)
        assert misreading is not None
        critique = misleading_critique(problem, text, 2)
        assert is_worded_as(critique, misreading.claim) or bare in critique, critique
        secret = {str(problem.final)} - numbers_in(problem.prompt) - numbers_in(text)
        assert not secret & numbers_in(critique)


def test_what_is_misread_hangs_on_the_text_and_the_words_on_the_seed() -> None:
    problem, text = RIGHT[0]
    assert len({misleading_critique(problem, text, seed) for seed in range(12)}) > 2
    assert misleading_critique(problem, text, 1) == misleading_critique(problem, text, 1)
    assert misread(problem, text) == misread(problem, text)
    assert misread(problem, "\ud800") is not None


def test_nobody_is_led_to_the_number_he_has_already_or_to_the_right_one() -> None:
    for problem, _ in TEXTS[:12]:
        for number in range(1, 101):
            led_to = what_it_leads_to(problem, f"The answer is {number}.")
            assert led_to not in (None, number, problem.final)


def test_the_vague_teacher_says_truly_whether_and_nothing_else() -> None:
    said: dict[str, set[str]] = {"right": set(), "wrong": set()}
    for seed, (problem, text) in enumerate(TEXTS):
        record = record_of(problem, text)
        body, _, conclusion = vague("critique", record, seed).rpartition("\nConclusion: ")
        assert conclusion == ("right" if check(problem, text).mistake is None else "wrong")
        assert not numbers_in(body)
        assert not {"step", *ORDINALS} & set(re.findall(r"\w+", body))
        said[conclusion].add(body)
        for stage in ("refine", "teach"):
            assert vague(stage, record, 0) == teacher(stage, record, 0)
    assert all(len(bodies) >= 3 for bodies in said.values())


@pytest.mark.parametrize("flawed_teacher", [errs(100), misleads(100), vague])
def test_wrong_stages_and_missing_answers_are_refused(
    flawed_teacher: Callable[[str, Record, int], str],
) -> None:
    with pytest.raises(ValueError, match="critique, refine, teach"):
        flawed_teacher("judge", RIGHT[0][0].record(), 0)
    with pytest.raises(ValueError, match="needs a student answer"):
        flawed_teacher("critique", RIGHT[0][0].record(), 0)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(st.sampled_from(["12 + 8 = 20", "\n", "/0=0", "\\boxed{7}"])),
    ),
    st.integers(0, len(TEXTS) - 1),
)
def test_any_text_is_led_to_a_wrong_number(text: str | list[str], index: int) -> None:
    problem, text = TEXTS[index][0], text if isinstance(text, str) else " ".join(text)
    led_to = what_it_leads_to(problem, text)
    assert led_to not in (None, problem.final, read_answer(text))
    assert read_answer(errs(100)("refine", record_of(problem, text), 0)) != problem.final
    assert read_verdict(misleading_critique(problem, text, 0)) == "wrong"


def test_teachers_are_found_by_name_and_differ_in_identity() -> None:
    names = ["arithmetic", "arithmetic-vague", "arithmetic-errs-25", "arithmetic-errs-50"]
    names += ["arithmetic-misleads-25", "arithmetic-judge"]
    identities = {str(ScriptedGenerator(name).identity) for name in names}
    assert len(identities) == len(names)
    problem, text = RIGHT[0]
    record = record_of(problem, text)
    assert find_teacher("arithmetic-errs-100")("critique", record, 7) == errs(100)(
        "critique", record, 7
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("arithmetic-errs-0", "whole number from 1 to 100"),
        ("arithmetic-errs-101", "whole number from 1 to 100"),
        ("arithmetic-misleads-many", "whole number from 1 to 100"),
        ("arithmetic-err-25", "did you mean 'arithmetic-errs-25'"),
        ("arithmetic-vage", "did you mean 'arithmetic-vague'"),
    ],
)
def test_names_of_no_teacher_are_refused_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_teacher(name)
