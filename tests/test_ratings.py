"""Ratings are read where a judge was asked to write them, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.diagnostics.ratings import Rating, read_rating

READ = [
    "Informativeness: 4\nSpecificity: 5",
    "Good.\n\nInformativeness: 4\nSpecificity: 5\n",
    "Specificity: 5\nInformativeness: 4",
    "**Informativeness:** 4\n**Specificity:** 5",
    "- **Informativeness**: 4/5\n- **Specificity**: 5 out of 5.",
    "1. Informativeness: **4**\n2. Specificity: **5**",
    "INFORMATIVENESS: [4]\r\nspecificity : (5)\r\n",
    "Informativeness: 1\nSpecificity: 1\nOn reflection:\nInformativeness: 4\nSpecificity: 5",
    "<think>\nInformativeness: 1\nSpecificity: 1\n</think>\nInformativeness: 4\nSpecificity: 5",
    "Informativeness: it names the step.\nInformativeness: 4\nSpecificity: 5",
]
NOT_READ = [
    "",
    "I would give it a 4 for informativeness and a 5 for specificity.",
    "I'd say Informativeness: 4 and Specificity: 5.",
    "Informativeness: 4",
    "Specificity: 5",
    "Informativeness: N\nSpecificity: N",
    "Informativeness: 0\nSpecificity: 5",
    "Informativeness: 6\nSpecificity: 5",
    "Informativeness: 45\nSpecificity: 5",
    "Informativeness: -4\nSpecificity: 5",
    "Informativeness: 4.5\nSpecificity: 5",
    "Informativeness: .4\nSpecificity: 5",
    "Informativeness: 4-5\nSpecificity: 5",
    "Informativeness: 4/10\nSpecificity: 5",
    "Informativeness: four\nSpecificity: 5",
    "Informativeness: \u0664\nSpecificity: 5",
    "Informativeness: 4 Specificity: 5",
    "Informativeness and clarity: 4\nSpecificity: 5",
    "Informativeness: 4\nSpecificity: 5\nSpecificity: unsure",
    "<think>\nInformativeness: 4\nSpecificity: 5",
]


@pytest.mark.parametrize("reply", READ)
def test_a_rating_is_read_in_every_usual_dress(reply: str) -> None:
    assert read_rating(reply) == Rating(4, 5)


@pytest.mark.parametrize("reply", NOT_READ)
def test_nothing_is_guessed(reply: str) -> None:
    assert read_rating(reply) is None


PROSE = st.text(st.characters(exclude_characters=":")).map(lambda text: text.replace("<", ""))


@settings(max_examples=100)
@given(PROSE, st.integers(1, 5), st.integers(1, 5))
def test_what_stands_before_the_last_lines_changes_nothing(
    prose: str, informativeness: int, specificity: int
) -> None:
    asked_for = f"Informativeness: {informativeness}\nSpecificity: {specificity}"
    earlier = "Informativeness: 3\nSpecificity: 3"
    assert read_rating(f"{prose}\n{earlier}\n{prose}\n{asked_for}") == Rating(
        informativeness, specificity
    )


@settings(max_examples=100)
@given(st.text(), st.integers() | st.floats() | st.text())
def test_what_is_read_is_always_on_the_scale(prose: str, value: object) -> None:
    rating = read_rating(f"{prose}\nInformativeness: {value}\nSpecificity: {value}\n{prose}")
    assert rating is None or {rating.informativeness, rating.specificity} <= set(range(1, 6))


@given(PROSE)
def test_prose_holds_no_rating(prose: str) -> None:
    assert read_rating(prose) is None
