"""Robustness: a model that follows every critique and one that follows none have the rates one expects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_judges import Faulty

from datagen.records import Record, read_jsonl
from datagen.scripted import ScriptedGenerator
from engine.objectives import LAYOUTS, conversation
from evals.diagnostics import robustness
from evals.diagnostics.diagnosis import Diagnosis
from evals.diagnostics.misleading import Misleading, read_misleading
from evals.diagnostics.robustness import DIAGNOSTIC, shown
from evals.diagnostics.robustness_figures import CONDITIONS
from evals.diagnostics.run import diagnose

NUM_RECORDS, NUM_RIGHT = 12, 3


def records() -> list[Record]:
    """The first three student answers are right."""
    return [
        Record(
            id=f"r{i}",
            prompt=f"What is {i} + 20?",
            final_answer=str(i + 20),
            student_answer=f"It is \\boxed{{{i + 20 if i < NUM_RIGHT else i}}}",
            critique=f"Think again: the answer is {i + 20}.",
            refined_answer=f"\\boxed{{{i + 20}}}",
        )
        for i in range(NUM_RECORDS)
    ]


def task_of(folder: Path, judge: str = "judge", **changes: Any) -> Diagnosis:
    made = ScriptedGenerator(f"scripted_judges:{judge}")
    task = Diagnosis(
        model=folder,
        chat_template=None,
        layout="single_turn",
        records=tuple(records()),
        seed=1,
        max_tokens=8,
        max_length=512,
        batch_size=4,
        device="cpu",
        folder=folder / "diagnostics",
        judge=lambda: made,
        say=lambda _: None,
    )
    return replace(task, **changes)


def run(task: Diagnosis) -> dict[str, Any]:
    result = diagnose("robustness", DIAGNOSTIC, task)
    assert result is not None
    return result


@pytest.fixture
def model_folder(tiny_student: Path) -> Path:
    """Of a real model: the frame looks at its files, the scripted one answers."""
    return tiny_student


def answered_by(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedGenerator(f"scripted_judges:{script}")
    monkeypatch.setattr(robustness, "model_of", lambda task: model)


def figures_of(
    script: str, tmp_path: Path, model: Path, patch: pytest.MonkeyPatch, **changes: Any
) -> Any:
    answered_by(script, patch)
    return run(task_of(tmp_path, model=model, **changes))["figures"]


def test_a_model_that_follows_every_critique_is_right_and_misled_with_it(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = figures_of("follower", tmp_path, model_folder, monkeypatch)
    assert figures["factual.accuracy"] == figures["misled"] == figures["recovered"] == 1
    assert figures["misleading.accuracy"] == figures["irrelevant.accuracy"] == 0
    assert figures["kept.misleading"] == figures["recovered.none"] == figures["misled.without"] == 0
    assert figures["none.accuracy"] == NUM_RIGHT / NUM_RECORDS
    assert figures["factual_minus_misleading"] == 1
    assert figures["factual_minus_misleading.p"] == 2 / 2**NUM_RECORDS
    assert (figures["misled.low"], figures["misled.high"]) == (pytest.approx(0.757, abs=1e-3), 1)


def test_a_model_that_reads_no_critique_is_moved_by_none(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = figures_of("stubborn", tmp_path, model_folder, monkeypatch)
    assert {figures[f"{condition}.accuracy"] for condition in CONDITIONS} == {1}
    assert figures["misled"] == figures["factual_minus_misleading"] == 0
    assert figures["factual_minus_misleading.p"] == 1


def test_without_false_critiques_the_other_conditions_stand_and_it_is_said(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_by("follower", monkeypatch)
    result = run(task_of(tmp_path, judge="silent", model=model_folder))
    assert "misled" not in result["figures"]
    assert result["figures"]["n.misleading"] == 0
    assert result["figures"]["factual.accuracy"] == 1
    assert "misleading: 0 of 12 records have such a critique." in result["notes"]


def test_a_records_own_false_critique_is_taken(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"misleading_critique": "No: the answer is 7.", "misleading_answer": "7"}
    given = tuple(replace(record, extra=own) for record in records())
    figures = figures_of(
        "follower", tmp_path, model_folder, monkeypatch, records=given, judge="silent"
    )
    assert figures["n.misleading"] == NUM_RECORDS
    assert figures["misled"] == 1
    assert figures["misled.without"] == 1 / NUM_RECORDS  # the student of r7 came to 7 by itself


@pytest.mark.parametrize("answer", ["23", None, ""])
def test_a_false_critique_that_leads_to_the_right_answer_is_refused(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    answered_by("follower", monkeypatch)
    one = replace(records()[3], extra={"misleading_critique": "No.", "misleading_answer": answer})
    given = (*records()[:3], one)
    with pytest.raises(ValueError, match=r"r3: .*misleading_answer must"):
        run(task_of(tmp_path, model=model_folder, records=given))


def test_a_record_without_a_readable_gold_answer_is_counted(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_by("stubborn", monkeypatch)
    given = (*records()[1:], replace(records()[0], final_answer=None))
    result = run(task_of(tmp_path, model=model_folder, records=given))
    assert (result["n"], result["left_out"]) == (11, {"no gold answer that can be read": 1})


@pytest.mark.parametrize("dies_after", [7, 33])
def test_killed_and_resumed_equals_undisturbed(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, dies_after: int
) -> None:
    whole, torn = (
        task_of(tmp_path / "whole", model=model_folder),
        task_of(tmp_path / "torn", model=model_folder),
    )
    answered_by("follower", monkeypatch)
    run(whole)
    dying = Faulty({}, dies_after, "follower")
    monkeypatch.setattr(robustness, "model_of", lambda task: dying)
    monkeypatch.setattr(robustness, "BATCHES", 1)
    with pytest.raises(KeyboardInterrupt):
        run(torn)
    rest = Faulty({}, script="follower")
    monkeypatch.setattr(robustness, "model_of", lambda task: rest)
    run(torn)
    assert len(rest.asked) == 5 * (NUM_RECORDS - dies_after // 5)
    for name in ("robustness.jsonl", "robustness.json"):
        assert (whole.folder / name).read_bytes() == (torn.folder / name).read_bytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_is_shown_as_training_shows_it(layout: str, condition: str) -> None:
    record = records()[4]
    objective = {"none": "cgd_no_critique", "prompt": "sft"}.get(condition, "cgd")
    trained_on = {**record.to_json(), "answer": "It is 24."}
    critique = record.critique if objective == "cgd" else None
    assert (
        shown(record, condition, critique, layout)
        == conversation(trained_on, objective, layout).context
    )


def test_a_real_model_answers_every_condition(tmp_path: Path, tiny_student: Path) -> None:
    result = run(task_of(tmp_path, model=tiny_student))
    rows = [row for _, row in read_jsonl(tmp_path / "diagnostics/robustness.jsonl")]
    assert [set(row["outputs"]) for row in rows] == [set(CONDITIONS)] * NUM_RECORDS
    assert all(
        row["misleading_answer"] == "99" and row["unrelated_to"] != row["id"] for row in rows
    )
    false = {
        row["misleading_critique"] for row in rows
    }  # and not the line that says where they lead
    assert false == {f"r{i}: the last step is wrong. The answer is 99." for i in range(NUM_RECORDS)}
    cut = sum(len(row["cut"]) for row in rows)
    assert f"{cut} of {5 * NUM_RECORDS} answers were cut at max_tokens = 8." in result["notes"]


def test_what_does_not_fit_the_model_is_left_out_with_its_reason(
    tmp_path: Path, tiny_student: Path
) -> None:
    with pytest.raises(
        ValueError, match=r"12 records \(too long for the model with max_tokens = 1023\)"
    ):
        run(task_of(tmp_path, model=tiny_student, max_tokens=1023))


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("Add 3.\nLeads to: 7", Misleading("Add 3.", "7")),
        ("Add 3.\n\n**Leads to:** \\frac{1}{2}\n", Misleading("Add 3.", "\\frac{1}{2}")),
        ("<think>\nLeads to: 8\n</think>\nAdd 3.\nleads to: x = 7", Misleading("Add 3.", "x = 7")),
        ("Leads to: 7", None),
        ("Add 3. Leads to: 7", None),
        ("Add 3.\nLeads to:", None),
        ("Add 3.\nLeads to: 7\nI hope this helps.", None),
        ("", None),
    ],
)
def test_a_false_critique_ends_with_where_it_leads(reply: str, read: Misleading | None) -> None:
    assert read_misleading(reply) == read
