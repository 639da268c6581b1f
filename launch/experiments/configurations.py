"""What a variant is configured with: the scale's settings, the experiment's and its own, one over the other.

    scale [config] < student, teacher, prompts < [set] < [scale.NAME] set < --set < the variant's own

A command line wins over files, but it cannot set what the experiment itself sets, or what tells variants apart.
Settings are kept flat ("train.epochs") and are checked as any configuration file is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

from datagen.backends import BackendConfig
from engine.config import ConfigError, apply_override, fill, flatten, known_keys, suggest
from engine.settings import TrainConfig
from launch.config import SECTIONS
from launch.experiments.experiment import Ask, Experiment, Variant
from launch.experiments.scale import CHOICES, Choice, Scale

Flat = Mapping[str, Any]
"""Settings by dotted key."""
SET_BY_EXPERIMENTS = {
    "run.seed": "--seeds names them",
    "run.dir": "--dir names the folder of all jobs",
    "run.name": "jobs are named by what is in them",
    "pipeline.objectives": "every variant has its own",
    "train.objective": "every variant has its own",
    "train.data": "every variant has its own records",
    "evaluate.benchmarks": "the experiment's measures and [[asks]] name them",
    "diagnose.records": "every variant has its own records",
    "diagnose.names": "the experiment's measures name them",
}
"""Keys that `--set` would change in vain, and what to do instead."""


def settings_of(
    experiment: Experiment, scale: Scale, variant: Variant, overrides: Flat
) -> dict[str, Any]:
    """All settings of a variant, those of its evaluation left as the scale has them."""
    student, teacher, prompts = (choice(scale, variant, kind) for kind in CHOICES)
    layers = (
        scale.config,
        student.set,
        teacher.set,
        prompts.set,
        experiment.set,
        experiment.at(scale.name).set,
        overrides,
    )
    flat: dict[str, Any] = {}
    for layer in layers:
        flat |= flatten(layer)
    rate = flat.get("train.learning_rate", "")
    rate = TrainConfig.learning_rate if rate == "" else rate
    factor = variant.learning_rate_factor
    if factor != 1 and isinstance(rate, int | float):  # any other is refused with all wrong keys
        flat["train.learning_rate"] = rounded(rate * factor)
    flat |= flatten(variant.set)
    # What no prompt may resemble is part of the data, so it cannot depend on who evaluates what.
    flat.setdefault("data.decontaminate", list(scale.benchmarks(tuple(scale.columns))))
    return {key: value for key, value in flat.items() if value != ""}


def rounded(rate: float) -> float:
    """A product as it would be typed: 5 times 1e-6 is 5e-6."""
    return float(f"{rate:.6g}")


def choice(scale: Scale, variant: Variant, kind: str) -> Choice:
    """The student, teacher or prompt set of a variant. Raises ConfigError where the scale has no such one."""
    name = chosen(variant, kind)
    known: Mapping[str, Choice] = getattr(scale, kind)
    if name not in known:
        hint = suggest(name, known)
        there = f"{name!r} is none of the scale's {kind}: {', '.join(known)}{hint}"
        raise ConfigError([f"{variant.name}: {there}"])
    return known[name]


def chosen(variant: Variant, kind: str) -> str:
    """What a variant calls its student, teacher or prompt set."""
    return str(getattr(variant, kind if kind == "prompts" else kind.removesuffix("s")))


def evaluation_of(flat: Flat, scale: Scale, ask: Ask) -> dict[str, Any]:
    """The settings with those of a way to evaluate."""
    asked = {**flat, "evaluate.benchmarks": list(scale.benchmarks(ask.benchmarks))}
    return asked | flatten(ask.set)


def teacher_as_student(flat: Flat, variant: Variant) -> dict[str, Any]:
    """The settings with the teacher in the student's place. Raises ConfigError for one that is no model."""
    if not flat.get("teacher.model"):
        said = "the scale's teacher is a program, which answers no benchmark; leave the variant out here"
        raise ConfigError([f"{variant.name}: {said} (scales = […])"])
    changed = {
        key: value for key, value in flat.items() if not key.startswith(("student.", "inference."))
    }
    for key in ("model", "revision", "chat_template"):
        if f"teacher.{key}" in flat:
            changed[f"student.{key}"] = flat[f"teacher.{key}"]
    shared = {field.name for field in fields(BackendConfig)}
    for key, value in flat.items():
        section, _, rest = key.partition(".")
        if section == "teacher" and rest.split(".")[0] in shared:
            changed[f"inference.{rest}"] = value
    return changed


def read_overrides(settings: Sequence[str]) -> dict[str, Any]:
    """`--set section.key=value` texts as flat settings; an empty value restores the default."""
    flat: dict[str, Any] = {}
    problems: list[str] = []
    for text in settings:
        table: dict[str, Any] = {}
        path, _, value = text.partition("=")
        apply_override(table, text if value.strip() else f'{path}=""', problems)
        flat |= flatten(table)
    problems += [
        f"{key}: an experiment sets it; {SET_BY_EXPERIMENTS[key]}"
        for key in flat
        if key in SET_BY_EXPERIMENTS
    ]
    if problems:
        raise ConfigError(problems, "--set")
    return flat


def made_alike(overrides: Flat, variants: Sequence[Variant], scale: Scale) -> list[str]:
    """Problems of `--set` keys in which students, teachers or prompts of these variants differ: all would be one."""
    problems = []
    for kind in CHOICES:
        known: Mapping[str, Choice] = getattr(scale, kind)
        names = {chosen(one, kind) for one in variants}
        settings = [flatten(known[name].set) for name in sorted(names & known.keys())]
        problems += [
            f"--set {key}: the {kind} of these variants differ in it; choose variants with --only"
            for key in overrides
            if len({str(one.get(key)) for one in settings}) > 1
        ]
    return problems


def nested(flat: Flat) -> dict[str, Any]:
    """Flat settings as the tables of a file."""
    tables: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, key = name.split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise ConfigError([f"{name}: {parent} is a value, not a section"])
        table[key] = value
    return tables


def restricted(flat: Flat, names: Sequence[str]) -> dict[str, Any]:
    """The settings of some sections, or single keys of them."""
    return {
        key: value
        for key, value in flat.items()
        if any(key == name or key.startswith(f"{name}.") for name in names)
    }


def resolved(flat: Flat, sections: Sequence[str], problems: list[str]) -> dict[str, Any]:
    """These sections as dataclasses, with their defaults; what is wrong with any is added to `problems`."""
    tables = nested(flat)
    strangers = tables.keys() - SECTIONS.keys()
    problems += [f"{name}: unknown section{suggest(name, SECTIONS)}" for name in strangers]
    return {
        name: fill(SECTIONS[name], tables.get(name, {}), name, all_keys(), problems)
        for name in sections
    }


@cache
def all_keys() -> tuple[str, ...]:
    """Every key of a configuration."""
    return tuple(known_keys(SECTIONS))
