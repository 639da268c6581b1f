"""Thinking traces: what a reasoning model writes before it speaks to its reader.

    raw text -> visible -> (what the reader gets, the trace or None)

Texts are stored raw and read through this module, so a changed setting reworks only what depends on it.
A trace is taken out by default: in a critique it tells the answer that the critique keeps back, in a
student's answer it multiplies the tokens that critique, refinement and training read, and as a target it
holds tags that the student's chat template has no use for. Who distils the reasoning itself sets
`thinking = "keep"` in `[generate.refine]` and `[generate.teach]`.
"""

from __future__ import annotations

import re
from typing import Literal

Thinking = Literal["strip", "keep"]
"""What is done with a trace: `strip` takes it out, `keep` leaves the text as it is."""

_TAG = r"think|thinking|thought|reasoning|seed:think"
_OPENS = re.compile(
    rf"<(?:{_TAG})>|<\|begin_of_thought\|>|<\|im_start\|>think(?=\n)", re.IGNORECASE
)
_CLOSES = re.compile(
    rf"</(?:{_TAG})>|<\|end_of_thought\|>|<\|im_start\|>answer(?=\n)", re.IGNORECASE
)
_BARE_OPENS, _BARE_CLOSES = "think\n", "\nanswer\n"
"""How the turns `<|im_start|>think` and `<|im_start|>answer` of the s1 models look once special tokens
are left out: lines of their own, the first at the very start of the text."""


def visible(text: str, thinking: Thinking = "strip") -> tuple[str, str | None]:
    """The text without its thinking trace, and the trace with its tags; text without one comes back as it is.

    What follows the last closing tag is visible, up to a tag that opens once more and is not closed. A trace
    that was never closed is a text that was cut while thinking: nothing behind its tag is visible. A
    closing tag alone ends a trace too, since some chat templates write the opening one.
    """
    if thinking == "keep":
        return text, None
    start = max((tag.end() for tag in _CLOSES.finditer(text)), default=0)
    still_open = _OPENS.search(text, start)
    end = still_open.start() if still_open else len(text)
    start = _after_bare_turns(text, start, end)
    if (start, end) == (0, len(text)):
        return text, None
    return text[start:end].strip(), (text[:start] + text[end:]).strip()


def _after_bare_turns(text: str, start: int, end: int) -> int:
    while True:
        first = start + len(text[start:end]) - len(text[start:end].lstrip())
        if not text.startswith(_BARE_OPENS, first, end):
            return start
        closes = text.find(_BARE_CLOSES, first, end)
        if closes < 0:
            return end
        start = closes + len(_BARE_CLOSES)
