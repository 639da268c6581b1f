"""The data stages of a run: prompts, then the flow that makes records of them.

[data] -> data/prompts.jsonl -> student ([inference]) and teacher ([teacher]) -> data/*.jsonl, summary.json
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from datagen.accounts import Price
from datagen.backends import BackendConfig, TeacherConfig, make_generator
from datagen.flow import DEFAULT_STAGES, run_flow
from datagen.generators import Generator
from datagen.plan import STAGES
from datagen.prompt_files import write_prompts
from datagen.workers import Worker, alone
from engine.objectives import OBJECTIVES
from launch.config import Config
from launch.decontaminate import evaluation_sets
from launch.judging import AnswerJudge

PROMPTS = "prompts.jsonl"
PROMPTS_LOCK = ".prompts.lock"


def make_prompts(config: Config, data: Path) -> None:
    """The first file, without the benchmarks' problems; one worker after the other looks whether it is there."""
    with alone(data / PROMPTS_LOCK):
        sets = evaluation_sets(config)
        write_prompts(config.data, data / PROMPTS, config.run.seed, sets=sets)


def make_records(config: Config, data: Path, worker: Worker, retry_failed: bool) -> None:
    """All stages of all records, as far as they are this worker's."""
    student, teacher = make_generators(config)
    writers: Mapping[str, BackendConfig] = {
        name: config.inference if STAGES[name].writer == "student" else config.teacher
        for name in stages_of(config)
    }
    run_flow(
        data / PROMPTS,
        data,
        student,
        teacher,
        config.generate,
        config.run.seed,
        stages_of(config),
        AnswerJudge(),
        (worker.number, worker.count),
        prices={name: price_of(backend) for name, backend in writers.items()},
        devices={name: backend.tensor_parallel for name, backend in writers.items()},
        retry_failed=retry_failed,
    )


def stages_of(config: Config) -> tuple[str, ...]:
    """The stages whose texts an objective of the run uses."""
    teaches = any(
        OBJECTIVES[name].writes == "teacher_answer" for name in config.pipeline.objectives
    )
    return (*DEFAULT_STAGES, "teach") if teaches else DEFAULT_STAGES


def make_generators(config: Config) -> tuple[Generator, Generator]:
    """Student and teacher; one generator where they are the same model in the same place."""
    student = student_as_generator(config, config.generate.batch_size)
    teacher = make_generator(config.teacher)
    if replace(student, batch_size=config.teacher.batch_size) == config.teacher:
        return teacher, teacher
    return make_generator(student), teacher


def student_as_generator(config: Config, batch_size: int) -> TeacherConfig:
    """The student, to be asked rather than trained: on the device and in the way a model teacher is."""
    return TeacherConfig(
        **{f.name: getattr(config.inference, f.name) for f in fields(config.inference)},
        model=config.student.model or None,
        revision=config.student.revision,
        chat_template=config.student.chat_template,
        batch_size=batch_size,
    )


def price_of(backend: BackendConfig) -> Price:
    """The user's prices of a model."""
    return Price(
        prompt=backend.usd_per_million_prompt_tokens,
        completion=backend.usd_per_million_completion_tokens,
    )
