"""What the variants of a table share and what they do not, said from what their trainings left.

    train/OBJECTIVE/{metrics.jsonl, summary.json, config.toml} of every seed → TrainingFacts → sentences

A comparison is matched if nothing differs but what the variants say. That is not assumed here: steps, examples and
tokens are counted from the trainings' own metrics, and data are the same where the same folder was used.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from launch.code_version import code_of
from launch.experiments.experiment import Variant
from launch.experiments.grid import Cell
from launch.experiments.measures import read_json


@dataclass(frozen=True)
class TrainingFacts:
    """What one variant was trained on and how, in the mean over seeds."""

    seeds: int
    """Trainings that are finished."""
    examples: float
    """Different ones."""
    steps: float
    """Until the weights that were measured."""
    tokens: float
    """Trained on until then, in all."""
    supervised_tokens: float
    """Of these, targets."""
    learning_rate: float | None
    """Its peak."""


def training_facts(cells: Sequence[Cell]) -> TrainingFacts | None:
    """The facts of one variant's finished trainings; None without any."""
    found = [
        facts_of(cell.training, cell.variant)
        for cell in cells
        if cell.training is not None and (cell.training / "summary.json").exists()
    ]
    if not found:
        return None
    rates = {facts["learning_rate"] for facts in found}
    names = ("examples", "steps", "tokens", "supervised_tokens")
    means = {name: fmean(facts[name] for facts in found) for name in names}
    rate = rates.pop() if len(rates) == 1 else None
    return TrainingFacts(seeds=len(found), learning_rate=rate, **means)


def facts_of(folder: Path, variant: Variant) -> dict[str, Any]:
    """One training's counts, up to the epoch that is measured."""
    config = folder / "config.toml"
    settings = tomllib.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
    train = settings.get("train", {})
    lines = (folder / "metrics.jsonl").read_bytes().splitlines()
    steps = [json.loads(line) for line in lines if line.strip()]
    if variant.epoch is not None and train.get("epochs"):
        steps = steps[: round(len(steps) * variant.epoch / train["epochs"])]
    return {
        "examples": read_json(folder / "summary.json")["examples"],
        "steps": len(steps),
        "tokens": sum(step["tokens"] for step in steps),
        "supervised_tokens": sum(step["supervised_tokens"] for step in steps),
        "learning_rate": train.get("learning_rate"),
    }


def matched_notes(
    cells: Mapping[str, Sequence[Cell]], facts: Mapping[str, TrainingFacts]
) -> list[str]:
    """Sentences on data, steps, tokens and the checkpoint that is measured."""
    trained = {name: own for name, own in cells.items() if own and own[0].variant.is_trained}
    if not trained:
        return []
    notes = [data_note(trained)]
    if len(facts) > 1:
        notes.append(same_note("optimizer steps", {n: f.steps for n, f in facts.items()}))
        notes.append(same_note("training examples", {n: f.examples for n, f in facts.items()}))
        supervised = {name: fact.supervised_tokens for name, fact in facts.items()}
        notes.append(same_note("supervised tokens", supervised))
    early = [name for name, own in trained.items() if own[0].variant.epoch is not None]
    rule = "Measured is the model after the last step; no checkpoint is chosen by a score."
    if early:
        rule = f"Measured after the epoch that the variant names ({', '.join(early)}), otherwise after the last step."
    return [*notes, rule]


def data_note(cells: Mapping[str, Sequence[Cell]]) -> str:
    """Which variants come from the same generation: the same prompts, student answers and critiques."""
    groups: dict[tuple[tuple[int, Path | None], ...], list[str]] = {}
    chosen = set()
    for name, own in cells.items():
        of_seeds = sorted((cell.seed, cell.data) for cell in own)
        groups.setdefault(tuple(of_seeds), []).append(name)
        chosen.add((own[0].variant.correct_share, own[0].variant.total))
    if len(groups) == 1 and len(chosen) == 1:
        return "All trained variants of a seed have the same prompts, split and student answers (one data generation)."
    if len(groups) == 1:
        return "All trained variants of a seed choose their records from the same data generation."
    shown = "; ".join(", ".join(names) for names in groups.values())
    return f"Variants that share prompts, split and student answers (one data generation a seed): {shown}."


def codes_of(cells: Iterable[Cell]) -> dict[str, int]:
    """How many runs each state of the program's code has begun; "not noted" of those that do not say."""
    runs = {run for cell in cells for run in runs_of(cell) if (run / "environment.json").exists()}
    counts = Counter(code_of(run) or "not noted" for run in runs)
    return dict(sorted(counts.items()))


def runs_of(cell: Cell) -> Iterator[Path]:
    """The run folders of a cell."""
    yield from (folder.parents[1] for folder in cell.evaluations.values())
    if cell.training is not None:
        yield cell.training.parents[1]
    yield from (folder.parent for folder in (cell.data, cell.diagnostics) if folder is not None)


def code_note(codes: Mapping[str, int]) -> list[str]:
    """A sentence where not all runs were made by the same code."""
    if len(codes) < 2:
        return []
    (first, count), *others = codes.items()
    told = ", ".join([f"{count} runs by {first}", *(f"{n} by {code}" for code, n in others)])
    return [f"Not all runs were made by the same state of the program's code: {told}."]


def same_note(what: str, counts: Mapping[str, float]) -> str:
    """`Optimizer steps: 75 in all variants.`, or from where to where they go."""
    low, high = (choose(counts, key=lambda name: counts[name]) for choose in (min, max))
    start = what[0].upper() + what[1:]
    if counts[low] == counts[high]:
        return f"{start}: {counts[low]:,.0f} in all trained variants."
    return f"{start} are not the same: from {counts[low]:,.0f} ({low}) to {counts[high]:,.0f} ({high})."
