"""Claims: each objective sees and writes what the method's table says; a prompt alone is the inference prompt."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from engine.objectives import LAYOUTS, OBJECTIVES, conversation
from engine.settings import TrainConfig

RECORD = {
    "id": "r",
    "prompt": "X",
    "answer": "GOLD",
    "student_answer": "DRAFT",
    "critique": "REVIEW",
    "refined_answer": "REFINED",
    "teacher_answer": "TEACHER",
}
TARGETS = {
    "sft": "GOLD",
    "distilled_sft": "TEACHER",
    "cft": "REVIEW",
    "cgd": "REFINED",
    "cgd_no_critique": "REFINED",
}
SEES = {
    "sft": {"X"},
    "distilled_sft": {"X"},
    "cft": {"X", "DRAFT"},
    "cgd": {"X", "DRAFT", "REVIEW"},
    "cgd_no_critique": {"X", "DRAFT"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objective_shows_and_writes_what_the_method_says(objective: str, layout: str) -> None:
    made = conversation(RECORD, objective, layout)
    shown = "\n".join(message["content"] for message in made.context)
    assert made.target == TARGETS[objective]
    assert {text for text in set(RECORD.values()) - {"r"} if text in shown} == SEES[objective]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("objective", ["sft", "distilled_sft"])
def test_prompt_alone_is_the_inference_prompt_byte_for_byte(objective: str, layout: str) -> None:
    record = {**RECORD, "prompt": "  an odd\tprompt \n"}
    expected = ({"role": "user", "content": "  an odd\tprompt \n"},)
    assert conversation(record, objective, layout).context == expected


def test_single_turn_labels_the_parts() -> None:
    (message,) = conversation(RECORD, "cgd", "single_turn").context
    assert message == {
        "role": "user",
        "content": "Question: X\n\nStudent's Initial Answer: DRAFT\n\nCritique: REVIEW",
    }


def test_multi_turn_alternates_and_ends_with_the_critique() -> None:
    context = conversation(RECORD, "cgd", "multi_turn").context
    assert [message["role"] for message in context] == ["user", "assistant", "user"]
    assert [message["content"] for message in context] == ["X", "DRAFT", "REVIEW"]


def test_ablation_differs_from_cgd_in_the_critique_alone() -> None:
    (with_critique,) = conversation(RECORD, "cgd", "single_turn").context
    (without,) = conversation(RECORD, "cgd_no_critique", "single_turn").context
    assert with_critique["content"] == without["content"] + "\n\nCritique: REVIEW"


@pytest.mark.parametrize("field", ["prompt", "student_answer", "critique"])
@pytest.mark.parametrize("absent", [None, "missing"])
def test_missing_conditioning_is_an_error_and_no_other_objective(
    field: str, absent: str | None
) -> None:
    record = {**RECORD, field: None}
    if absent == "missing":
        del record[field]
    with pytest.raises(ValueError, match=f"'{field}'"):
        conversation(record, "cgd", "single_turn")


def test_null_target_is_empty_and_absent_target_an_error() -> None:
    assert conversation({**RECORD, "refined_answer": None}, "cgd", "single_turn").target == ""
    with pytest.raises(ValueError, match="refined_answer"):
        conversation({"prompt": "X", "student_answer": "D", "critique": "R"}, "cgd", "single_turn")


def test_chat_data_learns_the_last_assistant_turn_only() -> None:
    turns = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "A"},
        {"role": "assistant", "content": "B"},
        {"role": "user", "content": "C"},
        {"role": "assistant", "content": "D"},
    ]
    made = conversation({"messages": turns}, "sft", "single_turn")
    assert (list(made.context), made.target) == (turns[:-1], "D")
    with pytest.raises(ValueError, match="ends with an assistant turn"):
        conversation({"messages": turns[:-1]}, "sft", "single_turn")


def test_prompt_and_completion_are_chat_data() -> None:
    made = conversation({"prompt": "A", "completion": "B"}, "sft", "single_turn")
    assert made.context[0]["content"] == "A"
    assert made.target == "B"


def test_config_offers_exactly_the_objectives_and_layouts_there_are() -> None:
    hints = get_type_hints(TrainConfig)
    assert set(get_args(hints["objective"])) == OBJECTIVES.keys()
    assert set(get_args(hints["layout"])) == LAYOUTS.keys()
