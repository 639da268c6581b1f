"""Gates at work in the flow: retries with seeds and room of their own, drops, shares, traces, resumes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datagen.flow import run_flow
from datagen.gate_config import CritiqueGates, SolutionGates
from datagen.gates import GateConfig
from datagen.generators import Completion, Failure, Outcome, Request, Sampling, Session
from datagen.records import Record, read_records, write_records
from datagen.sessions import BatchSession
from datagen.stages import GenerateConfig
from launch.judging import AnswerJudge

Asked = tuple[str, str, int, int]
"""Stage, record, seed and limit of a request."""


TOO_LONG = ("", "too long")
"""Stands in a script for a request that does not fit."""


class StrictSession(BatchSession):
    """Knows requests that are too long."""

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        collected = super().collect(timeout)
        return [(ticket, as_failure(outcome)) for ticket, outcome in collected]


def as_failure(outcome: Outcome) -> Outcome:
    is_text = isinstance(outcome, Completion) and outcome.finish_reason != TOO_LONG[1]
    return outcome if is_text else Failure("too long", "no room")


class Writer:
    """Writes by stage and record: the texts of `script` one after the other, the last one again and again."""

    def __init__(self, name: str, script: dict[tuple[str, str], list[tuple[str, str]]]) -> None:
        self.identity = {"backend": "test", "model": name, "revision": ""}
        self.asked: list[Asked] = []
        self._script = script

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, done: AbstractSet[int] = frozenset()
    ) -> Iterator[tuple[int, Completion]]:
        for index, request in enumerate(requests):
            if index in done:
                continue
            key = (request.stage, request.id)
            before = sum(asked[:2] == key for asked in self.asked)
            self.asked.append((*key, request.seed, sampling.max_tokens))
            texts = self._script.get(key, [(f"{request.stage} of {request.id}. Answer: 5", "stop")])
            text, reason = texts[min(before, len(texts) - 1)]
            yield index, Completion(text, reason, 10, 3, 0.5)

    def open(self) -> Session:
        return StrictSession(self.generate)

    def requests(self, stage: str, record: str) -> list[Asked]:
        return [asked for asked in self.asked if asked[:2] == (stage, record)]


class Run:
    """A folder with three prompts whose answer is 5, and a config."""

    def __init__(self, folder: Path, script: dict[tuple[str, str], list[tuple[str, str]]]) -> None:
        self.folder, self.script = folder, script
        self.said: list[str] = []
        self.config = GenerateConfig()
        prompts = [Record(id=f"r{i}", prompt=f"What is {i}?", final_answer="5") for i in range(3)]
        self.prompts = folder / "prompts.jsonl"
        write_records(self.prompts, prompts)

    def __call__(self, **gates: Any) -> Writer:
        teacher = Writer("teacher", self.script)
        config = replace(self.config, gates=GateConfig(**gates))
        run_flow(
            self.prompts,
            self.folder,
            Writer("student", self.script),
            teacher,
            config,
            seed=0,
            judge=AnswerJudge(),
            say=self.said.append,
        )
        return teacher

    def records(self, name: str = "refinements") -> dict[str, Record]:
        return {record.id: record for record in read_records(self.folder / f"{name}.jsonl")}

    def stage(self, name: str) -> dict[str, Any]:
        summary = json.loads((self.folder / "summary.json").read_text())
        return next(stage for stage in summary["stages"] if stage["stage"] == name)


CUT, WELL = ("Answer: 4 and", "length"), ("Well. Answer: 5", "stop")


def test_a_cut_text_is_written_again_with_another_seed_and_more_room(tmp_path: Path) -> None:
    run = Run(tmp_path, {("refine", "r1"): [CUT, CUT, WELL]})
    teacher = run()
    requests = teacher.requests("refine", "r1")
    limit = run.config.refine.max_tokens
    assert [asked[3] for asked in requests] == [limit, 2 * limit, 4 * limit]
    assert len({asked[2] for asked in requests}) == 3
    assert len(teacher.requests("refine", "r0")) == 1
    assert run.records()["r1"].refined_answer == WELL[0]
    figures = run.stage("refine")
    assert (figures["texts"], figures["retried"], figures["out"]) == (5, 2, 3)
    assert figures["found"] == {"truncated": 2, "contradiction": 2}
    assert figures["completion_tokens"] == 15


def test_an_empty_text_is_written_again_with_another_seed_and_the_same_room(tmp_path: Path) -> None:
    run = Run(tmp_path, {("critique", "r2"): [(" ", "stop"), WELL]})
    requests = run().requests("critique", "r2")
    assert len({asked[2] for asked in requests}) == 2
    assert {asked[3] for asked in requests} == {run.config.critique.max_tokens}


def test_what_stays_poor_is_dropped_named_and_counted(tmp_path: Path) -> None:
    run = Run(tmp_path, {("critique", "r1"): [("I'm sorry, but I can't help with that.", "stop")]})
    teacher = run()
    assert len(teacher.requests("critique", "r1")) == 3
    assert not teacher.requests("refine", "r1")
    assert set(run.records()) == {"r0", "r2"}
    assert set(run.records("answers")) == {"r0", "r1", "r2"}
    dropped = json.loads((tmp_path / "dropped.jsonl").read_text())
    assert (dropped["id"], dropped["dropped"]) == ("r1", {"stage": "critique", "gate": "refusal"})
    assert run.stage("critique")["dropped"] == {"refusal": 1}
    assert run.stage("refine")["into"] == 2
    assert any("lost in critique: refusal 1" in line for line in run.said)


def test_a_changed_policy_reads_again_and_writes_only_what_it_asks_for(tmp_path: Path) -> None:
    run = Run(tmp_path, {("refine", "r1"): [("Answer: 4", "stop")]})
    assert len(run().asked) == 6
    assert run.records()["r1"].refined_answer == "Answer: 4"
    assert run.stage("refine")["found"] == {"contradiction": 1}
    assert run(refine=SolutionGates(contradiction="drop")).asked == []
    assert set(run.records()) == {"r0", "r2"}
    again = run(refine=SolutionGates(contradiction="retry then keep"), retries=1)
    assert [asked[:2] for asked in again.asked] == [("refine", "r1")]
    assert run().asked == []
    assert set(run.records()) == {"r0", "r1", "r2"}


def test_leaks_are_counted_and_may_be_dropped(tmp_path: Path) -> None:
    script = {("answer", "r1"): [("Answer: 7", "stop")], ("critique", "r1"): [WELL]}
    run = Run(tmp_path, script)
    run()
    assert run.stage("critique")["found"] == {"leak": 1}
    assert run.records()["r1"].student_correct is False
    run(critique=CritiqueGates(leak="drop"))
    assert set(run.records()) == {"r0", "r2"}


def test_a_thinking_trace_is_neither_shown_nor_judged_but_kept_in_the_journal(
    tmp_path: Path,
) -> None:
    raw = "<think>It is 5.</think>Look again.\nConclusion: wrong"
    script = {("answer", "r1"): [("Answer: 7", "stop")], ("critique", "r1"): [(raw, "stop")]}
    run = Run(tmp_path, script)
    run()
    record = run.records()["r1"]
    assert (record.critique, record.verdict) == ("Look again.\nConclusion: wrong", "wrong")
    assert run.stage("critique")["found"] == {}
    journal = "".join(file.read_text() for file in (tmp_path / "journal").glob("*.jsonl"))
    assert json.dumps(raw)[1:-1] in journal


def test_a_gate_that_finds_too_much_stops_the_run_and_loses_nothing(tmp_path: Path) -> None:
    many = [Record(id=f"m{i}", prompt=f"What is {i}?", final_answer="5") for i in range(130)]
    run = Run(tmp_path, {("critique", record.id): [("", "stop")] for record in many})
    write_records(run.prompts, many)
    with pytest.raises(ValueError, match=r"critique: the gate `empty` .* of 100 texts"):
        run()
    kept = run(critique=CritiqueGates(empty="keep", max_share={"empty": 1.0}))
    assert len([asked for asked in kept.asked if asked[0] == "critique"]) <= 30
    assert len(run.records()) == 130


@pytest.mark.parametrize(
    ("policy", "kept"), [("retry then drop", False), ("retry then keep", True)]
)
def test_a_cut_text_that_gets_no_more_room_meets_the_policys_last_word(
    tmp_path: Path, policy: Any, kept: bool
) -> None:
    run = Run(tmp_path, {("critique", "r1"): [("Look", "length"), TOO_LONG]})
    teacher = run(critique=CritiqueGates(truncated=policy))
    assert len(teacher.requests("critique", "r1")) == 2
    assert len(teacher.requests("refine", "r1")) == kept
    assert set(run.records()) == ({"r0", "r1", "r2"} if kept else {"r0", "r2"})
    figures = run.stage("critique")
    assert figures["failed"] == {}
    assert (figures["into"], figures["out"]) == (3, 2 + kept)
    assert figures["dropped"] == ({} if kept else {"truncated": 1})
