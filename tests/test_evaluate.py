"""Benchmarks, and running an evaluation: graded, resumed, never mixed up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

from datagen.generators import Completion, Request, Sampling
from datagen.instructions import instructions
from evals.benchmarks import load_benchmark
from evals.run import EvaluateConfig, evaluate
from evals.scores import in_short

ANSWERS = {
    "one": r"1 and 1 is \boxed{2}",
    "two": "it is 5",
    "three": "I do not know it",
    "four": r"\boxed{",
}


class Oracle:
    """A generator that answers from a table, last request first; it can die after some answers."""

    def __init__(self, model: str = "oracle", dies_after: int | None = None) -> None:
        self.identity = {"backend": "test", "model": model, "revision": ""}
        self.dies_after = dies_after
        self.asked: list[str] = []
        self.planned = 0

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, done: AbstractSet[int] = frozenset()
    ) -> Iterator[tuple[int, Completion]]:
        self.planned = len(requests)
        for index in reversed([i for i in range(len(requests)) if i not in done]):
            if self.dies_after is not None and len(self.asked) == self.dies_after:
                raise KeyboardInterrupt
            request = requests[index]
            self.asked.append(request.id)
            text = ANSWERS.get(request.id, f"{request.seed}")
            reason = "length" if text.endswith("{") else "stop"
            yield index, Completion(text, reason, 7, len(text), 0.5)


def write_rows(path: Path, *rows: object) -> str:
    """A local benchmark; returns its path as a config would hold it."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def quiz(tmp_path: Path) -> str:
    """Four problems: right, wrong, no answer, cut."""
    return write_rows(
        tmp_path / "quiz.jsonl",
        {"id": "one", "question": "1 + 1?", "answer": "2"},
        {"id": "two", "question": "2 + 2?", "answer": "so it is\n#### 4"},
        {"id": "three", "question": "3 + 3?", "answer": 6},
        {"id": "four", "question": "4 + 4?", "answer": "8"},
    )


def read_rows(path: Path) -> list[dict[str, object]]:
    """All rows of a result file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_scores_say_more_than_accuracy(quiz: str, tmp_path: Path) -> None:
    scores = evaluate("base", Oracle(), EvaluateConfig(benchmarks=(quiz,)), tmp_path / "evals")
    score = scores["benchmarks"]["quiz"]
    assert score["accuracy"] == 0.25
    assert score["accuracy_interval"][0] < 0.25 < score["accuracy_interval"][1]
    assert score["no_answer_rate"] == 0.25
    assert score["truncation_rate"] == 0.25
    assert score["mean_steps"] == 1
    assert score["rules"] == {"boxed": 1, "last number": 1, "whole text": 1}
    assert score["mean_words"] == pytest.approx((5 + 3 + 5 + 1) / 4)
    assert score["mean_tokens"] == pytest.approx(sum(map(len, ANSWERS.values())) / 4)
    assert scores == json.loads((tmp_path / "evals/base/scores.json").read_text())


def test_an_accuracy_never_stands_alone(quiz: str, tmp_path: Path) -> None:
    scores = evaluate("base", Oracle(), EvaluateConfig(benchmarks=(quiz,)), tmp_path / "evals")
    assert in_short(scores["benchmarks"]["quiz"]) == (
        "25.0 % right [4.6, 69.9], n = 4, no answer 25.0 %, cut 25.0 %"
    )


def test_the_result_file_is_in_the_order_of_the_problems(quiz: str, tmp_path: Path) -> None:
    evaluate("base", Oracle(), EvaluateConfig(benchmarks=(quiz,)), tmp_path)
    rows = read_rows(tmp_path / "base" / "quiz.jsonl")
    assert [row["id"] for row in rows] == ["one", "two", "three", "four"]
    assert [row["correct"] for row in rows] == [True, False, False, False]
    assert rows[0]["prompt"] == "1 + 1?"
    assert rows[1]["reason"] == "wrong: exact rational"
    assert not list(tmp_path.glob("base/*.partial"))


def test_a_killed_evaluation_resumes_without_losing_or_doubling(quiz: str, tmp_path: Path) -> None:
    config = EvaluateConfig(benchmarks=(quiz,))
    whole = evaluate("base", Oracle(), config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        evaluate("base", Oracle(dies_after=2), config, tmp_path / "killed")
    partial = tmp_path / "killed/base/quiz.jsonl.partial"
    assert len(read_rows(partial)) == 2
    assert not (tmp_path / "killed/base/quiz.jsonl").exists()
    with partial.open("ab") as file:
        file.write(b'{"key": "torn')
    said: list[str] = []
    rest = Oracle()
    assert evaluate("base", rest, config, tmp_path / "killed", say=said.append) == whole
    assert rest.asked == ["two", "one"]
    assert rest.planned == 4, "finished requests keep their place in the plan of batches"
    assert any("torn" in line for line in said)
    assert any("2 of 4 answers are there already" in line for line in said)
    assert read_rows(tmp_path / "killed/base/quiz.jsonl") == read_rows(
        tmp_path / "whole/base/quiz.jsonl"
    )


def test_a_second_death_after_a_torn_line_loses_nothing_either(quiz: str, tmp_path: Path) -> None:
    config = EvaluateConfig(benchmarks=(quiz,))
    partial = tmp_path / "base/quiz.jsonl.partial"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            evaluate("base", Oracle(dies_after=1), config, tmp_path, say=lambda _: None)
        with partial.open("ab") as file:
            file.write(b'{"key": "torn')
    rest = Oracle()
    evaluate("base", rest, config, tmp_path, say=lambda _: None)
    assert rest.asked == ["two", "one"]


def test_a_finished_evaluation_does_nothing_and_says_so(quiz: str, tmp_path: Path) -> None:
    config = EvaluateConfig(benchmarks=(quiz,))
    first = evaluate("base", Oracle(), config, tmp_path)
    again, said = Oracle(), []
    assert evaluate("base", again, config, tmp_path, say=said.append) == first
    assert again.asked == []
    assert said == ["evaluate base: 4 answers, complete, nothing to do"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": "other"}, "generator.model"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"seed": 1}, "seed"),
    ],
)
def test_another_model_or_setting_is_evaluated_anew_and_said(
    quiz: str, tmp_path: Path, change: dict, named: str
) -> None:
    evaluate("base", Oracle(), EvaluateConfig(benchmarks=(quiz,)), tmp_path)
    other, said = Oracle(change.get("model", "oracle")), []
    config = EvaluateConfig(benchmarks=(quiz,), max_tokens=change.get("max_tokens", 1024))
    evaluate("base", other, config, tmp_path, seed=change.get("seed", 0), say=said.append)
    assert len(other.asked) == 4
    assert any(named in line for line in said)


def test_a_changed_problem_is_answered_anew_and_the_others_are_kept(
    quiz: str, tmp_path: Path
) -> None:
    config = EvaluateConfig(benchmarks=(quiz,))
    evaluate("base", Oracle(), config, tmp_path)
    path = Path(quiz)
    path.write_text(path.read_text().replace("2 + 2?", "What is 2 + 2?"), encoding="utf-8")
    again = Oracle()
    evaluate("base", again, config, tmp_path, say=lambda _: None)
    assert again.asked == ["two"]


def test_a_corrected_gold_answer_is_graded_without_new_answers(quiz: str, tmp_path: Path) -> None:
    config = EvaluateConfig(benchmarks=(quiz,))
    evaluate("base", Oracle(), config, tmp_path)
    path = Path(quiz)
    path.write_text(path.read_text().replace("#### 4", "#### 5"), encoding="utf-8")
    again = Oracle()
    scores = evaluate("base", again, config, tmp_path, say=lambda _: None)
    assert again.asked == []
    assert scores["benchmarks"]["quiz"]["accuracy"] == 0.5


def test_samples_have_seeds_of_their_own_and_count_by_problem(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "quiz.jsonl", {"id": "a", "problem": "?", "answer": "1"})
    config = EvaluateConfig(benchmarks=(path,), samples=3, temperature=0.7)
    scores = evaluate("base", Oracle(), config, tmp_path)
    rows = read_rows(tmp_path / "base/quiz.jsonl")
    assert [row["sample"] for row in rows] == [0, 1, 2]
    assert len({row["output"] for row in rows}) == 3
    assert (scores["benchmarks"]["quiz"]["problems"], scores["benchmarks"]["quiz"]["samples"]) == (
        1,
        3,
    )


def test_format_checks_are_run_on_the_built_in_instructions(tmp_path: Path) -> None:
    class Obedient(Oracle):
        def generate(self, requests, sampling, done=frozenset()):
            for index in range(len(requests)):
                text = answer_to[requests[index].id] if index % 2 else "as I please, and more of it"
                yield index, Completion(text, "stop", 1, 1, 0.1)

    answer_to = {task.id: task.answer for task in instructions("test", 20, 0)}
    config = EvaluateConfig(benchmarks=("arithmetic-format",), limit=20)
    score = evaluate("base", Obedient(), config, tmp_path)["benchmarks"]["arithmetic-format"]
    assert score["compliance"] == 0.5
    assert score["accuracy"] is None
    assert score["no_answer_rate"] is None


def test_the_built_in_benchmark_holds_gold_answers_in_the_wording_asked_for() -> None:
    plain = load_benchmark("arithmetic", limit=5)
    boxed = load_benchmark("arithmetic", limit=5, wording="boxed")
    assert len(plain.problems) == 5
    assert all(problem.gold and problem.check is None for problem in plain.problems)
    for one, other in zip(plain.problems, boxed.problems, strict=True):
        assert other.prompt.startswith(one.prompt)
        assert "\\boxed{}" in other.prompt
    assert plain != load_benchmark("arithmetic", limit=5, seed=1)


def test_the_limit_takes_the_first_problems(quiz: str) -> None:
    assert [problem.id for problem in load_benchmark(quiz, limit=2).problems] == ["one", "two"]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (
            [{"id": "a", "text": "?", "answer": "1"}],
            r"bad\.jsonl:1: needs one of the fields problem.*text \(str\)",
        ),
        (
            [{"id": "a", "problem": "?", "gold": "1"}],
            "final_answer, answer, solution; found: .*gold",
        ),
        ([{"id": "a", "problem": "?", "answer": None}], r"answer \(NoneType\)"),
        (
            [{"id": "a", "problem": "?", "answer": "1"}] * 3,
            r"bad\.jsonl:2: the id 'a'.*bad\.jsonl:1; 1 more rows repeat an id",
        ),
        ([{"id": "a", "problem": "?", "answer": "one\nand two"}], "no final answer can be read"),
        ([], "at least one problem"),
    ],
)
def test_a_benchmark_file_that_cannot_be_used_is_explained(
    tmp_path: Path, rows: list, complaint: str
) -> None:
    path = write_rows(tmp_path / "bad.jsonl", *rows)
    with pytest.raises(ValueError, match=complaint):
        load_benchmark(path)


def test_an_unknown_benchmark_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'arithmetic'"):
        load_benchmark("aritmetic")
    with pytest.raises(ValueError, match="no such file"):
        load_benchmark("data/nowhere.jsonl")


def test_two_benchmarks_of_one_name_are_refused(quiz: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    same = write_rows(tmp_path / "other" / "quiz.jsonl", {"problem": "?", "answer": "1"})
    with pytest.raises(ValueError, match="two benchmarks are called 'quiz'"):
        evaluate("base", Oracle(), EvaluateConfig(benchmarks=(quiz, same)), tmp_path)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"samples": 4}, "temperature"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"benchmarks": ()}, "at least one"),
        ({"top_p": 0.0}, "top_p"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        EvaluateConfig(**values)
