"""Training as it went: what each step left in metrics.jsonl, of every objective and round.

    train/OBJECTIVE/metrics.jsonl (and those of rounds) → Curve: losses and gradient norms, step by step

A training that still runs has a curve as far as it came; its last line may be half written and does not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from evals.report_cells import number


@dataclass(frozen=True)
class Curve:
    """One training, step by step."""

    name: str
    """The objective; of a round, `cgd-round-2`."""
    losses: tuple[float, ...]
    grad_norms: tuple[float, ...]

    @property
    def not_finite(self) -> int:
        """Steps without a finite loss, which have no place in a chart."""
        return sum(not isfinite(loss) for loss in self.losses)


def parts_of(run: Path) -> Iterator[tuple[str, Path]]:
    """(what is added to names, folder) of the run itself and of its rounds, in order."""
    yield "", run
    rounds = [path for path in run.glob("rounds/*") if path.is_dir()]
    for folder in sorted(rounds, key=lambda path: (len(path.name), path.name)):
        yield f"-round-{folder.name}", folder


def read_curves(run: Path, order: tuple[str, ...]) -> list[Curve]:
    """Every training that has begun; objectives in the order given, others after them by name."""
    curves = []
    for suffix, folder in parts_of(run):
        paths = {path.parent.name: path for path in folder.glob("train/*/metrics.jsonl")}
        for name in sorted(paths, key=lambda name: (places(order).get(name, len(order)), name)):
            rows = step_rows(paths[name])
            losses = tuple(float(row["loss"]) for row in rows)
            norms = tuple(float(row["grad_norm"]) for row in rows if "grad_norm" in row)
            if losses:
                curves.append(Curve(name + suffix, losses, norms))
    return curves


def places(order: tuple[str, ...]) -> dict[str, int]:
    """Each name's place."""
    return {name: place for place, name in enumerate(order)}


def step_losses(path: Path) -> list[float]:
    """The losses of a metrics.jsonl."""
    return [float(row["loss"]) for row in step_rows(path)]


def step_rows(path: Path) -> list[dict[str, Any]]:
    """The whole lines: while a training runs, its last line may be half written."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines() if line.strip()]


FACTS = ("steps", "examples", "tokens", "supervised_tokens", "train_seconds", "final_loss")
LOSSES = ("too_long", "no_target")
"""Of a training's summary: rows that were not trained on."""


def training_header() -> list[str]:
    """Of the table of trainings."""
    return [
        *("objective", "steps", "examples", "tokens", "supervised tokens", "seconds"),
        *("tokens/s", "final loss", "too long", "no target", "device"),
    ]


def training_results(run: Path, order: tuple[str, ...]) -> list[dict[str, Any]]:
    """The summaries of finished trainings, those of rounds with the round in their names."""
    entries = []
    for suffix, folder in parts_of(run):
        paths = {path.parent.name: path for path in folder.glob("train/*/summary.json")}
        for name in sorted(paths, key=lambda name: (places(order).get(name, len(order)), name)):
            summary = json.loads(paths[name].read_text(encoding="utf-8"))
            kept = {key: summary.get(key) for key in (*FACTS, *LOSSES, "rows", "truncated")}
            ranks = summary.get("world_size", 1)
            device = summary.get("hardware") or summary.get("device")
            own = {"device": f"{ranks} × {device}" if ranks > 1 else device}
            entries.append({"objective": name + suffix, **kept, **own})
    return entries


def training_rows(entries: list[dict[str, Any]]) -> Iterator[list[str]]:
    """One row a training."""
    for entry in entries:
        tokens, seconds = entry["tokens"], entry["train_seconds"]
        yield [
            entry["objective"],
            *(whole(entry[key]) for key in ("steps", "examples", "tokens", "supervised_tokens")),
            number(seconds),
            number(tokens / seconds) if tokens and seconds else "-",
            "-" if entry["final_loss"] is None else f"{entry['final_loss']:.4g}",
            *(whole(entry[key]) for key in LOSSES),
            entry["device"] or "-",
        ]


def whole(value: int | None) -> str:
    """A count; a dash for what is not known."""
    return "-" if value is None else f"{value:,}"
