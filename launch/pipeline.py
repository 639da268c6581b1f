"""The order of stages: from prompts to a report, each stage resumable, finished ones skipped.

    prompts → records: answers, critiques, refinements (, teacher answers)    "data", files in RUN/data
    base student evaluated                                              "evaluate"
    for every objective: trained, then its export evaluated             "train", "evaluate"
    report                                                              "report"

A stage decides by itself whether it has work left, from what its own files say; the pipeline names
them in order, keeps at most one generating model in memory, and none while it trains.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from datagen.backends import TeacherConfig, make_generator
from datagen.finished import SUMMARY
from datagen.generators import Generator
from datagen.progress_bar import say_line
from datagen.workers import Worker
from engine.train import train
from evals.run import evaluate
from evals.scores import in_short
from launch.config import Config
from launch.data_step import (
    MIXTURE,
    PROMPTS,
    make_mixture,
    make_prompts,
    make_records,
    student_as_generator,
)
from launch.preflight import preflight
from launch.reporting import write_run_report
from launch.rounds import rounds_of
from launch.running import Step, Watched, run_steps
from launch.runs import locked, open_run, require_one_process

ALONE = Worker()
BASE = "base"
"""The name of the student before training, among the evaluated models."""


class OneGenerator:
    """At most one model in memory: the same one is handed out again, another one replaces it."""

    def __init__(self) -> None:
        self._config: TeacherConfig | None = None
        self._generator: Generator | None = None

    def get(self, config: TeacherConfig) -> Generator:
        """The generator of a config. Models are read when they write their first text, not here."""
        if self._generator is None or config != self._config:
            self.release()
            self._config, self._generator = config, make_generator(config)
        return self._generator

    def release(self) -> None:
        """Gives a model's memory back."""
        was_model = self._config is not None and self._config.runs_on != "scripted"
        self._config = self._generator = None
        if was_model:
            gc.collect()  # modules that know each other are not freed before


def run_pipeline(
    config: Config,
    overwrite: bool = False,
    kind: str | None = None,
    model: str | None = None,
    worker: Worker = ALONE,
    rework: bool = False,
) -> Path:
    """Runs all stages, those of one kind, or those of one kind about one model; returns the run folder.

    The kind `prompts` is the first stage alone. `rework` lets other settings of the data stages pass. Evaluations of
    one model each, as of jobs of a cluster, may share the folder; whatever else is done in it is done alone."""
    refuse_rounds(config, kind)
    one_model = kind == "evaluate" and model is not None
    sharers = 1 + len(config.pipeline.objectives) if one_model else worker.count
    if sharers == 1:
        require_one_process()
    folder = config.run.folder
    steps = plan(config, folder, worker, retry_failed=kind == "data")
    steps = [step for step in steps if kind in (None, step.kind, step.name)]
    if model is not None:
        steps = steps_about(model, steps)
    if ahead := work_ahead(steps, overwrite):
        preflight(config, ahead, says=worker.number == 0)
    says_how_far = worker.number == 0
    with (
        open_run(config, overwrite, sharers, rework),
        Watched(config, folder, says_how_far) as watched,
    ):
        before = written_at(steps)
        run_steps(steps, watched)
        if None not in before and written_at(steps) == before and kind != "prompts":
            say_line(f"{folder}: nothing was left to do")
    return folder


def written_at(steps: Sequence[Step]) -> list[int | None]:
    """When the last file of each step was written, if it was."""
    files = [step.marker for step in steps]
    return [file.stat().st_mtime_ns if file.exists() else None for file in files]


def steps_about(model: str, steps: Sequence[Step]) -> list[Step]:
    """The steps of one model: `base` is the student before training, others are called by their objective."""
    chosen = [step for step in steps if step.name.split()[-1] == model]
    if not chosen:
        known = ", ".join(step.name.split()[-1] for step in steps)
        raise ValueError(f"--model: {model!r} is none of {known}")
    return chosen


def refuse_rounds(config: Config, kind: str | None) -> None:
    """Raises ValueError where one kind of stages of several rounds is asked for."""
    if config.pipeline.rounds > 1 and kind in ("data", "train", "prompts"):
        raise ValueError(
            "pipeline.rounds: each round needs the one before; `cgd run` does them in order"
        )


def work_ahead(steps: Sequence[Step], overwrite: bool) -> set[str]:
    """The kinds of the steps that are not finished, and `base` where the student itself is asked; no report."""
    left = [step for step in steps if overwrite or not step.marker.exists()]
    kinds = {step.kind for step in left if step.kind != "report"}
    return kinds | {BASE for step in left if step.name == f"evaluate {BASE}"}


# ---- the plan ---------------------------------------------------------------------------------------


def plan(
    config: Config, folder: Path, worker: Worker = ALONE, retry_failed: bool = False
) -> list[Step]:
    """Every stage of the run, in order."""
    models = OneGenerator()
    if config.pipeline.rounds > 1:
        steps = steps_of_rounds(config, folder, models)
    else:
        steps = []
        if config.train.data is None:
            steps += data_steps(config, folder / "data", worker, retry_failed)
        steps.append(evaluation_step(config, folder, BASE, None, models))
        for name in config.pipeline.objectives:
            export = folder / "train" / name / "export"
            steps.append(training_step(config, folder, name, models))
            steps.append(evaluation_step(config, folder, name, export, models))
    steps.append(report_step(folder, [step.marker for step in steps]))
    return steps


def steps_of_rounds(config: Config, folder: Path, models: OneGenerator) -> list[Step]:
    """The same, several times over: each round has files of its own, the evaluations stand side by side."""
    steps = [evaluation_step(config, folder, BASE, None, models)]
    for one in rounds_of(config, folder):
        steps += data_steps(one.config, one.folder / "data", ALONE, retry_failed=False)
        steps.append(training_step(one.config, one.folder, one.objective, models))
        steps.append(evaluation_step(config, folder, one.name, one.export, models))
    return steps


def data_steps(config: Config, data: Path, worker: Worker, retry_failed: bool) -> list[Step]:
    """Prompts, and the records that become of them."""
    records = partial(make_records, config, data, worker, retry_failed)
    steps = [
        Step("data", "prompts", data / PROMPTS, lambda _: make_prompts(config, data)),
        Step("data", "records", data / SUMMARY, lambda watched: records(watched.progress)),
    ]
    if config.generate.mixture.chooses:
        steps.append(Step("data", "mixture", data / MIXTURE, lambda _: make_mixture(config, data)))
    return steps


def training_step(config: Config, folder: Path, objective: str, models: OneGenerator) -> Step:
    """One objective, trained from the student."""
    settings = replace(config.train, objective=cast(Any, objective))  # checked by PipelineConfig

    def run(watched: Watched) -> None:
        models.release()
        train(config.run, config.student, settings, watch=watched.progress)

    return Step("train", f"train {objective}", folder / "train" / objective / "summary.json", run)


def evaluation_step(
    config: Config, folder: Path, model: str, export: Path | None, models: OneGenerator
) -> Step:
    """One model, asked all benchmarks: the student itself, or the export of what was trained from it."""
    student = student_here(config)
    asked = replace(student, model=str(export), revision=None) if export else student

    marker = folder / "evals" / model / "scores.json"

    def run(watched: Watched) -> None:
        if export is not None and not export.is_dir():
            raise ValueError(
                f"{model} is not trained yet: there is no {export}; `cgd train` first, or "
                f"`cgd evaluate --model {BASE}` for the student alone"
            )
        was_finished, generator = marker.exists(), models.get(asked)
        where, seed = marker.parents[1], config.run.seed
        devices = asked.tensor_parallel
        marker.parent.mkdir(parents=True, exist_ok=True)
        with locked(marker.parent):
            asked_here = (model, generator, config.evaluate, where, seed, say_line, devices)
            scores = evaluate(*asked_here, watched.progress)
        if not was_finished:
            for name, score in scores["benchmarks"].items():
                say_line(f"evaluate {model}/{name}: {in_short(score)}")

    return Step("evaluate", f"evaluate {model}", marker, run)


def student_here(config: Config) -> TeacherConfig:
    """The student where trained models lie, too: a server that answers for it does not have those."""
    student = student_as_generator(config, config.evaluate.batch_size)
    return replace(student, backend=None, base_url=()) if student.runs_on == "openai" else student


def report_step(folder: Path, sources: Sequence[Path]) -> Step:
    """The report, written again whenever something that it tells of is newer."""
    target = folder / "report.html"

    def run(watched: Watched) -> None:
        if target.exists() and all(is_older(source, target) for source in sources):
            say_line(f"report: {target}, up to date")
        else:
            say_line(f"report: {write_run_report(folder)}")

    return Step("report", "report", target, run)


def is_older(source: Path, target: Path) -> bool:
    """True where the source was last written before the target."""
    return source.stat().st_mtime_ns <= target.stat().st_mtime_ns
