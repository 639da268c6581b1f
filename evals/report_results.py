"""What a run folder says, as one dictionary: the content of results.json and the source of every table.

    config.toml, evals/*/{scores.json, BENCHMARK.jsonl}, train/*/summary.json, data/*, diagnostics/* → results

Only artifacts are read, so a report can be made anywhere the folder is copied to, and of a run that is not
finished: what is missing is listed, the rest is reported.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datagen.records import Record
from evals.benchmarks import BUILT_IN
from evals.report_comparisons import comparisons
from evals.report_compute import compute_results
from evals.report_diagnostics import diagnostic_results
from evals.report_flow import flow_results
from evals.report_generation import generation_results, read_last_records
from evals.report_groups import group_averages
from evals.report_headline import headline
from evals.report_lengths import length_results
from evals.report_marks import BASE, Json, read_marks
from evals.report_training import parts_of, training_results

METHOD_ORDER = (BASE, "sft", "distilled_sft", "cft", "cgd_no_critique", "cgd")
PARTS = ("config.toml", "data", "train", "evals", "diagnostics")
"""A run folder has one of these at least."""
TRAINING_FIELDS = ("steps", "examples", "train_seconds", "final_loss", "too_long", "no_target")


def collect_results(run: Path, records: Sequence[Record] | None = None) -> Json:
    """Everything the report states about a run. `records` are its last ones, where the caller has them already."""
    check_run(run)
    records = read_last_records(run) if records is None else records
    config = read_config(run)
    expected = expected_methods(config)
    methods = {name: method_results(run, name) for name in ordered_methods(run, expected)}
    benchmarks = ordered_benchmarks(methods)
    evaluated = [name for name, method in methods.items() if method["scores"]]
    compared = comparisons(read_marks(run, evaluated, benchmarks), evaluated, benchmarks)
    generation = generation_results(run, records)
    trainings = training_results(run, METHOD_ORDER)
    results: Json = {
        "run": {
            "name": config.get("run", {}).get("name") or run.resolve().name,
            "rounds": len(list(parts_of(run))) - 1,
            "seed": config.get("run", {}).get("seed"),
            "student": config.get("student", {}).get("model"),
            "teacher": config.get("teacher", {}).get("model")
            or config.get("teacher", {}).get("script"),
        },
        "built_in_world": any(name in BUILT_IN for name in benchmarks),
        "benchmarks": benchmarks,
        "methods": methods,
        "groups": group_averages(methods, compared),
        "comparisons": compared,
        "generation": generation,
        "flow": flow_results(run, generation, trainings),
        "trainings": trainings,
        "diagnostics": diagnostic_results(run, METHOD_ORDER),
        "compute": compute_results(run),
        "missing": missing_parts(methods, expected),
    }
    return results | {
        "headline": headline(results),
        "lengths": length_results(run, records, results),
    }


def check_run(run: Path) -> None:
    """Raises ValueError for what is no run folder."""
    if not run.is_dir():
        if run.exists():
            raise ValueError(f"{run} is a file; name a run folder, runs/NAME or its run.dir")
        raise ValueError(f"{run}: there is no such run folder")
    if not any((run / part).exists() for part in PARTS):
        raise ValueError(
            f"{run} is no run folder: it holds none of {', '.join(PARTS)}; a run's is runs/NAME, or its run.dir"
        )


def read_config(run: Path) -> Json:
    """The resolved configuration; a folder without one has an empty one."""
    path = run / "config.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def expected_methods(config: Mapping[str, Any]) -> list[str]:
    """The base student, and every objective that the configuration trains."""
    trained = config.get("train", {}).get("objective")
    objectives = config.get("pipeline", {}).get("objectives") or ([trained] if trained else [])
    return [BASE, *objectives]


def ordered_methods(run: Path, expected: Sequence[str]) -> list[str]:
    """All methods that were asked for or left a trace, in the order of the paper."""
    traces = [path.parent.name for path in (*run.glob("evals/*/*"), *run.glob("train/*/*"))]
    names = set(expected) | set(traces)
    known = [name for name in METHOD_ORDER if name in names]
    return known + sorted(names - set(known))


def method_results(run: Path, name: str) -> Json:
    """Scores and training facts of one method; null for what is not there."""
    scores = read_json(run / "evals" / name / "scores.json")
    training = read_json(run / "train" / name / "summary.json")
    facts = {key: training[key] for key in TRAINING_FIELDS if key in training} if training else None
    return {"scores": scores["benchmarks"] if scores else None, "training": facts}


def read_json(path: Path) -> Json | None:
    """A JSON object, or None where there is no file. Files are renamed into place, so they are whole."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def ordered_benchmarks(methods: Mapping[str, Json]) -> list[str]:
    """Every benchmark that any method has, in the order they were run."""
    return list(
        dict.fromkeys(name for method in methods.values() for name in method["scores"] or ())
    )


def missing_parts(methods: Mapping[str, Json], expected: Sequence[str]) -> list[str]:
    """What a finished run would have, in words."""
    missing = []
    for name, method in methods.items():
        if method["scores"] is None:
            missing.append(f"{name}: not evaluated")
        if method["training"] is None and name != BASE and name in expected:
            missing.append(f"{name}: training not finished")
    return missing
