"""Jobs as lines for a shell and as scripts for Slurm: what somebody would type who has no `cgd reproduce`.

jobs -> run.sh, one command after the other | KIND-KEY.sbatch each, and submit.sh, which says who waits for whom
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from launch.cluster.slurm import BatchJob, shell_line, write_batch_jobs, write_script
from launch.experiments.jobs import Job
from launch.experiments.scale import Scale

DAY = 24
MARGIN = 2.0
"""Times the expected hours a job may take."""


def batch_job(job: Job, scale: Scale) -> BatchJob:
    """A job as Slurm is asked to run it."""
    per_node = job.gpus // job.nodes
    return BatchJob(
        name=script_name(job.id),
        label=job.label,
        command=job.argv,
        log=job.log,
        nodes=job.nodes,
        gpus=per_node,
        cpus=scale.threads * max(1, per_node),
        threads=scale.threads,
        time=time_limit(job),
        after=tuple(script_name(before) for before in job.after),
    )


def script_name(job_id: str) -> str:
    """A job's own, and the file of its script but for the ending."""
    return job_id.replace("/", "-")


def time_limit(job: Job) -> str:
    """Hours and minutes of wall time; a day where nothing is known."""
    hours = DAY if job.hours is None else max(1.0, MARGIN * job.hours / max(1, job.gpus))
    return f"{int(hours):02d}:{int(hours % 1 * 60):02d}:00"


def write_scripts(jobs: Sequence[Job], scale: Scale, folder: Path) -> Path:
    """Writes the scripts, and the configurations that their commands name; returns the file to start."""
    folder.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        job.write_config()
    if scale.launcher != "slurm":
        lines = [line for job in jobs for line in (f"# {job.label}", shell_line(job.argv))]
        return write_script(folder / "run.sh", ["set -e", *lines])
    return write_batch_jobs([batch_job(job, scale) for job in jobs], folder)
