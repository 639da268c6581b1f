"""Shares of attention as rows and curves: by layer, by step, by progress, by phase; means over texts with intervals.

    [layers, steps, regions] of one text → profile (means along one axis) → rows → curves (means over texts, 95 % t)

A text weighs the same however long it is. Phases and progress divide each text into equal parts; a step that lies
across a border counts in both parts by its share, so that texts shorter than the number of parts have them all.
Shares among the three texts of the record (`of_three`) are divided out for each text before texts are averaged.

`curves` of the result:

    regions            the five, in order
    by_layer           {"layers": [1, …], REGION: [[mean, low, high], …]}      mean of all steps
    by_step            {"steps": [1, …], "texts": [n, …], REGION: […]}         mean of all layers; the first steps
    by_progress        {"progress": [0.025, …], REGION: […]}                   mean of all layers; middles of 20 parts
    by_phase           {"phases": ["early", "middle", "late"], REGION: […]}    mean of all layers; thirds
    of_three           {"regions": the three, and the same four tables}

low and high are null where one text alone is left, and all three where none is: a window may hide all three texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evals.diagnostics.attention_regions import FIELD_OF, REGIONS
from evals.diagnostics.diagnosis import Row
from evals.statistics_effects import t_interval

PHASES = ("early", "middle", "late")
PARTS = 20
"""Of a text's progress."""
FIRST_STEPS = 64
"""Steps that are kept one by one."""
DIGITS = 7
"""Of a share in a row: fp32 knows no more."""

THREE = tuple(FIELD_OF)

Cell = list[float | None]
"""[mean, low, high]."""


def profile(shares_LNR: Tensor) -> dict[str, Any]:
    """What a row keeps of one text. Each list ends in one number for each of REGIONS."""
    shares_LNR = shares_LNR.double()
    by_step_NR = shares_LNR.mean(dim=0)
    tables = {
        "share": by_step_NR.mean(dim=0),
        "by_layer": shares_LNR.mean(dim=1),
        "by_step": by_step_NR[:FIRST_STEPS],
        "by_progress": in_parts(by_step_NR, PARTS),
        "by_phase": in_parts(by_step_NR, len(PHASES)),
    }
    return {name: np.round(table.numpy(), DIGITS).tolist() for name, table in tables.items()}


def in_parts(by_step_NR: Tensor, parts: int) -> Tensor:
    """[parts, R]: means over equal parts of the text, a step across a border divided between them."""
    num_steps = len(by_step_NR)
    begins_P1 = torch.arange(parts, dtype=torch.float64)[:, None] * num_steps / parts
    steps_1N = torch.arange(num_steps, dtype=torch.float64)[None]
    last_P1 = (begins_P1 + num_steps / parts).minimum(steps_1N + 1)
    overlap_PN = (last_P1 - begins_P1.maximum(steps_1N)).clamp(min=0)
    return overlap_PN / overlap_PN.sum(dim=1, keepdim=True) @ by_step_NR


def curves_of(rows: Sequence[Row]) -> dict[str, Any]:
    """The tables that the module's docstring describes."""
    five = {"regions": list(REGIONS)} | tables_of(rows, REGIONS)
    return five | {"of_three": {"regions": list(THREE)} | tables_of(rows, THREE)}


def tables_of(rows: Sequence[Row], regions: tuple[str, ...]) -> dict[str, Any]:
    """All four tables of these regions, the first of REGIONS, as shares of what they get together."""
    steps = steps_of_most(rows)
    tables = {name: [row[name] for row in rows] for name in ("by_layer", "by_progress", "by_phase")}
    tables["by_step"] = [row["by_step"][:steps] for row in rows]
    axes: dict[str, dict[str, Any]] = {
        "by_layer": {"layers": list(range(1, len(rows[0]["by_layer"]) + 1))},
        "by_step": {
            "steps": list(range(1, steps + 1)),
            "texts": [sum(len(row["by_step"]) > step for row in rows) for step in range(steps)],
        },
        "by_progress": {"progress": [(part + 0.5) / PARTS for part in range(PARTS)]},
        "by_phase": {"phases": list(PHASES)},
    }
    return {name: axis | lines(tables[name], regions) for name, axis in axes.items()}


def steps_of_most(rows: Sequence[Row]) -> int:
    """The steps that at least half of the texts have: beyond, a curve would be of long texts only."""
    lengths = sorted((len(row["by_step"]) for row in rows), reverse=True)
    return lengths[(len(lengths) + 1) // 2 - 1]


def lines(tables: Sequence[Sequence[Sequence[float]]], regions: tuple[str, ...]) -> dict[str, Any]:
    """The region's curve, for each: points along the tables' first axis, of the texts that reach so far."""
    points = [
        cells([table[place] for table in tables if place < len(table)], regions)
        for place in range(max(len(table) for table in tables))
    ]
    return {region: [point[region] for point in points] for region in regions}


def cells(shares: Sequence[Sequence[float]], regions: tuple[str, ...]) -> dict[str, Cell]:
    """Mean over texts and 95 % interval (Student's t) of each region's share of what `regions` get together."""
    first = np.asarray(shares, dtype=float)[:, : len(regions)]
    together = first.sum(axis=1)
    parts = first[together > 0] / together[together > 0, None]
    return {region: cell(parts[:, place]) for place, region in enumerate(regions)}


def cell(values: np.ndarray) -> Cell:
    """[mean, low, high], between 0 and 1."""
    if len(values) == 0:
        return [None, None, None]
    mean = float(values.mean())
    if len(values) == 1:
        return [mean, None, None]
    known = t_interval(values)
    return [mean, max(0.0, known.low), min(1.0, known.high)]
