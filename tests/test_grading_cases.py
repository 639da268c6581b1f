"""Labelled cases of our own, one file a category: pairs of answers, whole texts, and choices among options.

prediction  gold  label     equal, different, or open: equal, but it may be left undecided
text  gold  label           as above, or `no answer`; ⏎ stands for a line break (texts.tsv)
text  letter                of four options; - where none is chosen (options.tsv)
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.equivalence import compare
from evals.extract import extract_answer
from evals.grading import grade

FOLDER = Path(__file__).parent / "grading_cases"
TEXTS = {"texts", "options"}
PAIRS = sorted(file.stem for file in FOLDER.glob("*.tsv") if file.stem not in TEXTS)
ALLOWED = {
    "equal": {"equal"},
    "open": {"equal", "undecided"},
    "different": {"different", "undecided"},
}


def rows(category: str) -> list[list[str]]:
    """The fields of every line."""
    lines = (FOLDER / f"{category}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines]


@pytest.mark.parametrize("category", PAIRS)
def test_pairs_of_answers_are_compared_as_a_mathematician_would(category: str) -> None:
    wrong = [
        (left, right, label)
        for left, right, label in rows(category)
        if not {compare(left, right).outcome, compare(right, left).outcome} <= ALLOWED[label]
    ]
    assert not wrong


def test_answers_are_found_in_texts_and_never_where_there_are_none() -> None:
    expected = {"equal": {"correct"}, "different": {"wrong", "undecided", "no answer found"}}
    expected["no answer"] = {"no answer found"}
    wrong = [
        (text, gold, label)
        for text, gold, label in rows("texts")
        if grade(text.replace("⏎", "\n"), gold).status not in expected[label]
    ]
    assert not wrong


def test_letters_are_chosen_and_lists_of_options_choose_none() -> None:
    found = {
        text: extraction.answer
        if (extraction := extract_answer(text.replace("⏎", "\n"), 4))
        else "-"
        for text, _ in rows("options")
    }
    assert found == dict(rows("options"))


def test_near_misses_are_two_fifths_of_the_pairs() -> None:
    labels = [label for category in PAIRS for *_, label in rows(category)]
    assert len(labels) > 600
    assert labels.count("different") / len(labels) >= 0.4
