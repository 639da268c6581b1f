"""Accounts: everything that happened to texts and records, counted up into a summary.

    texts, failures, finished records -> Account -> Summary

An account is fed one thing at a time and keeps counts alone, so a hundred thousand records need no more
memory than ten: lengths are counts by length, from which mean and quantiles are exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from datagen.gates import Ruling
from datagen.records import Record
from datagen.summary import StageSummary, Summary

LOCAL = ("transformers", "vllm")
"""Back ends whose seconds are seconds of a device of ours; nobody knows a server's."""

TextFlops = Callable[[int, int, int], float | None]
"""FLOPs of one text, by its prompt, completion and cached tokens; None where its model is not understood."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a stage's model costs, in US dollars for a million tokens."""

    prompt: float = 0.0
    """Of what is read."""
    completion: float = 0.0
    """Of what is written."""


@dataclass
class _StageAccount:
    """The counts of one stage while they grow."""

    into: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    texts: int = 0
    retried: int = 0
    found: Counter[str] = field(default_factory=Counter)
    kept_with: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    device_seconds: float = 0.0
    flops: float | None = 0.0
    local: bool = False
    correct: Counter[bool] = field(default_factory=Counter)


class Account:
    """Takes everything that happened, in any order, and sums it up at the end."""

    def __init__(
        self,
        prices: Mapping[str, Price] | None = None,
        devices: Mapping[str, int] | None = None,
        flops: Mapping[str, TextFlops] | None = None,
    ) -> None:
        """`prices`, `devices` (how many one copy of the model takes; 1 unless said) and `flops` go by stage."""
        self._prices, self._devices, self._flops = prices or {}, devices or {}, flops or {}
        self._stages: dict[str, _StageAccount] = {}
        self._prompts = self._records = 0
        self._both: Counter[tuple[bool, bool]] = Counter()
        self._verdicts: Counter[tuple[str, str]] = Counter()

    def add_prompts(self, count: int) -> None:
        """Records at the start."""
        self._prompts += count

    def add_text(
        self, stage: str, provenance: Mapping[str, Any], ruling: Ruling, attempt: int = 0
    ) -> None:
        """One text, whatever became of it: how it came about, what the gates say, which attempt it was."""
        account = self._of(stage)
        written = int(provenance.get("completion_tokens", 0))
        read = int(provenance.get("prompt_tokens", 0))
        cached = int(provenance.get("cached_tokens", 0))
        seconds = float(provenance.get("seconds", 0.0))
        account.into += attempt == 0
        account.texts += 1
        account.retried += attempt > 0
        account.found.update(ruling.found)
        account.prompt_tokens += read
        account.completion_tokens += written
        account.cached_tokens += cached
        account.seconds += seconds
        if provenance.get("backend") in LOCAL:
            account.local = True
            account.device_seconds += seconds * self._devices.get(stage, 1)
            of_text = self._flops.get(stage)
            flops = None if of_text is None else of_text(read, written, cached)
            account.flops = _plus(account.flops, flops)
        if ruling.action == "drop":
            account.dropped[ruling.gate] += 1
        if ruling.action == "keep":
            account.kept_with.update(ruling.found)
            account.lengths[written] += 1
            if ruling.correct is not None:
                account.correct[ruling.correct] += 1

    def add_failure(self, stage: str, kind: str, attempt: int = 0) -> None:
        """A record of which the stage has no text; `attempt` is the one that failed."""
        account = self._of(stage)
        account.into += attempt == 0
        account.failed[kind] += 1

    def add_record(self, record: Record, refined_correct: bool | None = None) -> None:
        """A record at its end, with `student_correct` and `verdict`; `refined_correct` is the ruling's."""
        self._records += 1
        student = record.student_correct
        if student is not None and refined_correct is not None:
            self._both[student, refined_correct] += 1
        if record.critique is not None:
            said = record.verdict or "none"
            self._verdicts[said, "unknown" if student is None else _word(student)] += 1

    def summary(
        self, wall_seconds: float | None = None, written_tokens: int | None = None
    ) -> Summary:
        """All figures; how long this run took, and how many tokens it wrote in that time, where known."""
        stages = tuple(
            _summarise(stage, self._stages[stage], self._prices.get(stage, Price()))
            for stage in sorted(self._stages, key=_place)
        )
        seconds = [s.device_seconds for s in stages if s.device_seconds is not None]
        flops = [stage.flops for stage in stages if stage.flops is not None]
        student, refined, teacher = (
            self._stages.get(stage, _StageAccount()).correct
            for stage in ("answer", "refine", "teach")
        )
        known = wall_seconds and written_tokens is not None
        return Summary(
            prompts=self._prompts,
            records=self._records,
            stages=stages,
            student_judged=student.total(),
            student_correct=student[True],
            refined_judged=refined.total(),
            refined_correct=refined[True],
            teacher_judged=teacher.total(),
            teacher_correct=teacher[True],
            both_judged=self._both.total(),
            rescued=self._both[False, True],
            broken=self._both[True, False],
            verdicts=_confusion(self._verdicts),
            wall_seconds=wall_seconds and round(wall_seconds, 3),
            completion_tokens=sum(stage.completion_tokens for stage in stages),
            tokens_per_second=round((written_tokens or 0) / (wall_seconds or 1), 1)
            if known
            else None,
            device_hours=round(sum(seconds) / 3600, 6) if seconds else None,
            device_seconds=round(sum(seconds), 3) if seconds else None,
            flops=sum(flops) if flops else None,
            usd=round(sum(stage.usd for stage in stages), 6),
        )

    def _of(self, stage: str) -> _StageAccount:
        return self._stages.setdefault(stage, _StageAccount())


_ORDER = ("answer", "critique", "refine", "teach")
_SAID = ("right", "wrong", "none")
_MATCHED = ("right", "wrong", "unknown")


def _place(stage: str) -> tuple[int, str]:
    return (_ORDER.index(stage) if stage in _ORDER else len(_ORDER), stage)


def _plus(total: float | None, value: float | None) -> float | None:
    return None if total is None or value is None else total + value


def _word(correct: bool) -> str:
    return "right" if correct else "wrong"


def _confusion(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    return {said: {matched: counts[said, matched] for matched in _MATCHED} for said in _SAID}


def _summarise(stage: str, account: _StageAccount, price: Price) -> StageSummary:
    lengths = account.lengths
    num_kept = lengths.total()
    usd = account.prompt_tokens * price.prompt + account.completion_tokens * price.completion
    mean = sum(length * count for length, count in lengths.items()) / max(1, num_kept)
    return StageSummary(
        stage=stage,
        into=account.into,
        out=num_kept,
        dropped=_sorted(account.dropped),
        failed=_sorted(account.failed),
        texts=account.texts,
        retried=account.retried,
        found=_sorted(account.found),
        kept_with=_sorted(account.kept_with),
        tokens_mean=round(mean, 1) if num_kept else None,
        tokens_p50=quantile(lengths, 0.5),
        tokens_p95=quantile(lengths, 0.95),
        prompt_tokens=account.prompt_tokens,
        completion_tokens=account.completion_tokens,
        cached_tokens=account.cached_tokens,
        seconds=round(account.seconds, 3),
        device_hours=round(account.device_seconds / 3600, 6) if account.local else None,
        device_seconds=round(account.device_seconds, 3) if account.local else None,
        flops=account.flops if account.local else None,
        usd=round(usd / 1_000_000, 6),
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts) if counts[name]}


def quantile(counts: Mapping[int, int], share: float) -> int | None:
    """The smallest value that at least `share` of all values do not exceed; None where there are none."""
    total, reached = sum(counts.values()), 0
    for value in sorted(counts):
        reached += counts[value]
        if reached >= share * total:
            return value
    return None
