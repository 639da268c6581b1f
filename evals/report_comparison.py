"""The page that compares runs, beside report_runs.py: drawings, the template, and the three files.

collect_comparison → FILE.json → FILE.md, FILE.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datagen.records import write_whole
from evals import plots
from evals.report_cells import plain, share_cell, table
from evals.report_drawings import LABELS, difference_plots, share_axis
from evals.report_marks import Json
from evals.report_page import page_environment, page_table
from evals.report_results import METHOD_ORDER
from evals.report_runs import (
    collect_comparison,
    diagnostic_header,
    diagnostic_rows,
    effort_header,
    effort_rows,
    measured_pairs,
    pair_header,
    pair_rows,
    score_header,
    score_rows,
    scores,
    settings_header,
    settings_rows,
)
from evals.report_text import SCORE_NOTE
from evals.report_training import Curve, read_curves

PAIR_NOTE = (
    "95 % bootstrap interval over problems (10,000 draws, seeded) and an exact two-sided p, corrected for all "
    "comparisons of this page (Holm). Models that did the same on every problem are left out. Different seeds or "
    "settings of training are one draw each: this says how sure the difference of these very models is, not of their "
    "settings."
)


def write_comparison(runs: Sequence[Path], target: Path, results: Sequence[Json] = ()) -> Path:
    """Writes the page to `target`, and .json and .md of the same name beside it; returns the page's path."""
    told = collect_comparison(runs, results)
    content = json.dumps(told, indent=2, ensure_ascii=False).encode("utf-8", "replace")
    write_whole(target.with_suffix(".json"), content + b"\n")
    write_whole(target.with_suffix(".md"), comparison_markdown(told).encode("utf-8", "replace"))
    write_whole(target, comparison_page(runs, told).encode())
    return target


def title_of(told: Json) -> str:
    """The runs by name."""
    return " · ".join(run["label"] for run in told["runs"])


def comparison_page(runs: Sequence[Path], told: Json) -> str:
    """The whole page as text."""
    environment = page_environment()
    environment.filters["run_class"] = plots.run_class
    labels = [run["label"] for run in told["runs"]]
    values = {
        "settings_table": page_table(settings_header(told), settings_rows(told), words=9),
        "score_plots": score_plots(told),
        "score_table": page_table(score_header(told), score_rows(told)),
        "score_note": SCORE_NOTE,
        "pair_plots": difference_plots(told["comparisons"], model_of_run),
        "pair_table": page_table(pair_header(), pair_rows(told), words=3),
        "pair_note": PAIR_NOTE,
        "charts": charts([read_curves(run, METHOD_ORDER) for run in runs], labels),
        "curve_entries": [(label, plots.run_class(n), "") for n, label in enumerate(labels)],
        "effort_table": page_table(effort_header(told), effort_rows(told), words=1),
        "diagnostic_table": page_table(diagnostic_header(told), diagnostic_rows(told), words=3),
    }
    sections = [
        ("settings", "Settings"),
        *[("results", "Results")] * bool(values["score_plots"]),
        *[("differences", "Differences")] * bool(values["pair_plots"]),
        *[("training", "Training")] * bool(values["charts"]),
        ("effort", "Lengths, data, compute"),
        *[("diagnostics", "Diagnostics")] * bool(values["diagnostic_table"]),
    ]
    template = environment.get_template("report_comparison.j2")
    return template.render(told=told, title=title_of(told), sections=sections, **values)


def score_plots(told: Json) -> list[Json]:
    """A drawing for each benchmark: methods below each other, and of each method the runs."""
    pairs = list(measured_pairs(told))
    ends = [
        100 * end
        for benchmark, method, field in pairs
        for score in scores(told, benchmark, method)
        if score.get(field) is not None
        for end in score[f"{field}_interval"]
    ]
    axis = share_axis(ends)
    found: dict[tuple[str, str], list[Json]] = {}
    for benchmark, method, field in pairs:
        rows = found.setdefault((benchmark, field), [])
        for place, score in enumerate(scores(told, benchmark, method)):
            if score.get(field) is not None:
                share = (100 * x for x in (score[field], *score[f"{field}_interval"]))
                strip = plots.interval_strip(tuple(share), axis, plots.run_class(place))
                name = f"{method} · {told['runs'][place]['label']}"
                rows.append({"name": name, "strip": strip, "text": share_cell(score, field)})
    labels = plots.axis_labels(axis)
    return [
        {"title": benchmark, "aside": LABELS[field], "rows": rows, "axis": labels}
        for (benchmark, field), rows in found.items()
    ]


def model_of_run(one: Mapping[str, Any]) -> tuple[str, str]:
    """Of one method in a later run, compared with the first run."""
    return f"{one['method']} · {one['run']}", plots.run_class(one["place"])


def charts(curves: Sequence[Sequence[Curve]], labels: Sequence[str]) -> list[Json]:
    """Loss and gradient norm of every objective, the runs' curves over each other."""
    names = dict.fromkeys(curve.name for run in curves for curve in run)
    return [chart for name in names for chart in charts_of(name, curves, labels)]


def charts_of(
    name: str, curves: Sequence[Sequence[Curve]], labels: Sequence[str]
) -> Iterator[Json]:
    """The two charts of one objective."""
    own = [
        (labels[place], plots.run_class(place), curve)
        for place, run in enumerate(curves)
        for curve in run
        if curve.name == name
    ]
    losses = [(label, style, curve.losses) for label, style, curve in own]
    norms = [(label, style, curve.grad_norms) for label, style, curve in own]
    for what, lines in (("loss, nats", losses), ("gradient norm", norms)):
        svg = plots.curve_chart(f"{name}: {what}", lines)
        if svg:
            yield {"title": f"{name}: {what}", "svg": svg}


def comparison_markdown(told: Json) -> str:
    """The same as text."""
    parts = [f"# {plain(title_of(told))}"]
    parts.append(
        "\n".join(f"- {plain(run['label'])}: {plain(run['folder'])}" for run in told["runs"])
    )
    for title, header, rows in (
        ("Settings that differ", settings_header(told), settings_rows(told)),
        ("Results", score_header(told), score_rows(told)),
        ("Differences", pair_header(), pair_rows(told)),
        ("Lengths, data, compute", effort_header(told), effort_rows(told)),
        ("Diagnostics", diagnostic_header(told), diagnostic_rows(told)),
    ):
        lines = list(rows)
        if lines:
            parts += [f"## {title}", table(header, lines)]
    return "\n\n".join([*parts, PAIR_NOTE]) + "\n"
