"""A scale: the models, prompts, benchmarks and settings that stand for the paper's at one size.

    launch/experiments/scales/NAME.toml -> Scale, checked: everything that is wrong is said at once

The paper speaks of columns (MATH500), students and teachers; a scale says which benchmark and which model stands
for each. A column that it does not name does not exist there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from engine.config import BAD, ConfigError, fill, load_toml, suggest
from launch.experiments.experiment import SCALES, ScaleName

FOLDER = Path(__file__).resolve().parent / "scales"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A student, a teacher or a prompt set (`[students.NAME]`, `[teachers.NAME]`, `[prompts.NAME]`)."""

    set: Mapping[str, Any] = field(default_factory=dict)
    """The configuration keys that choose it, "section.key"."""
    label: str = ""
    """What reports call it."""
    paper: str = ""
    """What it stands for."""
    ranks: int | None = None
    """Of a student: GPUs that train it together; unset, the scale's."""
    hours: float = 1.0
    """Of a student: GPU-hours beside the main student's."""


@dataclass(frozen=True, kw_only=True)
class Hours:
    """`[hours]`: GPU-hours (hours on a CPU) of one job with the main student, by `cgd plan` or measured."""

    data: float | None = None
    train: float | None = None
    evaluate: float | None = None
    diagnose: float | None = None
    source: str = ""
    """Where the figures come from."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One size of everything."""

    name: ScaleName
    title: str = ""
    """What it is, in a few words."""
    seeds: tuple[int, ...]
    data_seed: int | None = None
    """Records are made once, with this seed, for trainings with all seeds; unset, anew for every seed."""
    ranks: int = 1
    """GPUs of one training."""
    threads: int = 1
    """CPU threads of one job."""
    gpus: int = 0
    """GPUs that it needs; 0 runs on the CPU."""
    gpus_per_node: int = 8
    """On one machine; a training on more ranks takes several."""
    device: str = "H200"
    """What `cgd plan` plans for."""
    launcher: Literal["here", "slurm"] = "here"
    """Whether the jobs are run here, or printed as scripts of a cluster too."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The benchmark that stands for each of the paper's columns."""
    asked: tuple[str, ...] = ()
    """Columns whose benchmarks are asked where an experiment's [[asks]] name none; unset, all."""
    averages: Mapping[str, Any] = field(default_factory=dict)
    """Columns by the name of their average."""
    students: Mapping[str, Choice]
    teachers: Mapping[str, Choice]
    prompts: Mapping[str, Choice]
    hours: Hours = field(default_factory=Hours)
    config: Mapping[str, Any] = field(default_factory=dict)
    """The configuration that all experiments begin with."""

    def __post_init__(self) -> None:
        for key in ("ranks", "threads"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be 1 or more, got {getattr(self, key)}")
        if self.gpus and self.ranks > self.gpus:
            raise ValueError(f"ranks = {self.ranks}, but there are {self.gpus} GPUs")
        if not self.seeds:
            raise ValueError("seeds: at least one is needed")

    def benchmarks(self, columns: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The benchmarks of some columns, as far as they exist here; where none are named, those asked by default."""
        wanted = columns or self.asked or tuple(self.columns)
        found = [self.columns[name] for name in wanted if name in self.columns]
        return tuple(dict.fromkeys(found))


CHOICES = ("students", "teachers", "prompts")
SECTIONS = ("columns", "averages", *CHOICES, "hours", "config")
"""Beside [scale]."""


def read_scale(path: Path) -> Scale:
    """The scale of a file. Raises ConfigError with everything that is wrong with it."""
    tables = load_toml(path)
    problems = [
        f"{name}: unknown section{suggest(name, ('scale', *SECTIONS))}"
        for name in tables.keys() - {"scale", *SECTIONS}
    ]
    table = {**tables.get("scale", {}), **{n: tables[n] for n in SECTIONS if n in tables}}
    for name in CHOICES:
        if isinstance(table.get(name), dict):
            table[name] = {
                key: fill(Choice, value, f"{name}.{key}", (), problems)
                for key, value in table[name].items()
            }
    found = fill(Scale, table, "scale", (), problems)
    if found is not BAD:
        problems += inconsistencies(found, path)
    if problems:
        beside = tuple(f"scale.{name}" for name in SECTIONS)
        named = [p.removeprefix("scale.") if p.startswith(beside) else p for p in problems]
        raise ConfigError(sorted(named), str(path))
    assert isinstance(found, Scale)
    return found


def inconsistencies(scale: Scale, path: Path) -> list[str]:
    """Names that mean nothing."""
    problems = []
    if scale.name != path.stem:
        problems.append(f"scale.name: {scale.name!r}, but the file is {path.name}")
    for name, columns in scale.averages.items():
        for column in columns if isinstance(columns, list) else [str(columns)]:
            if column not in scale.columns:
                near = suggest(column, scale.columns)
                problems.append(f"averages.{name}: there is no column {column!r}{near}")
    for column in scale.asked:
        if column not in scale.columns:
            problems.append(f"asked: there is no column {column!r}{suggest(column, scale.columns)}")
    for name in CHOICES:
        if "main" not in getattr(scale, name):
            problems.append(f"{name}: one of them must be called main")
    return problems


def load_scale(name: str) -> Scale:
    """One that comes with the package."""
    if name not in SCALES:
        raise ConfigError(
            [f"no such scale{suggest(name, SCALES)}; there are {', '.join(SCALES)}"], name
        )
    return read_scale(FOLDER / f"{name}.toml")
