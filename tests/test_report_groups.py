"""Averages of groups: recomputed from what was evaluated, and never over members that are not there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from random import Random

import pytest

from datagen.generators import Completion, Request, Sampling
from evals.report import write_report
from evals.report_groups import GROUPS, group_averages
from evals.report_results import collect_results
from evals.report_tables import group_header, group_rows, sample_header, sample_rows
from evals.run import EvaluateConfig, evaluate

SIZES = {"math500": 30, "gsm8k": 20, "amc23": 10}


class Half:
    """Right with a probability of its own; the answer is in the problem's id."""

    def __init__(self, name: str, share: float) -> None:
        self.identity = {"backend": "test", "model": name, "revision": ""}
        self.share = share

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, done: AbstractSet[int] = frozenset()
    ) -> Iterator[tuple[int, Completion]]:
        for index, request in enumerate(requests):
            right = Random(f"{self.identity} {request.id} {request.seed}").random() < self.share
            answer = request.id.rpartition("-")[2] if right else "-1"
            yield index, Completion(f"\\boxed{{{answer}}}", "stop", 9, 12, 0.1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two models on three of the five benchmarks of the first group; four samples of two seeds each."""
    folder = tmp_path / "run"
    folder.mkdir()
    files = []
    for name, size in SIZES.items():
        rows = [{"id": f"{name}-{n}", "problem": f"say {n}", "answer": str(n)} for n in range(size)]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        files.append(f"{name}={path}")
    config = EvaluateConfig(benchmarks=tuple(files), samples=4, seeds=(0, 1), temperature=0.6)
    for name, share in (("base", 0.3), ("cgd", 0.5)):
        evaluate(name, Half(name, share), config, folder / "evals", say=lambda _: None)
    return folder


def test_every_benchmark_weighs_the_same_and_what_is_missing_is_named(run: Path) -> None:
    results = collect_results(run)
    for entry in results["groups"]:
        scores = results["methods"][entry["method"]]["scores"]
        accuracies = [scores[name]["accuracy"] for name in SIZES]
        assert entry["average"] == pytest.approx(sum(accuracies) / 3)
        assert entry["interval"][0] < entry["average"] < entry["interval"][1]
        assert (entry["members"], entry["missing"]) == (
            ["math500", "gsm8k", "amc23"],
            ["minerva_math", "olympiadbench"],
        )
    assert [(entry["group"], entry["method"]) for entry in results["groups"]] == [
        ("Group 1", "base"),
        ("Group 1", "cgd"),
    ]


def test_the_difference_of_averages_is_of_paired_differences(run: Path) -> None:
    base, cgd = collect_results(run)["groups"]
    assert "difference" not in base
    assert cgd["difference"] == pytest.approx(cgd["average"] - base["average"])
    low, high = cgd["difference_interval"]
    assert 0 < low < cgd["difference"] < high
    assert cgd["difference_members"] == ["math500", "gsm8k", "amc23"]


def test_a_difference_over_fewer_members_says_which() -> None:
    def score(accuracy: float) -> dict[str, object]:
        return {"accuracy": accuracy, "accuracy_interval": [accuracy - 0.1, accuracy + 0.1]}

    theoremqa, mmlu = {"theoremqa": score(0.5)}, {"mmlu_pro": score(0.3)}
    methods = {"base": {"scores": theoremqa}, "cgd": {"scores": theoremqa | mmlu}}
    compared = {"method": "cgd", "against": "base", "benchmark": "theoremqa", "measure": "correct"}
    compared |= {"difference": 0.0, "interval": {"low": -0.1, "high": 0.1}}
    groups = group_averages(methods, [compared])
    assert [entry["average"] for entry in groups] == [0.5, pytest.approx(0.4)]
    rows = list(group_rows({"groups": groups}))
    shown = dict(zip(group_header(), rows[1], strict=True))
    assert shown["over"] == "theoremqa, mmlu_pro"
    assert shown["missing"] == "gpqa"
    assert shown["Δ to base (95 %)"].endswith("(over theoremqa)")


def test_groups_are_those_of_the_paper() -> None:
    assert [len(members) for members in GROUPS.values()] == [5, 3]


def test_sampled_figures_are_in_both_reports(run: Path) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    text = (run / "report.md").read_text(encoding="utf-8")
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    rows = list(sample_rows(results))
    assert [row[:3] for row in rows if row[0] == "gsm8k"] == [
        ["gsm8k", "4 × 2", figure] for figure in ("pass@1", "pass@2", "pass@4", "maj@2", "maj@4")
    ]
    assert sample_header(results)[3:] == ["base", "cgd"]
    whole = results["methods"]["cgd"]["scores"]["gsm8k"]["pass_at"]["4"]
    assert whole["interval"][0] < whole["mean"] < whole["interval"][1]
    cell = f"{100 * whole['mean']:.1f} ± {100 * whole['std']:.1f} %"
    assert cell in page
    assert cell in text
    assert "Averages of groups" in page
    assert "| Group 1 | cgd |" in text
    assert "mean steps" in text
    assert "mean steps" in page
