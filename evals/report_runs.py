"""Several runs on one page: what was set otherwise, what came out, and how sure the difference is.

    run folders → collect_results of each → settings that differ, scores side by side, pairs on the same problems

Each later run is compared with the first, method by method, on the problems that both were asked in the same words;
p is corrected by Holm's method for all comparisons of the page. Nothing but the folders is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.config import flatten
from evals.report_cells import difference_cell, number, p_value, share_cell
from evals.report_comparisons import compare_marks, verdict
from evals.report_diagnostics import cell, stems
from evals.report_marks import Json, Mark, read_marks
from evals.report_results import METHOD_ORDER, collect_results, read_config
from evals.statistics import holm

UNCOMPARED = ("run.name", "run.dir")
"""Keys that differ between any two runs."""


def collect_comparison(runs: Sequence[Path], results: Sequence[Json] = ()) -> Json:
    """Everything that the page of these runs states. Raises ValueError for fewer than two of them. `results` are those
    of each run, where the caller has them already."""
    if len(runs) < 2:
        raise ValueError("a comparison needs two runs or more")
    results = results or [collect_results(run) for run in runs]
    labels = labels_of(runs, [one["run"]["name"] for one in results])
    benchmarks = list(dict.fromkeys(name for one in results for name in one["benchmarks"]))
    names = {name for one in results for name in one["methods"]}
    methods = [name for name in METHOD_ORDER if name in names]
    methods += sorted(names - set(methods))
    differing, same = settings(runs, labels)
    return {
        "runs": [
            {"label": label, "folder": str(run), **one["run"], "missing": one["missing"]}
            for label, run, one in zip(labels, runs, results, strict=True)
        ],
        "settings": differing,
        "settings_alike": same,
        "benchmarks": benchmarks,
        "methods": methods,
        "results": list(results),
        "comparisons": compared_runs(runs, labels, methods, benchmarks),
    }


def labels_of(runs: Sequence[Path], names: Sequence[str]) -> list[str]:
    """The runs' names; where two have the same one, all of them with their folders. Equal folders are one run."""
    if len({run.resolve() for run in runs}) < len(runs):
        raise ValueError("a comparison needs different runs; one is named twice")
    if len(set(names)) == len(names):
        return list(names)
    return [f"{name} ({run})" for name, run in zip(names, runs, strict=True)]


def settings(runs: Sequence[Path], labels: Sequence[str]) -> tuple[Json, int]:
    """Key → value by run, of keys that are not alike in all; and how many are alike."""
    flat = [flatten(read_config(run)) for run in runs]
    keys = sorted({key for one in flat for key in one} - set(UNCOMPARED))
    differing = {key for key in keys if len({repr(one.get(key)) for one in flat}) > 1}
    return {
        key: {label: one.get(key) for label, one in zip(labels, flat, strict=True)}
        for key in keys
        if key in differing
    }, len(keys) - len(differing)


def compared_runs(
    runs: Sequence[Path], labels: Sequence[str], methods: Sequence[str], benchmarks: Sequence[str]
) -> list[Json]:
    """Every later run against the first, for each method and benchmark that both have."""
    marks = [read_marks(run, methods, benchmarks) for run in runs]
    found = []
    for benchmark in benchmarks:
        for method in methods:
            for place in range(1, len(runs)):
                own, first = marks[place][method, benchmark], marks[0][method, benchmark]
                result = None if alike(own, first) else compare_marks(own, first)
                if result is not None:
                    found.append((benchmark, method, place, *result))
    corrected = holm([result.p_value for *_, result, _ in found])
    return [
        {
            **{"benchmark": benchmark, "method": method, "run": labels[place], "place": place},
            **{"against": labels[0], "measure": measure, **asdict(result), "p_holm": p_holm},
            "verdict": verdict(result, p_holm, len(found)),
            "problems_left_out": left_out,
        }
        for (benchmark, method, place, measure, result, left_out), p_holm in zip(
            found, corrected, strict=True
        )
    ]


def alike(own: Mapping[str, Mark], first: Mapping[str, Mark]) -> bool:
    """Whether both did the same wherever both were asked, as the same student before training does: nothing to test."""
    common = own.keys() & first.keys()
    return bool(common) and all(own[name] == first[name] for name in common)


def settings_header(told: Json) -> list[str]:
    """Of the table of settings."""
    return ["key", *(run["label"] for run in told["runs"])]


def settings_rows(told: Json) -> Iterator[list[str]]:
    """One row a key; a dash where a run's configuration does not have it."""
    for key, values in told["settings"].items():
        yield [key, *map(setting_cell, values.values())]


def setting_cell(value: Any) -> str:
    """A value of a configuration; a dash for none."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "-" if value is None else str(value)


def score_header(told: Json) -> list[str]:
    """Of the table of shares."""
    return ["benchmark", "method", *(run["label"] for run in told["runs"])]


def score_rows(told: Json) -> Iterator[list[str]]:
    """One row for each benchmark and method, the runs side by side."""
    for benchmark, method, field in measured_pairs(told):
        yield [
            benchmark,
            method,
            *(share_cell(one, field) for one in scores(told, benchmark, method)),
        ]


def measured_pairs(told: Json) -> Iterator[tuple[str, str, str]]:
    """(benchmark, method, measure) of all that any run has."""
    for benchmark in told["benchmarks"]:
        for method in told["methods"]:
            for field in ("accuracy", "compliance"):
                if any(one.get(field) is not None for one in scores(told, benchmark, method)):
                    yield benchmark, method, field


def scores(told: Json, benchmark: str, method: str) -> list[Json]:
    """The scores of one method on one benchmark, by run; empty where a run has none."""
    return [
        ((results["methods"].get(method) or {}).get("scores") or {}).get(benchmark) or {}
        for results in told["results"]
    ]


def pair_header() -> list[str]:
    """Of the table of differences."""
    return [
        *("benchmark", "method", "run − first", "points (95 %)", "p", "p (Holm)"),
        *("n", "left out", "verdict"),
    ]


def pair_rows(told: Json) -> Iterator[list[str]]:
    """One row a comparison."""
    for one in told["comparisons"]:
        interval = one["interval"]
        yield [
            *(one["benchmark"], one["method"], f"{one['run']} − {one['against']}"),
            difference_cell(one["difference"], interval["low"], interval["high"]),
            *(p_value(one["p_value"]), p_value(one["p_holm"])),
            *(f"{one['problems']:,}", f"{one['problems_left_out']:,}", one["verdict"]),
        ]


def effort_header(told: Json) -> list[str]:
    """Of the table of lengths, data and compute."""
    return ["measure", *(run["label"] for run in told["runs"])]


def effort_rows(told: Json) -> Iterator[list[str]]:
    """Mean words of answers, training, records, device-hours, FLOPs and tokens, as far as known."""
    for benchmark in told["benchmarks"]:
        for method in told["methods"]:
            words = [one.get("mean_words") for one in scores(told, benchmark, method)]
            if any(value is not None for value in words):
                yield [f"mean words, {benchmark}, {method}", *map(number, words)]
    for step in dict.fromkeys(one["step"] for r in told["results"] for one in r["flow"]):
        flows = [{one["step"]: one for one in results["flow"]} for results in told["results"]]
        counts = (
            f"{one[step]['into']:,} → {one[step]['out']:,}" if step in one else "-" for one in flows
        )
        yield [f"records, {step}", *counts]
    for name, figure in (
        ("device-seconds", "device_seconds"),
        ("FLOPs", "flops"),
        ("tokens", "tokens"),
    ):
        form = ".3g" if figure == "flops" else ",.0f"
        known = [
            [e[figure] for e in r["compute"] if e[figure] is not None] for r in told["results"]
        ]
        yield [name, *(f"{sum(values):{form}}" if values else "-" for values in known)]


def diagnostic_header(told: Json) -> list[str]:
    """Of the table of diagnostics."""
    return ["diagnostic", "model", "figure", *(run["label"] for run in told["runs"])]


def diagnostic_rows(told: Json) -> Iterator[list[str]]:
    """One row a figure that any run has."""
    found = [results["diagnostics"] for results in told["results"]]
    for name in sorted({name for one in found for name in one}):
        by_run: list[dict[str, Any]] = [one.get(name, {}).get("models", {}) for one in found]
        for model in dict.fromkeys(model for models in by_run for model in models):
            figures = [models.get(model, {}).get("figures", {}) for models in by_run]
            for stem in dict.fromkeys(stem for one in figures for stem in stems(one)):
                yield [name, model, stem, *(cell(one, stem) for one in figures)]
