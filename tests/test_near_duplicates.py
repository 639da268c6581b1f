"""Near duplicates: all pairs above the threshold are found, and doing it again finds none."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.canonical_words import canonical_words
from datagen.near_duplicates import (
    MISSED,
    PERMUTATIONS,
    NearDuplicate,
    jaccard,
    near_duplicates,
    rows_of_a_band,
)

WORDS = [f"{a}{b}" for a in "bcdfgl" for b in ("an", "er", "ist", "om")]


def sentence(rng: Random, length: int = 30) -> list[str]:
    return [rng.choice(WORDS) for _ in range(length)]


def changed(words: list[str], rng: Random, count: int) -> list[str]:
    words = list(words)
    for place in rng.sample(range(len(words)), count):
        words[place] = rng.choice(WORDS)
    return words


@cache
def triples(text: str) -> frozenset[int]:
    words = canonical_words(text)
    return frozenset(hash(tuple(words[i : i + 3])) for i in range(len(words) - 2))


def similarity(one: str, other: str) -> float:
    return jaccard(triples(one), triples(other))


def corpus(seed: int, size: int = 150) -> list[str]:
    """Sentences, and versions of them with some words exchanged."""
    rng = Random(seed)
    origins = [sentence(rng) for _ in range(size // 3)]
    texts = [changed(rng.choice(origins), rng, rng.randrange(6)) for _ in range(size)]
    return [" ".join(words) for words in texts]


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_a_removed_prompt_resembles_one_that_stays_and_those_do_not_resemble_each_other(
    threshold: float,
) -> None:
    texts = corpus(1)
    removed = near_duplicates(texts, threshold)
    gone = {one.prompt for one in removed}
    assert gone
    for one in removed:
        assert one.resembles < one.prompt
        assert one.resembles not in gone
        assert one.similarity == round(similarity(texts[one.prompt], texts[one.resembles]), 3)
        assert one.similarity >= threshold - 0.0005
    stays = [text for place, text in enumerate(texts) if place not in gone]
    pairs = [(a, b) for i, a in enumerate(stays) for b in stays[:i]]
    missed = sum(similarity(a, b) >= threshold for a, b in pairs)
    assert missed <= 0.02 * len(gone) + 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.7, 0.9]))
def test_a_second_time_removes_nothing(seed: int, threshold: float) -> None:
    texts = corpus(seed, 60)
    gone = {one.prompt for one in near_duplicates(texts, threshold)}
    stays = [text for place, text in enumerate(texts) if place not in gone]
    assert near_duplicates(stays, threshold) == []


def test_more_prompts_behind_change_nothing_before() -> None:
    texts = corpus(2)
    few = near_duplicates(texts[:70], 0.7)
    many = near_duplicates(texts, 0.7)
    assert [one for one in many if one.prompt < 70] == few


def test_notation_and_case_do_not_make_a_difference() -> None:
    one = r"Find the value of $\frac{1}{2} + x^2$ when $x$ is 12."
    other = "find the value of 1/2 + x² when x is twelve"
    assert near_duplicates([one, other], 1.0) == [NearDuplicate(1, 0, 1.0)]


def test_another_drawing_is_another_problem() -> None:
    texts = [f"Find XY below. [asy]label({i});[/asy]" for i in range(3)]
    assert near_duplicates(texts, 0.9) == []


def test_texts_of_a_word_or_two_are_left_alone() -> None:
    assert near_duplicates(["", "one", "one two", "one two", "one"], 0.5) == []
    assert near_duplicates([], 0.5) == []


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.75, 0.9, 0.99, 1.0])
def test_bands_are_long_and_still_find_a_pair_at_the_threshold(threshold: float) -> None:
    def missed(rows: int) -> float:
        return (1 - threshold**rows) ** (PERMUTATIONS // rows)

    rows = rows_of_a_band(threshold)
    assert missed(rows) <= MISSED
    assert rows == PERMUTATIONS or missed(rows + 1) > MISSED
