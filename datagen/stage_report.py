"""What a stage has to say when it is finished: counts, tokens and time, from its texts' provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datagen.journal import Entry
from datagen.progress_bar import clock


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """The counts of a stage; its manifest holds them too."""

    stage: str
    """answer, critique, refine or teach."""
    records: int
    """Records in the file."""
    written: int
    """Texts written in this run; the others were there already."""
    truncated: int
    """Texts that were cut at max_tokens. They are kept; the provenance says which."""
    empty: int
    """Texts of nothing but white space. They are kept."""
    finish_reasons: dict[str, int]
    """How often each reason ended a text."""
    prompt_tokens: int
    """Of all texts, the chat template's included."""
    completion_tokens: int
    """Of all texts."""
    seconds: float
    """Time spent on all texts."""

    def sentence(self) -> str:
        """The closing line."""
        rate = self.completion_tokens / self.seconds if self.seconds > 0 else 0
        speed = f", {rate:,.0f} tokens/s" if self.seconds >= 0.1 else ""
        return (
            f"{self.stage}: {self.records:,} records ({self.written:,} written now), "
            f"{self.truncated:,} cut at max_tokens, {self.empty:,} empty; "
            f"{self.completion_tokens:,} tokens in {clock(self.seconds)}{speed}"
        )


def count_up(stage: str, entries: Sequence[Entry], written: int = 0) -> StageReport:
    """The report on a stage's texts."""
    provenances = [entry.provenance for entry in entries]
    reasons = Counter(str(p.get("finish_reason")) for p in provenances)
    return StageReport(
        stage=stage,
        records=len(entries),
        written=written,
        truncated=reasons["length"],
        empty=sum(not entry.text.strip() for entry in entries),
        finish_reasons=dict(sorted(reasons.items())),
        prompt_tokens=sum(p.get("prompt_tokens", 0) for p in provenances),
        completion_tokens=sum(p.get("completion_tokens", 0) for p in provenances),
        seconds=round(sum(p.get("seconds", 0.0) for p in provenances), 3),
    )


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The names of what differs between two texts' provenance; empty where only the input does."""
    before, after = _flat(old), _flat(new)
    return [name for name in after if name not in _NOT_SETTINGS and before.get(name) != after[name]]


_NOT_SETTINGS = {"key", "template"}


def _flat(provenance: Mapping[str, Any]) -> dict[str, Any]:
    flat = {**provenance, **provenance.get("sampling", {})}
    flat["wording"] = flat.pop("template_sha256", None)
    flat.pop("sampling", None)
    return flat
