"""The grid of an experiment: every variant with every seed, and the jobs that they need, each of them once.

    Experiment + Scale + what the command asks for -> Grid: cells (where results lie) and jobs (what makes them)

    prompts, answers, critiques, refinements (data) -> mixture -> train -> export of an epoch -> evaluate, diagnose

All variants with the same student, teacher and prompts share one `data` job, and so the same prompts, student
answers and split; what differs between their trainings is what the variant says, and nothing else.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.config import ConfigError, suggest
from launch.experiments.cell_plan import jobs_of_cell
from launch.experiments.configurations import Flat, made_alike, read_overrides
from launch.experiments.experiment import Experiment, Measure, Variant
from launch.experiments.jobs import Job, merged
from launch.experiments.scale import Scale


@dataclass(frozen=True)
class Cell:
    """One variant with one seed, and where its results lie: None for what is not planned; what is planned may not
    be there yet."""

    variant: Variant
    seed: int
    evaluations: Mapping[str, Path]
    """By ask: the folder of one evaluated model."""
    training: Path | None
    data: Path | None
    diagnostics: Path | None
    command: str
    """Makes it, with all others of its experiment and the same settings and seeds."""


@dataclass(frozen=True)
class Grid:
    """An experiment at a scale."""

    experiment: Experiment
    scale: Scale
    cells: tuple[Cell, ...]
    jobs: tuple[Job, ...]
    """In an order in which each comes after those that it reads from."""

    @property
    def name(self) -> str:
        """Of the experiment."""
        return self.experiment.name

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """All columns, in order."""
        return self.experiment.measures_at(self.scale.name, self.scale.averages)

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """The rows that exist at this scale."""
        return self.experiment.variants_at(self.scale.name)

    @property
    def seeds(self) -> tuple[int, ...]:
        """In order."""
        return tuple(dict.fromkeys(cell.seed for cell in self.cells))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a command asks for beside the name."""

    overrides: tuple[str, ...] = ()
    """`--set section.key=value`."""
    only: tuple[str, ...] = ()
    """Variants that are run; unset, all."""
    seeds: tuple[int, ...] = ()
    """Unset, the experiment's."""


def expand(
    experiment: Experiment, scale: Scale, folder: Path, wanted: Wanted | None = None
) -> Grid:
    """The grid; `folder` is the scale's, with the pool in it. Raises ConfigError with everything that is wrong."""
    asked = wanted or Wanted()
    refuse_unknown(experiment, scale, asked)
    overrides = read_overrides(asked.overrides)
    refuse_alike(experiment, scale, asked, overrides)
    pool = folder / "pool"
    seeds = asked.seeds or experiment.at(scale.name).seeds or experiment.seeds or scale.seeds
    cells: list[Cell] = []
    jobs: list[Job] = []
    found: dict[str, list[str]] = {}
    for variant in experiment.variants_at(scale.name):
        for seed in seeds:
            made, problems = jobs_of_cell(experiment, scale, pool, variant, seed, overrides)
            for problem in problems:
                found.setdefault(problem, []).append(variant.name)
            cells.append(
                Cell(
                    variant=variant,
                    seed=seed,
                    evaluations=made.evaluations,
                    training=made.training,
                    data=made.data,
                    diagnostics=made.diagnostics,
                    command=command_of(experiment, scale, asked),
                )
            )
            if not asked.only or variant.name in asked.only:
                jobs += made.jobs
    if found:
        raise ConfigError(sorted(in_words(found, experiment, scale)), where_of(experiment, scale))
    return Grid(experiment, scale, tuple(cells), merged(jobs))


def command_of(experiment: Experiment, scale: Scale, asked: Wanted) -> str:
    """What makes the whole table: the same settings and seeds, all variants."""
    parts = ["cgd", "reproduce", experiment.name, "--scale", scale.name]
    for override in asked.overrides:
        parts += ["--set", override]
    if asked.seeds:
        parts += ["--seeds", ",".join(map(str, asked.seeds))]
    return shlex.join(parts)


def refuse_alike(experiment: Experiment, scale: Scale, asked: Wanted, overrides: Flat) -> None:
    """Raises ConfigError for `--set` keys that would make different models or prompts the same in all variants."""
    variants = experiment.variants_at(scale.name)
    wanted = [one for one in variants if not asked.only or one.name in asked.only]
    if problems := made_alike(overrides, wanted, scale):
        raise ConfigError(problems, where_of(experiment, scale))


def refuse_unknown(experiment: Experiment, scale: Scale, asked: Wanted) -> None:
    """Raises ConfigError for a scale, a variant or a column that the experiment does not have there."""
    problems = []
    if scale.name not in experiment.scales:
        there = ", ".join(experiment.scales)
        problems.append(f"experiment.scales: it exists at {there}, not at {scale.name}")
    names = [variant.name for variant in experiment.variants_at(scale.name)]
    problems += [
        f"--only: {name!r} is none of {', '.join(names)}{suggest(name, names)}"
        for name in asked.only
        if name not in names
    ]
    if len(set(asked.seeds)) < len(asked.seeds):
        problems.append("--seeds: one is named twice")
    if problems:
        raise ConfigError(problems, where_of(experiment, scale))


def in_words(found: Mapping[str, list[str]], experiment: Experiment, scale: Scale) -> list[str]:
    """Problems, each with the variants that have it where not all do."""
    count = len(experiment.variants_at(scale.name))
    return [
        problem if len({*names}) == count else f"{problem} ({', '.join(dict.fromkeys(names))})"
        for problem, names in found.items()
    ]


def where_of(experiment: Experiment, scale: Scale) -> str:
    """What messages call it."""
    return f"{experiment.name} at scale {scale.name}"
