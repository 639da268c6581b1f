"""`cgd reproduce`: experiments expanded, their jobs run, each table written when the last of its jobs is done.

    names -> grids -> jobs, each once -> those not done -> scheduler -> DIR/SCALE/NAME/{report.md, .html, results.json}

Everything lies in DIR/SCALE: the pool of jobs, which all experiments share, and a folder an experiment with its
table. A command with other settings or seeds than the experiment's own writes its table into a folder of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datagen.records import write_whole
from engine.config import ConfigError
from launch.code_version import code_digest, code_of
from launch.experiments.experiment import Experiment
from launch.experiments.experiment_files import EXPERIMENTS, experiment_names, load_experiment
from launch.experiments.grid import Grid, Wanted, expand
from launch.experiments.jobs import Job, digest, merged
from launch.experiments.progress import SECONDS, Durations, Reporter
from launch.experiments.scale import Scale, load_scale
from launch.experiments.scheduler import Outcome, Resources, Scheduler

ALL = "all"
RESULTS = EXPERIMENTS / "results"
EXIT_SOME_FAILED = 1
ONE_COMMAND = "name all experiments in one command, or use --dir"
"""What to do where another one is at work."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What `cgd reproduce` was asked for."""

    names: tuple[str, ...]
    scale: str = "mini"
    folder: Path = Path("runs/reproduce")
    at_once: int | None = None
    wanted: Wanted = field(default_factory=Wanted)
    keep: bool = False
    as_json: bool = False


# ---- what is asked for ------------------------------------------------------------------------------


def experiments_of(command: Command) -> list[Experiment]:
    """The experiments by name, each once; `all` are those that exist at the scale."""
    if ALL in command.names:
        every = [load_experiment(name) for name in experiment_names()]
        return [experiment for experiment in every if command.scale in experiment.scales]
    found = {one.name: one for one in map(load_experiment, command.names)}
    return list(found.values())


def grids_of(command: Command) -> tuple[Scale, list[Grid]]:
    """The grids of all experiments. Raises ConfigError with what is wrong in any of them."""
    scale = load_scale(command.scale)
    experiments = experiments_of(command)
    if len(experiments) > 1 and command.wanted.only:
        raise ValueError("--only names variants of one experiment; name that one alone")
    grids, problems = [], []
    for experiment in experiments:
        try:
            grids.append(expand(experiment, scale, command.folder / scale.name, command.wanted))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return scale, grids


def folder_of(command: Command, grid: Grid) -> Path:
    """Where an experiment's table goes."""
    wanted = command.wanted
    other = [list(wanted.overrides), list(wanted.seeds)]
    suffix = f"-{digest(other)}" if any(other) else ""
    return command.folder / command.scale / f"{grid.name}{suffix}"


# ---- running it -------------------------------------------------------------------------------------


def reproduce(command: Command) -> int:
    """Runs what is left to do, writes the tables, and returns the exit code."""
    if command.keep and command.wanted != Wanted():
        raise ValueError(
            "--keep is for results of an experiment as it stands: without --set, --only, --seeds"
        )
    from launch.runs import locked  # loads torch

    scale, grids = grids_of(command)
    jobs = merged(job for grid in grids for job in grid.jobs)
    pool = command.folder / scale.name / "pool"
    pool.mkdir(parents=True, exist_ok=True)
    with locked(pool, "another `cgd reproduce`", ONE_COMMAND):
        left = [job for job in jobs if not job.is_done]
        concluder = Concluder(command, grids, left)
        for line in opening(grids, jobs, left):
            concluder.say(line)
        for job in left:
            job.write_config()
        outcome = Outcome()
        if left:
            resources = resources_of(scale, left, command.at_once)
            durations = Durations(pool / SECONDS)
            reporter = Reporter(len(left), durations, resources.at_once, command.as_json)
            outcome = Scheduler(left, resources, reporter, concluder.done).run()
        concluder.rest()
        if len(concluder.results) > 1:
            concluder.all_claims(command.folder / scale.name)
    if not left:
        concluder.say("nothing was left to do")
    if command.as_json:
        print(json.dumps(concluder.results, indent=2, ensure_ascii=False))
    return closing(outcome, concluder)


def opening(grids: Sequence[Grid], jobs: Sequence[Job], left: Sequence[Job]) -> Iterator[str]:
    """How much there is to do."""
    apart = sum(len(grid.jobs) for grid in grids)
    names = ", ".join(grid.name for grid in grids)
    shared = f" ({apart:,} if none were shared)" if apart > len(jobs) else ""
    done = len(jobs) - len(left)
    yield f"{names} at scale {grids[0].scale.name}: {len(jobs):,} jobs{shared}, {done:,} done before"
    made_by = [code_of(job.path) for job in jobs if job.is_done and job.config is not None]
    if others := sum(code != code_digest() for code in made_by):
        yield (
            f"{others:,} of these were made by another state of the program's code, or do not say by which, and stay "
            "as they are; an empty --dir makes them anew"
        )


def closing(outcome: Outcome, concluder: Concluder) -> int:
    """Says what failed and what was left out for it."""
    if not outcome.failed:
        return EXIT_SOME_FAILED if concluder.failed else 0
    concluder.say(f"\n{len(outcome.failed)} of the jobs failed:")
    for job in outcome.failed:
        concluder.say(f"  {job.label}: {job.log}")
    if outcome.left_out:
        concluder.say(f"{len(outcome.left_out)} need their results and were left out:")
        for job in outcome.left_out:
            concluder.say(f"  {job.label}")
    concluder.say("the same command tries them again")
    return EXIT_SOME_FAILED


def resources_of(scale: Scale, jobs: Sequence[Job], at_once: int | None) -> Resources:
    """What this machine has for the jobs. Raises ValueError where it lacks GPUs that they need."""
    if scale.gpus == 0:
        cores = len(os.sched_getaffinity(0))
        return Resources(at_once or max(1, cores // scale.threads), scale.threads)
    from launch.worker_processes import visible_devices  # loads torch

    gpus = tuple(visible_devices())
    needed = max((job.gpus for job in jobs), default=0)
    if len(gpus) < needed:
        raise ValueError(
            f"scale {scale.name}: a job needs {needed} GPUs, and there are {len(gpus)} here. `--dry-run` prints the "
            "commands, and `--dry-run --write-jobs DIR` writes them as scripts for another machine"
        )
    return Resources(at_once or max(1, len(gpus)), scale.threads, gpus)


# ---- tables -----------------------------------------------------------------------------------------


class Concluder:
    """Writes the table of each experiment as soon as the last of its jobs is done."""

    def __init__(self, command: Command, grids: Sequence[Grid], left: Sequence[Job]) -> None:
        self._command = command
        open_jobs = {job.id for job in left}
        self._waiting = [(grid, {job.id for job in grid.jobs} & open_jobs) for grid in grids]
        self.results: dict[str, Any] = {}
        self.failed: list[str] = []

    def say(self, text: str) -> None:
        """A line beside the results."""
        print(text, file=sys.stderr if self._command.as_json else sys.stdout, flush=True)

    def done(self, job: Job) -> None:
        """A job is done: so may be experiments."""
        for grid, jobs in list(self._waiting):
            jobs.discard(job.id)
            if not jobs:
                self._waiting.remove((grid, jobs))
                self._conclude(grid)

    def rest(self) -> None:
        """The tables of experiments that had nothing left to do, or could not be finished."""
        while self._waiting:
            self._conclude(self._waiting.pop(0)[0])

    def all_claims(self, folder: Path) -> None:
        """What all experiments of the scale have found so far, claim by claim."""
        from launch.experiments.overview import write_overview  # loads what compares

        try:
            self.say(f"\nall claims: {write_overview(folder)}")
        except (ValueError, OSError) as error:  # the tables are there all the same
            self.say(f"\nthe overview of all claims could not be written: {error}")

    def _conclude(self, grid: Grid) -> None:
        """One table; what is wrong with it does not stop the jobs of others."""
        try:
            self._write(grid)
        except (ValueError, OSError) as error:
            self.failed.append(grid.name)
            self.say(f"\n{grid.name}: its table could not be written: {error}")

    def _write(self, grid: Grid) -> None:
        from launch.experiments.tables import write_tables  # loads what draws and compares

        folder = folder_of(self._command, grid)
        report = write_tables(grid, folder)
        results = (folder / "results.json").read_bytes()
        self.results[grid.name] = json.loads(results)
        self.say("\n" + (folder / "report.md").read_text(encoding="utf-8").rstrip())
        self.say(f"\nreport: {report}")
        if self._command.keep:
            self._keep(grid, results)

    def _keep(self, grid: Grid, results: bytes) -> None:
        """Results go beside the experiment only when they are whole: half a table must not replace a whole one."""
        if missing := sum(not job.is_done for job in grid.jobs):
            self.say(f"not kept: {missing} of {len(grid.jobs)} jobs of {grid.name} are not done")
            return
        kept = RESULTS / grid.scale.name / f"{grid.name}.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, results)
        self.say(f"kept: {kept}")
