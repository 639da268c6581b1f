"""The headline: on every benchmark what training changed, in one card, and who was best.

    comparisons → the method of the headline against the student before training → a card a benchmark

The method is cgd where it was evaluated, else the last of those that were trained. A card also names the highest of all
methods, so a headline never hides that another one came out above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evals.report_cells import interval_cell, percent, points
from evals.report_comparisons import METHOD
from evals.report_marks import BASE, Json
from evals.report_tables import Results

CARDS = 12
"""At most so many: a page with more benchmarks has the plots right below."""


def headline(results: Results) -> list[Json]:
    """One card a benchmark."""
    scored = {name: method["scores"] or {} for name, method in results["methods"].items()}
    trained = [name for name, scores in scored.items() if scores and name != BASE]
    chosen = METHOD if METHOD in trained else [BASE, *trained][-1]
    cards = (card(results, scored, chosen, name) for name in results["benchmarks"])
    return [one for one in cards if one is not None][:CARDS]


def card(results: Results, scored: Mapping[str, Json], method: str, benchmark: str) -> Json | None:
    """The method's share on one benchmark, the change from the student, and the highest of all."""
    field, shares = next(shares_of(scored, benchmark), (None, {}))
    if field is None or method not in shares:
        return None
    best = max(shares.values())
    told = {
        "benchmark": benchmark,
        "measure": "right answers" if field == "accuracy" else "instructions obeyed",
        "method": method,
        "share": percent(shares[method]),
        "before": percent(shares[BASE]) if BASE in shares and method != BASE else None,
        "highest": [name for name, share in shares.items() if share == best],
        "best": percent(best),
        "of": len(shares),
        "change": None,
        "interval": None,
        "verdict": None,
    }
    for one in results["comparisons"]:
        if (one["benchmark"], one["method"], one["against"]) == (benchmark, method, BASE):
            told["change"] = points(one["difference"])
            told["interval"] = interval_cell(one["interval"]["low"], one["interval"]["high"])
            told["verdict"] = one["verdict"]
    return told


def shares_of(scored: Mapping[str, Json], benchmark: str) -> Iterator[tuple[str, dict[str, float]]]:
    """(measure, share by method): accuracies, or where none are there compliances."""
    for field in ("accuracy", "compliance"):
        shares = {
            name: scores[benchmark][field]
            for name, scores in scored.items()
            if scores.get(benchmark, {}).get(field) is not None
        }
        if shares:
            yield field, shares


def headline_lines(cards: list[dict[str, Any]]) -> Iterator[str]:
    """The cards as sentences, for report.md."""
    for one in cards:
        line = f"**{one['benchmark']}** ({one['measure']}): {one['method']} {one['share']}"
        if one["before"]:
            line += f", before training {one['before']}"
        if one["change"]:
            line += f", {one['change']} points {one['interval']}, {one['verdict']}"
        if one["of"] > 1:
            line += f"; highest of {one['of']}: {' and '.join(one['highest'])} {one['best']}"
        yield line + "."
