"""The summary of a generation, as `data/summary.json` holds it: what went in, what came out, what it took.

    Account (`accounts.py`) -> Summary -> data/summary.json, and a table for people (`summary_table.py`)

It tells of every text that was written for the records at hand, further attempts and dropped texts included,
whichever run wrote it.

    into     records that the stage had to do with: what the stage before kept
    out      texts that it kept
    found    texts, of all attempts, in which a gate found something; `kept_with` counts the kept ones
    seconds  work: of a local model each text's share of its batch, so the sum is time on the device; of a
             server the time until each reply, which overlap
    devices  hours, seconds and FLOPs of models that run here; nobody knows a server's, and a script has none.
             A sum over stages is over those that have a figure. FLOPs are what the texts needed: padding,
             and what was written twice because a batch was resumed, are not in them
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class StageSummary:
    """The figures of one stage."""

    stage: str
    """answer, critique, refine or teach."""
    into: int
    """Records that the stage had to do with."""
    out: int
    """Texts kept."""
    dropped: dict[str, int]
    """By gate: records whose text was given up."""
    failed: dict[str, int]
    """By kind of failure: records of which no text came."""
    texts: int
    """Texts written, further attempts included."""
    retried: int
    """Of these, further attempts after a gate."""
    found: dict[str, int]
    """By gate: texts in which it found something."""
    kept_with: dict[str, int]
    """By gate: kept texts in which it found something."""
    tokens_mean: float | None
    """Mean length of the kept texts, in tokens, thinking traces included."""
    tokens_p50: int | None
    """Their median."""
    tokens_p95: int | None
    """The length that 95 of 100 kept texts do not exceed."""
    prompt_tokens: int
    """Read, in all attempts."""
    completion_tokens: int
    """Written, in all attempts."""
    cached_tokens: int
    """Of those read, taken over from an earlier request."""
    seconds: float
    """Work on all texts."""
    device_hours: float | None
    """GPU-hours of local models, or hours of the CPU without a GPU; None where a server or a script wrote all."""
    device_seconds: float | None
    """The same in seconds."""
    flops: float | None
    """Of local models; None also where the model's shape is not understood."""
    usd: float
    """By the prices in the configuration."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What `data/summary.json` holds."""

    prompts: int
    """Records at the start."""
    records: int
    """Records at the end."""
    stages: tuple[StageSummary, ...]
    """In the order of work."""
    student_judged: int
    """Student answers of which somebody could tell whether they are right."""
    student_correct: int
    """Of these, right ones."""
    refined_judged: int
    """Likewise for the refined answers."""
    refined_correct: int
    """Of these, right ones."""
    teacher_judged: int
    """Likewise for the teacher's answers to the prompt alone."""
    teacher_correct: int
    """Of these, right ones."""
    both_judged: int
    """Records in which student answer and refined answer were both judged."""
    rescued: int
    """Of these: wrong by the student, right by the refinement."""
    broken: int
    """Of these: right by the student, wrong by the refinement."""
    verdicts: dict[str, dict[str, int]]
    """What critiques conclude (right, wrong, none) by what answer matching says (right, wrong, unknown)."""
    wall_seconds: float | None
    """From start to end of this run, where it is known; earlier runs not included."""
    completion_tokens: int
    """Of all stages."""
    tokens_per_second: float | None
    """Written in this run by its wall time."""
    device_hours: float | None
    """Of all stages."""
    device_seconds: float | None
    """Of all stages."""
    flops: float | None
    """Of all stages."""
    usd: float
    """Of all stages."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
