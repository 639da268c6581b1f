"""Measuring side by side: every variant in a process whose memory peak is its own, in turns, so that a machine that
grows slower during the comparison grows slower for all."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

from engine.metrics import peak_memory

Figures = dict[str, Any]
"""What one run of one variant measured."""


def in_turns(
    names: list[str], rounds: int, measure: str, options: Namespace
) -> dict[str, list[Figures]]:
    """Every variant once a round, each in a process of its own; progress goes to stderr.

    `measure` names a function, `package.module:function`, that takes (variant, options) and returns its figures.
    Raises ValueError where a variant fails, with the last line it said.
    """
    runs: dict[str, list[Figures]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            runs[name].append(in_own_process(name, measure, options))
    return runs


def in_own_process(name: str, measure: str, options: Namespace) -> Figures:
    """One variant's figures."""
    settings = {k: v for k, v in vars(options).items() if isinstance(v, str | int | float | None)}
    arguments = [measure, name, json.dumps(settings)]
    done = subprocess.run(
        [sys.executable, "-m", "launch.bench_process", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ValueError(f"the variant {name!r} failed: {said[-1]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])  # peers print what they like before
    return figures


def reset_peak(device: torch.device) -> int:
    """Starts a new memory peak, and returns the bytes in use now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM; Linux only
    return peak_memory(device)


def main(measure: str, name: str, settings: str) -> None:
    """What the process of one variant does: its figures are the last line it prints."""
    module, _, function = measure.partition(":")
    figures = getattr(importlib.import_module(module), function)(
        name, Namespace(**json.loads(settings))
    )
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
