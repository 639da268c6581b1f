"""Batch jobs of Slurm: the script of one, and the commands that submit many, each after those that it reads from.

    BatchJob -> slurm.sh.txt filled in -> NAME.sbatch
    BatchJobs, in an order in which each comes after those it waits for -> sbatch lines -> submit.sh

A job that is told to leave (shortly before its time limit, or by `scancel --batch --signal=USR1`) passes that on to
its work, and is queued again where the work has left with 75 (engine/command.py). It resumes by itself: commands here
go on where they stopped. A job whose predecessor failed is taken out of the queue, not left waiting for ever.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from datagen.records import write_whole

TEMPLATE = Path(__file__).resolve().parent / "slurm.sh.txt"
WARNING_SECONDS = 600
"""So long before its time limit a job is told to leave, or a quarter of the limit: a checkpoint is written in it."""
SHORTEST_SECONDS = 600
"""Of a time limit: Slurm gives its warning up to a minute early, and a job that starts warned would never get on."""
TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d\d))?(?::(\d\d))?")

HEAD, PORT, TASK = "$HEAD", "$PORT", "$SLURM_ARRAY_TASK_ID"
"""In a command: the first of the job's machines, a port of the job's own there, this task's number in its array."""
MEETING = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{HEAD}:{PORT}")
"""Where the ranks of several machines find each other."""


@dataclass(frozen=True, kw_only=True)
class BatchJob:
    """One command as Slurm is asked to run it; as an array, several times over."""

    name: str
    """Names its script, and itself in the queue."""
    label: str
    """What it is, for people."""
    command: tuple[str, ...]
    """As it is typed, but for the variables above."""
    log: Path
    """Where its output goes; each task of an array has its own, with the task's number before the ending."""
    nodes: int = 1
    gpus: int = 0
    """Of each node; with 0 none is asked for."""
    cpus: int = 1
    """Of each node."""
    threads: int = 1
    """Of one process."""
    time: str
    """The limit, as Slurm reads it: HOURS:MINUTES:SECONDS."""
    tasks: int = 1
    """More than one make it an array."""
    after: tuple[str, ...] = ()
    """Names of jobs that must have succeeded."""
    alongside: tuple[str, ...] = ()
    """Names of jobs that must have started."""
    until: tuple[str, ...] = ()
    """Names of jobs at whose end it is cancelled."""

    def __post_init__(self) -> None:
        if seconds_of(self.time) < SHORTEST_SECONDS:
            raise ValueError(f"time: a job needs 10 minutes or more, got {self.time}")

    @property
    def script(self) -> str:
        """The file of its script."""
        return f"{self.name}.sbatch"


def training_command(nodes: int, ranks_per_node: int, *arguments: str) -> tuple[str, ...]:
    """One training by ranks of one machine, or of several that meet at the first."""
    where = ("--nnodes", str(nodes), *MEETING) if nodes > 1 else ("--standalone",)
    processes = ("--nproc-per-node", str(ranks_per_node))
    return ("python", "-m", "engine.torchrun", *where, *processes, "-m", "engine.train", *arguments)


def shell_line(command: Sequence[str]) -> str:
    """A command as it is typed."""
    free = (HEAD, PORT, TASK)
    return " ".join(part if part.startswith(free) else shlex.quote(part) for part in command)


def batch_script(job: BatchJob) -> str:
    """The whole script of a job."""
    optional = [f"--gpus-per-node={job.gpus}"] if job.gpus else []
    optional += [f"--array=0-{job.tasks - 1}"] if job.tasks > 1 else []
    log = job.log if job.tasks == 1 else job.log.with_suffix(f".%a{job.log.suffix}")
    # Newer versions of srun take no CPUs from the job: without the number, all ranks would share one.
    srun = f"srun --kill-on-bad-exit=1 --cpus-per-task={job.cpus} " if job.nodes > 1 else ""
    return TEMPLATE.read_text(encoding="utf-8").format(
        label=job.label,
        name=job.name,
        nodes=job.nodes,
        cpus=job.cpus,
        threads=job.threads,
        optional="".join(f"#SBATCH {option}\n" for option in optional),
        time=job.time,
        log=shlex.quote(str(log)),
        warning=min(WARNING_SECONDS, seconds_of(job.time) // 4),
        path=shlex.quote(str(Path(sys.executable).parent)),
        command=f"{srun}{shell_line(job.command)}",
    )


def seconds_of(time: str) -> int:
    """A time limit as Slurm reads it: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
    found = TIME.fullmatch(time)
    if found is None:
        raise ValueError(f"time: write HOURS:MINUTES:SECONDS or DAYS-HOURS, got {time!r}")
    days, first, second, third = (int(part or 0) for part in found.groups())
    if found[1] or found[4]:
        return ((days * 24 + first) * 60 + second) * 60 + third
    return first * 60 + second


def submit_lines(jobs: Sequence[BatchJob], folder: Path) -> Iterator[str]:
    """One sbatch a job, after those that it reads from."""
    known = {job.name for job in jobs}
    for job in jobs:
        terms = [
            f"{when}:{':'.join(f'${variable(name)}' for name in names if name in known)}"
            for when, names in (("afterok", job.after), ("after", job.alongside))
            if known.intersection(names)
        ]
        waits = f"--dependency={','.join(terms)} --kill-on-invalid-dep=yes " if terms else ""
        script = shlex.quote(str(folder / job.script))
        yield f"{variable(job.name)}=$(sbatch --parsable {waits}{script})"
    for job in jobs:
        if job.until:
            ends = ":".join(f"${variable(name)}" for name in job.until)
            cancel = f'--wrap="scancel ${variable(job.name)}"'
            yield f"sbatch --dependency=afterany:{ends} --output=/dev/null --time=5 {cancel}"


def variable(name: str) -> str:
    """The shell's name for a job's number."""
    return "job_" + "".join(char if char.isalnum() else "_" for char in name)


def write_batch_jobs(jobs: Sequence[BatchJob], folder: Path) -> Path:
    """Writes all scripts, and the one that submits them, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        job.log.parent.mkdir(parents=True, exist_ok=True)  # Slurm opens it before anything runs
        write_whole(folder / job.script, batch_script(job).encode())
    # Relative paths in configurations are relative to here, wherever it is started.
    here = f"cd {shlex.quote(str(Path.cwd()))}"
    return write_script(folder / "submit.sh", ["set -e", here, *submit_lines(jobs, folder)])


def write_script(path: Path, lines: Sequence[str]) -> Path:
    """A script that a shell runs."""
    write_whole(path, "\n".join(["#!/bin/bash", *lines, ""]).encode())
    path.chmod(0o755)
    return path
