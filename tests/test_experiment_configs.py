"""The experiments that come with the package: they can be read, what they name exists, and comparisons are matched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from datagen.known_sources import KNOWN
from datagen.scripted import find_teacher
from datagen.sources import BUILT_IN as WORLDS
from datagen.wordings import load_template
from engine.config import flatten
from evals.benchmarks import BUILT_IN, TABLE
from evals.lm_eval_bridge import HARNESS
from launch.experiments.experiment import SCALES, Experiment, Variant
from launch.experiments.experiment_files import experiment_names, load_experiment
from launch.experiments.grid import Cell, Grid, Wanted, expand
from launch.experiments.paper_numbers import number_for, read_paper
from launch.experiments.scale import load_scale

ASKED_FOR = [
    *(f"table{n}" for n in range(1, 23) if n != 8),
    *(f"figure{n}" for n in range(3, 11)),
    *("overlap", "teachers", "rounds"),
]
MOST_TRAININGS = 165
"""Of all experiments together in the built-in world: two cores train them in an evening."""

SHOWN_ONLY = {"name", "label", "paper", "x", "series", "scales", "ask"}
"""What changes nothing about how a variant is trained."""
DIFFER_IN_TWO = {  # claims that the paper makes, or that need a second change to be fair
    ("table2", "cgd", "cft_gpt4o"): {"objective", "teacher"},
    ("teachers", "vague", "cgd_no_critique"): {"teacher", "objective"},
    ("rounds", "round_2", "twice"): {"round", "set"},
}
SETTINGS = {  # of a training, by the field of a variant that may change them
    "objective": {"train.objective"},
    "critiques": {"train.data"},
    "correct_share": {"train.data"},
    "teacher": {"train.data"},
    "learning_rate_factor": {"train.learning_rate"},
    "epoch": set[str](),
    "round": {"train.data", "student.model"},
    "set": {"train.epochs"},
}


@cache
def grid(name: str, scale: str) -> Grid:
    """With one seed: the others differ from it in nothing else."""
    wanted = Wanted(seeds=(0,))
    return expand(load_experiment(name), load_scale(scale), Path("pool") / scale, wanted)


def seeds_of(experiment: Experiment, scale: str) -> tuple[int, ...]:
    return experiment.at(scale).seeds or experiment.seeds or load_scale(scale).seeds


def grids() -> Iterator[Grid]:
    for name in experiment_names():
        for scale in load_experiment(name).scales:
            yield grid(name, scale)


def settings_in(scale: str, *names: str) -> set[str]:
    """All values that these keys have in the scale's base configuration and choices."""
    read = load_scale(scale)
    choices = [*read.students.values(), *read.teachers.values(), *read.prompts.values()]
    values = [
        flatten(layer).get(n) for layer in (read.config, *(c.set for c in choices)) for n in names
    ]
    return {str(value) for value in values if value is not None}


def test_every_name_is_there() -> None:
    for name in ASKED_FOR:
        assert load_experiment(name).variants
    assert {load_experiment(name).name for name in ASKED_FOR} == set(experiment_names())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", experiment_names())
def test_experiment_expands(name: str, scale: str) -> None:
    experiment = load_experiment(name)
    if scale not in experiment.scales:
        return
    made = grid(name, scale)
    assert len(made.cells) == len(made.variants)
    assert len(seeds_of(experiment, scale)) >= 3
    assert set(seeds_of(experiment, scale)) <= set(load_scale(scale).seeds)
    shown = {variant.name for variant in made.variants}
    assert not experiment.reference or experiment.reference in shown
    assert any(set(claim[::2]) <= shown for claim in experiment.claims) or not experiment.claims


@pytest.mark.parametrize("scale", SCALES)
def test_what_a_scale_names_exists(scale: str) -> None:
    read = load_scale(scale)
    assert set(read.columns.values()) <= {*BUILT_IN, *TABLE, *HARNESS}
    assert settings_in(scale, "data.prompts") <= {*WORLDS, *KNOWN}
    stages = ("critique", "refine", "teach")
    for wording in settings_in(scale, *(f"generate.{stage}.template" for stage in stages)):
        load_template(wording)
    for wording in settings_in(scale, "data.wording", "evaluate.wording"):
        load_template(wording)
    for script in settings_in(scale, "teacher.script", "judge.script"):
        find_teacher(script)
    for column, benchmark in load_scale("paper").columns.items():
        assert scale == "mini" or read.columns.get(column, benchmark) == benchmark


def test_only_mini_needs_no_model() -> None:
    for scale in SCALES:
        models = settings_in(scale, "student.model", "teacher.model", "judge.model")
        packaged = {name for name in models if name.startswith("builtin:")}
        assert (packaged == models) == (scale == "mini")


def test_paper_scale_is_table_8() -> None:
    scale, printed = load_scale("paper"), read_paper()["table8"]
    train = scale.config["train"]
    assert scale.seeds == (0, 1, 2)
    names = {"max_length": "max_sequence_length", "schedule": "scheduler"}
    for name in ("batch_size", "learning_rate", "epochs", "warmup_ratio", *names):
        assert train[name] == printed[names.get(name, name)], name


def test_numbers_of_the_paper_are_found() -> None:
    """Every path resolves, and every row that names one shows at least one number."""
    for made in grids():
        for variant in made.variants:
            found = [number_for(variant.paper, m.paper, m.name) for m in made.measures]
            where = f"{made.name} at {made.scale.name}: {variant.name}"
            if variant.paper and made.experiment.measures:
                assert any(found), where


def test_every_printed_table_is_used() -> None:
    used = "\n".join(
        v.paper + "\n" + m.paper for g in grids() for v in g.variants for m in g.measures
    )
    unused = [
        name
        for name in read_paper()
        if name not in used and name not in ("source", "table6", "table8")
    ]
    assert not unused


def test_mini_stays_small() -> None:
    made = [one for one in grids() if one.scale.name == "mini"]
    trainings = cells = 0
    for seed in load_scale("mini").seeds:
        here = [one for one in made if seed in seeds_of(one.experiment, "mini")]
        trainings += len({job.id for one in here for job in one.jobs if job.kind == "train"})
        cells += sum(len(one.cells) for one in here)
    assert trainings <= MOST_TRAININGS
    assert trainings < cells / 2, "experiments share what they can share"


# ---- comparisons ------------------------------------------------------------------------------------


def compared(experiment: Experiment, scale: str) -> Iterator[tuple[Variant, Variant]]:
    """The pairs of trained variants that a claim is about."""
    by_name = {variant.name: variant for variant in experiment.variants_at(scale)}
    for first, _, second, _ in experiment.claims:
        pair = [by_name[name] for name in (first, second) if name in by_name]
        if len(pair) == 2 and all(variant.is_trained for variant in pair):
            yield pair[0], pair[1]


def differing(one: Variant, other: Variant) -> set[str]:
    names = {field.name for field in fields(Variant)} - SHOWN_ONLY
    return {name for name in names if getattr(one, name) != getattr(other, name)}


@pytest.mark.parametrize("name", experiment_names())
def test_a_claim_is_about_one_thing(name: str) -> None:
    for scale in load_experiment(name).scales:
        for one, other in compared(load_experiment(name), scale):
            found = differing(one, other)
            assert found == DIFFER_IN_TWO.get((name, one.name, other.name), found)
            assert len(found) == 1 or (name, one.name, other.name) in DIFFER_IN_TWO


def settings_of(made: Grid, variant: str) -> tuple[dict[str, object], Path | None]:
    """What the variant is trained with, and where its records come from."""
    (cell,) = (c for c in made.cells if c.variant.name == variant)
    (job,) = (j for j in made.jobs if j.kind == "train" and j.path == training_of(cell))
    own = {k: v for k, v in flatten(job.tables or {}).items() if k not in ("run.dir", "run.name")}
    return own, cell.data


def training_of(cell: Cell) -> Path:
    assert cell.training is not None
    return cell.training.parent.parent


@pytest.mark.parametrize("name", experiment_names())
def test_compared_trainings_differ_in_what_they_are_about_alone(name: str) -> None:
    for scale in load_experiment(name).scales:
        made = grid(name, scale)
        for one, other in compared(made.experiment, scale):
            allowed = set().union(*(SETTINGS[field] for field in differing(one, other)))
            first, data = settings_of(made, one.name)
            second, other_data = settings_of(made, other.name)
            changed = {k for k in first | second if first.get(k) != second.get(k)}
            assert changed <= allowed, f"{name} at {scale}: {one.name}, {other.name}"
            same_records = not {"teacher", "round"} & differing(one, other)
            assert (data == other_data) == same_records


@pytest.mark.parametrize("scale", SCALES)
def test_teachers_are_compared_on_the_same_answers(scale: str) -> None:
    """Student answers depend on student, prompts and seed; a teacher's settings must not touch them."""
    read = load_scale(scale)
    for name, teacher in read.teachers.items():
        sections = {key.split(".")[0] for key in flatten(teacher.set)} - {"teacher"}
        stages = {key for key in flatten(teacher.set) if key.startswith("generate.answer")}
        assert sections <= {"generate"}, name
        assert not stages, name


@pytest.mark.parametrize("scale", SCALES)
def test_experiments_share_trainings(scale: str) -> None:
    """cgd of the main student is the same training in every table that shows it as it is."""
    shared = ["table1", "table2", "table5", "table6", "table11", "figure3", "figure7", "rounds"]
    paths = set()
    for name in shared:
        made = grid(name, scale)
        plain = "round_1" if name == "rounds" else "cgd"
        (cell,) = (c for c in made.cells if c.variant.name == plain)
        paths.add(cell.training)
    assert len(paths) == 1


def test_records_of_different_teachers_are_diagnosed_apart() -> None:
    for name in ("table20", "table21", "table22", "overlap"):
        cells = grid(name, "mini").cells
        assert len({cell.data for cell in cells}) == len(cells)
        assert len({cell.diagnostics for cell in cells}) == len(cells)
