"""The plan: how much memory a rank needs, how long the run takes, and what to change where it does not fit.

    config, world size, device  →  rehearse the fullest step (plan_rehearsal.py)  →  Memory
                                →  count the FLOPs of all steps, divide by a stated share of the peak  →  Duration
    it does not fit             →  turn one knob after the other, rehearse again, until it does  →  Knobs

Memory is counted, tensor by tensor, in the code that trains; what lies outside tensors (the device's context, the
libraries of the collectives, an allocator's rounding and gaps, a kernel's own workspace) is a constant that is stated.
Time is arithmetic and as good as the share of the peak it is told.        No GPU is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from transformers import PretrainedConfig

from engine.flops import arithmetic_of, pairs_in
from engine.model import Student, build_student
from engine.parallel import mesh_shape
from engine.plan_memory import Peak
from engine.plan_rehearsal import Rehearsal, rehearse
from engine.plan_rows import Assumptions, Workload, find_data, fullest_rows, make_workload
from engine.plan_shapes import GIB, Device, find_device, model_shape
from engine.settings import ActivationCheckpointing, RunConfig, StudentConfig, TrainConfig

CONTEXT_GIB = {"cuda": 0.7, "cpu": 0.5}
"""What a process holds before its first tensor: the CUDA context and libraries, or Python with torch."""
COLLECTIVES_GIB = {"cuda": 0.8, "cpu": 0.0}
"""Buffers of NCCL, where there are several ranks."""
ALLOCATOR_SLACK = {"cuda": 0.05, "cpu": 0.0}
"""Share of the tensors' peak that is lost to rounding, gaps and workspaces inside kernels."""

BYTES_OF_STATE = 16
"""A parameter's weight, gradient and two moments, in fp32."""

SHORTEST_ROW = 512
"""`train.max_length` is not advised to be lower."""


@dataclass(frozen=True)
class Memory:
    """One rank's memory in bytes, beside what its device has."""

    rehearsal: Rehearsal
    context: int
    slack: int
    in_transit: int
    usable: int

    @property
    def peak(self) -> Peak:
        """The tensors."""
        return self.rehearsal.peak

    @property
    def total(self) -> int:
        """What has to fit."""
        return self.peak.total + self.in_transit + self.context + self.slack

    @property
    def fits(self) -> bool:
        """Whether it does."""
        return self.total <= self.usable

    @property
    def on_host(self) -> int:
        """Offloaded parameters, gradients and moments of this rank."""
        return sum(self.peak.bytes_by_kind[kind] for kind in self.peak.on_host)


@dataclass(frozen=True)
class Duration:
    """FLOPs of a step over all ranks, and seconds; None where the device's peak is not known.

    `utilisation` is the share of the peak that is reached, recomputation counted as work; `mfu` leaves it out.
    """

    model_flops: float
    recomputed_flops: float
    utilisation: float
    seconds_per_step: float | None

    @property
    def mfu(self) -> float:
        """The share of the peak that goes into what the objective needs."""
        return self.utilisation * self.model_flops / (self.model_flops + self.recomputed_flops)


@dataclass(frozen=True)
class Knob:
    """A change, on top of those before it, and the memory after it."""

    change: str
    memory: Memory


@dataclass(frozen=True)
class Plan:
    """Everything `cgd plan` says."""

    model: str
    num_parameters: int
    config: TrainConfig
    world_size: int
    device: Device
    workload: Workload
    memory: Memory
    duration: Duration
    knobs: tuple[Knob, ...]

    @property
    def tokens_per_step(self) -> float:
        """Over all ranks, padding not counted."""
        return sum(self.workload.lengths()) / len(self.workload.steps)

    @property
    def shards(self) -> int:
        """Ranks that share one copy of the weights."""
        return num_shards(self.config, self.world_size)

    @property
    def state_bytes(self) -> float:
        """This rank's share of weights, gradients and moments, wherever they lie."""
        return self.num_parameters * BYTES_OF_STATE / self.shards

    @property
    def gpu_hours(self) -> float | None:
        """Of the whole run, or None where the device's peak is not known."""
        seconds = self.duration.seconds_per_step
        return seconds and seconds * self.workload.num_steps * self.world_size / 3600


def make_plan(
    run: RunConfig,
    student: StudentConfig,
    config: TrainConfig,
    world_size: int,
    device_name: str = "H200",
    utilisation: float = 0.4,
    assumed: Assumptions | None = None,
) -> Plan:
    """Rehearses the run's fullest step and, where it does not fit, the same with one knob turned after the other."""
    if world_size <= 0:
        raise ValueError(f"--world-size must be positive, got {world_size}")
    if not 0 < utilisation <= 1:
        raise ValueError(f"--mfu must lie in (0, 1], got {utilisation}")
    device = find_device(device_name, world_size)
    shape, source = model_shape(student)
    data = find_data(run, student, config, assumed or Assumptions())
    workload = make_workload(data, config)
    memory = memory_of(shape, config, world_size, workload, device)
    student_on_meta = build_student(shape)
    num_parameters = sum(parameter.numel() for parameter in student_on_meta.parameters())
    knobs: list[Knob] = []
    if not memory.fits:
        for change, changed, ranks in knobs_in_order(config, world_size, num_parameters, device):
            rows = make_workload(data, changed)
            knobs.append(Knob(change, memory_of(shape, changed, ranks, rows, device)))
            if knobs[-1].memory.fits:
                break
    time = (world_size, workload, memory.rehearsal, device, utilisation)
    return Plan(
        source,
        num_parameters,
        config,
        world_size,
        device,
        workload,
        memory,
        duration_of(student_on_meta, *time),
        tuple(knobs),
    )


def memory_of(
    shape: PretrainedConfig,
    config: TrainConfig,
    world_size: int,
    workload: Workload,
    device: Device,
) -> Memory:
    """The largest peak of the rehearsals, and what is added to it."""
    rehearsals = [
        rehearse(shape, config, world_size, rows, device.type)
        for rows in fullest_rows(workload, config, world_size, device.type)
    ]
    fullest = max(rehearsals, key=lambda rehearsal: rehearsal.peak.total)
    context = CONTEXT_GIB[device.type] + (COLLECTIVES_GIB[device.type] if world_size > 1 else 0)
    return Memory(
        rehearsal=fullest,
        context=round(context * GIB),
        slack=round(ALLOCATOR_SLACK[device.type] * fullest.peak.total),
        # Offloaded: the rehearsal has one memory only, so a group's fp32 weights on their way in and its gradients on
        # their way out are added by hand.
        in_transit=2 * fullest.peak.largest_gradient if config.cpu_offload else 0,
        usable=device.usable_bytes,
    )


def num_shards(config: TrainConfig, world_size: int) -> int:
    """Ranks that share one copy of the weights."""
    return mesh_shape(world_size, config.shard_size, config.replicate_size)[1]


# ---- time ---------------------------------------------------------------------------------------


def duration_of(
    student: Student,
    world_size: int,
    workload: Workload,
    rehearsal: Rehearsal,
    device: Device,
    utilisation: float,
) -> Duration:
    """The mean step's FLOPs, and how long they take."""
    arithmetic, lengths = arithmetic_of(student.causal_lm), workload.lengths()
    needed = arithmetic.training(lengths, workload.num_supervised())
    # What of the forward pass is repeated was counted in the rehearsal.
    attention = arithmetic.forward(0, pairs_in(lengths), 0)
    products = arithmetic.forward(sum(lengths), 0, 0)
    again = products * rehearsal.repeated_products + attention * rehearsal.repeated_attention
    needed, again = needed / len(workload.steps), again / len(workload.steps)
    seconds = None
    if device.peak_flops is not None:
        seconds = (needed + again) / (world_size * device.peak_flops * utilisation)
    return Duration(needed, again, utilisation, seconds)


# ---- what to change -----------------------------------------------------------------------------


def knobs_in_order(
    config: TrainConfig, world_size: int, num_parameters: int, device: Device
) -> Iterator[tuple[str, TrainConfig, int]]:
    """(change, settings, ranks), each on top of the one before: from what costs least to what costs most.

    Where not even the sharded state fits, rows and recomputation are left as they are: they could not help.
    """
    shards = num_shards(config, world_size)
    on_device = 0 if config.cpu_offload else num_parameters * BYTES_OF_STATE
    if on_device / shards < device.usable_bytes:
        for change, smaller in smaller_activations(config):
            config = smaller
            yield change, config, world_size
    config = replace(config, shard_size=None, replicate_size=None)
    if shards < world_size:
        yield (
            f"one copy of the weights over all {world_size} ranks (no shard_size)",
            config,
            world_size,
        )
    ranks = 2 * world_size
    while on_device / ranks > device.usable_bytes:
        ranks *= 2
    yield f"--world-size {ranks}", config, ranks
    if not config.cpu_offload:
        config = replace(config, cpu_offload=True)
        yield f"train.cpu_offload = true (slow), --world-size {world_size}", config, world_size


def smaller_activations(config: TrainConfig) -> Iterator[tuple[str, TrainConfig]]:
    """What trades arithmetic, and then the longest examples, for memory."""
    modes: tuple[ActivationCheckpointing, ...] = ("none", "selective", "full")
    for mode in modes[modes.index(config.activation_checkpointing) + 1 :]:
        config = replace(config, activation_checkpointing=mode)
        yield f'train.activation_checkpointing = "{mode}"', config
    if config.row_tokens > config.max_length:
        config = replace(config, pack_tokens=None)
        yield f"unset train.pack_tokens (rows of {config.max_length} tokens)", config
    if config.max_length >= 2 * SHORTEST_ROW:
        shorter = config.max_length // 2
        config = replace(config, max_length=shorter)
        yield f"train.max_length = {shorter} (longer examples are dropped)", config
