"""The settings of the four stages: `[generate]`, and `[generate.STAGE]` of answer, critique, refine, teach.

    prompts -> answer (student) -> critique (teacher) -> refine (teacher) -> teach (teacher, the prompt alone)

A stage's settings are part of the key of every text it writes: a changed one writes again exactly
what it concerns (`plan.py`). How a stage works through its records is `flow.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from datagen.gates import GateConfig
from datagen.generators import Sampling
from datagen.mixtures import MixtureConfig
from datagen.thinking import Thinking


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """A `[generate.STAGE]` section: how one stage's texts are written."""

    temperature: float = 0.7
    """0 is greedy."""
    top_p: float = 1.0
    """Only the most probable tokens that together reach this probability may be drawn."""
    max_tokens: int = 1024
    """A text that reaches this length is cut; the gates say what becomes of it."""
    system: str | None = None
    """A system line before the request; unset, none. Servers share the prefix of equal ones."""
    template: str | None = None
    """The wording, by name or path; unset, the stage's own: critique, refine, teach."""
    layout: Literal["fresh", "continue"] = "fresh"
    """refine: `fresh` is a chat of its own with problem, answer and critique in it, as in the paper;
    `continue` goes on with the critique's chat, most of which a server still has in its cache."""
    thinking: Thinking = "strip"
    """Whether a reasoning model's thinking trace is taken out of its text, or kept."""

    def __post_init__(self) -> None:
        self.sampling()  # its bounds are checked there

    def sampling(self) -> Sampling:
        """How each text is drawn."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """The `[generate]` section."""

    answer: StageConfig = field(default_factory=StageConfig)
    """The student's answers to the prompts."""
    critique: StageConfig = field(default_factory=StageConfig)
    """The teacher's critiques of these answers."""
    refine: StageConfig = field(default_factory=StageConfig)
    """The teacher's solutions, given answer and critique."""
    teach: StageConfig = field(default_factory=StageConfig)
    """The teacher's solutions of the prompts alone, for `distilled_sft`."""
    gates: GateConfig = field(default_factory=GateConfig)
    """What is looked for in every text, and what becomes of a text in which it is found."""
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    """Which of the finished records are trained on: so many, with a set share of right answers."""
    batch_size: int = 16
    """Texts that the student writes at a time; `teacher.batch_size` is the teacher's."""
    samples_per_prompt: int = 1
    """Records made of each prompt, with answers of their own. The first has the prompt's id, the
    further ones `ID#1`, `ID#2`, ...: more of them write nothing again."""
    max_failed_share: float = 0.0
    """Share of the records that may fail for good; they are left out and listed. With more the
    command ends with an error, and the next one tries them again."""
    max_usd: float | None = None
    """Stop when the run's texts have cost this much, at the prices of [inference] and [teacher]."""
    max_total_tokens: int | None = None
    """Stop when the run has read and written so many tokens."""

    def __post_init__(self) -> None:
        if self.answer.template is not None:
            raise ValueError(
                "answer.template: the student sees the prompt as it is; its wording is data.wording"
            )
        for name in ("answer", "critique", "teach"):
            if getattr(self, name).layout != "fresh":
                raise ValueError(f'{name}.layout: only refine can "continue" a chat')
        if self.refine.layout == "continue" and self.refine.system is not None:
            raise ValueError(
                'refine.system: with refine.layout = "continue" the chat begins with critique.system'
            )
        for name in ("batch_size", "samples_per_prompt", "max_total_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")
        if not 0 <= self.max_failed_share <= 1:
            raise ValueError(f"max_failed_share must lie in [0, 1], got {self.max_failed_share}")
        if self.max_usd is not None and self.max_usd <= 0:
            raise ValueError(f"max_usd must be above 0, got {self.max_usd}")

    def of(self, stage: str) -> StageConfig:
        """The settings of a stage."""
        found: StageConfig = getattr(self, stage)
        return found
