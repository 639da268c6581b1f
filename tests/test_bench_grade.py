"""Claims: the grading bench counts what it says, and a grader that hangs, raises or dies costs one case."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

import launch.bench_grade as bench
from launch.bench_grade import Graded, Worker, disagreements, read_cases, run_bench, table
from launch.cli import main, parser

CASES = [
    {"pred": "\\boxed{5}", "gold": "5", "label": True},
    {"pred": "\\boxed{6}", "gold": "5", "label": False},
    {"pred": "\\boxed{0.5}", "gold": "1/2", "label": True},
    {"pred": "It is 8.", "gold": "9", "label": True, "contested": True},
    {"pred": "no idea", "gold": "5"},
]


def write_cases(path: Path, cases: list[dict[str, object]]) -> str:
    """A file of cases."""
    path.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    return str(path)


def graded(*corrects: bool | None, seconds: float = 0.001) -> list[Graded]:
    """What a grader said, all in the same time."""
    return [Graded(correct, f"said {correct}", seconds) for correct in corrects]


def test_the_table_counts_agreement_and_both_errors() -> None:
    labels = [True, True, True, False, False, None]
    cases = [{"pred": "1", "gold": "1", "label": label} for label in labels]
    says = graded(True, False, None, True, False, True)
    line = table(cases, {"ours": says}, 10).splitlines()[2].split()
    assert line[:5] == ["ours", "40.0", "%", "(2/5)", "1"]  # agreement and false "correct"
    assert line[5] == "1"  # false "wrong": a failed case is neither
    assert line[-1] == "1"  # failed


def test_contested_and_absent_labels_do_not_count_and_are_named() -> None:
    text = table(CASES, {"ours": graded(True, False, True, False, False)}, 10)
    assert "labels that count: 2 correct, 1 wrong (1 rows contested, 1 without a label)" in text
    assert "100.0 % (3/3)" in text


def test_times_are_medians_and_percentiles_of_cases() -> None:
    cases = [{"pred": "1", "gold": "1"}] * 20
    says = [Graded(True, "correct", 0.001 * n) for n in range(1, 20)] + graded(True, seconds=2.0)
    line = table(cases, {"ours": says}, 10).splitlines()[2].split()
    assert line[1] == "-"  # no label, no agreement
    assert line[-5:] == ["10.50", "19.0", "2000", "1", "0"]


def test_disagreements_are_listed_with_what_was_said() -> None:
    says = {
        "ours": graded(True, True, True, False, False),
        "peer": graded(True, False, None, True, False),
    }
    text = disagreements(CASES, says)
    assert [line.split(":")[0] for line in text.splitlines() if line.startswith("row")] == [
        "row 2 ", "row 3 ", "row 4 ",
    ]  # fmt: skip
    assert "label wrong" in text
    assert "label contested" in text
    assert "gold: 1/2" in text
    assert disagreements(CASES[:1], {"ours": graded(True)}) == "no disagreements"


def test_a_file_is_graded_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_cases(tmp_path / "cases.jsonl", CASES)
    assert main(["bench", "grade", file, "--list"]) == 0
    printed = capsys.readouterr().out
    assert "5 rows; labels that count: 2 correct, 1 wrong" in printed
    assert "100.0 % (3/3)" in printed
    assert "no disagreements" in printed
    assert "ours said: " in printed


def test_compat_stands_beside_and_every_row_has_its_own_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        {"pred": "\\boxed{50}", "gold": "0.5", "label": False},
        {"pred": "The answer is (B).", "gold": "B", "choices": 4, "label": True},
        {"pred": "x^2+1", "gold": "1+x^2", "form": "bare", "label": True},
        {"pred": "\\boxed{2^{10^{9}}}", "gold": "5", "label": False},
    ]
    assert main(["bench", "grade", write_cases(tmp_path / "cases.jsonl", cases), "--list"]) == 0
    printed = capsys.readouterr().out
    (line,) = (line for line in printed.splitlines() if line.startswith("compat  "))
    assert line.split()[1:4] == ["75.0", "%", "(3/4)"]
    assert "ours and compat say the same of 3 of 4 rows" in printed
    assert "1 left to ours" in printed
    assert printed.count("row 1 ") == printed.count("row ") == 1


def test_bad_files_are_explained(tmp_path: Path) -> None:
    file = write_cases(tmp_path / "cases.jsonl", [{"pred": "1", "gold": "1", "label": "yes"}])
    with pytest.raises(ValueError, match="row 1: 'label' must be true, false or absent"):
        list(read_cases(file))
    empty = write_cases(tmp_path / "empty.jsonl", [])
    with pytest.raises(ValueError, match="no rows to grade"):
        run_bench(parser().parse_args(["bench", "grade", empty]))


def test_a_missing_peer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    file = write_cases(tmp_path / "cases.jsonl", CASES)
    with pytest.raises(ValueError, match="pip install 'math-verify"):
        run_bench(parser().parse_args(["bench", "grade", file, "--peers"]))


def unruly() -> bench.Grader:
    """Hangs, raises or dies as its prediction says."""

    def grade_row(case: bench.Case) -> tuple[bool, str]:
        prediction = case["pred"]
        if prediction == "hang":
            time.sleep(60)
        if prediction == "die":
            os._exit(1)
        return {"\\boxed{1}": True, "right": True}[prediction], "correct"

    return grade_row


def unruly_work(name: str, channel: bench.Connection) -> None:
    """A worker with that grader; in its own process the table of graders is the module's."""
    bench.GRADERS[name] = unruly
    bench.work(name, channel)


def test_a_grader_that_hangs_raises_or_dies_costs_one_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "work", unruly_work)
    worker = Worker("unruly", limit_seconds=0.5)
    try:
        texts = ("hang", "die", "other", "right")
        said = {text: worker.grade({"pred": text, "gold": "1"}) for text in texts}
    finally:
        worker.stop()
    assert [said[text].correct for text in ("hang", "die", "other", "right")] == [
        None,
        None,
        None,
        True,
    ]
    assert said["hang"].said == "no answer in 0.5 s"
    assert said["die"].said == "its process died"
    assert said["other"].said == "raised KeyError"
