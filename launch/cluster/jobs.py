"""The batch jobs of one run: what `--write-jobs DIR` writes, and a dry run prints.

    [servers of the teacher]
             :
    generate (array of workers) -> train OBJECTIVE (each) -> evaluate OBJECTIVE -+
             |                                                                  +-> report
             +------------------> evaluate base --------------------------------+

All commands name DIR/config.toml, the resolved configuration, so that `--set` counts and a later change of the file
does not. A teacher of more GPUs than a node has is served by vLLM over several (ray_vllm.sh) and asked by its server;
with `servers` any vLLM teacher is asked so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from datagen.backends import TeacherConfig
from datagen.records import write_whole
from engine.toml import to_toml
from launch.cluster.slurm import (
    TASK,
    BatchJob,
    batch_script,
    submit_lines,
    training_command,
    write_batch_jobs,
)
from launch.config import Config
from launch.pipeline import BASE, student_here
from launch.worker_processes import devices_per_worker, models_here

Kind = Literal["run", "generate", "train"]
HERE = Path(__file__).resolve().parent
SHORT = "00:30:00"
"""Limit of a report, which takes seconds: a short job finds a place sooner."""
SERVER_KEY = "CGD_SERVER_KEY"
"""The variable in which with_servers.sh leaves the servers' key."""
PLACEHOLDER = "http://servers.invalid/v1"
"""Stands for servers whose addresses are known when they have started."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What one job of a training gets; the others take what they need of it."""

    nodes: int
    gpus_per_node: int
    """0 trains on the CPU, one rank a node."""
    time: str = "24:00:00"
    """Limit of every job, as Slurm reads it; what is not done by then goes on in the next turn."""
    servers: int = 0
    """Copies of a vLLM teacher that run as servers, beside the workers that ask them."""
    threads: int = 8
    """CPU cores of a process."""

    def __post_init__(self) -> None:
        for name, least in (("nodes", 1), ("gpus_per_node", 0), ("servers", 0), ("threads", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more, got {getattr(self, name)}")


def describe_jobs(config: Config, cluster: Cluster, folder: Path, kind: Kind = "run") -> list[str]:
    """What `write_jobs` would write, for a terminal: the commands that submit, and a script of each sort."""
    jobs = batch_jobs(*as_served(config, cluster), folder, kind)
    lines = [f"{folder}/submit.sh:", *(f"  {line}" for line in submit_lines(jobs, folder))]
    seen: set[str] = set()
    for job in jobs:
        sort = job.name.split("-")[0]
        if sort not in seen:
            lines += ["", f"--- {folder}/{job.script}", *batch_script(job).rstrip().split("\n")]
        seen.add(sort)
    return lines


def write_jobs(config: Config, cluster: Cluster, folder: Path, kind: Kind = "run") -> Path:
    """Writes the configuration, the scripts and `submit.sh` into a folder; returns the latter."""
    config, cluster = as_served(config, cluster)
    jobs = batch_jobs(config, cluster, folder, kind)
    folder.mkdir(parents=True, exist_ok=True)
    tables = {name: getattr(config, name) for name in config.__dataclass_fields__}
    write_whole(folder / "config.toml", to_toml(tables).encode())
    return write_batch_jobs(jobs, folder)


# ---- which jobs -------------------------------------------------------------------------------------


def batch_jobs(config: Config, cluster: Cluster, folder: Path, kind: Kind) -> list[BatchJob]:
    """The jobs of a run, or of one kind of its stages, each after those it reads from."""
    if config.pipeline.rounds > 1:
        raise ValueError(
            "pipeline.rounds: each round needs the one before, which these jobs do not wait for; submit "
            "`cgd run CONFIG` as one job"
        )
    makes_data = config.train.data is None
    if kind == "generate" and not makes_data:
        raise ValueError("train.data: the records are there already, nothing is to be generated")
    jobs: list[BatchJob] = []
    if kind != "train" and makes_data:
        jobs += generation_jobs(config, cluster, folder)
    if kind != "generate":
        jobs += [training_job(name, cluster, folder) for name in config.pipeline.objectives]
    if kind == "run":
        run_folder = str(config.run.folder)
        evaluations = evaluation_jobs(config, cluster, folder)
        report = job_of("report", "report", folder, cluster, ("cgd", "report", run_folder))
        evaluated = tuple(job.name for job in evaluations)
        jobs += [*evaluations, replace(report, after=evaluated, time=SHORT)]
    return jobs


def generation_jobs(config: Config, cluster: Cluster, folder: Path) -> list[BatchJob]:
    """An array of workers, each with the GPUs of one copy of its models; and the servers that they ask."""
    local = models_here(config)
    copy = devices_per_worker(local) if cluster.gpus_per_node else 0
    if copy > cluster.gpus_per_node:
        raise ValueError(f"a model here takes {copy} GPUs, and a node has {cluster.gpus_per_node}")
    workers = cluster.nodes * (cluster.gpus_per_node // copy if copy else 1) if local else 1
    one = ("--worker", f"{TASK}/{workers}") if workers > 1 else ()
    command = ("cgd", "generate", config_path(folder), *one)
    job = job_of("generate", "student answers, critiques, refinements", folder, cluster, command)
    job = replace(job, gpus=copy, cpus=cluster.threads * max(1, copy), tasks=workers)
    if not cluster.servers:
        return [job]
    asks = ("bash", str(HERE / "with_servers.sh"), str(folder / "servers"), str(cluster.servers))
    served = server_job(config.teacher, cluster, folder)
    return [served, replace(job, command=(*asks, *command), alongside=(served.name,))]


def training_job(objective: str, cluster: Cluster, folder: Path) -> BatchJob:
    """One objective, on all nodes."""
    ranks = max(1, cluster.gpus_per_node)
    chosen = ("--set", f"train.objective={objective}")
    command = training_command(cluster.nodes, ranks, config_path(folder), *chosen)
    job = job_of(f"train-{objective}", f"training {objective}", folder, cluster, command)
    return replace(
        job,
        nodes=cluster.nodes,
        gpus=cluster.gpus_per_node,
        cpus=cluster.threads * ranks,
        after=("generate",),
    )


def evaluation_jobs(config: Config, cluster: Cluster, folder: Path) -> list[BatchJob]:
    """One job a model: the student before training, and what was trained from it."""
    devices = devices_per_worker([student_here(config)]) if cluster.gpus_per_node else 0
    trainings = {BASE: "generate"} | {name: f"train-{name}" for name in config.pipeline.objectives}
    return [
        replace(
            job_of(
                f"evaluate-{model}",
                f"evaluation of {model}",
                folder,
                cluster,
                ("cgd", "evaluate", config_path(folder), "--model", model),
            ),
            gpus=devices,
            cpus=cluster.threads * max(1, devices),
            after=(before,),
        )
        for model, before in trainings.items()
    ]


def server_job(teacher: TeacherConfig, cluster: Cluster, folder: Path) -> BatchJob:
    """The teacher's servers, an array of them; each on a share of a node, or on several nodes."""
    assert teacher.model is not None, "checked by as_served"
    gpus = min(teacher.tensor_parallel, cluster.gpus_per_node)
    nodes = -(-teacher.tensor_parallel // gpus)
    parallel = ["--tensor-parallel-size", str(gpus)]
    parallel += ["--pipeline-parallel-size", str(nodes)] if nodes > 1 else []
    script = "ray_vllm.sh" if nodes > 1 else "serve_vllm.sh"
    where = ("bash", str(HERE / script), str(folder / "servers"))
    command = (*where, teacher.model, *parallel, *serving_options(teacher))
    job = job_of("serve", f"servers of {teacher.model}", folder, cluster, command)
    cpus = cluster.threads * gpus
    return replace(
        job, nodes=nodes, gpus=gpus, cpus=cpus, tasks=cluster.servers, until=("generate",)
    )


def job_of(
    name: str, label: str, folder: Path, cluster: Cluster, command: tuple[str, ...]
) -> BatchJob:
    """A job of one process without a GPU, to be changed where it needs more."""
    return BatchJob(
        name=name,
        label=label,
        command=command,
        log=folder / "logs" / f"{name}.log",
        cpus=cluster.threads,
        threads=cluster.threads,
        time=cluster.time,
    )


def config_path(folder: Path) -> str:
    """The configuration that all jobs name."""
    return str(folder / "config.toml")


# ---- a teacher that is served -----------------------------------------------------------------------


def as_served(config: Config, cluster: Cluster) -> tuple[Config, Cluster]:
    """The run with its vLLM teacher behind servers, where these are asked for or a node is too small for it.

    Texts remember the name `address`, so that servers may come up anywhere; what changes their texts is part of it.
    """
    teacher = config.teacher
    is_large = teacher.runs_on == "vllm" and teacher.tensor_parallel > cluster.gpus_per_node > 0
    if not cluster.servers and not is_large:
        return config, cluster
    if teacher.runs_on != "vllm" or not cluster.gpus_per_node:
        raise ValueError('--servers goes with a teacher that has backend = "vllm", and needs GPUs')
    if is_large and teacher.tensor_parallel % cluster.gpus_per_node:
        raise ValueError(
            f"teacher.tensor_parallel = {teacher.tensor_parallel} is no multiple of the "
            f"{cluster.gpus_per_node} GPUs of a node, over several of which it would be spread"
        )
    name = " ".join(("vllm", *serving_options(teacher)))
    served = replace(
        teacher, backend="openai", base_url=(PLACEHOLDER,), address=name, api_key_env=SERVER_KEY
    )
    return replace(config, teacher=served), replace(cluster, servers=max(1, cluster.servers))


def serving_options(teacher: TeacherConfig) -> tuple[str, ...]:
    """The settings of a teacher as options of `vllm serve`."""
    given = {
        "--revision": teacher.revision,
        "--chat-template": teacher.chat_template,
        "--max-model-len": teacher.max_model_len,
        "--gpu-memory-utilization": teacher.gpu_memory_utilization,
    }
    return tuple(part for name, value in given.items() if value for part in (name, str(value)))
