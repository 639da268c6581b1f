"""The data stages of a run: prompts, then the flow that makes records of them.

[data] -> data/prompts.jsonl -> student ([inference]) and teacher ([teacher]) -> data/*.jsonl, summary.json
-> data/mixture.jsonl, where [generate.mixture] asks for one
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from datagen.accounts import Price, TextFlops
from datagen.backends import BackendConfig, TeacherConfig, make_generator
from datagen.finished import SUMMARY
from datagen.flow import DEFAULT_STAGES, run_flow
from datagen.generators import Generator
from datagen.mixtures import choose
from datagen.plan import STAGES
from datagen.progress_bar import Watch, say_line, unwatched
from datagen.prompt_files import write_prompts
from datagen.records import json_line, read_records, write_whole
from datagen.workers import Worker, alone
from engine.objectives import OBJECTIVES
from evals.compute import text_flops
from launch.config import Config
from launch.decontaminate import evaluation_sets
from launch.judging import AnswerJudge

PROMPTS = "prompts.jsonl"
MIXTURE = "mixture.jsonl"
PROMPTS_LOCK = ".prompts.lock"


def make_prompts(config: Config, data: Path) -> None:
    """The first file, without the benchmarks' problems; one worker after the other looks whether it is there."""
    sets = evaluation_sets(config)  # workers that start together read them together
    with alone(data / PROMPTS_LOCK):
        write_prompts(config.data, data / PROMPTS, config.run.seed, sets=sets)
    look_for_gold(config, data / PROMPTS)


def look_for_gold(config: Config, prompts: Path) -> None:
    """Before texts are paid for: prompts without the answer that an objective learns. Raises ValueError where none
    has one; some are counted."""
    learners = [name for name in config.pipeline.objectives if OBJECTIVES[name].writes == "answer"]
    if not learners:
        return
    records = read_records(prompts)
    without = sum(not record.answer for record in records)
    if without == len(records):
        raise ValueError(
            f"objective {learners[0]} learns the gold answer, and none of the {len(records):,} prompts has one; name "
            "its field with data.answer_field, or leave the objective out"
        )
    if without:
        say_line(
            f"prompts: {without:,} of {len(records):,} have no gold answer; {learners[0]} is trained without them"
        )


def make_records(
    config: Config, data: Path, worker: Worker, retry_failed: bool, watch: Watch = unwatched
) -> None:
    """All stages of all records, as far as they are this worker's."""
    if not config.generate.mixture.chooses:
        (data / MIXTURE).unlink(missing_ok=True)  # of other settings; training would take it
    student, teacher = make_generators(config)
    writers = writers_of(config)
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
        flops=flops_of(writers),
        retry_failed=retry_failed,
        watch=watch,
    )
    require_some(data, STAGES[stages_of(config)[-1]].file)


def require_some(data: Path, last: str) -> None:
    """Raises ValueError where the stages have left no record at all: there is nothing to train on."""
    if not (data / SUMMARY).exists():
        return  # other workers are still at it
    counts = json.loads((data / SUMMARY).read_text(encoding="utf-8"))["counts"]
    if not counts["records"]:
        raise ValueError(
            f"no record is left in {data / last}.jsonl: of {counts['prompts']:,}, {counts['dropped']:,} were dropped "
            f"by a gate (see the table above, and dropped.jsonl beside it) and {counts['failed']:,} failed. Change "
            "what the gates found (generate.STAGE.max_tokens for cut texts, another teacher for empty ones) or "
            "[generate.gates], then `cgd generate CONFIG --rework`"
        )


def make_mixture(config: Config, data: Path) -> None:
    """The records that are trained on: those of the last stage, or so many with a set share of right answers."""
    target, wanted = data / MIXTURE, config.generate.mixture
    if not (data / SUMMARY).exists():
        return  # other workers are still at it; the last one comes here, too
    source = data / f"{STAGES[stages_of(config)[-1]].file}.jsonl"
    records = read_records(source)
    chosen = choose(records, wanted.correct_share, wanted.total, config.run.seed)
    content = b"".join(json_line(record.to_json()) for record in chosen)
    if target.exists() and target.read_bytes() == content:
        say_line(f"mixture: {len(chosen):,} records, complete, nothing to do")
        return
    write_whole(target, content)
    right = sum(record.student_correct is True for record in chosen)
    say_line(f"mixture: {len(chosen):,} of {len(records):,} records, {right:,} with a right answer")


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


def writers_of(config: Config) -> dict[str, TeacherConfig]:
    """Who writes the texts of each stage."""
    student = student_as_generator(config, config.generate.batch_size)
    return {
        name: student if STAGES[name].writer == "student" else config.teacher
        for name in stages_of(config)
    }


def flops_of(writers: Mapping[str, TeacherConfig]) -> dict[str, TextFlops]:
    """By stage: what a text takes, where its model runs here."""
    made = {
        name: text_flops(model.runs_on, model.model, model.revision)
        for name, model in writers.items()
    }
    return {name: of_text for name, of_text in made.items() if of_text is not None}


def price_of(backend: BackendConfig) -> Price:
    """The user's prices of a model."""
    return Price(
        prompt=backend.usd_per_million_prompt_tokens,
        completion=backend.usd_per_million_completion_tokens,
    )
