"""Metrics: one JSON object a step in metrics.jsonl, and MFU.

    step → StepMetrics → metrics.jsonl → progress.py (a line), status_file.py (status.json), trackers.py (curves)

What a resumed run does again stands there once; the lines that it drops are kept in lost_steps.jsonl, because they
were paid for (compute.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from engine.attempt_log import Attempt
from engine.examples import Example
from engine.flops import Arithmetic
from engine.parallel import World
from engine.progress import TokenProgress
from engine.settings import ActivationCheckpointing
from engine.trackers import Tracked, Trackers

Line = Mapping[str, Any]
"""One step, as it stands in a file."""

METRICS = "metrics.jsonl"
LOST = "lost_steps.jsonl"
"""Beside metrics.jsonl: steps of earlier attempts that no checkpoint had kept."""

PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}
"""Dense bf16 FLOP/s by the data sheets; a device that is not listed has no MFU."""


@dataclass(frozen=True)
class StepMetrics:
    """What is known after an optimizer step. `loss` is the objective (in nats), `seconds` the step's wall time.

    `flops` are those that the objective needs, `recomputed_flops` come on top; see flops.py.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    examples: int
    tokens: int
    supervised_tokens: int
    packing_efficiency: float
    tokens_per_second: float
    mfu: float | None
    peak_memory_bytes: int
    seconds: float
    flops: float
    recomputed_flops: float
    ranks: int


@dataclass(frozen=True)
class Steps:
    """The steps of a training as an attempt finds it."""

    title: str
    first: int
    """So many are done."""
    count: int
    tokens_done: int
    """Of the steps that are done."""
    tokens: int
    """Of all."""


class MetricsLog:
    """metrics.jsonl, and those who hear of a step when it is written: the progress line, status.json, trackers.

    On rank 0; elsewhere it does nothing.
    """

    def __init__(
        self, attempt: Attempt, steps: Steps, report_to: Sequence[str], enabled: bool
    ) -> None:
        self.enabled = enabled
        if not enabled:
            return
        path = attempt.folder / METRICS
        keep_steps(path, steps.first)
        self.file = path.open("a", encoding="utf-8")
        self.steps, self.status = steps, attempt.status
        self.progress = TokenProgress(
            steps.title, steps.first, steps.count, steps.tokens_done, steps.tokens
        )
        done, lost = read_lines(path), read_lines(attempt.folder / LOST)
        newest = max((line["step"] for line in (*done, *lost)), default=0)
        self.trackers = Trackers(report_to, Tracked(attempt, done, newest))

    def write(self, metrics: StepMetrics) -> None:
        """Appends the step, and tells of it."""
        if not self.enabled:
            return
        line = asdict(metrics)
        try:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()
        except OSError as error:
            raise ValueError(
                f"{self.file.name} could not be written: {error}; make room and run the same command to continue"
            ) from error
        progress = self.progress
        progress.add(metrics.tokens, metrics.loss, metrics.tokens_per_second)
        place = f"step {metrics.step}/{self.steps.count}"
        last = {name: line[name] for name in ("step", "loss", "grad_norm", "tokens_per_second")}
        self.status.progress(progress.done, progress.total, progress.rate, place, last)
        self.trackers.write(line)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Ends the progress line, the trackers and the file."""
        if not self.enabled:
            return
        self.progress.close()
        self.trackers.__exit__(kind, error, trace)
        with suppress(OSError):  # what a full disk has not taken was an error of `write` already
            self.file.close()


def keep_steps(path: Path, last: int) -> None:
    """Drops lines after step `last`, and a torn last line: a resumed run writes those steps again, once.

    The whole lines go to LOST first. A kill in between brings them there a second time; equal lines are one.
    """
    if not path.exists():
        return
    whole = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    is_kept = [json.loads(line)["step"] <= last for line in whole]
    if lost := [line for line, keeps in zip(whole, is_kept, strict=True) if not keeps]:
        aside = path.with_name(LOST)
        before = aside.read_bytes().splitlines(keepends=True) if aside.exists() else []
        replace_lines(aside, list(dict.fromkeys([*before, *lost])))
    replace_lines(path, [line for line, keeps in zip(whole, is_kept, strict=True) if keeps])


def read_lines(path: Path) -> list[Line]:
    """The steps of a file; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def replace_lines(path: Path, lines: Sequence[bytes]) -> None:
    """The whole file or none of it."""
    path.with_suffix(".tmp").write_bytes(b"".join(lines))
    path.with_suffix(".tmp").replace(path)


def measure_step(
    step: int,
    loss: float,
    learning_rate: float,
    grad_norm: float,
    packing_efficiency: float,
    seconds: float,
    examples: Sequence[Example],
    arithmetic: Arithmetic,
    mode: ActivationCheckpointing,
    world: World,
) -> StepMetrics:
    """The step's line in metrics.jsonl; every figure is over all ranks, memory excepted."""
    lengths = [len(example) for example in examples]
    num_supervised = sum(example.num_supervised for example in examples)
    flops = arithmetic.training(lengths, num_supervised)
    peak = peak_flops(world.device)
    return StepMetrics(
        step=step,
        loss=loss,
        learning_rate=learning_rate,
        grad_norm=grad_norm,
        examples=len(examples),
        tokens=sum(lengths),
        supervised_tokens=num_supervised,
        packing_efficiency=packing_efficiency,
        tokens_per_second=sum(lengths) / seconds,
        mfu=flops / seconds / (peak * world.size) if peak else None,
        peak_memory_bytes=peak_memory(world.device),
        seconds=seconds,
        flops=flops,
        recomputed_flops=arithmetic.recomputed(mode, lengths),
        ranks=world.size,
    )


def peak_flops(device: torch.device) -> float | None:
    """The device's peak by its data sheet, or None where the table above does not know it."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for key, peak in PEAK_FLOPS.items() if key in name), None)


def peak_memory(device: torch.device) -> int:
    """Bytes: the allocator's peak on a GPU, the process's largest resident size on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with open("/proc/self/status", encoding="ascii") as status:
        high_water = next(line for line in status if line.startswith("VmHWM"))
    return int(high_water.split()[1]) * 1024
