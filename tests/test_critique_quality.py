"""Critique quality: figures against values counted by hand, controls, retries, and resumption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log, sqrt
from pathlib import Path
from random import Random
from statistics import mean, stdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_judges import Faulty, reply

from datagen.generators import Completion, Failure, Generator
from datagen.records import Record, read_jsonl
from datagen.scripted import ScriptedGenerator
from datagen.workers import Worker
from evals.diagnostics import critique_quality
from evals.diagnostics.critique_quality import DIAGNOSTIC
from evals.diagnostics.diagnosis import Diagnosis
from evals.diagnostics.rating_figures import summarise
from evals.diagnostics.run import diagnose


def records_of(count: int, seed: int = 0) -> list[Record]:
    """Records with ratings that a seed draws; every third answer is right."""
    rng = Random(seed)
    return [
        Record(
            id=f"r{i}",
            prompt=f"What is {i} + 1?",
            final_answer=str(i + 1),
            student_answer=f"It is {i}.",
            critique=(own := f"Step {i} is off. " + "So. " * rng.randrange(9)),
            refined_answer=f"\\boxed{{{i + 1}}}",
            student_correct=i % 3 == 0,
            extra={"own": own, "rated": [rng.randint(1, 5), rng.randint(1, 5)]},
        )
        for i in range(count)
    ]


def task_of(
    records: Sequence[Record], folder: Path, judge: Generator | str = "judge", **changes: Any
) -> Diagnosis:
    """A diagnosis without a model."""
    made = ScriptedGenerator(f"scripted_judges:{judge}") if isinstance(judge, str) else judge
    task = Diagnosis(
        model=folder,
        chat_template=None,
        layout="single_turn",
        records=tuple(records),
        seed=1,
        max_tokens=64,
        max_length=512,
        batch_size=4,
        device="cpu",
        folder=folder,
        judge=lambda: made,
        say=lambda _: None,
    )
    return replace(task, **changes)


def said(text: str) -> Completion:
    return Completion(text, "stop", 1, 1, 0.0)


def run(task: Diagnosis) -> dict[str, Any]:
    result = diagnose("critique_quality", DIAGNOSTIC, task)
    assert result is not None
    return result


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_jsonl(folder / "critique_quality.jsonl")]


def rated(answer: str, informativeness: int, specificity: int, words: int = 1) -> dict[str, Any]:
    return {
        "id": "r",
        "student_answer": answer,
        "informativeness": informativeness,
        "specificity": specificity,
        "words": words,
        "attempts": 1,
    }


RATED = st.tuples(
    st.sampled_from(["wrong", "right"]), st.integers(1, 5), st.integers(1, 5), st.integers(0, 9)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(RATED, min_size=1, max_size=40))
def test_figures_are_those_counted_by_hand(drawn: list[tuple[str, int, int, int]]) -> None:
    rows = [rated(*one) for one in drawn]
    figures = summarise(None, rows).figures  # type: ignore[arg-type]
    groups = {
        name: [row for row in rows if row["student_answer"] == name] for name in ("wrong", "right")
    }
    high = {}
    for name, group in groups.items():
        assert figures[f"n.{name}"] == len(group)
        high[name] = sum(r["informativeness"] >= 4 and r["specificity"] >= 4 for r in group)
        if group:
            assert figures[f"both_ge_4.{name}"] == high[name] / len(group)
            assert figures[f"specificity.{name}.mean"] == pytest.approx(
                mean(r["specificity"] for r in group)
            )
    wrong, right = ([r["informativeness"] for r in groups[name]] for name in ("wrong", "right"))
    if min(len(wrong), len(right)) < 2:
        assert "informativeness.delta" not in figures
        return
    assert figures["informativeness.wrong.sd"] == pytest.approx(stdev(wrong))
    assert figures["informativeness.delta"] == pytest.approx(mean(wrong) - mean(right))
    squares = sum((x - mean(g)) ** 2 for g in (wrong, right) for x in g)
    if squares == 0:
        assert "informativeness.d" not in figures
    else:
        pooled = sqrt(squares / (len(wrong) + len(right) - 2))
        assert figures["informativeness.d"] == pytest.approx((mean(wrong) - mean(right)) / pooled)
    a, b = high["wrong"], len(wrong) - high["wrong"]
    c, d = high["right"], len(right) - high["right"]
    half = 0.5 if 0 in (a, b, c, d) else 0.0
    ratio = (a + half) * (d + half) / ((b + half) * (c + half))
    assert figures["odds_ratio"] == pytest.approx(ratio)
    reach = 1.959963984540054 * sqrt(sum(1 / (cell + half) for cell in (a, b, c, d)))
    assert log(figures["odds_ratio.high"]) == pytest.approx(log(ratio) + reach)


def test_parts_by_length_hold_every_critique_once_and_the_shortest_first() -> None:
    rows = [
        rated("wrong", 1 + words // 3, 5, words) for words in (12, 0, 6, 3, 9, 1, 4, 7, 10, 13, 2)
    ]
    figures = summarise(None, rows).figures  # type: ignore[arg-type]
    # Eleven in five parts: 0 1 2 | 3 4 | 6 7 | 9 10 | 12 13.
    assert [figures[f"words.wrong.q{q}"] for q in range(1, 6)] == [1, 3.5, 6.5, 9.5, 12.5]
    assert [figures[f"informativeness.wrong.q{q}"] for q in range(1, 6)] == [1, 2, 3, 4, 5]
    assert "words.right.q1" not in figures


def test_welchs_interval_is_that_of_a_worked_example() -> None:
    rows = [rated("wrong", value, 1) for value in (5, 4, 5, 3)]
    rows += [rated("right", value, 1) for value in (1, 2, 2, 4, 1)]
    figures = summarise(None, rows).figures  # type: ignore[arg-type]
    # SE² = 11/12/4 + 3/2/5 = 0.52917; 6.988 degrees of freedom; t = 2.36567
    assert figures["informativeness.delta"] == pytest.approx(2.25)
    reach = sqrt(11 / 48 + 0.3) * 2.36567
    assert figures["informativeness.delta.low"] == pytest.approx(2.25 - reach, abs=1e-3)


def test_every_record_is_rated_and_controls_see_the_other_critiques(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(critique_quality, "CONTROLS", 7)
    records = records_of(20)
    result = run(task_of(records, tmp_path))
    rows = rows_of(tmp_path)
    assert [[r["informativeness"], r["specificity"]] for r in rows] == [
        r.extra["rated"] for r in records
    ]
    figures = result["figures"]
    assert (figures["n.wrong"], figures["n.right"], figures["control.n"]) == (13, 7, 7)
    assert figures["control.generic.informativeness"] == 2
    assert (
        figures["control.generic.specificity"] == figures["control.unrelated.informativeness"] == 1
    )
    controls = [row for row in rows if "controls" in row]
    assert figures["control.real.informativeness"] == pytest.approx(
        mean(r["informativeness"] for r in controls)
    )


def test_a_record_that_nobody_judged_is_counted(tmp_path: Path) -> None:
    records = records_of(6)
    records[2] = replace(records[2], student_correct=None)
    result = run(task_of(records, tmp_path))
    assert result["n"] == 5
    assert list(result["left_out"].values()) == [1]


def test_a_reply_without_a_rating_is_asked_for_again_and_then_left_out(tmp_path: Path) -> None:
    records = records_of(5)
    judge = Faulty(
        {
            ("r1", 0.0): said("no"),
            ("r2", 0.0): said("no"),
            ("r2", 0.7): said(reply(0, 9)),
            ("r3", 0.0): said("no"),
            ("r3", 0.7): said(reply(2, 3)),
            ("r4", 0.0): said("hm"),
            ("r4", 0.7): Completion("hm", "length", 1, 64, 0.0),
        }
    )
    result = run(task_of(records, tmp_path, judge))
    rows = {row["id"]: row for row in rows_of(tmp_path)}
    assert (rows["r1"]["attempts"], rows["r1"]["informativeness"]) == (
        2,
        records[1].extra["rated"][0],
    )
    assert (rows["r3"]["informativeness"], rows["r3"]["specificity"]) == (2, 3)
    assert rows["r2"]["left_out"] == "no rating in 3 replies of the judge"
    assert judge.asked.count("r2") == 3
    cut = "no rating in 3 replies of the judge, the last cut at max_tokens = 64"
    assert result["left_out"] == {"no rating in 3 replies of the judge": 1, cut: 1}


def test_a_judge_that_never_rates_is_an_error_and_not_a_figure(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no rating in 3 replies"):
        run(task_of(records_of(3), tmp_path, "silent"))


def test_a_server_that_was_away_costs_its_records_only(tmp_path: Path) -> None:
    away = Faulty({("r1", 0.0): Failure("timeout", "600 s")})
    with pytest.raises(ValueError, match="1 records lack a text; the first, r1: timeout"):
        run(task_of(records_of(4), tmp_path, away))
    back = Faulty({})
    assert run(task_of(records_of(4), tmp_path, back))["n"] == 4
    assert set(back.asked) == {"r1"}


def test_two_workers_find_what_one_finds(tmp_path: Path) -> None:
    records, alone, shared = records_of(12), tmp_path / "alone", tmp_path / "shared"
    run(task_of(records, alone))
    assert (
        diagnose("critique_quality", DIAGNOSTIC, task_of(records, shared), None, Worker(0, 2))
        is None
    )
    assert diagnose("critique_quality", DIAGNOSTIC, task_of(records, shared), None, Worker(1, 2))
    for name in ("critique_quality.jsonl", "critique_quality.json"):
        assert (alone / name).read_bytes() == (shared / name).read_bytes()


@pytest.mark.parametrize("dies_after", [1, 5, 17])
def test_killed_and_resumed_equals_undisturbed(tmp_path: Path, dies_after: int) -> None:
    records, whole, torn = records_of(12), tmp_path / "whole", tmp_path / "torn"
    run(task_of(records, whole))
    with pytest.raises(KeyboardInterrupt):
        run(task_of(records, torn, Faulty({}, dies_after)))
    run(task_of(records, torn))
    for name in ("critique_quality.jsonl", "critique_quality.json"):
        assert (whole / name).read_bytes() == (torn / name).read_bytes()
