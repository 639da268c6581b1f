"""Claim: the scripts that `--write-jobs` writes run under a real Slurm, in order, and what is interrupted resumes.

Two nodes on this machine (slurm_here.py). `CGD_SLOW=1 pytest tests/test_rehearsal_slurm.py -s` as root.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_here import Slurm, missing, slurm

from launch.cluster.jobs import Cluster, Kind, write_jobs
from launch.config import load_config

pytestmark = [pytest.mark.rehearsal, pytest.mark.skipif(bool(missing()), reason=missing())]

STEPS = 12
SECONDS = 300.0
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT")
TWO_NODES = Cluster(nodes=2, gpus_per_node=0, time="00:20:00", threads=1)
CONFIG = f"""\
[run]
dir = "DIR"
[student]
model = "builtin:student"
[teacher]
backend = "scripted"
[data]
prompts = "arithmetic-wide"
limit = 24
[generate.answer]
max_tokens = 100
[train]
batch_size = 8
learning_rate = 1e-4
epochs = 4
max_steps = {STEPS}
max_length = 1024
precision = "fp32"
save_every = 5
[evaluate]
benchmarks = ["arithmetic"]
limit = 6
max_tokens = 60
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rehearsal")


@pytest.fixture(scope="module")
def cluster(place: Path) -> Iterator[Slurm]:
    with slurm(place / "slurm", nodes=2) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(cluster: Slurm, place: Path) -> Path:
    """The folder of a whole run, submitted by one command."""
    began = time.monotonic()
    jobs = submit(cluster, place, "whole", "run")
    assert list(jobs) == ["generate", "train-cgd", "evaluate-base", "evaluate-cgd", "report"]
    for job in jobs.values():
        tasks = cluster.wait(job, ENDED, SECONDS)
        assert {task["JobState"] for task in tasks} == {"COMPLETED"}, logs(place / "whole")
    print(f"\nwhole run: {time.monotonic() - began:.0f} s")
    return place / "whole"


def submit(
    cluster: Slurm, place: Path, name: str, kind: Kind, data: Path | None = None
) -> dict[str, str]:
    """Writes the scripts of a run on two nodes and submits them; the numbers of its jobs, by name."""
    folder = place / name
    folder.mkdir()
    config = folder / "mine.toml"
    text = CONFIG.replace("DIR", str(folder / "run"))
    config.write_text(text)
    overrides = [f'train.data="{data}"'] if data else []
    resolved = load_config(config, overrides)
    script = write_jobs(resolved, TWO_NODES, folder / "jobs", kind)
    cluster.run("bash", script)
    listed = cluster.run("squeue", "--noheader", "--format=%F %j", "--sort=i").splitlines()
    found: dict[str, str] = {}
    for line in listed:
        job, _, job_name = line.partition(" ")
        if str(folder) in cluster.facts(job)[0]["Command"]:
            found.setdefault(job_name, job)
    return found


def logs(folder: Path) -> str:
    """What the jobs of a run have printed."""
    files = sorted((folder / "jobs" / "logs").glob("*"))
    return "\n".join(f"{file.name}: {file.read_text()[-2000:]}" for file in files)


def steps(folder: Path) -> list[tuple[int, float]]:
    path = folder / "run" / "train" / "cgd" / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(row["step"], row["loss"]) for row in map(json.loads, lines)]


def weights(folder: Path) -> str:
    file = folder / "run" / "train" / "cgd" / "export" / "model.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def training(cluster: Slurm, place: Path, name: str, data: Path) -> str:
    """A training that has taken some steps, and not the last."""
    (job,) = submit(cluster, place, name, "train", data).values()
    deadline = time.monotonic() + SECONDS
    while len(steps(place / name)) < 3:
        assert time.monotonic() < deadline, logs(place / name)
        time.sleep(0.05)
    return job


def test_a_run_is_submitted_as_jobs_that_wait_for_each_other(undisturbed: Path) -> None:
    run = undisturbed / "run"
    assert (run / "report.html").is_file()
    assert len((run / "data" / "refinements.jsonl").read_text().splitlines()) == 24
    assert {path.parent.name for path in run.glob("evals/*/scores.json")} == {"base", "cgd"}
    assert [step for step, _ in steps(undisturbed)] == [*range(1, STEPS + 1)]
    assert "worker 1 of 2" in logs(undisturbed)
    summary = json.loads((run / "train" / "cgd" / "summary.json").read_text())
    assert summary["world_size"] == 2


@pytest.mark.parametrize("how", ["batch", "steps", "node"])
def test_a_training_that_was_interrupted_comes_up_again_and_ends_the_same(
    how: str, cluster: Slurm, place: Path, undisturbed: Path
) -> None:
    """Told by way of the batch script, as before the time limit; told directly, as at a preemption; a node lost."""
    began = time.monotonic()
    job = training(cluster, place, how, undisturbed / "run" / "data" / "refinements.jsonl")
    if how == "node":
        lost = ("scontrol", "update", "nodename=node1")
        cluster.run(*lost, "state=down", "reason=dead")
        cluster.run(*lost, "state=resume", check=False)  # it may be back by itself
    else:
        all_of_it = ("--batch",) if how == "batch" else ()
        cluster.run("scancel", *all_of_it, "--signal=USR1", job)
    cluster.wait(job, ("PENDING",), 60)
    # Slurm holds back for two minutes what it has put back into the queue; the test does so for a few seconds, since
    # a job's credential is void until the second in which it was revoked has passed.
    time.sleep(3)
    cluster.run("scontrol", "update", f"jobid={job}", "starttime=now", check=False)
    (done,) = cluster.wait(job, ENDED, SECONDS)
    assert done["JobState"] == "COMPLETED", logs(place / how)
    assert done["Restarts"] == "1"
    print(f"\n{how}: {time.monotonic() - began:.0f} s")
    assert [step for step, _ in steps(place / how)] == [*range(1, STEPS + 1)]
    assert steps(place / how) == steps(undisturbed)
    assert weights(place / how) == weights(undisturbed)


def test_what_is_cancelled_or_fails_does_not_come_back(cluster: Slurm, place: Path) -> None:
    began = time.monotonic()
    cancelled = submit(cluster, place, "cancelled", "run")
    cluster.wait(cancelled["generate"], ("RUNNING",), 60)
    cluster.run("scancel", cancelled["generate"])
    for job in cancelled.values():
        assert {task["Restarts"] for task in cluster.wait(job, ("CANCELLED",), 90)} == {"0"}
    failing = submit(cluster, place, "failing", "train", place / "cancelled" / "mine.toml")
    (done,) = cluster.wait(failing["train-cgd"], ("FAILED",), 90)
    assert done["ExitCode"] == "2:0"
    print(f"\ncancelled and failing: {time.monotonic() - began:.0f} s")
