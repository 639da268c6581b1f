"""Hand-made artifacts of an experiment: what its jobs would have left, without running any."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.scores import score_rows
from launch.experiments.experiment import Experiment, Figure, Measure, Variant, completed
from launch.experiments.grid import Cell, Grid
from launch.experiments.scale import Choice, Scale

COLUMNS = {"MATH500": "arithmetic-new", "GSM8K": "arithmetic", "IFEval": "arithmetic-format"}
AVERAGES = {"Group1Avg": ["MATH500", "GSM8K"]}


def scale(**changes: Any) -> Scale:
    """A scale with two columns, their average, and one of instructions."""
    one = {"main": Choice()}
    settings = {"columns": COLUMNS, "averages": AVERAGES, "seeds": (0, 1, 2)} | changes
    return Scale(name="mini", students=one, teachers=one, prompts=one, **settings)


def experiment(
    variants: Sequence[Variant],
    measures: Sequence[str] = ("MATH500",),
    further: Sequence[Measure] = (),
    figure: Figure | None = None,
    **settings: Any,
) -> Experiment:
    """An experiment of these variants."""
    about = {"name": "table0", "title": "A table", "shows": "what is varied"} | settings
    return Experiment(
        variants=tuple(variants),
        measures=tuple(measures),
        measure=tuple(completed(measure) for measure in further),
        figure=figure,
        **about,
    )


def grid_of(made: Experiment, root: Path, seeds: Sequence[int] = (0, 1, 2), **changes: Any) -> Grid:
    """Its cells, with their artifacts under `root`."""
    cells = tuple(
        Cell(
            variant=variant,
            seed=seed,
            evaluations={"default": folder_of(root, variant.name, seed) / "evals" / "base"},
            training=folder_of(root, variant.name, seed) / "train" if variant.is_trained else None,
            data=root / "pool" / "data" / f"seed{seed}" / "data",
            diagnostics=folder_of(root, variant.name, seed) / "diagnostics",
            command="cgd reproduce table0 --scale mini",
        )
        for variant in made.variants
        for seed in seeds
    )
    return Grid(made, scale(**changes), cells, ())


def folder_of(root: Path, variant: str, seed: int) -> Path:
    """Where the artifacts of a cell lie."""
    return root / "pool" / "any" / f"{variant}-{seed}"


def row(identity: str, correct: bool | None, **changes: Any) -> dict[str, Any]:
    """A line of BENCHMARK.jsonl."""
    return {
        "id": identity,
        "sample": 0,
        "seed": 0,
        "prompt_sha256": f"hash of {identity}",
        "correct": correct,
        "complies": None,
        "extracted": None,
        "rule": None,
        "status": "correct" if correct else "wrong",
        "finish_reason": "stop",
        "words": 10,
        "steps": 2,
        "tokens": 12,
    } | changes


def evaluated(
    root: Path, variant: str, seed: int, rows: Mapping[str, Sequence[dict[str, Any]]]
) -> None:
    """Writes the results of an evaluation, by benchmark."""
    folder = folder_of(root, variant, seed) / "evals" / "base"
    folder.mkdir(parents=True, exist_ok=True)
    for benchmark, lines in rows.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{benchmark}.jsonl").write_text(text, encoding="utf-8")
    scores = {benchmark: score_rows(lines) for benchmark, lines in rows.items()}
    (folder / "scores.json").write_text(json.dumps({"benchmarks": scores}), encoding="utf-8")


def marked(
    root: Path, variant: str, seed: int, marks: Sequence[bool], benchmark: str = "arithmetic-new"
) -> None:
    """An evaluation of one benchmark; problems of the built-in world are other ones with every seed."""
    rows = [row(f"p-{seed}-{place}", mark) for place, mark in enumerate(marks)]
    evaluated(root, variant, seed, {benchmark: rows})


def trained(root: Path, variant: str, seed: int, steps: int = 4, supervised: int = 30) -> None:
    """What a training leaves."""
    folder = folder_of(root, variant, seed) / "train"
    folder.mkdir(parents=True, exist_ok=True)
    line = {"tokens": 100, "supervised_tokens": supervised}
    lines = [json.dumps(line | {"step": n + 1, "loss": 1 / (n + 1)}) for n in range(steps)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "config.toml").write_text("[train]\nlearning_rate = 0.001\nepochs = 2.0\n")
    summary = {"examples": 20, "steps": steps, "device_seconds": 7200.0}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
