"""From a variant and a seed to its jobs, in order: which of them it needs, and what each begins with.

data -> (mixture) -> train -> (export of an epoch) -> evaluate, one a way to ask; diagnose
round 2: the same again, beginning with the student that round 1 has trained
"""

from __future__ import annotations

from pathlib import Path

from engine.config import ConfigError
from launch.experiments.cell_jobs import Made, Model, Planner
from launch.experiments.configurations import Flat, settings_of, teacher_as_student
from launch.experiments.experiment import Experiment, Variant
from launch.experiments.scale import Scale


def jobs_of_cell(
    experiment: Experiment,
    scale: Scale,
    pool: Path,
    variant: Variant,
    seed: int,
    overrides: Flat,
) -> tuple[Made, list[str]]:
    """What a variant with a seed needs, and everything that is wrong with its settings."""
    made, problems = Made(), list[str]()
    planner = Planner(pool, scale, experiment, variant, seed, made, problems)
    try:
        plan(planner, overrides)
    except ConfigError as error:
        problems += error.problems
    return made, problems


def plan(planner: Planner, overrides: Flat) -> None:
    """All jobs of the cell."""
    experiment, variant = planner.experiment, planner.variant
    flat = settings_of(experiment, planner.scale, variant, overrides)
    if not flat.get("student.model"):
        planner.problems.append("student.model: required, but not given")
    model = student = Model(flat)
    if variant.objective == "teacher":
        model = Model(teacher_as_student(flat, variant))
    if variant.is_trained or experiment.diagnostics:
        data, records = planner.data(student, 1)
    for number in range(1, variant.round + 1 if variant.is_trained else 1):
        if number > 1:
            data, records = planner.data(model, number)
        chosen = planner.mixture(data, records, number) if variant.has_mixture else (data, records)
        training = planner.train(model, *chosen, number)
        maker, folder = planner.export(training, flat)
        model = trained(flat, folder, maker)
    for name in experiment.asks_of(variant, planner.scale.name, planner.scale.averages):
        planner.evaluate(model, experiment.asked(name))
    if experiment.diagnostics:
        planner.diagnose(model, data, records)


def trained(flat: Flat, folder: Path, maker: str) -> Model:
    """A model of our own in the student's place."""
    settings = {key: value for key, value in flat.items() if key != "student.revision"}
    return Model({**settings, "student.model": str(folder)}, (maker,))
