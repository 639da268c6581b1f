"""Ours beside the paper's: where a run was evaluated on a benchmark of the paper, its figures stand next to it.

    {student: {method: {benchmark: percent}}} → a row a benchmark and method that both have

The caller hands the paper's figures in: they are no artifact of the run. A run that belongs to a reproduction has links
to the experiments' own pages, which set ours and the paper's side by side with claims and verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from evals.report_cells import points, share_cell
from evals.report_marks import BASE
from evals.report_tables import Results

Paper = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Student → method → benchmark, as the paper calls it → accuracy in percent."""

CALLED = {
    "math500": "MATH500",
    "minerva_math": "Minerva-Math",
    "gsm8k": "GSM8K",
    "olympiadbench": "OlympiadBench",
    "amc23": "AMC23",
    "theoremqa": "TheoremQA",
    "gpqa": "GPQA",
    "mmlu_pro": "MMLU-Pro",
}
"""Our benchmarks by the paper's names."""
PAPER_NOTE = (
    "In brackets the change from the student before training. The paper's figures are of its own students, teacher and "
    "100,000 prompts (arXiv 2505.11628v4, Table 1): with others, compare directions, not heights."
)


def paper_header(paper: Paper) -> list[str]:
    """Of the table."""
    return ["benchmark", "method", "ours (95 %)", "ours, Δ", *(f"paper: {name}" for name in paper)]


def paper_rows(results: Results, paper: Paper) -> Iterator[list[str]]:
    """One row for each benchmark and method that the paper has, too."""
    for benchmark in results["benchmarks"]:
        called = CALLED.get(benchmark, "")
        for name, method in results["methods"].items():
            score = (method["scores"] or {}).get(benchmark) or {}
            told = [told_cell(rows, name, called) for rows in paper.values()]
            if score.get("accuracy") is not None and any(cell != "-" for cell in told):
                change = change_cell(results, benchmark, name)
                yield [benchmark, name, share_cell(score, "accuracy"), change, *told]


def told_cell(rows: Mapping[str, Mapping[str, float]], method: str, called: str) -> str:
    """54.2 (+3.6)"""
    own, before = (rows.get(name, {}).get(called) for name in (method, BASE))
    if own is None:
        return "-"
    if before is None or method == BASE:
        return f"{own:.1f}"
    return f"{own:.1f} ({points((own - before) / 100)})"


def change_cell(results: Results, benchmark: str, method: str) -> str:
    """Ours from the student before training."""
    for one in results["comparisons"]:
        if (one["benchmark"], one["method"], one["against"]) == (benchmark, method, BASE):
            return points(one["difference"])
    return "-"


def experiment_pages(run: Path) -> list[tuple[str, str]]:
    """(name, relative path) of the experiments' pages, for a run in a reproduction's pool: SCALE/pool/KIND/RUN."""
    scale = run.resolve().parent.parent.parent
    if not (scale / "pool").is_dir() or run.resolve().parent.parent.name != "pool":
        return []
    pages = sorted(path for path in scale.glob("*/report.html"))
    return [(page.parent.name, f"../../../{page.parent.name}/report.html") for page in pages]
