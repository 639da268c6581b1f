"""The numbers of an experiment's figure, as results.json keeps them: a figure can be drawn again from that alone.

    bars, lines           rows of the table (value, interval, the paper's number)
    loss_curves           train/OBJECTIVE/metrics.jsonl of every seed, over normalised progress
    attention_*           diagnostics/attention.json: by layer, step or phase, with 95 % bands

All have one form: panels of series of points {"x", "y", "low", "high", "paper"}; what is not known is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from evals.intervals import Interval
from evals.plots import slice_means
from evals.report_training import step_losses
from launch.experiments.estimates import estimate
from launch.experiments.experiment import Figure, Measure, Variant
from launch.experiments.grid import Cell, Grid
from launch.experiments.measures import Reading, read_json

Json = dict[str, Any]
Cells = Mapping[str, Sequence[Cell]]
SLICES = 100
"""Points of a loss curve."""
DIGITS = 5
"""Of a point, significant ones."""
REGIONS = {"problem": "problem", "student_answer": "student answer", "critique": "critique"}
TABLES = {
    "attention_layers": ("by_layer", "layers", "layer"),
    "attention_steps": ("by_step", "steps", "generation step"),
    "attention_phases": ("by_phase", "phases", "part of the text"),
}
"""Kind → table of the curves, its axis, what the axis says."""


def figure_data(
    grid: Grid, cells: Cells, measures: Sequence[Measure], rows: Sequence[Json]
) -> Json | None:
    """What is drawn; None of an experiment without a figure, or of which nothing was measured."""
    figure = grid.experiment.figure
    if figure is None:
        return None
    variants = grid.variants
    if figure.kind in ("bars", "lines"):
        drawn = of_table(figure, variants, measures, rows)
    elif figure.kind == "loss_curves":
        drawn = of_losses(variants, cells)
    else:
        drawn = of_attention(figure.kind, variants, cells)
    if not any(series["points"] for panel in drawn["panels"] for series in panel["series"]):
        return None
    title = figure.title or grid.experiment.title
    return {"kind": figure.kind, "title": title, "log_x": figure.log} | drawn


def of_table(
    figure: Figure, variants: Sequence[Variant], measures: Sequence[Measure], rows: Sequence[Json]
) -> Json:
    """The rows of one measure: by variant, or by x and series."""
    name = figure.measure or (measures[0].name if measures else "")
    unit = next((measure.unit for measure in measures if measure.name == name), "")
    by_variant = {row["variant"]: row for row in rows if row["measure"] == name}
    is_bars = figure.kind == "bars"
    series: dict[str, list[Json]] = {}
    for place, variant in enumerate(variants):
        row = by_variant.get(variant.name)
        if row is None or row["state"] != "measured":
            continue
        low, high = row["interval"] or (None, None)
        paper = row["paper"] and row["paper"]["value"]
        point = {"y": row["value"], "low": low, "high": high, "paper": paper}
        if is_bars:
            own = {"x": place, "label": variant.title, "method": variant.objective}
            series.setdefault(name, []).append(own | point)
        else:
            line = variant.series or (variant.objective if variant.x is not None else variant.title)
            series.setdefault(line, []).append({"x": variant.x} | point)
    for points in series.values():
        points.sort(key=lambda point: (point["x"] is not None, point["x"]))
    return {
        "x": figure.x,
        "y": f"{name}, %" if unit == "%" else name if unit in ("", "number") else f"{name}, {unit}",
        "panels": [{"title": "", "series": [as_series(n, p) for n, p in series.items()]}],
    }


def of_losses(variants: Sequence[Variant], cells: Cells) -> Json:
    """The mean over seeds of the loss at equal progress; the band holds all seeds."""
    series = []
    for variant in variants:
        paths = [cell.training / "metrics.jsonl" for cell in cells[variant.name] if cell.training]
        curves = [smooth_losses(path) for path in paths if path.exists()]
        shortest = min((len(curve) for curve in curves), default=0)
        points: list[Json] = []
        for place in range(shortest):
            losses = [curve[place][1] for curve in curves]
            x = curves[0][place][0]
            points.append(point_of(x, fmean(losses), min(losses), max(losses)))
        series.append(as_series(variant.title, points) | {"method": variant.objective})
    panel = {"title": "", "series": [one for one in series if one["points"]]}
    return {"x": "training progress", "y": "training loss", "panels": [panel]}


def smooth_losses(path: Path) -> list[tuple[float, float]]:
    """(progress, mean loss of a slice of the steps)."""
    return slice_means(step_losses(path), SLICES)


def of_attention(kind: str, variants: Sequence[Variant], cells: Cells) -> Json:
    """A panel a variant: the shares of problem, student answer and critique among these three."""
    table, axis, label = TABLES[kind]
    panels, names = [], None
    for variant in variants:
        found = [attention_table(cell, table) for cell in cells[variant.name]]
        tables = {cell.seed: one for cell, one in zip(cells[variant.name], found, strict=True)}
        known = {seed: one for seed, one in tables.items() if one}
        if not known:
            continue
        places = next(iter(known.values()))[axis]
        if kind == "attention_phases":
            names, places = places, list(range(len(places)))
        series = [
            as_series(shown, over_seeds(known, region, places)) for region, shown in REGIONS.items()
        ]
        panels.append({"title": variant.title, "series": series})
    named = {"names": names} if names else {}
    return {"x": label, "y": "share of attention, %", "panels": panels} | named


def attention_table(cell: Cell, table: str) -> Json | None:
    """One table of a finished attention diagnostic."""
    path = cell.diagnostics / "attention.json" if cell.diagnostics else None
    if path is None or not path.exists():
        return None
    return dict(read_json(path)["curves"]["of_three"][table])


def over_seeds(tables: Mapping[int, Json], region: str, places: Sequence[float]) -> list[Json]:
    """The region's curve as far as all seeds have it, in percent."""
    curves = {seed: table[region] for seed, table in tables.items()}
    points = []
    for place, x in enumerate(places):
        at = {seed: curve[place] for seed, curve in curves.items() if place < len(curve)}
        if len(at) < len(curves) or any(cell[0] is None for cell in at.values()):
            continue
        known = {
            seed: Reading(mean, (), None if low is None else Interval(low, high))
            for seed, (mean, low, high) in at.items()
        }
        found = estimate(known, is_share=True)
        ends = (found.interval.low, found.interval.high) if found.interval else (None, None)
        points.append(point_of(x, *(None if v is None else 100 * v for v in (found.value, *ends))))
    return points


def point_of(x: float, y: float | None, low: float | None, high: float | None) -> Json:
    """A point of a curve, to as many digits as can be seen."""
    rounded = [None if v is None else float(f"{v:.{DIGITS}g}") for v in (x, y, low, high)]
    return dict(zip(("x", "y", "low", "high"), rounded, strict=True)) | {"paper": None}


def as_series(name: str, points: list[Json]) -> Json:
    """A named line, or the bars."""
    return {"name": name, "points": points}
