"""Instruction tasks: every answer passes its own check, and the checks are not lenient."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.instructions import (
    CHECKS,
    CLOSINGS,
    COLOURS,
    KINDS,
    OPENERS,
    WORDS,
    complies,
    instructions,
)
from datagen.stories.families import PEOPLE, THINGS

TRAIN, TEST = instructions("train", 600), instructions("test", 600)


def test_every_answer_passes_its_own_check_and_checks_survive_json() -> None:
    for task in [*TRAIN, *TEST]:
        assert complies(json.loads(json.dumps(task.check)), task.answer), task
    assert {task.check["kind"] for task in TEST} == set(CHECKS)
    assert len(KINDS) == len(CHECKS) >= 8


def wording(prompt: str) -> str:
    """The prompt with every word that the tasks draw left open."""
    drawn = {*WORDS, *CLOSINGS, *OPENERS, *COLOURS, *THINGS, *(name for name, _ in PEOPLE)}
    return re.sub(
        r"[A-Za-z]+|[0-9]+", lambda m: "_" if m[0] in drawn or m[0].isdigit() else m[0], prompt
    )


def test_splits_share_no_prompt_and_no_wording() -> None:
    train = instructions("train", 5000)
    assert not {t.prompt for t in train} & {t.prompt for t in TEST}
    assert not {wording(t.prompt) for t in train} & {wording(t.prompt) for t in TEST}


def test_tasks_are_a_pure_function_of_split_seed_and_index() -> None:
    assert instructions("test", 40) == TEST[:40]
    assert instructions("test", 40, seed=1) != TEST[:40]
    assert len({task.id for task in TEST}) == len(TEST)
    with pytest.raises(ValueError, match="train and test"):
        instructions("dev", 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ({"kind": "capitals"}, "THE Sun IS HERE."),
        ({"kind": "capitals"}, "12"),
        ({"kind": "small_letters"}, "The sun"),
        ({"kind": "ends_with", "word": "done"}, "done it is"),
        ({"kind": "ends_with", "word": "done"}, ""),
        ({"kind": "starts_with", "word": "sure"}, "surely yes"),
        ({"kind": "number_only"}, "It is 12."),
        ({"kind": "number_only"}, "12."),
        ({"kind": "repeats", "word": "sun", "times": 3}, "sun sun"),
        ({"kind": "one_sentence"}, "Tom has a hat. It is red."),
        ({"kind": "one_sentence"}, "Tom has a hat"),
        ({"kind": "dashes", "items": 2}, "- sun\nrain"),
        ({"kind": "dashes", "items": 2}, "- sun\n- rain\n- salt"),
        ({"kind": "quotes"}, '"sun'),
        ({"kind": "quotes"}, '"sun" and "rain"'),
        ({"kind": "one_word"}, "It is red."),
    ],
)
def test_texts_of_another_form_fail(check: dict[str, object], text: str) -> None:
    assert not complies(check, text)


@given(st.sampled_from([task.check for task in TEST[:20]]), st.text(max_size=200))
def test_any_text_is_judged_without_error(check: dict[str, object], text: str) -> None:
    assert complies(check, text) in (True, False)


def test_unknown_check_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown check 'rhymes'"):
        complies({"kind": "rhymes"}, "sun")
