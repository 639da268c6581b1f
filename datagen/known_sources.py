"""Data sets that have a short name here: where they are and what their fields are called.

The fields are those of the public data cards; a setting in `[data]` goes before them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KnownSource:
    """One line of the table."""

    hub: str
    """The hub's id; its card is at https://huggingface.co/datasets/ID."""
    subset: str | None = None
    size: int
    """Rows of the split `train`, as the card says."""
    prompt_field: str | None = None
    """The problem; unset, it is recognised."""
    answer_field: str | None = None
    """The gold solution; unset, it is recognised, or there is none."""
    licence: str


KNOWN: dict[str, KnownSource] = {
    "webinstruct": KnownSource(
        hub="TIGER-Lab/WebInstructSub",
        size=2_335_220,
        prompt_field="question",
        answer_field="answer",
        licence="Apache-2.0",
    ),
    "webinstruct-cft": KnownSource(  # problem and noisy solution stand in one text, see datagen.rows
        hub="TIGER-Lab/WebInstruct-CFT",
        subset="WebInstruct-CFT-50K",
        size=50_000,
        licence="Apache-2.0",
    ),
    "metamathqa": KnownSource(
        hub="meta-math/MetaMathQA",
        size=395_000,
        prompt_field="query",
        answer_field="response",
        licence="MIT",
    ),
    "gsm8k": KnownSource(
        hub="openai/gsm8k",
        subset="main",
        size=7_473,
        prompt_field="question",
        answer_field="answer",
        licence="MIT",
    ),
    "math": KnownSource(
        hub="DigitalLearningGmbH/MATH-lighteval",
        size=7_500,
        prompt_field="problem",
        answer_field="solution",
        licence="MIT",
    ),
}
