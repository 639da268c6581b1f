"""The account of a training: what it took of devices, and what was computed, for summary.json.

    metrics.jsonl (steps that count), lost_steps.jsonl (steps that were done again) → training_account

Counted are optimizer steps, each with the ranks it ran on: a run that was killed and resumed pays for all its attempts.
Not counted is what lies between steps (start, reading weights, waiting for a checkpoint, export) and the step a kill
fell into: of these nobody keeps the time. FLOPs and tokens are those of the training as it stands, the same whether it
was interrupted or not.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from engine.metrics import LOST, METRICS, Line, read_lines


def training_account(folder: Path, device: torch.device) -> dict[str, Any]:
    """What summary.json says of a training's compute. None stands where a step was logged without the figure.

    device_seconds       ranks × seconds of all steps, lost ones included
    lost_device_seconds  of these, steps that were done again after a kill
    flops                that the objective needs, see flops.py; what is recomputed comes on top
    """
    steps, lost = read_lines(folder / METRICS), read_lines(folder / LOST)
    return {
        "train_seconds": total(steps, "seconds"),
        "device_seconds": device_seconds([*steps, *lost]),
        "lost_device_seconds": device_seconds(lost),
        "hardware": hardware_name(device),
        "tokens": total(steps, "tokens"),
        "supervised_tokens": total(steps, "supervised_tokens"),
        "flops": total(steps, "flops"),
        "recomputed_flops": total(steps, "recomputed_flops"),
    }


def device_seconds(lines: Sequence[Line]) -> float | None:
    """Ranks × seconds; the number of ranks may differ from attempt to attempt."""
    if any("ranks" not in line for line in lines):
        return None
    return float(sum(line["ranks"] * line["seconds"] for line in lines))


def total(lines: Sequence[Line], field: str) -> float | None:
    """The sum of a figure over all steps."""
    return None if any(field not in line for line in lines) else sum(line[field] for line in lines)


def hardware_name(device: torch.device) -> str:
    """What a rank ran on, as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as facts:
            return next(line.partition(":")[2].strip() for line in facts if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
