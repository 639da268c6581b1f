"""The chain: where a record stands is a function of its texts, and of nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from flow_fakes import Batches, records
from hypothesis import given
from hypothesis import strategies as st

from datagen.chain import Complete, Course, Dropped, Due, Position, begin, fail, follow, replay
from datagen.gate_config import GateConfig, SolutionGates
from datagen.generators import Failure
from datagen.journal import Entry
from datagen.plan import derive_seed, plan_stages, plan_work
from datagen.records import Record
from datagen.stages import GenerateConfig, StageConfig

NAMES = ("answer", "critique", "refine", "teach")


def course(config: GenerateConfig = GenerateConfig(), **more: Any) -> Course:  # noqa: B008
    identities = {"student": Batches("s").identity, "teacher": Batches("t").identity}
    return Course(plan_stages(NAMES, config, identities, 0), config.gates, **more)


def entry(due: Due, text: str, reason: str = "stop") -> Entry:
    facts = due.work.provenance | {"finish_reason": reason}
    return Entry(due.work.plan.name, due.record.id, text, facts)


def walk(texts: list[str], plan: Course) -> tuple[Position, dict[str, Entry]]:
    """Follows one text after the other; the texts by key."""
    position, known = begin(records(1)[0], plan), {}
    for text in texts:
        if isinstance(position, Due):
            known[position.work.key] = entry(position, text)
            position = follow(position, known[position.work.key], plan)
    return position, known


@given(st.lists(st.sampled_from(["a", "b", " ", "I cannot help."]), max_size=9))
def test_a_replay_ends_where_the_first_way_ended(texts: list[str]) -> None:
    position, known = walk(texts, course())
    again = replay(begin(records(1)[0], course()), known.get, course())
    assert again == position
    shuffled = dict(sorted(known.items()))
    assert replay(begin(records(1)[0], course()), shuffled.get, course()) == position


def test_a_record_goes_through_all_stages_and_holds_their_texts() -> None:
    position, _ = walk(["y", "c Conclusion: wrong\nConclusion: right", "z", "t"], course())
    assert isinstance(position, Complete)
    record = position.record
    assert (record.student_answer, record.refined_answer, record.teacher_answer) == ("y", "z", "t")
    assert record.verdict == "right"
    assert list(record.provenance) == list(NAMES)
    assert [ruled.entry.stage for ruled in position.ruled] == list(NAMES)


def test_a_gate_asks_again_with_another_seed_and_then_drops() -> None:
    position, known = walk(["y", " ", " "], course())
    assert isinstance(position, Due)
    assert position.work.attempt == 2
    seeds = {e.provenance["seed"] for e in known.values()} | {position.work.request.seed}
    assert len(seeds) == 4
    position, _ = walk(["y", " ", " ", " "], course())
    assert isinstance(position, Dropped)
    assert (position.gate, position.place, position.record.refined_answer) == ("empty", 1, None)


def test_a_failure_is_no_text() -> None:
    due = begin(records(1)[0], course())
    assert isinstance(due, Due)
    failed = fail(due, Failure("timeout", "no answer", 7), course())
    assert failed.record == records(1)[0]
    assert failed.work == due.work


def test_a_thinking_trace_is_for_nobody_unless_asked_for() -> None:
    raw = "<think>it is 5</think>The sum is off."
    position, _ = walk(["y", raw], course())
    assert isinstance(position, Due)
    assert position.record.critique == "The sum is off."
    assert "it is 5" not in position.work.request.messages[0]["content"]
    kept = course(GenerateConfig(critique=StageConfig(thinking="keep")))
    position, _ = walk(["y", raw], kept)
    assert position.record.critique == raw


def test_a_changed_policy_finds_the_same_texts() -> None:
    _, known = walk(["y", "c", " ", " ", " "], course())
    keep = GenerateConfig(gates=GateConfig(refine=SolutionGates(empty="keep")))
    position = replay(begin(records(1)[0], course(keep)), known.get, course(keep))
    assert isinstance(position, Due)
    assert position.work.plan.name == "teach"


class Judge:
    """Whoever says the gold answer is right."""

    asked = 0

    def final_answer(self, text: str) -> str | None:
        return text

    def is_correct(self, text: str, gold: str) -> bool | None:
        self.asked += 1
        return gold in text

    def gives_away(self, critique: str, gold: str, prompt: str, student_answer: str) -> bool:
        return gold in critique


def test_the_judge_says_whether_the_student_was_right_and_is_asked_once_a_text() -> None:
    judge = Judge()
    plan = course(judge=judge)
    record = Record(id="a", prompt="P", final_answer="42")
    known: dict[str, Entry] = {}
    position: Position = begin(record, plan)
    for text in ("it is 42", "right", "42 it is", "42"):
        assert isinstance(position, Due)
        known[position.work.key] = entry(position, text)
        position = follow(position, known[position.work.key], plan)
    assert position.record.student_correct is True
    asked = judge.asked
    assert replay(begin(record, plan), known.get, plan) == position
    assert judge.asked == asked


# ---- keys -----------------------------------------------------------------------------------------------


def key_of(
    record: Record, stage: int = 0, attempt: int = 0, limit: int | None = None, **c: Any
) -> str:
    return plan_work(course(GenerateConfig(**c)).stages[stage], record, attempt, limit).key


def test_a_key_depends_on_all_that_a_text_depends_on() -> None:
    record = Record(id="a", prompt="P", student_answer="Y", critique="C")
    other = Record(id="a", prompt="P", student_answer="Y2", critique="C")
    renamed = Record(id="b", prompt="P", student_answer="Y", critique="C")
    keys = [
        key_of(record),
        key_of(record, 1),
        key_of(other, 1),
        key_of(renamed, 1),
        key_of(record, 1, attempt=1),
        key_of(record, 1, limit=77),
        key_of(record, 1, critique=StageConfig(temperature=0.1)),
        key_of(record, 1, critique=StageConfig(top_p=0.1)),
        key_of(record, 1, critique=StageConfig(system="S")),
        key_of(record, 1, critique=StageConfig(template="critique_verdict")),
        key_of(record, 2),
        key_of(record, 2, refine=StageConfig(layout="continue")),
    ]
    assert len(set(keys)) == len(keys)
    gold = Record(id="a", prompt="P", student_answer="Y", critique="C", answer="G", source="s")
    assert key_of(gold, 1) == key_of(record, 1), "what the model is not shown does not matter"


@pytest.mark.parametrize("parts", [(1, "answer", "a"), (0, "teach", "a"), (0, "answer", "b")])
def test_seeds_differ_with_run_stage_record_and_attempt(parts: tuple[int, str, str]) -> None:
    first = derive_seed(0, "answer", "a")
    assert derive_seed(0, "answer", "a") == first == derive_seed(0, "answer", "a", 0)
    assert derive_seed(*parts) != first
    assert derive_seed(0, "answer", "a", 1) != first
    assert 0 <= first < 2**63
