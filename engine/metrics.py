"""Metrics: one JSON object a step in metrics.jsonl, a progress line with an ETA, and MFU.

What a resumed run does again stands there once; the lines that it drops are kept in lost_steps.jsonl, because they
were paid for (compute.py).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from engine.examples import Example
from engine.flops import Arithmetic
from engine.parallel import World
from engine.settings import ActivationCheckpointing

PLAIN_LINE_SECONDS = 30.0
"""Without a terminal a line is printed at most this often: logs stay short."""

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


class MetricsLog:
    """metrics.jsonl and the progress line, on rank 0; elsewhere it does nothing."""

    def __init__(
        self, path: Path, start_step: int, num_steps: int, enabled: bool, title: str
    ) -> None:
        self.enabled = enabled
        if not enabled:
            return
        self.num_steps = num_steps
        self.title = title
        self.started = self.last_line = time.monotonic()
        self.start_step = start_step
        keep_steps(path, start_step)
        self.file = path.open("a", encoding="utf-8")
        self.bar = (
            tqdm(total=num_steps, initial=start_step, desc=title, unit="step", dynamic_ncols=True)
            if sys.stderr.isatty()
            else None
        )

    def write(self, metrics: StepMetrics) -> None:
        """Appends the step and moves the progress line."""
        if not self.enabled:
            return
        try:
            self.file.write(json.dumps(asdict(metrics)) + "\n")
            self.file.flush()
        except OSError as error:
            raise ValueError(
                f"{self.file.name} could not be written: {error}; make room and run the same command to continue"
            ) from error
        if self.bar is not None:
            self.bar.set_postfix(
                loss=f"{metrics.loss:.4f}", tok_s=f"{metrics.tokens_per_second:,.0f}"
            )
            self.bar.update()
        elif self.line_is_due(metrics.step):
            self.print_line(metrics)

    def line_is_due(self, step: int) -> bool:
        """At the last step, and every half minute before it."""
        return step == self.num_steps or time.monotonic() - self.last_line >= PLAIN_LINE_SECONDS

    def print_line(self, metrics: StepMetrics) -> None:
        """One plain line for logs."""
        self.last_line = time.monotonic()
        done = metrics.step - self.start_step
        left = (self.last_line - self.started) / done * (self.num_steps - metrics.step)
        print(
            f"{self.title}: step {metrics.step}/{self.num_steps}, loss {metrics.loss:.4f}, "
            f"{metrics.tokens_per_second:,.0f} tokens/s, {left:.0f} s left",
            flush=True,
        )

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the progress line and the file."""
        if not self.enabled:
            return
        if self.bar is not None:
            self.bar.close()
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
