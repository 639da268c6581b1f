"""Jobs as lines for a shell and as scripts for Slurm: what somebody would type who has no `cgd reproduce`.

jobs -> run.sh, one command after the other | KIND-KEY.sbatch each, and submit.sh, which says who waits for whom
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from datagen.records import write_whole
from launch.experiments.jobs import HEAD, Job
from launch.experiments.scale import Scale

TEMPLATE = Path(__file__).resolve().parent / "slurm.sh.txt"
DAY = 24
MARGIN = 2.0
"""Times the expected hours a job may take."""


def shell_line(command: Sequence[str]) -> str:
    """A command as it is typed."""
    return " ".join(part if part.startswith(HEAD) else shlex.quote(part) for part in command)


def script_name(job: Job) -> str:
    """A job's own, and the file of its script but for the ending."""
    return f"{job.kind}-{job.key}"


def slurm_script(job: Job, scale: Scale) -> str:
    """The batch script of a job."""
    command = shell_line(job.argv)
    per_node = job.gpus // job.nodes
    cpus = scale.threads * max(1, per_node)
    # Newer versions of srun take no CPUs from the job: without the number, all ranks would share one.
    srun = f"srun --kill-on-bad-exit=1 --cpus-per-task={cpus} "
    return TEMPLATE.read_text(encoding="utf-8").format(
        label=job.label,
        name=script_name(job),
        nodes=job.nodes,
        gpus=per_node,
        cpus=cpus,
        threads=scale.threads,
        time=time_limit(job),
        log=job.log,
        command=f"{srun if job.nodes > 1 else ''}{command}",
    )


def time_limit(job: Job) -> str:
    """Hours and minutes of wall time; a day where nothing is known."""
    hours = DAY if job.hours is None else max(1.0, MARGIN * job.hours / max(1, job.gpus))
    return f"{int(hours):02d}:{int(hours % 1 * 60):02d}:00"


def submit_lines(jobs: Sequence[Job], folder: Path) -> Iterator[str]:
    """One sbatch a job, after those that it reads from; jobs are in such an order."""
    known = {job.id for job in jobs}
    for job in jobs:
        after = [f"${variable(before)}" for before in job.after if before in known]
        depends = f"--dependency=afterok:{':'.join(after)} " if after else ""
        script = shlex.quote(str(folder / f"{script_name(job)}.sbatch"))
        yield f"{variable(job.id)}=$(sbatch --parsable {depends}{script})"


def variable(job_id: str) -> str:
    """The shell's name for a job's number."""
    return "job_" + job_id.replace("/", "_").replace("-", "_")


def write_scripts(jobs: Sequence[Job], scale: Scale, folder: Path) -> Path:
    """Writes the scripts, and the configurations that their commands name; returns the file to start."""
    folder.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        job.write_config()
    if scale.launcher != "slurm":
        lines = [line for job in jobs for line in (f"# {job.label}", shell_line(job.argv))]
        return write_script(folder / "run.sh", ["set -e", *lines])
    for job in jobs:
        job.log.parent.mkdir(parents=True, exist_ok=True)  # Slurm opens it before anything runs
        path = folder / f"{script_name(job)}.sbatch"
        write_whole(path, slurm_script(job, scale).encode())
    return write_script(folder / "submit.sh", ["set -e", *submit_lines(jobs, folder)])


def write_script(path: Path, lines: Collection[str]) -> Path:
    """A script that a shell runs from the directory in which the command was given."""
    write_whole(path, "\n".join(["#!/bin/bash", *lines, ""]).encode())
    path.chmod(0o755)
    return path
