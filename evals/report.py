"""The report of a run: results.json, report.md and report.html, made from the run folder's files alone.

    artifacts → collect_results → results.json → report.md
                              ↘ drawings, samples → report.html

report.html is one file that loads nothing: styles inside, drawings as inline SVG, no script at all. Everything a
model wrote is untrusted: the template escapes it and shows its hidden characters, and the page's content policy
forbids scripts and fetches even if something slipped through (report_page.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from datagen.records import Record, write_whole
from evals import plots
from evals.report_compute import COMPUTE_NOTE, compute_header, compute_rows
from evals.report_diagnostics import diagnostic_header, diagnostic_rows
from evals.report_drawings import (
    diagnostic_plots,
    difference_plots,
    flow_plot,
    length_plots,
    score_plots,
)
from evals.report_filters import filters, rules
from evals.report_generation import read_last_records
from evals.report_lengths import length_header, length_rows
from evals.report_marks import Json
from evals.report_page import page_environment, page_table
from evals.report_paper import PAPER_NOTE, Paper, experiment_pages, paper_header, paper_rows
from evals.report_results import METHOD_ORDER, check_run, collect_results
from evals.report_samples import classes, methods_of, sample_sets
from evals.report_tables import (
    beside_header,
    beside_rows,
    difference_header,
    difference_rows,
    graders_differ,
    group_header,
    group_rows,
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
from evals.report_training import Curve, read_curves, training_header, training_rows

__all__ = ["summary_table", "write_report"]

SECTIONS = {
    "results": ("Results", "score_plots"),
    "paper": ("Paper", "paper_table"),
    "differences": ("Differences", "difference_plots"),
    "training": ("Training", "loss_chart"),
    "generation": ("Data", "flow"),
    "lengths": ("Lengths", "length_plots"),
    "diagnostics": ("Diagnostics", "diagnostics"),
    "compute": ("Compute", "compute_table"),
    "samples": ("Samples", "sample_sets"),
}
"""Id → name, and the value of the template without which there is no such section."""


def write_report(run: Path, paper: Paper | None = None) -> Path:
    """Writes the three files into the run folder and returns the path of the page. `paper` holds the paper's own
    accuracies, by student, method and benchmark."""
    check_run(run)
    records = read_last_records(run)
    results = collect_results(run, records)
    page = render_page(run, records, results, paper or {})
    content = json.dumps(results, indent=2, ensure_ascii=False).encode("utf-8", "replace")
    write_whole(run / "results.json", content + b"\n")
    write_whole(run / "report.md", markdown(results, paper or {}).encode("utf-8", "replace"))
    write_whole(run / "report.html", page.encode())
    return run / "report.html"


def render_page(
    run: Path, records: Sequence[Record], results: Mapping[str, Any], paper: Paper
) -> str:
    """The whole page as text."""
    values = {
        **result_values(results, paper),
        **training_values(run, results),
        **data_values(results),
        **sample_values(run, records, results),
        "experiment_pages": experiment_pages(run),
        "notes": notes(results),
    }
    sections = [(id, name) for id, (name, value) in SECTIONS.items() if values[value]]
    template = page_environment().get_template("report.html.j2")
    return template.render(results=results, sections=sections, **values)


def result_values(results: Mapping[str, Any], paper: Paper) -> Json:
    """What was measured: accuracies, averages, differences."""
    return {
        "score_plots": score_plots(results),
        "score_note": SCORE_NOTE,
        "sample_table": page_table(sample_header(results), sample_rows(results), words=3),
        "sample_note": SAMPLE_NOTE,
        "group_table": page_table(group_header(), group_rows(results)),
        "group_note": GROUP_NOTE,
        "beside_table": page_table(beside_header(results), beside_rows(results)),
        "remarks": [LENIENT_NOTE] * graders_differ(results) + list(score_remarks(results)),
        "paper_table": page_table(paper_header(paper), paper_rows(results, paper)),
        "paper_note": PAPER_NOTE,
        "difference_plots": difference_plots(results["comparisons"]),
        "difference_table": page_table(difference_header(results), difference_rows(results)),
        "difference_notes": [difference_note(results), *difference_remarks(results)],
        "compute_table": page_table(compute_header(), compute_rows(results)),
        "compute_note": COMPUTE_NOTE,
    }


def training_values(run: Path, results: Mapping[str, Any]) -> Json:
    """Curves and facts of trainings."""
    curves = read_curves(run, METHOD_ORDER)
    entries = list(curve_entries(curves))
    losses = [(name, style, c.losses) for c, (name, style, _) in zip(curves, entries, strict=True)]
    norms = [
        (name, style, c.grad_norms) for c, (name, style, _) in zip(curves, entries, strict=True)
    ]
    return {
        "loss_chart": plots.curve_chart("Training loss", losses),
        "norm_chart": plots.curve_chart("Gradient norm", norms),
        "curve_entries": entries,
        "training_table": page_table(training_header(), training_rows(results["trainings"]), "", 1),
    }


def curve_entries(curves: Sequence[Curve]) -> Iterator[tuple[str, str, str]]:
    """(name, style class, remark) of each curve: methods have their own, rounds of one method take them in turn."""
    own = [plots.method_class(curve.name) for curve in curves]
    styles = own if len(set(own)) == len(own) else [plots.run_class(n) for n in range(len(own))]
    for curve, style in zip(curves, styles, strict=True):
        lacking = curve.not_finite
        yield curve.name, style, f"{lacking:,} steps without a finite loss" if lacking else ""


def data_values(results: Mapping[str, Any]) -> Json:
    """The flow of data, lengths of texts and diagnostics."""
    generation = results["generation"]
    return {
        "flow": flow_plot(results["flow"]),
        "generation_facts": list(generation_facts(generation)) if generation else [],
        "length_plots": length_plots(results["lengths"]),
        "length_table": page_table(length_header(), length_rows(results["lengths"])),
        "diagnostics": [
            {
                **{"name": name, "source": entry["source"], "definition": entry["definition"]},
                "plots": diagnostic_plots(name, entry),
                "table": page_table(diagnostic_header(entry), diagnostic_rows(entry), "", 1),
                "notes": list(diagnostic_notes(entry)),
            }
            for name, entry in results["diagnostics"].items()
        ],
    }


def diagnostic_notes(entry: Mapping[str, Any]) -> Iterator[str]:
    """The notes of all models; one that several share stands once."""
    said: dict[str, list[str]] = {}
    for model, told in entry["models"].items():
        for note in told["notes"]:
            said.setdefault(note, []).append(model)
    for note, models in said.items():
        yield note if len(models) == len(entry["models"]) else f"{', '.join(models)}: {note}"


def sample_values(run: Path, records: Sequence[Record], results: Mapping[str, Any]) -> Json:
    """The browser of samples and its filters."""
    sets = sample_sets(run, records, results)
    methods = methods_of(sets)
    return {
        "sample_sets": sets,
        "methods": methods,
        "sample_classes": lambda sample, place, is_records: " ".join(
            classes(sample, place, is_records, methods)
        ),
        "filters": filters(sets) if sets else [],
        "filter_rules": Markup(rules(sets) if sets else ""),
    }
