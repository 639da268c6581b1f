"""Thinking traces are taken out, and nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.thinking import visible

PIECES = ["<think>", "</think>", "<Thinking>", "</reasoning>", "<|im_start|>think\n", "think\n"]
PIECES += [
    "\nanswer\n",
    "<|im_start|>answer\n",
    " ",
    "\n",
    "x < 3",
    "so 7",
    "<b>",
    "<|begin_of_thought|>",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<think>\nhm\n</think>\n\nIt is 7.", "It is 7."),
        ("hm\n</think>\nIt is 7.", "It is 7."),
        ("<think>hm, 7? no", ""),
        ("<think></think>It is 7.", "It is 7."),
        ("<think>a</think>x<think>b</think>It is 7.", "It is 7."),
        ("<think>a<think>b</think>c</think>It is 7.", "It is 7."),
        ("<think>a</think>It is 7.<think>or is it", "It is 7."),
        ("<THINK>a</Think>It is 7.", "It is 7."),
        ("<|im_start|>think\na\n<|im_start|>answer\nIt is 7.", "It is 7."),
        ("think\na\nanswer\nIt is 7.", "It is 7."),
        ("think\nI was cut", ""),
    ],
)
def test_a_trace_is_taken_out(text: str, shown: str) -> None:
    found, trace = visible(text)
    assert found == shown
    assert trace is not None
    assert "It is 7" not in trace
    assert visible(text, "keep") == (text, None)


@pytest.mark.parametrize(
    "text", [" It is 7. \n", "", "I think\nthe answer\nis 7", "2 < thinking > 1", "<b>7</b>"]
)
def test_a_text_without_a_trace_comes_back_as_it_is(text: str) -> None:
    assert visible(text) == (text, None)


@given(TEXTS)
def test_taking_out_twice_is_taking_out_once(text: str) -> None:
    shown, _ = visible(text)
    assert visible(shown) == (shown, None)


@given(st.text(alphabet="thinkreasogwy </|>_\n:", max_size=60))
def test_text_without_a_tag_is_never_touched(text: str) -> None:
    shown, trace = visible(text)
    if trace is None:
        assert shown == text
    else:
        assert shown in text
        tags = ("think>", "thinking>", "thought>", "reasoning>", "<|im_start|>")
        assert any(tag in text for tag in tags) or text.startswith("think\n")


@given(TEXTS)
def test_nothing_is_made_up(text: str) -> None:
    shown, trace = visible(text)
    assert shown in text
    assert trace is None or len(trace) + len(shown) <= len(text)
