"""Samples and seeds, what is withheld, and outputs that misbehave: counted, named, nothing lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pytest

from datagen.generators import Completion, Request, Sampling
from evals import judging
from evals.benchmark_problem import Problem
from evals.outputs import WITHHELD
from evals.report_tables import beside_header, beside_rows
from evals.run import EvaluateConfig, evaluate
from evals.scores import in_short
from evals.scores_samples import MAX_CAMPS, majority, sample_figures, votes_of

Answer = Callable[[Request, int], tuple[str, str]]
"""(request, its place) → (text, finish reason)."""


class Scripted:
    """A generator that asks a function; it can be killed after some answers."""

    def __init__(self, answer: Answer, dies_after: int | None = None) -> None:
        self.identity = {"backend": "test", "model": "scripted", "revision": ""}
        self.answer, self.dies_after, self.asked = answer, dies_after, list[Request]()

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, done: AbstractSet[int] = frozenset()
    ) -> Iterator[tuple[int, Completion]]:
        for index in (i for i in range(len(requests)) if i not in done):
            if len(self.asked) == self.dies_after:
                raise KeyboardInterrupt
            self.asked.append(requests[index])
            text, reason = self.answer(requests[index], index)
            yield index, Completion(text, reason, 3, 5, 0.1)


def quiz(folder: Path, count: int = 2) -> str:
    """Problems whose answer is their number."""
    path = folder / "quiz.jsonl"
    rows = [{"id": f"p{n}", "problem": f"say {n}", "answer": str(n)} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def right(request: Request, index: int) -> tuple[str, str]:
    return f"\\boxed{{{request.id[1:]}}}", "stop"


def sometimes(request: Request, index: int) -> tuple[str, str]:
    """Of four samples: right, wrong, wrong in the same way, right; the second problem never."""
    if request.id == "p1":
        return f"it is 9{index}", "stop"
    return right(request, index) if index % 4 in (0, 3) else ("\\boxed{77}", "stop")


def test_every_seed_draws_its_own_samples(tmp_path: Path) -> None:
    config = EvaluateConfig(benchmarks=(quiz(tmp_path),), samples=2, seeds=(3, 5), temperature=0.6)
    model = Scripted(right)
    scores = evaluate("base", model, config, tmp_path, seed=1)["benchmarks"]["quiz"]
    rows = rows_in(tmp_path / "base" / "quiz.jsonl")
    assert [(row["id"], row["seed"], row["sample"]) for row in rows] == [
        (identity, seed, sample)
        for identity in ("p0", "p1")
        for seed in (3, 5)
        for sample in (0, 1)
    ]
    assert len({request.seed for request in model.asked}) == 8
    assert (scores["samples"], scores["seeds"], scores["problems"]) == (2, [3, 5], 2)


def test_a_seed_means_the_same_whoever_names_it(tmp_path: Path) -> None:
    asked = []
    for seeds, seed in (((), 7), ((7,), 0)):
        config = EvaluateConfig(benchmarks=(quiz(tmp_path),), seeds=seeds)
        model = Scripted(right)
        evaluate("base", model, config, tmp_path / str(seed), seed=seed)
        asked.append([request.seed for request in model.asked])
    assert asked[0] == asked[1]


def test_pass_and_majority_are_counted_over_samples(tmp_path: Path) -> None:
    config = EvaluateConfig(benchmarks=(quiz(tmp_path),), samples=4, temperature=0.6)
    scores = evaluate("base", Scripted(sometimes), config, tmp_path)["benchmarks"]["quiz"]
    assert scores["accuracy"] == 0.25
    assert scores["avg_at"]["4"]["mean"] == 0.25
    assert {k: v["mean"] for k, v in scores["pass_at"].items()} == pytest.approx(
        {"1": 0.25, "2": (1 - 1 / 6) / 2, "4": 0.5}
    )
    assert scores["majority_at"]["4"]["mean"] == pytest.approx(0.25), "two against two is a toss"
    assert scores["pass_at"]["1"]["std"] is None, "one seed says nothing about spread"


def test_mean_and_spread_are_over_seeds(tmp_path: Path) -> None:
    def of_seed(request: Request, index: int) -> tuple[str, str]:
        return right(request, index) if index // 2 % 2 == 0 else ("\\boxed{77}", "stop")

    config = EvaluateConfig(benchmarks=(quiz(tmp_path),), samples=2, seeds=(0, 1), temperature=0.6)
    scores = evaluate("base", Scripted(of_seed), config, tmp_path)["benchmarks"]["quiz"]
    found = scores["pass_at"]["2"]
    assert found.pop("interval") == pytest.approx([0.0945, 0.9055], abs=1e-3), (
        "two problems, no draw"
    )
    assert found == {
        "seeds": 2, "mean": 0.5, "std": pytest.approx(0.5**0.5), "ddof": 1, "per_seed": [1.0, 0.0]
    }  # fmt: skip


def test_intervals_are_over_problems_and_not_over_samples() -> None:
    """Ten times the samples of the same problems say nothing more about other problems."""
    widths = []
    for copies in (1, 10):
        rows = [
            {"id": f"p{n}", "seed": 0, "correct": n % 3 == mark, "extracted": str(mark)}
            for n in range(30)
            for mark in [0, 1] * copies
        ]
        low, high = sample_figures(rows)["avg_at"][str(2 * copies)]["interval"]
        assert low < 1 / 3 < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0], abs=0.01)


def test_a_kill_between_samples_loses_and_doubles_none(tmp_path: Path) -> None:
    config = EvaluateConfig(benchmarks=(quiz(tmp_path),), samples=3, seeds=(0, 1), temperature=0.6)
    whole = evaluate("base", Scripted(sometimes), config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        evaluate("base", Scripted(sometimes, 5), config, tmp_path / "killed")
    rest = Scripted(sometimes)
    assert evaluate("base", rest, config, tmp_path / "killed", say=lambda _: None) == whole
    assert len(rest.asked) == 12 - 5
    assert rows_in(tmp_path / "killed/base/quiz.jsonl") == rows_in(
        tmp_path / "whole/base/quiz.jsonl"
    )


def test_more_samples_keep_those_that_are_there(tmp_path: Path) -> None:
    few = EvaluateConfig(benchmarks=(quiz(tmp_path),), samples=2, temperature=0.6)
    evaluate("base", Scripted(right), few, tmp_path)
    more = EvaluateConfig(benchmarks=(quiz(tmp_path),), samples=5, temperature=0.6)
    rest = Scripted(right)
    evaluate("base", rest, more, tmp_path, say=lambda _: None)
    assert len(rest.asked) == 6


@pytest.mark.parametrize("values", [{"seeds": (1, 2)}, {"seeds": (1, 1), "temperature": 1.0}])
def test_seeds_that_change_nothing_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="seeds"):
        EvaluateConfig(**values)


def test_empty_huge_and_endless_outputs_are_each_counted(tmp_path: Path) -> None:
    texts = {
        "p0": ("", "stop"),
        "p1": ("so on and " * 200_000 + "\\boxed{1}", "stop"),
        "p2": ("let me think " * 100, "length"),
        "p3": ("\\boxed{3}", "length"),
        "p4": ("\ud800 \x00 \u2028 \\boxed{4}", "stop"),
    }
    config = EvaluateConfig(benchmarks=(quiz(tmp_path, 5),))
    scores = evaluate("base", Scripted(lambda r, i: texts[r.id]), config, tmp_path)
    score, rows = scores["benchmarks"]["quiz"], rows_in(tmp_path / "base/quiz.jsonl")
    statuses = [row["status"] for row in rows]
    assert statuses[0] == "no answer found"
    assert statuses[2:] == ["truncated", "correct", "correct"]
    assert score["truncation_rate"] == 2 / 5
    assert score["no_answer_rate"] >= 2 / 5
    assert sum(score["statuses"].values()) == 5
    assert rows[1]["output"] == texts["p1"][0], "nothing is cut from what the model wrote"


def test_grading_beside_generation_changes_no_row(tmp_path: Path) -> None:
    files = []
    for workers in (0, 2):
        config = EvaluateConfig(
            benchmarks=(quiz(tmp_path),), samples=40, temperature=0.6, grading_workers=workers
        )
        evaluate("base", Scripted(sometimes), config, tmp_path / str(workers))
        files.append(rows_in(tmp_path / str(workers) / "base/quiz.jsonl"))
    assert files[0] == files[1]


def test_a_death_of_the_grader_is_in_the_scores_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "evals_that_dies"
    package.mkdir()
    script = package / "worker.py"
    script.write_text(
        "import os, sys, evals.grading_worker as worker\n"
        "grade = worker.grade\n"
        "worker.grade = lambda p, *a: os._exit(1) if 'DIE' in p else grade(p, *a)\n"
        "worker.main()\n",
        encoding="utf-8",
    )
    import sys

    command = (sys.executable, str(script))
    monkeypatch.setattr("evals.grading_pool.GradingPool.__init__.__defaults__", (30.0, command))
    config = EvaluateConfig(benchmarks=(quiz(tmp_path, 4),), grading_workers=1)
    model = Scripted(lambda r, i: ("DIE", "stop") if r.id == "p2" else right(r, i))
    score = evaluate("base", model, config, tmp_path)["benchmarks"]["quiz"]
    assert (score["grader_failures"], score["grader_failed_on"]) == (1, ["p2"])
    assert score["accuracy"] == 0.75


def test_the_lenient_policy_is_reported_beside_and_never_instead(tmp_path: Path) -> None:
    config = EvaluateConfig(benchmarks=(quiz(tmp_path),), compat=True)
    score = evaluate("base", Scripted(right), config, tmp_path)["benchmarks"]["quiz"]
    assert score["accuracy"] == score["accuracy_compat"] == 1.0
    rows = rows_in(tmp_path / "base/quiz.jsonl")
    assert [row["correct_compat"] for row in rows] == [True, True]


def answers(*texts: tuple[bool, str | None]) -> list[dict[str, Any]]:
    return [{"correct": right, "extracted": text} for right, text in texts]


def test_right_answers_vote_together_however_they_are_spelt() -> None:
    votes = votes_of(
        answers((True, "2"), (True, "2.0"), (True, "4/2"), (False, "7"), (False, " 7"))
    )
    assert majority(votes, 5) == 1.0
    assert majority(votes[1:], 4) == pytest.approx(0.5)


def test_wrong_answers_vote_together_when_they_are_equal() -> None:
    votes = votes_of(
        answers((True, "2"), (True, "2"), (False, "1/3"), (False, "\\frac{2}{6}"), (False, "$1/3$"))
    )
    assert len({vote.camp for vote in votes}) == 2
    assert majority(votes, 5) == 0.0, "as texts they would be three camps of one vote"
    formulas = votes_of(answers((False, "x+1"), (False, "1 + x"), (False, "x-1")))
    assert len({vote.camp for vote in formulas}) == 2
    apart = votes_of(answers((False, "3"), (False, "4"), (False, "(1,2)"), (False, "[1,2]")))
    assert len({vote.camp for vote in apart}) == 4


def test_an_output_without_an_answer_has_no_vote() -> None:
    votes = votes_of(answers((True, "2"), (False, None), (False, None)))
    assert majority(votes, 3) == 1.0
    assert majority(votes[1:], 2) == 0.0, "nobody votes, nobody is right"


def test_comparing_wrong_answers_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    from evals import scores_samples

    compare = scores_samples.compare
    monkeypatch.setattr(
        scores_samples, "compare", lambda *pair: compared.append(pair) or compare(*pair)
    )
    rows = [
        {"id": "a", "seed": 0, "correct": False, "extracted": f"x+{number}"}
        for number in [*range(3 * MAX_CAMPS), 0, 0]
    ]
    figures = sample_figures(rows)
    assert figures["majority_not_all_compared"] == 1
    assert len(compared) < 3 * MAX_CAMPS * MAX_CAMPS
    assert sample_figures(rows[:2])["majority_not_all_compared"] == 0


def test_a_gold_that_cannot_be_read_is_counted_and_never_held_against_the_model(
    tmp_path: Path,
) -> None:
    path = tmp_path / "quiz.jsonl"
    golds = ["0", None, "two\nlines", "3"]
    rows = [{"id": f"p{n}", "problem": "?", "answer": gold} for n, gold in enumerate(golds)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    said: list[str] = []
    config = EvaluateConfig(benchmarks=(str(path),))
    scores = evaluate("base", Scripted(right), config, tmp_path, say=said.append)
    score = scores["benchmarks"]["quiz"]
    assert (score["accuracy"], score["problems"], score["judged"]) == (1.0, 4, 2)
    assert "n = 2 (2 more not judged)" in in_short(score)
    assert score["statuses"] == {"correct": 2, "unparsable gold": 2}
    assert [row["correct"] for row in rows_in(tmp_path / "base/quiz.jsonl")] == [
        True, None, None, True
    ]  # fmt: skip
    assert any("2 of 4 problems have no readable gold answer" in line for line in said)


def test_an_extracted_sentence_is_withheld_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = {"correct": False, "extracted": "SECRET", "rule": "boxed", "status": "wrong"}
    monkeypatch.setattr(judging, "grade_case", lambda _: verdict | {"reason": "wrong: SECRET"})
    kept = judging.judge_withheld(Problem("a", "SECRET?", "A"), "SECRET", False)
    assert "SECRET" not in json.dumps(kept)


def test_the_report_shows_both_accuracies_only_where_they_differ() -> None:
    def table(lenient: float) -> dict[str, str]:
        rates = dict.fromkeys(("no_answer_rate", "truncation_rate"), 0.0)
        score = {"accuracy": 0.5, "accuracy_compat": lenient, "rules": {}, "problems": 4, **rates}
        results = {"benchmarks": ["quiz"], "methods": {"base": {"scores": {"quiz": score}}}}
        (row,) = beside_rows(results)
        return dict(zip(beside_header(results), row, strict=True))

    assert "lenient" not in table(0.5)
    shown = table(0.75)
    assert (shown["strict"], shown["lenient"]) == ("50.0 %", "75.0 %")


def test_reasoning_is_measured_in_words_and_steps(tmp_path: Path) -> None:
    text = "First we add.\nThen we see it.\n\\boxed{0}"
    config = EvaluateConfig(benchmarks=(quiz(tmp_path, 1),))
    scores = evaluate("base", Scripted(lambda r, i: (text, "stop")), config, tmp_path)
    (row,) = rows_in(tmp_path / "base/quiz.jsonl")
    assert (row["words"], row["steps"]) == (8, 3)
    score = scores["benchmarks"]["quiz"]
    assert (score["mean_words"], score["mean_steps"]) == (8, 3)


def test_a_row_reads_from_question_to_verdict(tmp_path: Path) -> None:
    evaluate("base", Scripted(right), EvaluateConfig(benchmarks=(quiz(tmp_path),)), tmp_path)
    row = list(rows_in(tmp_path / "base/quiz.jsonl")[0])
    story = ["id", "prompt", "output", "extracted", "rule", "gold", "correct", "status", "reason"]
    assert [name for name in row if name in story] == story
    assert row[-1] == "key"


# ---- what is withheld ---------------------------------------------------------------------------


@pytest.fixture
def gpqa(tmp_path: Path) -> str:
    """Made-up problems in the shape of GPQA."""
    rows = [
        {
            "Record ID": f"rec{n}",
            "Question": f"SECRET question {n}?",
            "Correct Answer": "SECRET right",
            "Incorrect Answer 1": "SECRET one",
            "Incorrect Answer 2": "SECRET two",
            "Incorrect Answer 3": "SECRET three",
        }
        for n in range(3)
    ]
    path = tmp_path / "gpqa.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"gpqa={path}"


def quoting(request: Request, index: int) -> tuple[str, str]:
    """A model that repeats the question before it answers, or answers with an option's text."""
    prompt = request.messages[0]["content"]
    letter = next(line[1] for line in prompt.split("\n") if line.endswith("SECRET right"))
    return f"{prompt}\nThe answer is \\boxed{{{letter if index < 2 else 'SECRET right'}}}", "stop"


def test_gpqa_is_never_written_in_clear(gpqa: str, tmp_path: Path) -> None:
    config = EvaluateConfig(benchmarks=(gpqa,))
    target = tmp_path / "evals"
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        evaluate("base", Scripted(quoting, 2), config, target, say=said.append)
    assert list(target.rglob("*.partial"))
    assert not [
        file for file in target.rglob("*") if file.is_file() and "SECRET" in file.read_text()
    ]
    scores = evaluate("base", Scripted(quoting), config, target, say=said.append)
    files = [file.read_text() for file in target.rglob("*") if file.is_file()]
    assert not [text for text in [*files, *said] if "SECRET" in text]
    rows = rows_in(target / "base/gpqa.jsonl")
    assert [row["correct"] for row in rows][:2] == [True, True]
    assert all(len(row["gold"]) == 1 and row["output"] == WITHHELD for row in rows)
    assert all(len(row["output_sha256"]) == len(row["prompt_sha256"]) == 64 for row in rows)
    assert scores["benchmarks"]["gpqa"]["mean_words"] > 5
    assert scores["benchmarks"]["gpqa"]["mean_steps"] >= 1
    assert "verdict" not in rows[0], "what the row says once it need not say twice"


def test_what_is_withheld_is_resumed_by_its_verdict(gpqa: str, tmp_path: Path) -> None:
    config = EvaluateConfig(benchmarks=(gpqa,))
    evaluate("base", Scripted(quoting), config, tmp_path / "evals", say=lambda _: None)
    (tmp_path / "evals/base/scores.json").unlink()
    before = rows_in(tmp_path / "evals/base/gpqa.jsonl")
    again = Scripted(quoting)
    evaluate("base", again, config, tmp_path / "evals", say=lambda _: None)
    assert again.asked == []
    assert rows_in(tmp_path / "evals/base/gpqa.jsonl") == before


# ---- code -----------------------------------------------------------------------------------------


@pytest.fixture
def humaneval(tmp_path: Path) -> str:
    """Three made-up functions to write."""
    tests = "def check(candidate):\n    assert candidate(1) == 2\n"
    path = tmp_path / "humaneval.jsonl"
    rows = [
        {
            "task_id": f"H/{n}",
            "prompt": 'def f(x):\n    """One more."""\n',
            "test": tests,
            "entry_point": "f",
        }
        for n in range(3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"humaneval={path}"


def coding(request: Request, index: int) -> tuple[str, str]:
    """A right function, a wrong one, none."""
    texts = ["Here:\n```python\ndef f(x):\n    return x + 1\n```\n", "    return x - 1\n", ""]
    return texts[index], "stop"


def test_code_is_run_only_where_that_was_said(humaneval: str, tmp_path: Path) -> None:
    model = Scripted(coding)
    with pytest.raises(ValueError, match=r"humaneval.* set allow_code = true"):
        evaluate("base", model, EvaluateConfig(benchmarks=(humaneval,)), tmp_path)
    assert model.asked == []


def test_code_is_judged_by_running_its_tests(humaneval: str, tmp_path: Path) -> None:
    said: list[str] = []
    config = EvaluateConfig(benchmarks=(humaneval,), allow_code=True)
    scores = evaluate("base", Scripted(coding), config, tmp_path, say=said.append)
    rows = rows_in(tmp_path / "base/humaneval.jsonl")
    assert [row["correct"] for row in rows] == [True, False, False], rows
    assert [row["status"] for row in rows] == ["correct", "wrong", "no answer found"]
    assert [row["rule"] for row in rows] == ["code block", "continuation", None]
    assert "def f(x):" in str(rows[1]["extracted"]), "what was run can be read"
    assert scores["benchmarks"]["humaneval"]["no_answer_rate"] == pytest.approx(1 / 3)
    assert any("sandbox: " in line for line in said), "what protects the machine is said first"
