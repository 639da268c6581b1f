"""What prompts are compared with: whole benchmarks, without their wording, and none is skipped."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from datagen.records import read_jsonl
from datagen.sources import DataConfig
from engine.settings import RunConfig, StudentConfig
from evals.run import EvaluateConfig
from launch.bench_decontaminate import run_bench
from launch.config import Config
from launch.data_step import make_prompts
from launch.decontaminate import evaluation_sets

QUIZ = [
    {"id": f"q{i}", "problem": f"What is {i} plus {i * i + 30}?", "answer": "1"} for i in range(9)
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def config(decontaminate: tuple[str, ...] | None = None, prompts: str = "x", **ask: Any) -> Config:
    return Config(
        run=RunConfig(name="x"),
        student=StudentConfig(model="x"),
        data=DataConfig(prompts=prompts, decontaminate=decontaminate),
        evaluate=EvaluateConfig(**ask),
    )


def test_the_evaluated_benchmarks_are_taken_whole_and_without_their_wording(tmp_path: Path) -> None:
    quiz = write(tmp_path / "quiz.jsonl", QUIZ)
    asked = config(benchmarks=(quiz,), limit=2, wording="boxed")
    (one,) = evaluation_sets(asked)
    assert one.name == "quiz"
    assert one.problems == tuple((row["id"], row["problem"]) for row in QUIZ)
    math = write(tmp_path / "m.jsonl", [{"unique_id": "u", "problem": "What?", "answer": "3"}])
    (known,) = evaluation_sets(config((f"math500={math}",)))
    assert known.problems == (("u", "What?"),)


def test_a_built_in_benchmark_is_taken_as_it_is_asked() -> None:
    one, other = evaluation_sets(config(limit=7))
    assert (one.name, len(one.problems)) == ("arithmetic", 7)
    assert (other.name, len(other.problems)) == ("arithmetic-format", 7)


def test_an_empty_list_turns_it_off() -> None:
    assert evaluation_sets(config(())) == []


def test_multiple_choice_is_compared_with_and_without_its_options(tmp_path: Path) -> None:
    row = {
        "Record ID": "rec1",
        "Question": "Which metal melts first?",
        "Correct Answer": "tin",
        **{f"Incorrect Answer {i}": metal for i, metal in enumerate(("iron", "gold", "zinc"), 1)},
    }
    (one,) = evaluation_sets(config((f"gpqa={write(tmp_path / 'g.jsonl', [row])}",)))
    assert one.private
    (first, with_options), (second, without) = one.problems
    assert first == second == "rec1"
    assert without == "Which metal melts first?"
    assert with_options.startswith(f"{without}\n\n(A) ")


@pytest.mark.parametrize("name", ["math500", "absent.jsonl", "math501"])
def test_a_benchmark_that_cannot_be_loaded_is_an_error_with_a_way_out(name: str) -> None:
    with pytest.raises(ValueError, match=r"decontamination: .*data\.decontaminate \(\[\] for none"):
        evaluation_sets(config((name,), benchmark_dir="."))


def test_a_run_leaves_the_benchmarks_problems_out(tmp_path: Path) -> None:
    quiz = write(tmp_path / "quiz.jsonl", QUIZ[:3])
    rows = write(tmp_path / "rows.jsonl", QUIZ)
    make_prompts(config(prompts=rows, benchmarks=(quiz,)), tmp_path / "data")
    kept = [values["id"] for _, values in read_jsonl(tmp_path / "data" / "prompts.jsonl")]
    assert kept == [row["id"] for row in QUIZ[3:]]
    make_prompts(config((), rows, benchmarks=(quiz,)), tmp_path / "all")
    assert len((tmp_path / "all" / "prompts.jsonl").read_text().splitlines()) == 9


def test_the_bench_says_time_memory_and_what_is_found_of_each_kind(tmp_path: Path) -> None:
    quiz = [row | {"unique_id": row["id"]} for row in QUIZ]
    write(tmp_path / "math500.jsonl", quiz)
    options = Namespace(
        prompts=300,
        questions=100,
        variants=9,
        seed=0,
        benchmark_dir=str(tmp_path),
        clean=[write(tmp_path / "own.jsonl", [*QUIZ[:1], {"problem": "Who wrote Faust?"}])],
        list=True,
    )
    said = run_bench(options)
    assert "300 prompts against 100 questions (math500, drawn)" in said
    assert "processor time" in said
    verbatim = next(line for line in said.splitlines() if line.startswith("verbatim"))
    assert verbatim.split()[1:4] == ["9", "9", "100.00"]
    assert "exact 1.0: math500 q0" in said
