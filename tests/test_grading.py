"""Verdicts, and grading a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.grading import grade
from evals.grading_files import grade_file
from evals.policy import Policy
from launch.cli import main


def write_lines(path: Path, *rows: object) -> Path:
    """A JSONL file; texts are written as they are, so that they can be broken."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_outcome_has_its_own_status() -> None:
    assert grade(r"\boxed{0.5}", "1/2").status == "correct"
    assert grade(r"\boxed{6}", "5").status == "wrong"
    assert grade("I would rather not say", "5").status == "no answer found"
    assert grade(r"\boxed{1e1000000}", "5").status == "limit reached"
    assert grade(r"\boxed{5}", " \n ").status == "unparsable gold"
    assert grade(r"\boxed{5}", "two lines\nwithout any mark").status == "unparsable gold"
    assert grade(r"\boxed{5}", r"\frac{1").status == "unparsable gold"
    assert grade(r"\boxed{1/0}", "2/0").status == "undecided"


def test_a_benchmarks_policy_reaches_the_comparison() -> None:
    assert grade(r"\boxed{2.49}", "2.5").status == "wrong"
    assert grade(r"\boxed{2.49}", "2.5", Policy(relative_tolerance=0.01)).status == "correct"
    assert grade("The answer is (B).", "B", Policy(choices=4)).status == "correct"


def test_only_the_status_correct_counts_as_correct() -> None:
    for prediction, gold in [
        ("5", "5"),
        ("6", "5"),
        ("no idea at all", "5"),
        ("1e999999", "5"),
        ("5", ""),
    ]:
        verdict = grade(prediction, gold)
        assert verdict.correct == (verdict.status == "correct")
        assert verdict.reason.startswith(verdict.status)


def test_the_verdict_records_what_was_found_and_how() -> None:
    verdict = grade("first 3, then 4", "4")
    assert (verdict.correct, verdict.extracted, verdict.rule) == (True, "4", "last number")


@pytest.mark.parametrize("gold", ["18", "9 * 2 = 18\n#### 18", "so we get\n\\boxed{18}", "$18"])
def test_gold_may_be_an_answer_or_a_solution(gold: str) -> None:
    assert grade(r"It is \boxed{18}.", gold).correct
    assert not grade(r"It is \boxed{2}.", gold).correct


def test_a_graded_file_keeps_its_fields_and_order(tmp_path: Path) -> None:
    rows = [
        {"id": "b", "pred": "\\boxed{1}", "gold": "1"},
        {"pred": "no idea", "gold": "2", "note": "ü"},
    ]
    rows.append({"id": "c", "pred": 3, "gold": 3.0})
    source = write_lines(tmp_path / "pairs.jsonl", *rows)
    summary = grade_file(source, tmp_path / "out" / "graded.jsonl")
    lines = (tmp_path / "out" / "graded.jsonl").read_text(encoding="utf-8").splitlines()
    written = [json.loads(line) for line in lines]
    assert [row.get("id") for row in written] == ["b", None, "c"]
    assert written[1]["note"] == "ü"
    assert [row["correct"] for row in written] == [True, False, True]
    assert [row["rule"] for row in written] == ["boxed", None, "whole text"]
    assert written[0]["extracted"] == "1"
    assert written[1]["reason"] == "no answer found"
    assert (summary.rows, summary.correct) == (3, 2)
    assert summary.accuracy == pytest.approx(2 / 3)


def test_a_row_may_say_how_it_is_compared(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"pred": "The answer is (b).", "gold": "B", "choices": 4},
        {"pred": "I pick B", "gold": "B", "choices": ["a cat", "a dog"]},
        {"pred": "\\boxed{2.49}", "gold": "2.5", "tolerance": 0.01},
        {"pred": "\\boxed{2.49}", "gold": "2.5", "error": "1e-1"},
        {"pred": "\\boxed{2.49}", "gold": "2.5", "error": "", "choices": 0, "tolerance": None},
    ]
    summary = grade_file(write_lines(tmp_path / "pairs.jsonl", *rows), tmp_path / "graded.jsonl")
    assert (summary.correct, summary.rows) == (4, 5)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("choices", "four", "'choices' must be a number of options or a list"),
        ("choices", 40, "choices must lie between 0 and 26"),
        ("tolerance", "a bit", "'tolerance' must be a number, got 'a bit'"),
        ("error", -1, "absolute_tolerance must be zero or more"),
        ("error", True, "'error' must be a number"),
    ],
)
def test_a_policy_that_makes_no_sense_is_named(
    tmp_path: Path, field: str, value: object, complaint: str
) -> None:
    source = write_lines(tmp_path / "pairs.jsonl", {"pred": "1", "gold": "1", field: value})
    with pytest.raises(ValueError, match=rf"pairs\.jsonl:1: {complaint}"):
        grade_file(source, tmp_path / "graded.jsonl")


def test_both_accuracies_are_printed_where_they_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"pred": "\\boxed{50}", "gold": "0.5"},
        {"pred": "\\boxed{5}", "gold": "5"},
        {"pred": "5", "gold": ""},
    ]
    source, target = write_lines(tmp_path / "pairs.jsonl", *rows), tmp_path / "graded.jsonl"
    assert main(["grade", str(source), "--out", str(target), "--compat"]) == 0
    printed = capsys.readouterr().out
    assert "accuracy 50.0 % (1 of 2" in printed
    assert "compat, the leniency of published tables: accuracy 100.0 % (2 of 2)" in printed
    written = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [row["correct_compat"] for row in written] == [True, True, None]
    assert [row["correct"] for row in written] == [False, True, False]
    same = write_lines(tmp_path / "same.jsonl", rows[1])
    assert main(["grade", str(same), "--out", str(target), "--compat"]) == 0
    assert "compat" not in capsys.readouterr().out
    grade_file(source, target)
    assert "correct_compat" not in target.read_text(encoding="utf-8")


def test_an_unparsable_gold_does_not_count_against_the_model(tmp_path: Path) -> None:
    rows = [{"pred": "1", "gold": "1"}, {"pred": "1", "gold": ""}]
    summary = grade_file(write_lines(tmp_path / "pairs.jsonl", *rows), tmp_path / "graded.jsonl")
    assert (summary.rows, summary.graded, summary.accuracy) == (2, 1, 1.0)
    assert "1 unparsable gold" in str(summary)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"pred": "1", "go', "not a line of JSON"),
        ('["1", "1"]', "expected a JSON object"),
        ('{"pred": "1", "answer": "1"}', "'gold' is missing.*found: pred, answer"),
        ('{"gold": "1"}', "'pred' is missing"),
        ('{"pred": null, "gold": "1"}', "'pred' must be text, got NoneType"),
        ('{"pred": "1", "gold": true}', "'gold' must be text, got bool"),
    ],
)
def test_a_line_that_cannot_be_graded_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    source = write_lines(tmp_path / "pairs.jsonl", {"pred": "1", "gold": "1"}, line)
    with pytest.raises(ValueError, match=rf"pairs\.jsonl:2: .*{complaint}"):
        grade_file(source, tmp_path / "graded.jsonl")
    assert not (tmp_path / "graded.jsonl").exists()


def test_a_missing_file_and_overwriting_the_input_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no file"):
        grade_file(tmp_path / "nowhere.jsonl", tmp_path / "graded.jsonl")
    source = write_lines(tmp_path / "pairs.jsonl", {"pred": "1", "gold": "1"})
    with pytest.raises(ValueError, match="must not be the file that is read"):
        grade_file(source, source)


def test_a_gold_of_one_digit_does_not_take_half_of_itself() -> None:
    measured = Policy(relative_tolerance=0.005)
    assert grade(r"\boxed{0.104}", "0.1", measured).correct
    assert not grade(r"\boxed{0.149}", "0.1", measured).correct
    assert not grade(r"\boxed{1.4 \times 10^{-24}}", r"1 \times 10^{-24}", measured).correct
