"""Which part of a model's output may hold the answer: its own turn, without the reasoning before it.

    output → after </think> → first turn of its own → its end, within bounds: the visible text, perhaps empty

Reasoning that was never closed is an output that was cut off: nothing of it counts, however much it looks like an
answer. What follows the model's turn (a user's turn that it made up, an end-of-text token) was not its answer either.
"""

from __future__ import annotations

import re

MAX_TEXT_CHARS = 200_000
"""Of a longer output the end is read; the answer stands there."""

TAG = r"think|thinking|thought|reasoning|seed:think"
THINKING_OPENS = re.compile(rf"<(?:{TAG})>|<\|begin_of_thought\|>", re.IGNORECASE)
THINKING_CLOSES = re.compile(rf"</(?:{TAG})>|<\|end_of_thought\|>", re.IGNORECASE)
TURN_STARTS = re.compile(
    r"<\|(?:im_start|start_header_id)\|>\s{0,4}([a-z]{0,12})(?:<\|end_header_id\|>)?"
)
TURN_ENDS = re.compile(
    r"<\|(?:im_end|eot_id|end|endoftext|end_of_text|im_start|start_header_id)\|>|</s>|<end_of_turn>"
)
OWN_ROLES = {"assistant", "answer", ""}


def visible_text(text: str) -> str:
    """What the model says to its reader; empty where it says nothing."""
    return own_turn(after_thinking(text))[-MAX_TEXT_CHARS:]


def after_thinking(text: str) -> str:
    """What follows the last closed reasoning and stands before one that is still open."""
    end = 0
    for tag in THINKING_CLOSES.finditer(text):
        end = tag.end()
    still_open = THINKING_OPENS.search(text, end)
    return text[end : still_open.start() if still_open else len(text)]


def own_turn(text: str) -> str:
    """The first turn that is the model's own and not blank; some models give their reasoning a turn called `think`."""
    start = 0
    role = "assistant"
    while True:
        end = TURN_ENDS.search(text, start)
        turn = text[start : end.start() if end else len(text)]
        if role in OWN_ROLES and turn.strip():
            return turn
        if end is None:
            return ""
        header = TURN_STARTS.match(text, end.start())
        role = header.group(1) if header else "assistant"
        start = header.end() if header else end.end()


ANSWER_OPENS, ANSWER_CLOSES = "<answer>", "</answer>"


def last_tagged(text: str) -> tuple[str, int] | None:
    """The content of the last `<answer>` that is not blank, and where it ends; a stop string may have taken the
    closing tag."""
    start = text.rfind(ANSWER_OPENS)
    if start < 0:
        return None
    start += len(ANSWER_OPENS)
    end = text.find(ANSWER_CLOSES, start)
    content = text[start:] if end < 0 else text[start:end]
    return (content.strip(), start + len(content)) if content.strip() else None
