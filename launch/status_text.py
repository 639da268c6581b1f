"""What `cgd status` prints: one run as a few lines, several as a table."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from datagen.progress_bar import clock

Facts = Mapping[str, Any]

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-=+*#@"
"""Where the terminal's encoding has no blocks."""
SPARK_WIDTH = 32
HUGE = 1e100
WIDTH = 100
"""Of the list of stages, in characters."""
CLEAR = "\033[2J\033[H"


def print_runs(runs: Sequence[Facts], clears: bool) -> None:
    """One after the other, on a cleared screen where a terminal is watched."""
    if clears and sys.stdout.isatty():
        print(CLEAR, end="")
    lines = list(about_run(runs[0]) if len(runs) == 1 else table(runs))
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        print(printable(line).encode(encoding, errors="replace").decode(encoding), flush=True)


def printable(line: str) -> str:
    """Without control characters: messages come from anywhere."""
    return "".join(c if c.isprintable() else " " for c in line.replace("\xa0", " "))


# ---- one run ------------------------------------------------------------------------------------------


def about_run(run: Facts) -> Iterator[str]:
    """All that is known of one run."""
    who = f", pid {run['pid']} on {run['host']}" if run["state"] == "running" else ""
    attempt = f", attempt {run['attempt']}" if run.get("attempt") else ""
    stage = stage_of(run) if run["state"] != "done" or run["remark"] else ""
    yield f"{run['run']}: {run['state']}{stage}{attempt}{who}"
    if run["remark"]:
        yield f"  {run['remark']}"
    if run["state"] in ("running", "killed", "silent") and run.get("progress"):
        yield f"  {progress_of(run)}"
    elif run.get("message") and run["state"] in ("failed", "stopped"):
        yield f"  {run['message'].splitlines()[0]}"
    for name, training in run["trainings"].items():
        yield from about_training(name, training)
    yield from about_generation(run["generation"] or {})
    yield from about_stages(run)
    yield f"  disk: {size(run['used_bytes'])} used by this run, {size(run['free_disk_bytes'])} free"


def stage_of(run: Facts) -> str:
    """`, stage 4 of 7: train cgd`."""
    stage = run.get("stage")
    return f", stage {stage['index']} of {stage['count']}: {stage['name']}" if stage else ""


def progress_of(run: Facts) -> str:
    """`45 % of 3.0 M tokens (step 120/300), 1,850 tokens/s, 2:10 min left`."""
    figures = run["progress"]
    place = f" ({run['message']})" if run.get("message") else ""
    rate = f", {figures['per_second']:,.0f} tokens/s" if figures["per_second"] else ""
    return f"{share(figures)} of {count(figures['total'])} tokens{place}{rate}{left_of(run)}"


def left_of(run: Facts) -> str:
    """`, 2:10 min left`, while it is at work."""
    left = (run.get("progress") or {}).get("eta_seconds")
    return f", {clock(left)} left" if left is not None and run["state"] == "running" else ""


def about_training(name: str, training: Facts) -> Iterator[str]:
    """Losses, checkpoints, what was left out."""
    losses, kept = training["losses"], training["checkpoints"]
    if not losses:
        return
    norm = training["grad_norm"]
    told = f"gradient norm {norm:.3g}" if isinstance(norm, int | float) else "no gradient norm"
    curve = f" {sparkline(losses)} (last {len(losses)} steps, from {losses[0]:.4f})"
    yield (
        f"  train {name}: step {training['steps']:,}, loss {losses[-1]:.4f}"
        f"{curve if len(losses) > 1 else ''}, {told}"
    )
    names = ", ".join(f"step-{step}" for step in kept) or "none"
    yield f"    checkpoints kept: {names}"
    if training["left_out"]:
        told = ", ".join(
            f"{n:,} {key.replace('_', ' ')}" for key, n in training["left_out"].items()
        )
        yield f"    left out of the examples: {told}"
    if training["not_finite"]:
        yield "    a loss or gradient was not finite: the state before it lies in non-finite/"


def about_generation(facts: Facts) -> Iterator[str]:
    """Workers at it, or what was dropped and failed."""
    if "journals" in facts:
        told = ", ".join(
            f"{name.replace('-of-', '/')} {n:,}" for name, n in facts["journals"].items()
        )
        yield f"  texts by worker: {told}"
        return
    if facts.get("records") is not None:
        yield f"  records: {facts['records']:,} of {facts['prompts']:,} prompts"
    for kind in ("dropped", "failed"):
        for stage, reasons in facts.get(kind, {}).items():
            told = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items())
            yield f"    {kind} by {stage}: {told}"


def about_stages(run: Facts) -> Iterator[str]:
    """The stages, those that are done marked."""
    stages = run["stages"]
    if stages and all(stage["done"] for stage in stages):
        yield f"  stages: all {len(stages)} are done"
    elif stages:
        told = "  ".join(marked(stage, run).replace(" ", "\xa0") for stage in stages)
        lines = textwrap.wrap(told, WIDTH, break_long_words=False, break_on_hyphens=False)
        yield from (
            f"  {'stages:' if number == 0 else ' ' * 7} {line}" for number, line in enumerate(lines)
        )


def marked(stage: Facts, run: Facts) -> str:
    """A stage with a sign: done, at work, still to do."""
    if stage["done"]:
        return f"[x] {stage['name']}"
    now = run["state"] == "running" and (run.get("stage") or {}).get("name") == stage["name"]
    return f"[{'>' if now else ' '}] {stage['name']}"


# ---- several ------------------------------------------------------------------------------------------

HEAD = ("run", "state", "stage", "done", "tokens/s", "left", "loss", "disk")


def table(runs: Sequence[Facts]) -> Iterator[str]:
    """A line a run."""
    rows = [HEAD, *(row_of(run) for run in runs)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def row_of(run: Facts) -> tuple[str, ...]:
    """The cells of one run."""
    stage, figures = run.get("stage"), run.get("progress") or {}
    at_work = run["state"] == "running"
    open_losses = [t["losses"][-1] for t in run["trainings"].values() if t["losses"]]
    finished = sum(stage["done"] for stage in run["stages"])
    place = f"{finished}/{len(run['stages'])}" if run["stages"] else ""
    return (
        run["run"],
        run["state"],
        f"{place} {stage['name']}".strip() if stage and run["state"] != "done" else place,
        share(figures) if figures and run["state"] != "done" else "",
        f"{figures['per_second']:,.0f}" if figures and at_work else "",
        left_of(run).removeprefix(", ").removesuffix(" left"),
        f"{open_losses[-1]:.4f}" if open_losses else "",
        size(run["used_bytes"]),
    )


# ---- figures ------------------------------------------------------------------------------------------


def sparkline(values: Sequence[float]) -> str:
    """A curve of means in one line, between its lowest and highest value; what is not a number is a blank."""
    blocks = BLOCKS if can_write(BLOCKS) else PLAIN_BLOCKS
    number = min(SPARK_WIDTH, len(values)) or 1
    edges = [len(values) * i // number for i in range(number + 1)]
    means = [mean(values[a:b]) for a, b in pairwise(edges)]
    known = [value for value in means if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    top, spread = len(blocks) - 1, (high - low) or 1.0
    return "".join(" " if v is None else blocks[round(top * ((v - low) / spread))] for v in means)


def mean(values: Sequence[float]) -> float | None:
    """Of those that are numbers; JSON of ours may hold NaN. Sums of what is larger than HUGE could overflow."""
    finite = [value for value in values if abs(value) < HUGE]
    return sum(finite) / len(finite) if finite else None


def can_write(text: str) -> bool:
    """Whether the terminal's encoding has these characters."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def share(figures: Facts) -> str:
    """`45 %`."""
    return f"{100 * figures['done'] / figures['total']:.0f} %" if figures.get("total") else "0 %"


def count(number: float) -> str:
    """`950`, `12.3 k`, `3.0 M`."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if number >= factor:
            return f"{number / (1e3 if unit == 'k' else factor):,.1f} {unit}"
    return f"{number:,.0f}"


def size(number: int) -> str:
    """`1.2 GB`."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if number >= factor:
            return f"{number / factor:,.1f} {unit}"
    return f"{number} bytes"
