"""The order of stages: from prompts to a report, each stage resumable, finished ones skipped.

    prompts → answers → critiques → refinements (→ teacher answers)     "data", files in RUN/data
    base student evaluated                                              "evaluate"
    for every objective: trained, then its export evaluated             "train", "evaluate"
    report                                                              "report"

A stage decides by itself whether it has work left, from what its own files say; the pipeline names
them in order, keeps at most one generating model in memory, and none while it trains.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from datagen.backends import TeacherConfig, make_generator
from datagen.generators import Generator
from datagen.progress_bar import say_line
from datagen.records import Record
from datagen.sources import write_prompts
from datagen.stages import StageConfig, run_stage, unchanged
from datagen.wordings import load_template
from engine.objectives import OBJECTIVES
from engine.train import train
from evals.grading import grade
from evals.report import write_report
from evals.run import evaluate, load_asked
from launch.config import Config
from launch.runs import open_run

BASE = "base"
"""The name of the student before training, among the evaluated models."""


@dataclass(frozen=True)
class Step:
    """One line of the plan."""

    kind: str
    """data, train, evaluate or report: what `cgd generate`, `cgd train`, … pick out."""
    name: str
    """What the heading says."""
    marker: Path
    """The file that the stage writes last: it is there when the stage is finished."""
    run: Callable[[], object]
    """Does what is left to do, and says so where nothing is."""


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
    config: Config, overwrite: bool = False, kind: str | None = None, model: str | None = None
) -> Path:
    """Runs all stages, those of one kind, or those of one kind about one model; returns the run folder."""
    check_inputs(config)
    with open_run(config, overwrite) as folder:
        steps = [step for step in plan(config, folder) if kind in (None, step.kind)]
        if model is not None:
            steps = steps_about(model, steps)
        before = [step.marker.exists() for step in steps]
        run_steps(steps)
        if all(before):
            say_line(f"{folder}: nothing was left to do")
    return folder


def steps_about(model: str, steps: Sequence[Step]) -> list[Step]:
    """The steps of one model: `base` is the student before training, others are called by their objective."""
    chosen = [step for step in steps if step.name.split()[-1] == model]
    if not chosen:
        known = ", ".join(step.name.split()[-1] for step in steps)
        raise ValueError(f"--model: {model!r} is none of {known}")
    return chosen


def check_inputs(config: Config) -> None:
    """Finds what is missing before anything is paid for; models are looked at when they are read."""
    asked, written = config.evaluate, config.generate
    load_asked(asked, config.run.seed)
    for stage in (written.critique, written.refine, written.teach):
        if stage.template is not None:
            load_template(stage.template)
    if config.teacher.runs_on == "scripted":
        make_generator(config.teacher)
    if config.train.data is not None and not Path(config.train.data).is_file():
        raise ValueError(f"train.data: there is no file {config.train.data}")


# ---- the plan ---------------------------------------------------------------------------------------


def plan(config: Config, folder: Path) -> list[Step]:
    """Every stage of the run, in order."""
    models = OneGenerator()
    steps = [] if config.train.data is not None else data_steps(config, folder / "data", models)
    steps.append(evaluation_step(config, folder, BASE, models))
    for objective in config.pipeline.objectives:
        steps.append(training_step(config, folder, objective, models))
        steps.append(evaluation_step(config, folder, objective, models))
    steps.append(report_step(folder, [step.marker for step in steps]))
    return steps


def data_steps(config: Config, data: Path, models: OneGenerator) -> list[Step]:
    """From prompts to the file that holds every field."""
    settings, seed = config.generate, config.run.seed
    student, teacher = student_as_generator(config, settings.batch_size), config.teacher
    stages: list[tuple[str, str, TeacherConfig, StageConfig]] = [
        ("answer", "answers", student, settings.answer),
        ("critique", "critiques", teacher, settings.critique),
        ("refine", "refinements", teacher, settings.refine),
    ]
    if any(OBJECTIVES[name].writes == "teacher_answer" for name in config.pipeline.objectives):
        stages.append(("teach", "teacher_answers", teacher, settings.teach))
    source = data / "prompts.jsonl"
    steps = [Step("data", "prompts", source, partial(write_prompts, config.data, source, seed))]
    for stage, output, model, stage_config in stages:
        target = data / f"{output}.jsonl"
        run = partial(generate, stage, source, target, models, model, stage_config, seed)
        marker = target.with_name(f"{target.name}.manifest.json")
        steps.append(Step("data", output.replace("_", " "), marker, run))
        source = target
    return steps


def generate(
    stage: str,
    source: Path,
    target: Path,
    models: OneGenerator,
    model: TeacherConfig,
    config: StageConfig,
    seed: int,
) -> None:
    """One data stage."""
    annotate = mark_correct if stage == "answer" else unchanged
    run_stage(stage, source, target, models.get(model), config, seed, annotate)


def mark_correct(record: Record) -> Record:
    """Says whether the student's own answer was right, where the gold answer can be read."""
    gold = record.final_answer or record.answer
    if gold is None or record.student_answer is None:
        return record
    verdict = grade(record.student_answer, gold)
    known = verdict.status != "unparsable gold"
    return replace(record, student_correct=verdict.correct if known else None)


def training_step(config: Config, folder: Path, objective: str, models: OneGenerator) -> Step:
    """One objective, trained from the student."""
    settings = replace(config.train, objective=cast(Any, objective))  # checked by PipelineConfig

    def run() -> None:
        models.release()
        train(config.run, config.student, settings)

    return Step("train", f"train {objective}", folder / "train" / objective / "summary.json", run)


def evaluation_step(config: Config, folder: Path, model: str, models: OneGenerator) -> Step:
    """One model, asked all benchmarks: the student itself, or what was trained from it."""
    student = student_as_generator(config, config.evaluate.batch_size)
    export = folder / "train" / model / "export"
    asked = student if model == BASE else replace(student, model=str(export), revision=None)

    marker = folder / "evals" / model / "scores.json"

    def run() -> None:
        if model != BASE and not export.is_dir():
            raise ValueError(f"{model} is not trained yet: there is no {export}; `cgd train` first")
        was_finished, generator = marker.exists(), models.get(asked)
        scores = evaluate(
            model, generator, config.evaluate, marker.parents[1], config.run.seed, say_line
        )
        if not was_finished:
            say_line(f"{model}: {score_line(scores['benchmarks'])}")

    return Step("evaluate", f"evaluate {model}", marker, run)


def score_line(benchmarks: Mapping[str, Mapping[str, Any]]) -> str:
    """`arithmetic accuracy 41.0 %, arithmetic-format compliance 90.0 %`."""
    return ", ".join(
        f"{name} {measure} {100 * scores[measure]:.1f} %"
        for name, scores in benchmarks.items()
        for measure in ("accuracy", "compliance")
        if scores.get(measure) is not None
    )


def report_step(folder: Path, sources: Sequence[Path]) -> Step:
    """The report, written again whenever something that it tells of is newer."""
    target = folder / "report.html"

    def run() -> None:
        if target.exists() and all(is_older(source, target) for source in sources):
            say_line(f"report: {target}, up to date")
        else:
            say_line(f"report: {write_report(folder)}")

    return Step("report", "report", target, run)


def is_older(source: Path, target: Path) -> bool:
    """True where the source was last written before the target."""
    return source.stat().st_mtime_ns <= target.stat().st_mtime_ns


def student_as_generator(config: Config, batch_size: int) -> TeacherConfig:
    """The student, to be asked rather than trained: on the device and in the way a model teacher is."""
    return TeacherConfig(
        **{f.name: getattr(config.inference, f.name) for f in fields(config.inference)},
        model=config.student.model,
        revision=config.student.revision,
        chat_template=config.student.chat_template,
        batch_size=batch_size,
    )


# ---- running it ---------------------------------------------------------------------------------------


def run_steps(steps: Sequence[Step]) -> None:
    """Every step in order, each under a heading that says how far the whole is."""
    started = time.monotonic()
    seconds_of: dict[str, float] = {}
    for number, step in enumerate(steps, start=1):
        was_finished = step.marker.exists()
        place = f"[{number}/{len(steps)}] "
        clock = clock_line(time.monotonic() - started, time_left(steps[number - 1 :], seconds_of))
        # A finished stage says so itself, in one line: it goes on where the heading stopped.
        print(place if was_finished else f"{place}{step.name}{clock}", flush=True, end="")
        print("" if was_finished else "\n", flush=True, end="")
        began = time.monotonic()
        step.run()
        if not was_finished:
            seconds_of[step.kind] = time.monotonic() - began


def time_left(remaining: Sequence[Step], seconds_of: Mapping[str, float]) -> float | None:
    """Seconds for the unfinished steps, once one of each kind has been timed; a report takes none."""
    todo = [step.kind for step in remaining if step.kind != "report" and not step.marker.exists()]
    if not todo or any(kind not in seconds_of for kind in todo):
        return None
    return sum(seconds_of[kind] for kind in todo)


def clock_line(elapsed: float, left: float | None) -> str:
    """`  (2:05 so far, about 7:10 left)`; nothing at the start."""
    if elapsed < 1:
        return ""
    return f"  ({clock(elapsed)} so far{'' if left is None else f', about {clock(left)} left'})"


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
