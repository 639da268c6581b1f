"""The `[generate.gates]` section: a policy for every gate of every stage, and when a run is stopped.

    [generate.gates]
    critique.leak = "retry then drop"
    refine.max_share.truncated = 0.1

The paper filters nothing, and says nothing of texts that are cut or empty. Ours by default: the student's
answers are evidence of what it does, so all of them stay. What the teacher wrote becomes a target, of one
objective or another, so a text that is cut, empty or a refusal is asked for again, and then left out: a cut
one teaches to stop in mid-sentence, and an empty critique is another method (cgd_no_critique) under the same
name. Whether a critique tells the answer, and whether a solution is wrong, changes what is compared with the
paper; both are counted, and dropped only on request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

Policy = Literal["keep", "drop", "retry then keep", "retry then drop"]
"""`retry` asks again with a new seed, `retries` times; `then` is for a text that is no better at last."""


@dataclass(frozen=True, kw_only=True)
class StageGates:
    """What the gates of all stages have in common."""

    max_share: Mapping[str, float] = field(default_factory=dict)
    """Stop the run when a gate finds something in more than this share of the stage's first texts, as
    `refine.max_share.truncated = 0.1`. Where a gate is not named: 0.5 for the teacher's cut and empty texts
    and its refusals; the others never stop a run, nor do the student's texts."""

    def __post_init__(self) -> None:
        known = self.names()
        for name, share in self.max_share.items():
            if name not in known:
                raise ValueError(f"max_share.{name}: the gates here are {', '.join(known)}")
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                raise ValueError(f"max_share.{name} must be a share between 0 and 1, got {share!r}")

    def names(self) -> list[str]:
        """The gates."""
        return [field.name for field in fields(self) if field.name != "max_share"]

    def policy(self, gate: str) -> str:
        """What becomes of a text in which this gate finds something."""
        return str(getattr(self, gate))


@dataclass(frozen=True, kw_only=True)
class AnswerGates(StageGates):
    """`[generate.gates] answer.GATE = POLICY`: what the student wrote about the prompt."""

    truncated: Policy = "keep"
    """Cut at max_tokens."""
    empty: Policy = "keep"
    """Nothing but white space, or a thinking trace and nothing after it."""
    refusal: Policy = "keep"
    """It declines to answer."""
    echo: Policy = "keep"
    """It is the prompt again, or a good part of it, and nothing else."""
    right: Policy = "keep"
    """It gives the gold answer. With "drop" only wrong answers are criticised, and paid for; a set
    share of right ones is `[generate.mixture]`."""


@dataclass(frozen=True, kw_only=True)
class TeacherGates(StageGates):
    """What can be wrong with any text of the teacher."""

    truncated: Policy = "retry then drop"
    """Cut at max_tokens; asked for again with more room."""
    empty: Policy = "retry then drop"
    """Nothing but white space, or a thinking trace and nothing after it."""
    refusal: Policy = "retry then drop"
    """It declines to help."""


@dataclass(frozen=True, kw_only=True)
class CritiqueGates(TeacherGates):
    """`[generate.gates] critique.GATE = POLICY`: what the teacher said about the student's answer."""

    leak: Policy = "keep"
    """It tells the gold answer, which the student did not have."""


@dataclass(frozen=True, kw_only=True)
class SolutionGates(TeacherGates):
    """`[generate.gates] refine.GATE = POLICY`, and `teach.GATE`: what the student will learn to write."""

    contradiction: Policy = "keep"
    """It gives another final answer than the gold one."""


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """The `[generate.gates]` section. A policy is keep, drop, retry then keep, or retry then drop."""

    answer: AnswerGates = field(default_factory=AnswerGates)
    """Of the student's answers."""
    critique: CritiqueGates = field(default_factory=CritiqueGates)
    """Of the critiques."""
    refine: SolutionGates = field(default_factory=SolutionGates)
    """Of the refined answers."""
    teach: SolutionGates = field(default_factory=SolutionGates)
    """Of the teacher's own answers."""
    retries: int = 2
    """Further attempts that a policy of retry makes, each with a seed of its own. At temperature 0
    they repeat the same text, unless it was cut and gets more room."""
    truncated_max_tokens_factor: float = 2.0
    """How much larger max_tokens is when a cut text is asked for again; for cut texts alone. Where the model
    has no room for that, the policy's last word is spoken at once."""

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ValueError(f"retries must be 0 or more, got {self.retries}")
        if not 1 <= self.truncated_max_tokens_factor <= 64:
            factor = self.truncated_max_tokens_factor
            raise ValueError(f"truncated_max_tokens_factor must lie in [1, 64], got {factor}")

    def of(self, stage: str) -> StageGates:
        """The gates of a stage."""
        gates: StageGates = getattr(self, stage)
        return gates
