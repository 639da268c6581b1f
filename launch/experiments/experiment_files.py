"""Reading an experiment: its file becomes an Experiment, and everything that is wrong is said at once.

launch/experiments/NAME.toml -> tables -> dataclasses (types, unknown keys) -> names that must exist -> Experiment
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import fields, replace
from pathlib import Path

from engine.config import ConfigError, fill, load_toml, suggest, unknown_section
from launch.experiments.experiment import DEFAULT_ASK, RELATIONS, SCALES, Experiment, completed

EXPERIMENTS = Path(__file__).resolve().parent
ALIASES = {"table16": "table5", "table12": "table6", "table13": "table7"}
"""Tables of the appendix that say the same again, or in full."""
SECTIONS = ("set", "scale", "variants", "asks", "measure", "figure")
"""Beside [experiment]."""


def read_experiment(path: Path) -> Experiment:
    """The experiment of a file. Raises ConfigError with everything that is wrong with it."""
    tables = load_toml(path)
    known = dict.fromkeys(("experiment", *SECTIONS), Experiment)
    problems = [
        unknown_section(name, value, known, ())
        for name, value in tables.items()
        if name not in known
    ]
    table = dict(tables.get("experiment", {})) if "experiment" in tables else {}
    problems += [
        f"experiment.{key}: belongs beside [experiment]" for key in SECTIONS if key in table
    ]
    table |= {name: tables[name] for name in SECTIONS if name in tables}
    dotted = [f"experiment.{one.name}" for one in fields(Experiment) if one.name not in SECTIONS]
    found = fill(Experiment, table, "experiment", dotted, problems)
    if isinstance(found, Experiment):
        problems += inconsistencies(found, path)
    if problems:
        beside = tuple(f"experiment.{name}" for name in SECTIONS)
        named = [p.removeprefix("experiment.") if p.startswith(beside) else p for p in problems]
        raise ConfigError(sorted(named), str(path))
    return replace(found, measure=tuple(map(completed, found.measure)))


def inconsistencies(experiment: Experiment, path: Path) -> Iterator[str]:
    """Names that mean nothing, or two things."""
    if experiment.name != path.stem:
        yield f"experiment.name: {experiment.name!r}, but the file is {path.name}"
    variants = [variant.name for variant in experiment.variants]
    asks = [ask.name for ask in experiment.asks]
    own = [measure.name for measure in experiment.measure]
    every = {*experiment.measures, *own}
    for scale in SCALES:
        every |= {*experiment.at(scale).measures}
    lists = {"variants": variants, "asks": asks, "measures": [*experiment.measures, *own]}
    for what, names in lists.items():
        yield from (
            f"{what}: {name!r} is there twice" for name in sorted({*names}) if names.count(name) > 1
        )
    if not variants or not every | {*experiment.diagnostics}:
        yield "experiment: it needs at least one of [[variants]], and a measure"

    def unknown(where: str, name: str, choices: Collection[str]) -> Iterator[str]:
        if name not in choices:
            yield f"{where}: {name!r} is none of {', '.join(choices)}{suggest(name, choices)}"

    if experiment.reference:
        yield from unknown("experiment.reference", experiment.reference, variants)
    for number, claim in enumerate(experiment.claims):
        where = f"experiment.claims[{number}]"
        if len(claim) != 4:
            yield f"{where}: expected [variant, relation, variant, measure], got {list(claim)}"
            continue
        for name, choices in zip(claim, (variants, RELATIONS, variants, every), strict=True):
            yield from unknown(where, name, sorted(choices))
    if experiment.figure is not None and experiment.figure.measure:
        yield from unknown("figure.measure", experiment.figure.measure, sorted(every))
    choices = [DEFAULT_ASK, *asks]
    for number, variant in enumerate(experiment.variants):
        yield from unknown(f"variants[{number}].ask", variant.ask, choices)
    for number, measure in enumerate(experiment.measure):
        if measure.ask:
            yield from unknown(f"measure[{number}].ask", measure.ask, choices)


def experiment_names() -> tuple[str, ...]:
    """All that come with the package: tables in their order, then figures, then the rest."""

    def order(name: str) -> tuple[str, int]:
        kind, number = re.fullmatch(r"(\D*)(\d*)", name).groups()  # type: ignore[union-attr]
        return ({"table": "0", "figure": "1"}.get(kind, name), int(number or 0))

    return tuple(sorted((path.stem for path in EXPERIMENTS.glob("*.toml")), key=order))


def load_experiment(name: str) -> Experiment:
    """One that comes with the package, by its own name or by another table's that it serves; or a file of one's own."""
    if name.endswith(".toml"):
        return read_own(Path(name))
    own = ALIASES.get(name, name)
    known = experiment_names()
    if own not in known:
        near = suggest(name, [*known, *ALIASES])
        raise ConfigError([f"no such experiment{near}; there are {', '.join(known)}"], name)
    return read_experiment(EXPERIMENTS / f"{own}.toml")


def read_own(path: Path) -> Experiment:
    """An experiment of the user's, whose results must not be taken for a packaged one's."""
    if path.stem in experiment_names() and path.resolve() != EXPERIMENTS / path.name:
        problem = (
            f"{path.stem!r} is an experiment of the package; call file and experiment otherwise"
        )
        raise ConfigError([problem], str(path))
    return read_experiment(path)
