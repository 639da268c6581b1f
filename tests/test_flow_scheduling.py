"""The flow's scheduling on a virtual clock: stages overlap, budgets hold, failures wait for the next run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flow_fakes import STAGES, Batches, Clock, Flow, Server, echo, records

from datagen.accounts import Price
from datagen.budget import BudgetSpent
from datagen.flow_progress import FlowProgress
from datagen.gate_config import AnswerGates, CritiqueGates, GateConfig
from datagen.generators import Failure, Request
from datagen.sessions import BatchSession
from datagen.stages import GenerateConfig, StageConfig


def busy_seconds(server: Server) -> float:
    return sum(ended - began for began, ended, _ in server.log)


# ---- who works when -----------------------------------------------------------------------------------


def test_critiques_are_written_while_answers_are(tmp_path: Path) -> None:
    clock = Clock()
    student, teacher = Server(clock, "s", places=4), Server(clock, "t", places=8)
    Flow(tmp_path, records(64))(student, teacher)
    assert clock.now == pytest.approx(16 + 2, abs=0.5), "the stages one after the other take 32 s"
    answers = [ended for _, ended, _ in student.log]
    critiques = [began for began, _, what in teacher.log if what.startswith("critique")]
    assert min(critiques) < min(answers) + 0.1
    assert sum(began < max(answers) for began in critiques) >= 56


def test_a_busy_server_has_no_idle_place(tmp_path: Path) -> None:
    clock = Clock()
    student = Server(clock, "s", places=16, seconds=lambda r: 0.5 + len(r.id) % 3)
    teacher = Server(clock, "t", places=8, seconds=lambda r: 1 + r.seed % 7 / 2)
    Flow(tmp_path, records(200))(student, teacher)
    assert busy_seconds(teacher) / (8 * (clock.now - teacher.log[0][0])) > 0.95
    assert max(ended for _, ended, _ in student.log) < clock.now / 4, "the student never starves"


def test_refinements_go_before_critiques_before_answers_on_one_server(tmp_path: Path) -> None:
    server = Server(Clock(), "both", places=2)
    Flow(tmp_path, records(12))(server, server)
    assert server.opened == 1
    began = [what.split()[0] for _, _, what in sorted(server.log)]
    assert began[:6] == ["answer", "answer", "critique", "critique", "refine", "refine"]
    ended = {what: end for _, end, what in server.log}
    assert all(ended[f"refine r{i}"] <= ended[f"critique r{i}"] + 1.1 for i in range(12))


def test_long_prompts_go_first(tmp_path: Path) -> None:
    student = Server(Clock(), "s", places=1)
    lengths = [3, 50, 8, 200]
    prompts = [type(r)(id=r.id, prompt="x" * n) for r, n in zip(records(4), lengths, strict=True)]
    Flow(tmp_path, prompts)(student)
    assert student.written == ["answer r3", "answer r1", "answer r2", "answer r0"]


def test_models_that_run_here_work_one_at_a_time(tmp_path: Path) -> None:
    class Local(Server):
        def __init__(self, name: str) -> None:
            super().__init__(clock, name)
            self.identity = {"backend": "vllm", "model": name}

        def open(self) -> Any:
            open_now.append(self.identity["model"])
            session = super().open()
            close = session.close
            session.close = lambda: (open_now.remove(self.identity["model"]), close())  # type: ignore[method-assign]
            assert len(open_now) == 1
            return session

    clock, open_now = Clock(), list[str]()
    student, teacher = Local("s"), Local("t")
    Flow(tmp_path, records(8))(student, teacher)
    assert student.opened == teacher.opened == 1
    assert open_now == []
    assert max(ended for _, ended, _ in student.log) <= min(began for began, _, _ in teacher.log)
    assert [what.split()[0] for _, _, what in teacher.log][:5].count("refine") >= 1


def test_nothing_is_opened_that_is_not_needed(tmp_path: Path) -> None:
    flow, clock = Flow(tmp_path, records(4)), Clock()
    flow(Server(clock, "s"), Server(clock, "t"))
    student, teacher = Server(clock, "s"), Server(clock, "t")
    config = GenerateConfig(refine=StageConfig(max_tokens=5))
    assert len(flow(student, teacher, config)) == 4
    assert (student.opened, teacher.opened) == (0, 1)


def test_a_teacher_that_cannot_work_stops_the_run_before_the_student_has_begun(
    tmp_path: Path,
) -> None:
    class Unwell(Server):
        def open(self) -> Any:
            raise ValueError("http://there: the key is not known")

    student = Batches("student")
    with pytest.raises(ValueError, match="the key is not known"):
        Flow(tmp_path, records(4))(student, Unwell(Clock()))
    assert student.written == []


# ---- failures ---------------------------------------------------------------------------------------------


def fails_once(*ids: str, kind: str = "timeout", stage: str = "critique") -> Any:
    def fails(request: Request) -> Failure | None:
        if request.id in ids and request.stage == stage:
            return Failure(kind, f"no answer about {request.id}", 7)
        return None

    return fails


def test_failures_end_the_command_and_are_tried_again_by_the_next(tmp_path: Path) -> None:
    flow, clock = Flow(tmp_path, records(8)), Clock()
    teacher = Server(clock, "t", fails=fails_once("r2", "r5"))
    with pytest.raises(ValueError, match=r"2 of 8 records \(25.0 %\) have failed") as error:
        flow(Server(clock, "s"), teacher)
    assert "2 x timeout: no answer about r2" in str(error.value)
    assert "The same command tries them again" in str(error.value)
    assert not (tmp_path / "summary.json").exists()
    assert not (tmp_path / "refinements.jsonl").exists()
    failed = flow.rows("failed")
    assert [(row["id"], row["stage"], row["error"]["kind"]) for row in failed] == [
        ("r2", "critique", "timeout"),
        ("r5", "critique", "timeout"),
    ]
    assert "no answer about" not in "".join(
        json.loads(line).get("text", "") for line in flow.journal.read_bytes().splitlines()
    )
    again = flow(Server(clock, "s"), Server(clock, "t"))
    assert again == ["critique r2", "critique r5", "refine r2", "refine r5"]
    assert "2 texts that could not be had before are tried again" in flow.said
    assert flow.rows("failed") == []
    assert len(flow.ids()) == 8


def test_a_tolerated_share_is_left_out_and_listed(tmp_path: Path) -> None:
    flow, clock = Flow(tmp_path, records(8)), Clock()
    config = GenerateConfig(max_failed_share=0.25)
    student, teacher = Server(clock, "s"), Server(clock, "t", fails=fails_once("r2", "r5"))
    flow(student, teacher, config)
    assert flow.ids("answers") == [f"r{i}" for i in range(8)]
    assert flow.ids("critiques") == flow.ids() == ["r0", "r1", "r3", "r4", "r6", "r7"]
    assert flow(student, teacher, config, retry_failed=False) == []
    assert flow.said[-1] == "records: 6 records (2 failed), complete, nothing to do"
    stages = json.loads((tmp_path / "summary.json").read_text())["stages"]
    for stage in stages:
        lost = sum(stage["dropped"].values()) + sum(stage["failed"].values())
        assert stage["into"] == stage["out"] + lost
    assert len(flow(student, Server(clock, "t"), config)) == 4
    assert len(flow.ids()) == 8


def test_too_long_is_counted_apart_and_told_how_to_mend(tmp_path: Path) -> None:
    flow, clock = Flow(tmp_path, records(8)), Clock()
    teacher = Server(clock, "t", fails=fails_once("r1", kind="too long", stage="refine"))
    with pytest.raises(ValueError, match="1 x too long") as error:
        flow(Server(clock, "s"), teacher)
    assert "lower max_tokens" in str(error.value)


def test_a_dead_server_is_given_up_and_the_other_one_s_texts_are_kept(tmp_path: Path) -> None:
    flow, clock = Flow(tmp_path, records(400)), Clock()
    dead = Server(clock, "t", fails=lambda request: Failure("connection", "refused", 7))
    student = Server(clock, "s", places=20, seconds=lambda r: 2.0)
    with pytest.raises(ValueError, match="last 100 requests to the teacher have all failed"):
        flow(student, dead)
    lines = [json.loads(line) for line in flow.journal.read_bytes().splitlines()]
    kinds = Counter("error" in line for line in lines)
    assert kinds[True] < 110
    assert kinds[False] == len(student.written), "what was in flight was waited for"


def test_servers_without_room_get_one_request_that_waits(tmp_path: Path) -> None:
    class Unwell(Server):
        def open(self) -> Any:
            session = super().open()
            session.room = lambda: 0  # type: ignore[method-assign]
            return session

    flow, clock = Flow(tmp_path, records(4)), Clock()
    assert len(flow(Unwell(clock, "s"), Unwell(clock, "t"))) == 12


# ---- budgets ----------------------------------------------------------------------------------------------


SHORT = StageConfig(max_tokens=5)
"""The fakes' texts have 5 tokens, and count 3 for their prompts."""


def test_a_token_budget_stops_cleanly_and_holds(tmp_path: Path) -> None:
    flow, clock = Flow(tmp_path, records(50)), Clock()
    config = GenerateConfig(max_total_tokens=800, answer=SHORT, critique=SHORT, refine=SHORT)
    with pytest.raises(BudgetSpent, match="800") as error:
        flow(Server(clock, "s"), Server(clock, "t"), config)
    assert error.value.exit_code == 1
    lines = flow.journal.read_bytes().splitlines()
    assert 8 * len(lines) <= 800
    assert 8 * len(lines) > 300, "it did not stop too early"
    with pytest.raises(BudgetSpent):
        flow(Server(clock, "s"), Server(clock, "t"), config)
    assert len(flow.journal.read_bytes().splitlines()) - len(lines) < 40
    flow(Server(clock, "s"), Server(clock, "t"), replace(config, max_total_tokens=None))
    assert len(flow.journal.read_bytes().splitlines()) == 150


def test_a_budget_counts_what_earlier_settings_have_cost(tmp_path: Path) -> None:
    flow, clock = Flow(tmp_path, records(8)), Clock()
    flow(Server(clock, "s"), Server(clock, "t"))
    student = Server(clock, "other")
    with pytest.raises(BudgetSpent):
        flow(student, Server(clock, "t"), GenerateConfig(max_total_tokens=24 * 8))
    assert student.written == []


def test_money_is_counted_by_stage(tmp_path: Path) -> None:
    flow, clock = Flow(tmp_path, records(20)), Clock()
    prices = {"critique": Price(prompt=0.0, completion=1000.0)}
    config = GenerateConfig(max_usd=0.0501, answer=SHORT, critique=SHORT, refine=SHORT)
    with pytest.raises(BudgetSpent, match=r"0\.05 USD"):
        flow(Server(clock, "s"), Server(clock, "t"), config, prices=prices)
    critiques = [
        line for line in flow.journal.read_text().splitlines() if '"critique", "id"' in line
    ]
    assert len(critiques) == 10


def test_a_budget_that_suffices_is_no_reason_to_stop(tmp_path: Path) -> None:
    config = GenerateConfig(max_total_tokens=24 * 8 + 1)
    flow = Flow(tmp_path, records(8))
    flow(config=config)
    assert len(flow.ids()) == 8


def test_batches_stop_at_the_budget_too(tmp_path: Path) -> None:
    flow = Flow(tmp_path, records(8))
    student = Batches("student")
    with pytest.raises(BudgetSpent):
        flow(student, config=GenerateConfig(max_total_tokens=30))
    assert len(student.written) == 4
    assert isinstance(student.open(), BatchSession)


# ---- gates ------------------------------------------------------------------------------------------------


def test_dropped_records_stay_countable(tmp_path: Path) -> None:
    flow = Flow(tmp_path, records(8))

    def text(request: Request) -> str:
        return " " if request.id in ("r1", "r4") and request.stage == "critique" else echo(request)

    teacher = Batches("teacher", text=text)
    flow(teacher=teacher)
    assert Counter(teacher.written)["critique r1"] == 3, "two further attempts"
    assert flow.ids("answers") == [f"r{i}" for i in range(8)]
    assert flow.ids("critiques") == flow.ids() == ["r0", "r2", "r3", "r5", "r6", "r7"]
    dropped = flow.rows("dropped")
    assert [(row["id"], row["dropped"]) for row in dropped] == [
        (i, {"stage": "critique", "gate": "empty"}) for i in ("r1", "r4")
    ]
    assert "refined_answer" not in dropped[0]
    assert flow(teacher=Batches("teacher", text=text)) == []


def test_a_changed_policy_rereads_texts_and_writes_only_what_follows(tmp_path: Path) -> None:
    flow = Flow(tmp_path, records(8))
    teacher = Batches("teacher", text=lambda r: " " if r.id == "r1" else echo(r))
    flow(teacher=teacher)
    assert len(flow.ids()) == 7
    keep = GateConfig(critique=CritiqueGates(empty="keep"))
    assert flow(teacher=teacher, config=GenerateConfig(gates=keep)) == ["refine r1"] * 3
    assert len(flow.ids()) == 7
    assert len(flow.ids("critiques")) == 8


def test_a_cut_text_is_asked_for_again_with_more_room(tmp_path: Path) -> None:
    limits: list[int] = []

    class Cut(Batches):
        def generate(self, requests: Any, sampling: Any, done: Any = frozenset()) -> Any:
            if requests[0].stage == "refine":
                limits.append(sampling.max_tokens)
            yield from super().generate(requests, sampling, done)

    def reason(request: Request) -> str:
        return "length" if request.stage == "refine" and request.id == "r3" else "stop"

    flow = Flow(tmp_path, records(8))
    flow(teacher=Cut("teacher", reason=reason))
    assert limits == [1024, 2048, 4096]
    assert flow.rows("dropped")[0]["provenance"]["refine"]["sampling"]["max_tokens"] == 4096


def test_a_gate_that_finds_too_much_stops_the_run(tmp_path: Path) -> None:
    flow, clock = Flow(tmp_path, records(400)), Clock()
    gates = GateConfig(answer=AnswerGates(max_share={"empty": 0.5}))
    student = Server(clock, "s", text=lambda request: "")
    config = GenerateConfig(gates=gates)
    with pytest.raises(ValueError, match=r"answer\.max_share\.empty"):
        flow(student, Server(clock, "t"), config)
    assert len(student.written) < 110
    with pytest.raises(ValueError, match=r"answer\.max_share\.empty"):
        flow(Server(clock, "s", text=lambda request: ""), Server(clock, "t"), config)


# ---- progress ---------------------------------------------------------------------------------------------


def test_progress_tells_every_stage_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [100.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = FlowProgress(STAGES, 100, Counter(answer=20), said.append)
    for _ in range(10):
        now[0] += 20.0  # a batch of four
        progress.tick()
        for _ in range(4):
            progress.add("answer", 10, True)
    assert len(said) == 5
    assert said[0] == "answer 24/100, critique 0/100, refine 0/100; 2 tokens/s, 23:00 min left"
    assert said[-1].startswith("answer 56/100, critique 0/100, refine 0/100; 2 tokens/s, ")
