"""A plan in words and as JSON.

The words say what was assumed, where the memory goes, what the time follows from, and what to change where it does not
fit; the JSON says the same in bytes and seconds.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from engine.plan import ALLOCATOR_SLACK, Duration, Memory, Plan
from engine.plan_memory import KINDS, Kind
from engine.plan_shapes import GIB

MEANING: dict[Kind, str] = {
    "parameters": "fp32, this rank's shard",
    "gradients": "fp32, this rank's shard",
    "optimizer": "two fp32 moments, this rank's shard",
    "activations": "kept for backward, or recomputed in it",
    "logits_chunk": "the loss: logits of a chunk, and what comes of them",
    "gathers": "weights of the blocks that run, from all ranks",
    "unsharded_gradients": "whole gradients, before they are reduced",
    "temporaries": "gradients by activations, and other short lives",
}


def as_text(plan: Plan) -> str:
    """The whole plan for a terminal."""
    copies = f", {plan.world_size // plan.shards} copies" if plan.shards < plan.world_size else ""
    settings = (
        f"{plan.config.precision}, activation checkpointing {plan.config.activation_checkpointing}, "
        f"rows of {plan.config.row_tokens:,} tokens, batch of {plan.config.batch_size}"
        + (", cpu_offload" if plan.config.cpu_offload else "")
    )
    return "\n".join(
        [
            f"{plan.model}: {plan.num_parameters / 1e6:,.0f} million parameters, "
            f"on {plan.world_size} × {plan.device.name}, sharded over {plan.shards}{copies}",
            settings,
            f"data: {plan.workload.source}",
            "",
            *memory_lines(plan.memory, plan.device.type),
            "",
            *duration_lines(plan),
            "",
            *verdict_lines(plan),
        ]
    )


def size(num_bytes: float) -> str:
    """Bytes in words."""
    return f"{num_bytes / GIB:.2f} GiB" if num_bytes >= GIB else f"{num_bytes / 2**20:.1f} MiB"


def memory_lines(memory: Memory, device_type: str) -> list[str]:
    """A line a kind, at the moment of the peak."""
    peak = memory.peak
    lines = [f"memory of a rank at its peak ({peak.phase})"]
    for kind, meaning in MEANING.items():
        where = "in host memory, not counted" if kind in peak.on_host else meaning
        lines.append(line(kind.replace("_", " "), peak.bytes_by_kind[kind], where))
    if memory.in_transit:
        lines.append(
            line("in transit", memory.in_transit, "a group on its way from and to the host")
        )
    tensors = peak.total + memory.in_transit
    same = "what metrics.jsonl has as peak_memory_bytes" if device_type == "cuda" else ""
    lines.append(line("tensors", tensors, same))
    if memory.slack:
        share = ALLOCATOR_SLACK[device_type]
        lines.append(
            line("slack", memory.slack, f"constant: {share:.0%} for the allocator and kernels")
        )
    lines.append(
        line("context", memory.context, "constant: the process, device context, collectives")
    )
    lines.append(line("total", memory.total, f"of {size(memory.usable)}"))
    return lines


def line(name: str, num_bytes: int, meaning: str) -> str:
    """One line of the table."""
    return f"  {name:20}{size(num_bytes):>12}   {meaning}".rstrip()


def duration_lines(plan: Plan) -> list[str]:
    """Tokens, steps and FLOPs; seconds where the device's peak is known."""
    duration, steps = plan.duration, plan.workload.num_steps
    lines = [
        f"{plan.tokens_per_step:,.0f} tokens a step, {steps:,} steps",
        f"{duration.model_flops:.3g} FLOPs a step that the objective needs, {duration.recomputed_flops:.3g} recomputed",
    ]
    if duration.seconds_per_step is None or plan.device.peak_flops is None:
        return [*lines, f"time: the peak FLOP/s of {plan.device.name} are not known; name a device"]
    return [*lines, *time_lines(duration, duration.seconds_per_step, plan, plan.device.peak_flops)]


def time_lines(duration: Duration, seconds: float, plan: Plan, peak_flops: float) -> list[str]:
    """The formula, and what comes of it."""
    hours = seconds * plan.workload.num_steps / 3600
    return [
        f"seconds a step = all these FLOPs / ({plan.world_size} × {peak_flops / 1e12:.0f} TFLOP/s × "
        f"{duration.utilisation:.0%}) = {seconds:.3g}   ({duration.utilisation:.0%} is assumed; "
        f"without the recomputed ones an MFU of {duration.mfu:.1%})",
        f"{hours:.2f} hours, {hours * plan.world_size:.2f} GPU-hours, "
        f"{plan.tokens_per_step / seconds / plan.world_size:,.0f} tokens/s a GPU",
    ]


def verdict_lines(plan: Plan) -> list[str]:
    """Whether it fits and, where it does not, why and what to do."""
    memory = plan.memory
    if memory.fits:
        return [f"It fits: {size(memory.usable - memory.total)} of {size(memory.usable)} are left."]
    missing = size(memory.total - memory.usable)
    lines = [f"It does not fit: {missing} are missing. {reason(plan)}"]
    lines.append("What to change, in this order, each on top of those before it:")
    for number, knob in enumerate(plan.knobs, start=1):
        verdict = "fits" if knob.memory.fits else "does not fit"
        lines.append(f"  {number}. {knob.change}: {size(knob.memory.total)}, {verdict}")
    if not plan.knobs[-1].memory.fits:
        lines.append(
            "None of these is enough: it takes larger devices, more of them, or a smaller student."
        )
    return lines


def reason(plan: Plan) -> str:
    """What takes most of the memory."""
    state = plan.state_bytes
    if state > plan.memory.usable and not plan.config.cpu_offload:
        return (
            f"Parameters, gradients and moments alone take {size(state)} a rank (16 bytes a parameter over "
            f"{plan.shards} ranks), so only more shards or the host's memory can help."
        )
    kinds = plan.memory.peak.bytes_by_kind
    passing = [kind for kind in kinds if kind not in ("parameters", "gradients", "optimizer")]
    most = max(passing, key=lambda kind: kinds[kind])
    return (
        f"Parameters, gradients and moments take {size(state)}"
        f"{' (on the host)' if plan.config.cpu_offload else ''}; "
        f"of the rest {most.replace('_', ' ')} take most, {size(kinds[most])}."
    )


def as_json(plan: Plan) -> str:
    """The plan as one JSON object; memory in bytes, time in seconds."""
    return json.dumps(
        {
            "model": plan.model,
            "parameters": plan.num_parameters,
            "world_size": plan.world_size,
            "shard_size": plan.shards,
            "device": asdict(plan.device),
            "data": plan.workload.source,
            "train": asdict(plan.config),
            "kinds": [kind for kind in KINDS if kind not in plan.memory.peak.on_host],
            "memory": memory_fields(plan.memory),
            "tokens_per_step": plan.tokens_per_step,
            "steps": plan.workload.num_steps,
            "time": {
                **asdict(plan.duration),
                "mfu": plan.duration.mfu,
                "gpu_hours": plan.gpu_hours,
            },
            "fits": plan.memory.fits,
            "knobs": [{"change": k.change, "memory": memory_fields(k.memory)} for k in plan.knobs],
        },
        indent=2,
    )


def memory_fields(memory: Memory) -> dict[str, Any]:
    """A rank's memory in bytes, by kind and in all."""
    return {
        **{str(kind): num_bytes for kind, num_bytes in memory.peak.bytes_by_kind.items()},
        "phase": memory.peak.phase,
        "tensors": memory.peak.total + memory.in_transit,
        "on_host": memory.on_host,
        "in_transit": memory.in_transit,
        "context": memory.context,
        "slack": memory.slack,
        "total": memory.total,
        "usable": memory.usable,
        "fits": memory.fits,
    }
