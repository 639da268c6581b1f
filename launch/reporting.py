"""`cgd report`: pages from files alone, of one run, of several side by side, or of a reproduction.

    RUN                  results.json, report.md, report.html in the run folder
    RUN RUN …            the same of each, and one page that compares them (--out)
    runs/reproduce/SCALE overview.md and overview.html of its experiments: claims, ours beside the paper's

A run on benchmarks of the paper has the paper's figures beside its own. Nothing here needs torch or a model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.report import write_report
from evals.report_comparison import write_comparison
from evals.report_results import check_run
from launch.experiments.paper_numbers import read_paper

SHARES = ("accuracy", "accuracy_interval", "compliance", "compliance_interval")
COMPARISON = Path("comparison.html")
"""Where runs are compared unless --out says otherwise."""


def report_runs(runs: Sequence[Path], out: Path | None, as_json: bool) -> None:
    """Writes what the folders ask for and prints where it is. Raises ValueError for what is no run."""
    check(runs, out)
    if len(runs) == 1 and is_reproduction(runs[0]):
        pages: dict[str, Any] = {"overview": str(overview_of(runs[0]))}
    else:
        written = [write_run_report(run) for run in runs]
        results = [read_results(run) for run in runs]
        pages = {"runs": [told_of(*one) for one in zip(written, runs, results, strict=True)]}
        if len(runs) > 1:
            pages["comparison"] = str(write_comparison(runs, out or COMPARISON, results))
    if as_json:
        print(json.dumps(pages, indent=2, ensure_ascii=False))
        return
    for told in pages.get("runs", ()):
        missing = f"; not there yet: {', '.join(told['missing'])}" if told["missing"] else ""
        print(f"report: {told['page']}{missing}")
    for name in ("comparison", "overview"):
        if name in pages:
            print(f"{name}: {pages[name]}")


def check(runs: Sequence[Path], out: Path | None) -> None:
    """Everything that can be wrong with the arguments, before anything is written."""
    for run in runs:
        if not is_reproduction(run):
            check_run(run)
    same = [
        run
        for place, run in enumerate(runs)
        if run.resolve() in {r.resolve() for r in runs[:place]}
    ]
    if same:
        raise ValueError(f"{same[0]} is named twice")
    if out is not None and len(runs) == 1:
        raise ValueError(
            "--out is where several runs are compared; the report of one run lies in its folder"
        )
    if out is not None and out.suffix != ".html":
        raise ValueError(f"--out must end in .html, got {out}")
    if len(runs) > 1 and (mixed := [run for run in runs if is_reproduction(run)]):
        raise ValueError(f"{mixed[0]} is a folder of experiments; report it alone")


def write_run_report(run: Path) -> Path:
    """The report of one run, with the paper's accuracies beside ours where both have a benchmark."""
    students = {name: rows for name, rows in read_paper()["table1"].items() if name != "setting"}
    return write_report(run, students)


def read_results(run: Path) -> dict[str, Any]:
    """What the report of a run has just left."""
    return dict(json.loads((run / "results.json").read_text(encoding="utf-8")))


def told_of(page: Path, run: Path, results: dict[str, Any]) -> dict[str, Any]:
    """The files of one run and its headline figures."""
    return {
        "run": str(run),
        "page": str(page),
        "text": str(run / "report.md"),
        "results": str(run / "results.json"),
        "headline": results["headline"],
        "methods": {
            name: {
                benchmark: {key: score[key] for key in SHARES if score.get(key) is not None}
                for benchmark, score in (method["scores"] or {}).items()
            }
            for name, method in results["methods"].items()
        },
        "missing": results["missing"],
    }


def is_reproduction(folder: Path) -> bool:
    """Whether it holds experiments' results, and is no run itself."""
    if (folder / "config.toml").exists() or (folder / "evals").exists():
        return False
    return any(folder.glob("*/results.json")) or any(folder.glob("table*.json"))


def overview_of(folder: Path) -> Path:
    """The page of all experiments of a scale."""
    from launch.experiments.overview import write_overview  # needs every measure's code

    return write_overview(folder).with_suffix(".html")
