"""The drawings of a report: rows of a name, a drawing and the figures in words.

    results → accuracies, differences, lengths, flow, diagnostics → rows of SVG and text for the template

Every figure that is drawn is also written beside its drawing, so nothing on the page is told by a picture alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil, floor
from typing import Any

from markupsafe import Markup

from evals import plots
from evals.plots_shapes import histogram, ribbon
from evals.report_cells import difference_cell, share_cell
from evals.report_diagnostics import RECORDS, drawn_figures
from evals.report_flow import lost_text
from evals.report_lengths import BINS
from evals.report_marks import Json
from evals.report_tables import measured

LABELS = {"accuracy": "right answers", "compliance": "instructions obeyed"}


def score_plots(results: Mapping[str, Any]) -> list[Json]:
    """One drawing a benchmark and measure, all on one axis."""
    pairs = [(field, name) for field in LABELS for name in measured(results, field)]
    axis = share_axis(
        [100 * end for field, name in pairs for end in interval_ends(results, name, field)]
    )
    return [score_plot(results, name, field, axis) for field, name in pairs]


def interval_ends(results: Mapping[str, Any], benchmark: str, field: str) -> Iterator[float]:
    """Where the intervals of one benchmark end."""
    for method in results["methods"].values():
        score = (method["scores"] or {}).get(benchmark) or {}
        if score.get(field) is not None:
            yield from score[f"{field}_interval"]


def share_axis(ends: Sequence[float]) -> tuple[float, float]:
    """Tens around all intervals, at least forty points of the hundred."""
    low = 10.0 * floor(min(ends, default=0.0) / 10)
    high = 10.0 * ceil(max(ends, default=100.0) / 10)
    while high - low < 40:
        low, high = max(0.0, low - 10), min(100.0, high + 10)
    return low, high


def score_plot(
    results: Mapping[str, Any], benchmark: str, field: str, axis: tuple[float, float]
) -> Json:
    """One benchmark: a row a method with its point, interval and figures."""
    rows = []
    for name, method in results["methods"].items():
        score = (method["scores"] or {}).get(benchmark) or {}
        strip = Markup("")
        if score.get(field) is not None:
            figures = (100 * figure for figure in (score[field], *score[f"{field}_interval"]))
            strip = plots.interval_strip(tuple(figures), axis, plots.method_class(name))
        told = share_cell(score, field)
        rows.append({"name": name, "strip": strip, "text": "not there" if told == "-" else told})
    sizes = {
        method["scores"][benchmark]["problems"]
        for method in results["methods"].values()
        if benchmark in (method["scores"] or {})
    }
    size = "–".join(f"{size:,}" for size in sorted(sizes))
    aside = f"{LABELS[field]}, {size} problems"
    return {"title": benchmark, "aside": aside, "rows": rows, "axis": plots.axis_labels(axis)}


def pair_of_methods(one: Mapping[str, Any]) -> tuple[str, str]:
    """Of two methods of one run."""
    return f"{one['method']} − {one['against']}", plots.method_class(one["method"])


def difference_plots(
    comparisons: Sequence[Mapping[str, Any]],
    named: Callable[[Mapping[str, Any]], tuple[str, str]] = pair_of_methods,
) -> list[Json]:
    """Differences on one axis for all benchmarks; `named` gives a row's name and style class."""
    ends = [100 * one["interval"][end] for one in comparisons for end in ("low", "high")]
    axis = plots.symmetric_axis(ends)
    found: dict[str, list[Json]] = {}
    for one in comparisons:
        (name, style), low, high = named(one), one["interval"]["low"], one["interval"]["high"]
        figures = (100 * one["difference"], 100 * low, 100 * high)
        row = {
            "name": name,
            "strip": plots.interval_strip(figures, axis, style),
            "text": difference_cell(one["difference"], low, high),
            "verdict": one["verdict"] if is_resolved(one) else "",
        }
        found.setdefault(one["benchmark"], []).append(row)
    labels = plots.axis_labels(axis, signed=True)
    return [
        {"title": name, "aside": "", "rows": rows, "axis": labels} for name, rows in found.items()
    ]


def is_resolved(comparison: Mapping[str, Any]) -> bool:
    """Whether more than chance is to be seen."""
    return comparison["verdict"] in ("higher", "lower")


def length_plots(groups: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Distributions of words; those of a group share an axis."""
    return [
        {
            "title": group["title"],
            "aside": "words",
            "rows": [length_row(row, group["top"]) for row in group["rows"]],
            "axis": plots.axis_labels((0.0, float(group["top"])), room=0.0),
        }
        for group in groups
    ]


def length_row(row: Mapping[str, Any], top: int) -> Json:
    """One kind of text."""
    median = min(BINS, BINS * row["p50"] / top)
    return {
        "name": row["name"],
        "strip": histogram(row["bins"], median, plots.method_class(row["name"])),
        "text": f"median {row['p50']:,} · 95 % ≤ {row['p95']:,}",
    }


def flow_plot(flow: Sequence[Mapping[str, Any]]) -> list[Json]:
    """A ribbon a step, as wide as the largest count."""
    most = max((max(one["into"], one["out"]) for one in flow), default=1)
    return [
        {
            "name": one["step"],
            "part": one["part"],
            "ribbon": ribbon(one["into"], one["out"], most, one["right"], one["method"]),
            "into": f"{one['into']:,}",
            "out": f"{one['out']:,}",
            "lost": lost_text(one) if one["lost"] else "",
            "note": one["note"],
            "is_training": bool(one["method"]),
        }
        for one in flow
    ]


def diagnostic_plots(name: str, entry: Mapping[str, Any]) -> list[Json]:
    """The figures of a diagnostic that answer its question, of all models."""
    return [
        {
            "title": drawing["title"],
            "aside": "",
            "rows": [
                {
                    "name": row["what"]
                    if row["model"] == RECORDS
                    else f"{row['what']}, {row['model']}",
                    "strip": plots.interval_strip(
                        row["values"], drawing["axis"], plots.method_class(row["model"])
                    ),
                    "text": row["text"],
                }
                for row in drawing["rows"]
            ],
            "axis": plots.axis_labels(drawing["axis"], signed=drawing["axis"][0] < 0),
        }
        for drawing in drawn_figures(name, entry)
    ]
