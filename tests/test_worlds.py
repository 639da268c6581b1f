"""The worlds: the first one stands still, the new ones are sound, the unseen one is unseen."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from math import lcm
from random import Random

import pytest
from mistakes import flawed

from datagen.arithmetic import problem_of, problems, teacher
from datagen.checking import Mistake, check
from datagen.sources import DataConfig, load_prompts
from datagen.stories.families import FAMILIES, Family
from datagen.stories.unseen import UNSEEN
from datagen.student_text import numbers_in, read_answer
from datagen.word_problems import MAX_VALUE, Problem, compute, draw_problem
from datagen.worlds import BENCHMARKS, DEEP, HARD, NARROW, NEW, OTHER, PROMPT_SETS, WORLDS
from evals.benchmarks import load_benchmark

DRAWN = [(world, split) for world in WORLDS.values() for split in world.splits]
EACH = pytest.mark.parametrize(
    ("name", "split"), [(w.name, s) for w, s in DRAWN], ids=[f"{w.name}-{s}" for w, s in DRAWN]
)


@cache
def drawn(name: str, split: str, count: int = 60) -> tuple[Problem, ...]:
    return tuple(problems(split, count, world=name))  # type: ignore[arg-type]


def patterns(families: tuple[Family, ...], split: str) -> Iterator[str]:
    for family in families:
        for part in (*family.openings, *family.events, *family.questions):
            yield from getattr(part, split)


def test_arithmetic_draws_what_it_always_drew() -> None:
    digest = hashlib.sha256()
    for problem in (*problems("train", 400), *problems("train", 400, 1)):
        digest.update(repr(problem.record().to_json()).encode())
    for problem in (*problems("test", 400), *problems("test", 400, 1)):
        digest.update(repr(problem.record().to_json()).encode())
    for index in range(300):
        digest.update(draw_problem("train", 3, index, range(1, 3), "curriculum").prompt.encode())
    assert digest.hexdigest() == DIGEST


def test_the_other_worlds_draw_what_they_drew_when_they_were_measured() -> None:
    digest = hashlib.sha256()
    for world, split in DRAWN:
        for problem in drawn(world.name, split)[:20]:
            digest.update(repr(problem.record().to_json()).encode())
    assert digest.hexdigest() == DIGEST_OF_OTHERS


DIGEST_OF_OTHERS = "eb9f249e26309ea32bffd19d01b3644fe972f546c433f1b39bd17081b4558d31"
DIGEST = "4a1252b21850e253ee42108e0ccd2946a341d0d145aed63f016e3609f14bc7b7"
"""Of what was drawn before there were other worlds: old records must keep their problems."""


@EACH
def test_solutions_compute_what_they_say_within_the_numbers_of_the_world(
    name: str, split: str
) -> None:
    for problem in drawn(name, split):
        assert len(problem.steps) in WORLDS[name].num_steps
        used = {operand.source for step in problem.steps for operand in (step.left, step.right)}
        assert used - {None} == set(range(len(problem.steps) - 1)), problem.prompt
        for step in problem.steps:
            assert compute(step.left.value, step.operation, step.right.value) == step.value
            assert 0 < max(step.left.value, step.right.value, step.value) <= MAX_VALUE
            for operand in (step.left, step.right):
                made = operand.source is None or problem.steps[operand.source].value
                assert made in (True, operand.value)
            assert "{" not in "".join((problem.prompt, step.terse.replace("{eq}", ""), step.hint))
            assert numbers_in(step.hint) <= numbers_in(problem.prompt), step.hint
            assert all(sentence.count("{eq}") == 1 for sentence in (step.terse, *step.full))


@EACH
def test_the_teacher_knows_every_problem_by_its_id_and_solves_it(name: str, split: str) -> None:
    for problem in drawn(name, split):
        record = problem.record()
        assert problem_of(record.id) == problem
        assert problem_of(f"{record.id}#3") == problem
        assert (record.source, record.id.startswith(f"{name}-{split}-0-")) == (name, True)
        taught = teacher("teach", record, 1)
        refined = teacher("refine", replace(record, student_answer="12"), 1)
        for text in (problem.answer, taught, refined):
            assert check(problem, text).mistake is None, text
            assert read_answer(text) == problem.final


@pytest.mark.parametrize("name", ["arithmetic-new", "arithmetic-unseen", "arithmetic-deep"])
@pytest.mark.parametrize("mistake", list(Mistake), ids=lambda m: m.name)
def test_planted_mistakes_are_found_at_their_place_and_criticised_discreetly(
    name: str, mistake: Mistake
) -> None:
    pairs = [(p, flawed(p, mistake, Random(i))) for i, p in enumerate(drawn(name, "test"))]
    made = [(problem, flaw) for problem, flaw in pairs if flaw is not None]
    assert len(made) >= 20
    for problem, flaw in made:
        assert check(problem, flaw.text).place == flaw.place
        record = replace(problem.record(), student_answer=flaw.text)
        told = teacher("critique", record, 0)
        known = numbers_in(problem.prompt) | numbers_in(flaw.text)
        assert told.endswith("\nConclusion: wrong")
        assert str(problem.final) in known or str(problem.final) not in numbers_in(told)
        assert read_answer(teacher("refine", record, 0)) == problem.final


def test_no_sentence_of_the_unseen_families_occurs_in_any_other_world() -> None:
    others = (*FAMILIES, *NEW, *OTHER, *DEEP, *HARD)
    known = {*patterns(others, "train"), *patterns(others, "test")}
    assert not list(patterns(UNSEEN, "train"))
    assert not set(patterns(UNSEEN, "test")) & known
    with pytest.raises(ValueError, match="arithmetic-unseen has the split test, not 'train'"):
        problems("train", 1, world="arithmetic-unseen")


def test_no_sentence_pattern_and_no_numbers_occur_in_both_splits_of_any_world() -> None:
    families = (*FAMILIES, *NEW, *OTHER, *DEEP, *UNSEEN)
    assert not set(patterns(families, "train")) & set(patterns(families, "test"))
    numbers = {
        split: {p.numbers for world, own in DRAWN if own == split for p in drawn(world.name, own)}
        for split in ("train", "test")
    }
    assert not numbers["train"] & numbers["test"]


def test_new_families_share_no_sentence_with_the_known_ones() -> None:
    assert len(NEW) >= 4
    assert len(UNSEEN) >= 3
    known = {*patterns(FAMILIES, "train"), *patterns(FAMILIES, "test")}
    later = (*NEW, *OTHER)
    assert not {*patterns(later, "train"), *patterns(later, "test")} & known
    assert not {family.name for family in NEW} & {family.name for family in OTHER}


@pytest.mark.parametrize(("name", "least"), [("arithmetic-new", 15), ("arithmetic-unseen", 4)])
def test_each_family_tells_many_stories(name: str, least: int) -> None:
    split = WORLDS[name].splits[0]
    made = drawn(name, split, 300)
    for family in WORLDS[name].families:
        own = [problem for problem in made if problem.family == family.name]
        assert len({problem.template for problem in own}) >= least, family.name
        assert len({problem.prompt for problem in own}) > 0.9 * len(own), family.name
        assert len({len(problem.steps) for problem in own}) >= 2, family.name


def test_the_wide_prompts_are_known_and_new_in_turn_and_the_narrow_ones_of_few_families() -> None:
    count = 2 * lcm(len(FAMILIES), len(NEW))
    wide = [problem.family for problem in drawn("arithmetic-wide", "train", count)]
    known, new = ([family.name for family in families] for families in (FAMILIES, NEW))
    assert set(wide[::2]) == set(known)
    assert set(wide[1::2]) == set(new)
    assert {wide.count(name) for name in new} == {count // 2 // len(new)}
    assert {p.family for p in drawn("arithmetic-narrow", "train")} == {f.name for f in NARROW}
    assert len(NARROW) <= 4


def test_deep_problems_are_drawn_quickly_and_differ_from_draw_to_draw() -> None:
    start = time.process_time()
    deep = problems("test", 100, 5, "arithmetic-deep")
    assert time.process_time() - start < 2
    assert {len(problem.steps) for problem in deep} == {7, 8, 9}
    other = problems("test", 100, 5, "arithmetic-deep-2")
    assert not {problem.prompt for problem in deep} & {problem.prompt for problem in other}


@pytest.mark.parametrize("name", PROMPT_SETS)
def test_prompt_sets_are_found_by_name(name: str) -> None:
    records = load_prompts(DataConfig(prompts=name, limit=40), 0, lambda line: None)
    assert [record.source for record in records] == [name] * 40
    assert records[7].id == f"{name}-train-0-000007"
    with pytest.raises(ValueError, match=f"{name} has the splits train and test, not 'dev'"):
        load_prompts(DataConfig(prompts=name, split="dev"), 0, lambda line: None)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_are_found_by_name(name: str) -> None:
    benchmark = load_benchmark(name, limit=20, seed=2)
    assert [problem.id for problem in benchmark.problems] == [
        f"{name}-test-2-{index:06d}" for index in range(20)
    ]
    assert [problem.gold for problem in benchmark.problems] == [
        str(problem.final) for problem in problems("test", 20, 2, name)
    ]


def test_misspelt_names_are_told_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'arithmetic-deep'"):
        load_benchmark("arithmetic-dep")
    with pytest.raises(ValueError, match="did you mean 'arithmetic-wide'"):
        load_prompts(DataConfig(prompts="arithmetic-wild"), 0, lambda line: None)
    with pytest.raises(ValueError, match="built-in world"):
        problem_of("arithmetic-elsewhere-test-0-000001")
