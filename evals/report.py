"""The report of a run: results.json, report.md and report.html, made from the run folder's files alone.

    artifacts → collect_results → results.json → report.md
                              ↘ plots, samples → report.html

report.html is one file that loads nothing: styles inside, plots as inline SVG, no script at all. Everything a
model wrote is untrusted: the template escapes it, and the page's content policy forbids scripts and fetches
even if something slipped through.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from datagen.records import write_whole
from evals import plots
from evals.report_cells import difference_cell, number, share_cell
from evals.report_compute import COMPUTE_NOTE, compute_header, compute_rows
from evals.report_results import collect_results
from evals.report_samples import Browser, problem_browser, record_browser
from evals.report_tables import (
    beside_header,
    beside_rows,
    difference_header,
    difference_rows,
    graders_differ,
    group_header,
    group_rows,
    measured,
    sample_header,
    sample_rows,
    score_remarks,
)
from evals.report_text import (
    GROUP_NOTE,
    LENIENT_NOTE,
    SAMPLE_NOTE,
    SCORE_NOTE,
    difference_note,
    difference_remarks,
    generation_facts,
    markdown,
    notes,
    summary_table,
)

__all__ = ["summary_table", "write_report"]

TEXT_COLUMNS = frozenset({"figure", "over", "missing", "verdict"})


def write_report(run: Path) -> Path:
    """Writes the three files into the run folder and returns the path of the page."""
    results = collect_results(run)
    page = render_page(run, results)
    write_whole(
        run / "results.json", json.dumps(results, indent=2, ensure_ascii=False).encode() + b"\n"
    )
    write_whole(run / "report.md", markdown(results).encode())
    write_whole(run / "report.html", page.encode("utf-8", "replace"))
    return run / "report.html"


def render_page(run: Path, results: Mapping[str, Any]) -> str:
    """The whole page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"csp_hash": csp_hash, "method_class": plots.method_class}
    environment.filters |= {"number": number, "figure": figure}
    environment.filters["without_finite"] = without_finite
    losses = read_losses(run, results)
    return environment.get_template("report.html.j2").render(
        results=results,
        notes=notes(results),
        score_note=SCORE_NOTE,
        sample_table=page_table(sample_header(results), sample_rows(results)),
        sample_note=SAMPLE_NOTE,
        group_table=page_table(group_header(), group_rows(results)),
        group_note=GROUP_NOTE,
        score_plots=[score_plot(results, b, "accuracy") for b in measured(results, "accuracy")]
        + [score_plot(results, b, "compliance") for b in measured(results, "compliance")],
        difference_plots=difference_plots(results),
        difference_table=page_table(difference_header(results), difference_rows(results)),
        difference_notes=[difference_note(results), *difference_remarks(results)],
        beside_table=page_table(beside_header(results), beside_rows(results)),
        loss_chart=plots.loss_chart(losses),
        losses=losses,
        remarks=[LENIENT_NOTE] * graders_differ(results) + list(score_remarks(results)),
        generation_facts=list(generation_facts(results["generation"]))
        if results["generation"]
        else [],
        compute_table=page_table(compute_header(), compute_rows(results)),
        compute_note=COMPUTE_NOTE,
        browsers=browsers(run, results),
    )


def page_table(header: Sequence[str], rows: Iterable[list[str]]) -> dict[str, Any] | None:
    """A table for the page; columns of figures stand to the right, columns of words may wrap. None without rows."""
    lines = list(rows)
    kinds = [
        "words" if name in TEXT_COLUMNS else "figure" if place > 1 else ""
        for place, name in enumerate(header)
    ]
    return {"header": header, "rows": lines, "kinds": kinds} if lines else None


def csp_hash(style: str) -> str:
    """The hash by which the content policy admits the page's own style sheet, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def figure(value: Any) -> str:
    """A training fact: counts in full, measures to three digits, a dash for nothing."""
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def score_plot(results: Mapping[str, Any], benchmark: str, field: str) -> dict[str, Any]:
    """One benchmark: a row a method with its point, interval and figures."""
    axis = (0.0, 100.0)
    rows = []
    for name, method in results["methods"].items():
        score = (method["scores"] or {}).get(benchmark) or {}
        strip = Markup("")
        if score.get(field) is not None:
            figures = (100 * figure for figure in (score[field], *score[f"{field}_interval"]))
            strip = plots.interval_strip(tuple(figures), axis, name)
        rows.append({"method": name, "strip": strip, "text": share_cell(score, field)})
    sizes = {
        method["scores"][benchmark]["problems"]
        for method in results["methods"].values()
        if benchmark in (method["scores"] or {})
    }
    size = "–".join(str(size) for size in sorted(sizes))
    return {
        "benchmark": benchmark,
        "field": field,
        "size": size,
        "rows": rows,
        "axis": plots.axis_labels(axis),
    }


def difference_plots(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Differences of all pairs, on one axis for all benchmarks."""
    comparisons = results["comparisons"]
    ends = [
        100 * comparison["interval"][end] for comparison in comparisons for end in ("low", "high")
    ]
    axis = plots.symmetric_axis(ends)
    by_benchmark: dict[str, list[dict[str, Any]]] = {}
    for comparison in comparisons:
        low, high = (comparison["interval"][end] for end in ("low", "high"))
        figures = tuple(100 * figure for figure in (comparison["difference"], low, high))
        row = {
            "pair": f"{comparison['method']} − {comparison['against']}",
            "strip": plots.interval_strip(figures, axis, comparison["method"]),
            "text": difference_cell(comparison["difference"], low, high),
        }
        by_benchmark.setdefault(comparison["benchmark"], []).append(row)
    labels = plots.axis_labels(axis, signed=True)
    return [
        {"benchmark": name, "rows": rows, "axis": labels} for name, rows in by_benchmark.items()
    ]


def read_losses(run: Path, results: Mapping[str, Any]) -> dict[str, list[float]]:
    """The loss of every step by objective, as far as training came."""
    paths = {name: run / "train" / name / "metrics.jsonl" for name in results["methods"]}
    return {name: step_losses(path) for name, path in paths.items() if path.exists()}


def step_losses(path: Path) -> list[float]:
    """The losses of the whole lines: while a training runs, its last line may be half written."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [float(json.loads(line)["loss"]) for line in whole.splitlines() if line.strip()]


def without_finite(losses: Sequence[float]) -> int:
    """How many steps had no finite loss, and so no place in the chart."""
    return sum(not isfinite(loss) for loss in losses)


def browsers(run: Path, results: Mapping[str, Any]) -> list[Browser]:
    """The sample browsers that have something to show."""
    found = [
        record_browser(run),
        *(problem_browser(run, results, b) for b in results["benchmarks"]),
    ]
    return [browser for browser in found if browser.samples]
