"""What a run took: devices' time, FLOPs and tokens of each stage, from the accounts that the stages left.

    data/summary.json, train/*/summary.json, evals/*/scores.json (and those of rounds) → entries → a table

A stage whose account has neither seconds nor FLOPs (a script, a server) stands there with its tokens and dashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evals.report_cells import number

Entry = dict[str, Any]
FIGURES = ("device_seconds", "flops", "tokens")

COMPUTE_NOTE = (
    "Device-seconds are GPUs (or CPU processes) × seconds at work: of training all optimizer steps on all ranks, those "
    "lost to a kill and done again included; of generation and evaluation each text's share of its batch's time. "
    "Loading models, waiting for checkpoints and export are not in them. FLOPs are what the result needs (a "
    "multiply-add is two; training forward and backward, recomputation left out). A dash stands for a script or a "
    "server, of which nobody knows them. Tokens are those read and written, of training those of its examples."
)


def compute_results(run: Path) -> list[Entry]:
    """One entry a stage, in the order of the work; none where no account was kept."""
    rounds = sorted(run.glob("rounds/*"), key=lambda folder: (len(folder.name), folder.name))
    entries: list[Entry] = []
    for folder in (run, *rounds):
        place = "" if folder == run else f"round {folder.name}: "
        entries += [*data_entries(folder, place), *training_entries(folder, place)]
    return entries + list(evaluation_entries(run))


def data_entries(folder: Path, place: str) -> Iterator[Entry]:
    """The stages of data generation."""
    summary = read_whole(folder / "data" / "summary.json")
    for stage in summary.get("stages", ()):
        if "flops" in stage:
            tokens = stage["prompt_tokens"] + stage["completion_tokens"]
            yield entry(f"{place}data: {stage['stage']}", stage | {"tokens": tokens})


def training_entries(folder: Path, place: str) -> Iterator[Entry]:
    """Every finished training."""
    for path in sorted(folder.glob("train/*/summary.json")):
        account = read_whole(path)
        if "flops" in account:
            yield entry(f"{place}train: {path.parent.name}", account)


def evaluation_entries(run: Path) -> Iterator[Entry]:
    """Every evaluated model, its benchmarks together; a figure that one of them lacks is not known."""
    for path in sorted(run.glob("evals/*/scores.json")):
        accounts = list(read_whole(path)["benchmarks"].values())
        if any("flops" in account for account in accounts):
            read, written = (
                total_of(accounts, f"{kind}_tokens") for kind in ("prompt", "completion")
            )
            tokens = None if read is None or written is None else read + written
            total = {figure: total_of(accounts, figure) for figure in ("device_seconds", "flops")}
            yield entry(f"evaluate: {path.parent.name}", total | {"tokens": tokens})


def total_of(accounts: list[Entry], figure: str) -> float | None:
    """The sum; None where any is not known."""
    values = [account.get(figure) for account in accounts]
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def entry(stage: str, account: Mapping[str, Any]) -> Entry:
    """One stage of results.json."""
    figures = {figure: account.get(figure) for figure in FIGURES}
    return {"stage": stage, **figures, "hardware": account.get("hardware")}


def read_whole(path: Path) -> Entry:
    """A JSON object; empty where there is no file."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def compute_header() -> list[str]:
    """Of the table."""
    return ["stage", "hardware", "device-seconds", "device-hours", "FLOPs", "tokens"]


def compute_rows(results: Mapping[str, Any]) -> Iterator[list[str]]:
    """One row a stage, and the sum of what is known where there are several."""
    entries = results.get("compute", [])
    for stage in entries:
        yield cells(stage)
    if len(entries) > 1:
        known = {f: [e[f] for e in entries if e[f] is not None] for f in FIGURES}
        sums = {figure: sum(values) if values else None for figure, values in known.items()}
        yield cells({"stage": "all, as far as known", "hardware": None, **sums})


def cells(stage: Entry) -> list[str]:
    """A dash stands for what is not known."""
    seconds, flops, tokens = (stage[figure] for figure in FIGURES)
    return [
        stage["stage"],
        stage["hardware"] or "-",
        number(seconds),
        "-" if seconds is None else f"{seconds / 3600:.3g}",
        "-" if flops is None else f"{flops:.3g}",
        "-" if tokens is None else f"{tokens:,}",
    ]
