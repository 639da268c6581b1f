"""Gates: what is looked for in every text that came back, and what becomes of a text in which it is found.

    text (its thinking trace removed), finish reason, attempt -> rule -> Ruling: keep, retry or drop

Every gate counts, whatever its policy; a policy of "keep" only counts. A ruling is a pure function, so a
resumed run comes to the same one from the text in the journal, and a changed policy rereads texts instead
of writing them again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from datagen.echoes import echoes
from datagen.gate_config import GateConfig
from datagen.records import Record
from datagen.refusals import is_refusal

__all__ = ["GateConfig", "GateCounts", "Judge", "Ruling", "check_share", "rule", "without_retry"]

MIN_TEXTS = 100
"""Texts of a stage before a share of them means anything."""


# ---- the ruling -------------------------------------------------------------------------------------


class Judge(Protocol):
    """Who knows whether texts are right. Data generation itself does not: the evaluator does."""

    def final_answer(self, text: str) -> str | None:
        """The answer that a text gives, as it was written; None where it gives none."""
        ...

    def is_correct(self, text: str, gold: str) -> bool | None:
        """Whether a text's final answer is the gold one; None where nobody can tell (a gold answer
        that cannot be read, an answer beyond the reader's bounds)."""
        ...

    def gives_away(self, critique: str, gold: str, prompt: str, student_answer: str) -> bool:
        """Whether a critique tells the gold answer; not where the student's answer was right, nor where
        it only quotes a number of the prompt or of the student."""
        ...


@dataclass(frozen=True)
class Ruling:
    """What becomes of a text."""

    action: Literal["keep", "retry", "drop"]
    gate: str = ""
    """The gate that decided; empty for a text that is kept."""
    max_tokens: int | None = None
    """The limit of the next attempt; None where there is none or this attempt's limit is not known."""
    found: tuple[str, ...] = ()
    """All gates that found something, whatever their policy."""
    correct: bool | None = None
    """Whether the final answer is the gold one; None for critiques and where nobody can tell."""
    attempt: int = 0
    """Which text of its record and stage it is about."""


def rule(
    stage: str,
    record: Record,
    text: str,
    finish_reason: str,
    attempt: int,
    config: GateConfig,
    judge: Judge | None,
    max_tokens: int | None = None,
) -> Ruling:
    """What becomes of `text`, the stage's text for `record` as `visible` shows it.

    `attempt` counts from 0; `max_tokens` is the limit that this attempt was written with.
    """
    correct = correctness(stage, record, text, judge)
    found = find(stage, record, text, finish_reason, judge, correct)
    plain = Ruling("keep", "", None, found, correct, attempt)
    gates = config.of(stage)
    retrying = [gate for gate in found if gates.policy(gate).startswith("retry")]
    dropping = any(gates.policy(gate) == "drop" for gate in found)
    if dropping or not retrying or attempt >= config.retries:
        return without_retry(plain, stage, config)
    if max_tokens is not None and "truncated" in retrying:
        max_tokens = int(max_tokens * config.truncated_max_tokens_factor)
    return replace(plain, action="retry", gate=retrying[0], max_tokens=max_tokens)


def without_retry(ruling: Ruling, stage: str, config: GateConfig) -> Ruling:
    """The ruling on the same text where it cannot be asked for again."""
    gates = config.of(stage)
    at_once = [gate for gate in ruling.found if gates.policy(gate) == "drop"]
    at_last = [gate for gate in ruling.found if gates.policy(gate) == "retry then drop"]
    if dropping := at_once + at_last:
        return replace(ruling, action="drop", gate=dropping[0], max_tokens=None)
    return replace(ruling, action="keep", gate="", max_tokens=None)


def correctness(stage: str, record: Record, text: str, judge: Judge | None) -> bool | None:
    """Whether a solution is right; a critique is none."""
    gold = record.final_answer or record.answer
    if judge is None or gold is None or stage == "critique":
        return None
    return judge.is_correct(text, gold)


def find(
    stage: str,
    record: Record,
    text: str,
    finish_reason: str,
    judge: Judge | None,
    correct: bool | None,
) -> tuple[str, ...]:
    """The gates of the stage that find something, in their order."""
    gold = record.final_answer or record.answer
    found = []
    if finish_reason == "length":
        found.append("truncated")
    if not text.strip():
        found.append("empty")
    elif is_refusal(text):
        found.append("refusal")
    if stage == "answer" and echoes(record.prompt, text):
        found.append("echo")
    if stage == "answer" and correct:
        found.append("right")
    if judge is None or gold is None:
        return tuple(found)
    if stage == "critique":
        # A student who is known to be right has nothing left to be told, and judging costs time.
        if not record.student_correct and judge.gives_away(
            text, gold, record.prompt, record.student_answer or ""
        ):
            found.append("leak")
    elif stage in ("refine", "teach") and correct is False and judge.final_answer(text) is not None:
        found.append("contradiction")
    return tuple(found)


# ---- counting ---------------------------------------------------------------------------------------


class GateCounts:
    """How often each gate found something in a record's first text of a stage. Further attempts are left out:
    they are made of poor texts alone, and would make a share look larger the more often is retried."""

    def __init__(self) -> None:
        self.texts: Counter[str] = Counter()
        """By stage."""
        self.found: Counter[tuple[str, str]] = Counter()
        """By stage and gate."""
        self.example: dict[tuple[str, str], str] = {}
        """The id of the first record in whose text a gate found something."""

    def add(self, stage: str, record_id: str, ruling: Ruling) -> None:
        """Counts one text, if it is a first one."""
        if ruling.attempt > 0:
            return
        self.texts[stage] += 1
        for gate in ruling.found:
            self.found[stage, gate] += 1
            self.example.setdefault((stage, gate), record_id)


USUAL_SHARES = {"truncated": 0.5, "empty": 0.5, "refusal": 0.5}
"""Of a teacher's texts."""
REMEDIES = {
    "truncated": "raise generate.{stage}.max_tokens",
    "empty": "look at one in the journal: is max_tokens too small for a thinking trace, is the chat "
    "template the model's own?",
    "refusal": "look at one in the journal: is it the right model, does the wording put it off?",
    "echo": "is it a model that follows instructions, with its own chat template?",
    "right": "are these prompts too easy for this student?",
    "leak": "reword generate.critique.template, or drop such critiques: "
    'generate.gates.critique.leak = "drop"',
    "contradiction": "is the teacher able to solve these problems, are the gold answers right?",
}


def share_allowed(stage: str, gate: str, config: GateConfig) -> float:
    """The share of a stage's texts in which a gate may find something."""
    usual = 1.0 if stage == "answer" else USUAL_SHARES.get(gate, 1.0)
    return config.of(stage).max_share.get(gate, usual)


def check_share(counts: GateCounts, config: GateConfig) -> None:
    """Raises ValueError where a gate finds something in more texts than its max_share allows."""
    for (stage, gate), found in counts.found.items():
        texts, allowed = counts.texts[stage], share_allowed(stage, gate, config)
        if texts < MIN_TEXTS or found <= allowed * texts:
            continue
        setting = f"generate.gates.{stage}.max_share.{gate}"
        raise ValueError(
            f"{stage}: the gate `{gate}` found something in {found:,} of {texts:,} texts "
            f"({100 * found / texts:.0f} %, first in {counts.example[stage, gate]}), more than "
            f"{setting} = {allowed:g} allows. {REMEDIES[gate].format(stage=stage)}; "
            f"or set {setting} = 1 to go on. What is written stays written"
        )
