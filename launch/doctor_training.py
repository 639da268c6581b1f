"""Does the training fit: ranks, precision, memory of a device, disk for checkpoints and exports.

    the cheap bounds (preflight)    16 bytes a parameter of state on a device, 12 a parameter and checkpoint on disk
    the planner (doctor)            one rehearsed step of full rows: engine/plan.py

The bounds are certain: what they refuse could not have run. What they let pass may still not fit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig

from datagen.vllm_devices import require_devices
from datagen.vllm_engine import require_vllm
from engine.attempt import SUMMARY
from engine.checkpoint import saved_steps
from engine.packing import num_steps
from engine.parallel import mesh_shape, require_precision
from engine.plan import BYTES_OF_STATE, memory_of
from engine.plan_rows import Assumptions, Data, make_workload
from engine.plan_shapes import Device
from engine.settings import TrainConfig
from launch.config import Config
from launch.data_step import student_as_generator
from launch.doctor_finding import GIB, Finding, error, ok, size, warn
from launch.doctor_machine import disk, memory_bytes
from launch.doctor_models import Weights, weights_of

BYTES_OF_CHECKPOINT = 12
"""A parameter's weight and two moments, in fp32."""
LONGEST_COUNTED_FILE = 2**28
"""Bytes; the rows of a longer file are not counted before a run."""
SLOW_ON_CPU = 50_000_000
"""Parameters from which bf16 on a processor is worth a remark."""


# ---- devices ----------------------------------------------------------------------------------------


def ranks_here() -> int:
    """Ranks of this process group; alone, one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def world_findings(config: TrainConfig, world_size: int) -> Iterator[Finding]:
    """Whether so many ranks can share the work as the configuration says."""
    num_gpus = torch.cuda.device_count()
    copies, shards = mesh_shape(world_size, config.shard_size, config.replicate_size)
    detail = f"{world_size} rank{'s' if world_size > 1 else ''}"
    if copies > 1:
        detail += f": {copies} copies of {shards} shards"
    if num_gpus and world_size > num_gpus:
        detail += (
            f"; this machine has {num_gpus} GPUs, so it takes {-(-world_size // num_gpus)} like it"
        )
    if world_size > config.batch_size:
        yield warn(
            "ranks",
            f"{detail}, but a step has train.batch_size = {config.batch_size} examples: some ranks have "
            "nothing to do",
            "fewer ranks",
        )
    else:
        yield ok("ranks", detail)


def precision_finding(config: TrainConfig, num_parameters: int) -> Finding:
    """Whether the device computes in train.precision."""
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    require_precision(config.precision, device)
    where = torch.cuda.get_device_name(0) if device.type == "cuda" else "the processor"
    if device.type == "cpu" and config.precision == "bf16" and num_parameters < SLOW_ON_CPU:
        return ok("train.precision", "bf16 on the processor (fp32 is mostly faster there)")
    if device.type == "cpu" and config.precision == "bf16":
        slow = "bf16 on the processor, which is mostly slower than fp32"
        return warn("train.precision", slow, "--set train.precision=fp32")
    return ok("train.precision", f"{config.precision} on {where}")


def backend_findings(config: Config, kinds: frozenset[str]) -> Iterator[Finding]:
    """vLLM where a section asks for it, with GPUs enough, and `device`s that exist."""
    sections = {}
    if kinds & {"data", "evaluate"}:
        sections["inference"] = student_as_generator(config, config.generate.batch_size)
    if "data" in kinds:
        sections["teacher"] = config.teacher
    for name, backend in sections.items():
        if backend.runs_on == "vllm":
            require_vllm()
            require_devices(backend.tensor_parallel)
        wanted = backend.device or ""
        if backend.runs_on == "transformers" and wanted.startswith("cuda"):
            index = int(wanted.partition(":")[2] or 0)
            if index >= torch.cuda.device_count():
                detail = f"{wanted} is asked for, and torch sees {torch.cuda.device_count()} GPUs"
                yield error(f"{name}.device", detail, f"--set {name}.device=")


# ---- memory -----------------------------------------------------------------------------------------


def device_here(world_size: int) -> Device:
    """What a rank has: the memory of a GPU, or its share of the machine's."""
    if torch.cuda.is_available():
        _, total = torch.cuda.mem_get_info(0)
        return Device(torch.cuda.get_device_name(0), "cuda", total, None)
    total, _ = memory_bytes()
    return Device("the processor", "cpu", total // max(1, world_size), None)


def state_finding(config: TrainConfig, num_parameters: int, world_size: int) -> Finding:
    """Weights, gradients and moments alone, against a device. Below it everything depends on the rows."""
    _, shards = mesh_shape(world_size, config.shard_size, config.replicate_size)
    device, needed = device_here(world_size), num_parameters * BYTES_OF_STATE / shards
    detail = (
        f"weights, gradients and moments take {size(needed)} a rank, "
        f"{device.name} has {size(device.usable_bytes)}"
    )
    if config.cpu_offload or needed <= device.usable_bytes:
        return ok("memory: state", detail)
    ranks = world_size
    while num_parameters * BYTES_OF_STATE / ranks > device.usable_bytes:
        ranks *= 2
    return error(
        "memory: state",
        detail,
        f"{ranks} such devices: torchrun --nproc-per-node {ranks} -m engine.train CONFIG\n"
        "or --set train.cpu_offload=true (slow)\n"
        f"cgd plan CONFIG --world-size {ranks}\nsays what else would help",
    )


def planned_memory(config: TrainConfig, folder: Path, world_size: int) -> Finding:
    """The planner's figure for full rows, against the device that is here."""
    device = device_here(world_size)
    rows = make_workload(Data(None, "full rows", 0, Assumptions()), config)
    memory = memory_of(AutoConfig.from_pretrained(folder), config, world_size, rows, device)
    detail = (
        f"a step of full rows of {config.row_tokens:,} tokens takes {size(memory.total)} a rank, "
        f"{device.name} has {size(memory.usable)}"
    )
    if memory.fits:
        return ok("memory: training", detail)
    asked = f"cgd plan CONFIG --world-size {world_size} --device "
    asked += "cpu" if device.type == "cpu" else f"{device.usable_bytes / GIB:.0f}GB"
    return error("memory: training", detail, f"{asked}\nsays what to change, in which order")


# ---- disk -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """Bytes that the trainings will write, and why so many."""

    checkpoints: int
    checkpoint_bytes: int
    exports: int
    export_bytes: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.checkpoints * self.checkpoint_bytes + self.exports * self.export_bytes


def will_be_written(config: Config, weights: Weights) -> Written:
    """For every training that is not finished: the checkpoints that are kept, but for those that are there already, and
    an export; and once more the checkpoint that is being written while the older ones still stand."""
    left = [folder for folder in trainings(config) if not (folder / SUMMARY).exists()]
    most = most_checkpoints(config)
    kept = min(config.train.keep_checkpoints, most)
    there = [len(saved_steps(folder / "checkpoints")) for folder in left]
    return Written(
        checkpoints=sum(max(0, kept - count) for count in there)
        + (1 if left and most > kept else 0),
        checkpoint_bytes=weights.num_parameters * BYTES_OF_CHECKPOINT,
        exports=len(left),
        export_bytes=weights.num_bytes,
    )


def trainings(config: Config) -> list[Path]:
    """The folder of every training of the run."""
    folder, rounds = config.run.folder, config.pipeline.rounds
    parents = [folder] if rounds == 1 else [folder / "rounds" / str(n + 1) for n in range(rounds)]
    return [parent / "train" / name for parent in parents for name in config.pipeline.objectives]


def most_checkpoints(config: Config) -> int:
    """How many a training writes at most: it may be too short to write those that would be kept."""
    examples = most_examples(config)
    if examples is None and config.train.max_steps is None:
        return config.train.keep_checkpoints + 1
    train = config.train
    steps = num_steps(examples or 10**12, train.batch_size, train.epochs, train.max_steps)
    return -(-steps // train.save_every)


def most_examples(config: Config) -> int | None:
    """Examples that a training has at most; None where that is not known before."""
    if config.train.data is None:
        limit = config.generate.mixture.total or config.data.limit
        return None if limit is None else limit * config.generate.samples_per_prompt
    path = Path(config.train.data)
    if not path.is_file() or path.stat().st_size > LONGEST_COUNTED_FILE:
        return None
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def disk_finding(config: Config, folder: Path) -> Finding:
    """Whether the run folder has room for what the trainings write."""
    written = will_be_written(config, weights_of(folder))
    remedy = (
        f"{written.checkpoints} checkpoints of {size(written.checkpoint_bytes)}, {written.exports} exports of "
        f"{size(written.export_bytes)}\n"
        "make room, name a folder on another disk (--set run.dir=…), or keep fewer "
        "(--set train.keep_checkpoints=1)"
    )
    return disk("disk: run folder", config.run.folder, written.total, remedy)
