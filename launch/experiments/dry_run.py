"""`cgd reproduce NAME --dry-run`: the jobs in order, the commands that make them, and what the trainings take.

Nothing is run, no model and no data set is fetched, and nothing is written without `--write-jobs DIR`. Memory and
time come from what `cgd plan` computes, for models whose shape is known here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.config import ConfigError, flatten
from engine.plan import make_plan
from engine.plan_rows import Assumptions
from engine.plan_shapes import GIB, SHAPES
from engine.settings import StudentConfig
from launch.cluster.slurm import batch_script, shell_line, submit_lines
from launch.config import Config, resolve
from launch.experiments.configurations import resolved
from launch.experiments.jobs import KINDS, Job, merged
from launch.experiments.reproduce import Command, grids_of, opening
from launch.experiments.scale import Scale
from launch.experiments.scripts import batch_job, write_scripts


def dry_run(command: Command, write_to: Path | None) -> None:
    """Prints what a command would do, and writes it down where asked to."""
    scale, grids = grids_of(command)
    jobs = merged(job for grid in grids for job in grid.jobs)
    left = [job for job in jobs if not job.is_done]
    place = write_to or Path("DIR")
    if command.as_json:
        if write_to is not None:
            write_scripts(left, scale, write_to)
        print(json.dumps(facts_of(jobs, left, scale, place), indent=2, ensure_ascii=False))
        return
    for line in (*opening(grids, jobs, left), *counts(jobs, left)):
        print(line)
    for line in (*job_lines(jobs), *slurm_lines(left, scale, place), *training_lines(left, scale)):
        print(line)
    if write_to is None:
        print(
            "\nNothing was run or written. --write-jobs DIR writes the configurations that the commands name,"
        )
        print("and the commands as scripts; `cgd reproduce` without --dry-run runs them.")
        return
    started_by = write_scripts(left, scale, write_to)
    print(
        f"\n{len(left)} configurations written beside their run folders; start with: {started_by}"
    )
    print("Then the same `cgd reproduce` without --dry-run finds them done, and writes the tables.")


def facts_of(jobs: Sequence[Job], left: Sequence[Job], scale: Scale, place: Path) -> dict[str, Any]:
    """The same as data."""
    return {
        "scale": scale.name,
        "left": len(left),
        "jobs": [
            {
                "id": job.id,
                "kind": job.kind,
                "label": job.label,
                "command": shell_line(job.argv),
                "after": list(job.after),
                "gpus": job.gpus,
                "done": job.is_done,
            }
            for job in jobs
        ],
        "slurm": list(slurm_lines(left, scale, place)),
        "trainings": [line.strip() for line in training_lines(left, scale) if line.strip()],
    }


def counts(jobs: Sequence[Job], left: Sequence[Job]) -> Iterator[str]:
    """How many jobs of each kind."""
    every, open_jobs = Counter(job.kind for job in jobs), Counter(job.kind for job in left)
    parts = [
        f"{every[kind]} {kind} ({every[kind] - open_jobs[kind]} done)"
        if every[kind] != open_jobs[kind]
        else f"{every[kind]} {kind}"
        for kind in KINDS
        if every[kind]
    ]
    yield ", ".join(parts)


def job_lines(jobs: Sequence[Job]) -> Iterator[str]:
    """Every job with its command."""
    numbers = {job.id: number for number, job in enumerate(jobs, start=1)}
    yield ""
    for job in jobs:
        after = ", ".join(str(numbers[before]) for before in job.after if before in numbers)
        notes = [f"after {after}" if after else "", f"{job.gpus} GPUs" if job.gpus > 1 else ""]
        notes.append("done" if job.is_done else "")
        told = "; ".join(note for note in notes if note)
        yield f"{numbers[job.id]:4}. {job.label}{f'  ({told})' if told else ''}"
        if not job.is_done:
            yield f"      {shell_line(job.argv)}"


def slurm_lines(left: Sequence[Job], scale: Scale, place: Path) -> Iterator[str]:
    """How Slurm is told, and one script of each kind; the others differ in names and numbers."""
    if scale.launcher != "slurm" or not left:
        return
    yield "\nFor Slurm:"
    yield from submit_lines([batch_job(job, scale) for job in left], place)
    for kind in KINDS:
        first = next((job for job in left if job.kind == kind), None)
        if first is not None:
            batch = batch_job(first, scale)
            yield f"\n--- {place}/{batch.script}"
            yield batch_script(batch).rstrip()


# ---- memory and time --------------------------------------------------------------------------------


def training_lines(left: Sequence[Job], scale: Scale) -> Iterator[str]:
    """Memory and hours of each sort of training, by `cgd plan`."""
    sorts: dict[str, list[Job]] = {}
    for job in left:
        if job.kind == "train":
            sorts.setdefault(sort_of(job), []).append(job)
    if sorts:
        yield f"\nTrainings on {scale.device if scale.gpus else 'CPU'}, by `cgd plan`, as if all rows were full:"
    for same in sorts.values():
        yield f"  {len(same)} like “{same[0].label}”: {planned(same[0], scale)}"


def sort_of(job: Job) -> str:
    """What memory and time depend on."""
    flat = flatten(job.tables or {})
    apart = (
        "run.",
        "train.objective",
        "train.data",
        "train.learning_rate",
        "train.keep",
        "train.save",
    )
    kept = {name: value for name, value in flat.items() if not name.startswith(apart)}
    if Path(str(kept.get("student.model"))).name.startswith("export"):
        kept["student.model"] = "trained here"
    return str(sorted(kept.items())) + str(job.gpus)


def planned(job: Job, scale: Scale) -> str:
    """What one training takes, or why that cannot be said here."""
    config = config_of(job.tables or {})
    if job.config is not None and config.student.model.startswith(str(job.config.parent)):
        return "as the training that its student comes from"
    if not shape_is_known(config.student):
        return (
            f"not planned: {config.student.model} is not on this machine; `cgd plan {job.config} "
            f"--world-size {max(1, job.gpus)} --device {scale.device}` fetches its configuration"
        )
    train = replace(config.train, data=None)
    assumed = Assumptions(num_examples=job.records or Assumptions.num_examples)
    device = scale.device if scale.gpus else "cpu"
    try:
        made = make_plan(
            config.run, config.student, train, max(1, job.gpus), device, assumed=assumed
        )
    except (ValueError, OSError) as error:
        return f"not planned: {str(error).splitlines()[0]}"
    fits = "fits" if made.memory.fits else "DOES NOT FIT"
    hours = made.gpu_hours
    time = "" if hours is None else f", {hours:,.1f} GPU-hours each"
    steps = made.workload.num_steps
    return f"{made.memory.total / GIB:.1f} GiB a rank ({fits}), {steps:,} steps{time}"


def config_of(tables: Mapping[str, Any]) -> Config:
    """A job's configuration, resolved."""
    problems: list[str] = []
    sections = resolved(flatten(tables), tuple(tables), problems)
    if problems:
        raise ConfigError(problems)
    return resolve(Config(**sections))


def shape_is_known(student: StudentConfig) -> bool:
    """Whether a plan needs no connection."""
    if Path(student.model).expanduser().is_dir():
        return True
    from huggingface_hub import try_to_load_from_cache

    short = student.model.lower().rsplit("/", 1)[-1].split("-instruct")[0]
    cached = try_to_load_from_cache(student.model, "config.json", revision=student.revision)
    return short in SHAPES or isinstance(cached, str)
