"""The flow: no text is lost, doubled or misplaced, whenever a run is killed and whatever is changed."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flow_fakes import STAGES, Batches, Clock, Flow, Killed, Server, bare, echo, records
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datagen import journal
from datagen.generators import Request
from datagen.records import read_records
from datagen.stages import GenerateConfig, StageConfig

IDS = [f"r{i}" for i in range(8)]


def every(ids: list[str] = IDS, stages: tuple[str, ...] = STAGES) -> list[str]:
    return sorted(f"{stage} {record_id}" for stage in stages for record_id in ids)


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    return Flow(tmp_path, records(8))


def servers(**options: Any) -> tuple[Server, Server]:
    clock = Clock()
    return Server(clock, "student", **options), Server(clock, "teacher", **options)


# ---- what comes out ---------------------------------------------------------------------------------


def test_every_stage_has_a_file_in_the_order_of_the_prompts(flow: Flow) -> None:
    assert flow() == every()
    for name in ("answers", "critiques", "refinements"):
        assert flow.ids(name) == IDS
    for before, after in zip(
        records(8), read_records(flow.folder / "refinements.jsonl"), strict=True
    ):
        assert bare(after) == before
    answers = flow.rows("answers")[0]
    assert set(answers) >= {"student_answer", "level"}
    assert not set(answers) & {"critique", "refined_answer", "verdict"}
    assert set(answers["provenance"]) == {"answer"}


@pytest.mark.parametrize("kind", ["servers", "one server", "one writer of batches"])
def test_all_ways_of_working_give_the_same_texts(kind: str, tmp_path: Path) -> None:
    reference = Flow(tmp_path / "reference", records(8))
    reference(Batches("m", text=echo), Batches("m", text=echo))
    one: Any = Batches("m", text=echo) if "batches" in kind else Server(Clock(), "m", text=echo)
    two: Any = Server(one.clock, "m", text=echo) if kind == "servers" else one
    flow = Flow(tmp_path, records(8))
    assert flow(one, two) == every()
    texts = [(row["id"], row["refined_answer"]) for row in flow.rows()]
    assert texts == [(row["id"], row["refined_answer"]) for row in reference.rows()]
    if "batches" in kind:
        assert flow.files() == reference.files()


def test_the_provenance_says_who_wrote_the_text_and_how(flow: Flow) -> None:
    config = GenerateConfig(critique=StageConfig(temperature=0.5, max_tokens=9, system="Be kind."))
    flow(config=config, seed=3)
    provenance = flow.rows()[0]["provenance"]["critique"]
    named = ("model", "backend", "template", "system", "finish_reason", "prompt_tokens")
    assert [provenance[n] for n in named] == [
        "teacher", "scripted", "critique", "Be kind.", "stop", 3
    ]  # fmt: skip
    assert provenance["sampling"] == {"temperature": 0.5, "top_p": 1.0, "max_tokens": 9}
    assert {"revision", "template_sha256", "seed", "key", "seconds"} <= provenance.keys()


def test_the_summary_is_the_marker_and_counts_every_stage(flow: Flow) -> None:
    flow()
    summary = json.loads((flow.folder / "summary.json").read_text())
    assert [(s["stage"], s["into"], s["out"]) for s in summary["stages"]] == [
        (stage, 8, 8) for stage in STAGES
    ]
    manifest = json.loads((flow.folder / "critiques.jsonl.manifest.json").read_text())
    before = json.loads((flow.folder / "answers.jsonl.manifest.json").read_text())
    assert manifest["input_sha256"] == before["output_sha256"]
    assert manifest["out"] == 8


def test_a_finished_run_does_nothing_and_says_so(flow: Flow) -> None:
    flow()
    files = {
        p: (p.read_bytes(), p.stat().st_mtime_ns) for p in flow.folder.rglob("*") if p.is_file()
    }
    flow.said.clear()
    assert flow() == []
    assert flow.said == ["records: 8 records, complete, nothing to do"]
    assert files == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_a_finished_run_needs_no_server(flow: Flow) -> None:
    class Gone(Server):
        identity = property(lambda self: self.refuse(), lambda self, value: None)  # type: ignore[assignment]

        def refuse(self) -> dict[str, str]:
            raise ValueError("cannot be reached")

    with pytest.raises(ValueError, match="cannot be reached"):
        flow(Gone(Clock()))
    flow()
    assert flow(Gone(Clock())) == []
    assert "complete, nothing to do (the models could not be looked at" in flow.said[-1]


# ---- killed at any moment -----------------------------------------------------------------------------


@pytest.mark.parametrize("safe", range(0, 25, 3))
def test_a_killed_run_resumes_without_losing_or_doubling(safe: int, tmp_path: Path) -> None:
    undisturbed = Flow(tmp_path / "undisturbed", records(8))
    undisturbed()
    flow = Flow(tmp_path / "run", records(8))
    student, teacher = Batches("student", safe), Batches("teacher", max(0, safe - 8))
    if safe < 24:
        with pytest.raises(Killed):
            flow(student, teacher)
        assert not (flow.folder / "summary.json").exists()
    else:
        flow(student, teacher)
    assert sorted(student.written + teacher.written + flow()) == every()
    assert flow.files() == undisturbed.files()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.floats(0.1, 3.0), max_size=6), st.integers(1, 5))
def test_streams_killed_again_and_again_end_like_an_undisturbed_one(
    tmp_path_factory: pytest.TempPathFactory, lives: list[float], places: int
) -> None:
    flow = Flow(tmp_path_factory.mktemp("run"), records(8))
    written: list[str] = []
    for life in lives:
        student, teacher = servers(places=places, dies_at=life)
        with contextlib.suppress(Killed):
            flow(student, teacher)
        written += student.written + teacher.written
    written += flow(*servers(places=places))
    undisturbed = Flow(tmp_path_factory.mktemp("run"), records(8))
    undisturbed(*servers())
    assert flow.files() == undisturbed.files()
    journalled = [json.loads(line) for line in flow.journal.read_bytes().splitlines()]
    assert sorted(f"{line['stage']} {line['id']}" for line in journalled) == every()


def test_the_batches_of_a_resumed_run_are_those_of_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed, second = Batches("teacher"), Batches("teacher")
    Flow(tmp_path / "a", records(8))(teacher=undisturbed)
    flow = Flow(tmp_path / "b", records(8))
    with pytest.raises(Killed):
        flow(teacher=Batches("teacher", dies_after=11))
    flow(teacher=second)
    assert second.waves == undisturbed.waves[1:]
    assert all(len(wave) == 8 for wave in second.waves)


def test_batches_of_further_attempts_are_the_same_too(tmp_path: Path) -> None:
    def teacher(dies_after: int | None = None) -> Batches:
        def text(request: Request) -> str:
            again = request.seed != seeds[request.stage, request.id]
            return echo(request) if again or request.id in ("r1", "r6") else " "

        return Batches("teacher", dies_after, text)

    seeds: dict[tuple[str, str], int] = {}
    probe = Batches("teacher", text=lambda r: seeds.setdefault((r.stage, r.id), r.seed) and echo(r))
    Flow(tmp_path / "probe", records(8))(teacher=probe)
    whole = teacher()
    undisturbed = Flow(tmp_path / "a", records(8))
    undisturbed(teacher=whole)
    assert [len(wave) for wave in whole.waves] == [8, 6, 8, 6]
    flow = Flow(tmp_path / "b", records(8))
    for dies_after in (3, 7):
        with pytest.raises(Killed):
            flow(teacher=teacher(dies_after))
    resumed = teacher()
    flow(teacher=resumed)
    assert resumed.waves == whole.waves[1:]
    assert flow.files() == undisturbed.files()


def test_a_run_killed_while_publishing_is_completed(flow: Flow) -> None:
    flow()
    before = flow.files()
    (flow.folder / "summary.json").unlink()
    (flow.folder / "critiques.jsonl").unlink()
    untouched = flow.folder / "answers.jsonl"
    stamp = untouched.stat().st_mtime_ns
    assert flow() == []
    assert flow.files() == before
    assert untouched.stat().st_mtime_ns == stamp, "a file that would be the same is left as it is"


def test_a_file_that_was_changed_is_made_again(flow: Flow) -> None:
    flow()
    before = flow.files()
    (flow.folder / "answers.jsonl").write_bytes(before["answers.jsonl"][:100])
    assert flow() == []
    assert flow.files() == before


def test_a_full_disk_ends_in_words_and_loses_nothing(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, lines = journal._write_all, []

    def full(file: Any, content: bytes) -> None:
        lines.append(content)
        if len(lines) > 5:
            write(file, content[:20])
            raise OSError(28, "No space left on device")
        write(file, content)

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_write_all", full)
        with pytest.raises(ValueError, match=r"No space left on device.*texts before are safe"):
            flow()
    assert flow.journal.read_bytes() == b"".join(lines[:5])
    assert len(flow()) == 24 - 5
    assert not any("torn" in line for line in flow.said)


def test_two_processes_do_not_write_one_journal(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LOCK_SECONDS", 0.05)

    class Second(Batches):
        def generate(self, *args: Any) -> Any:
            with pytest.raises(ValueError, match="another process is writing"):
                flow()
            yield from super().generate(*args)

    flow(Second("student"))


# ---- what is written again, and what is not -------------------------------------------------------------


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.permutations(range(12)), st.integers(1, 12), st.integers(0, 12), st.booleans())
def test_a_reordered_grown_or_shrunk_input_writes_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory,
    order: list[int],
    size: int,
    killed_after: int,
    streams: bool,
) -> None:
    pool = records(12)
    flow = Flow(tmp_path_factory.mktemp("run"), pool[:8])
    student: Any = Batches("student", killed_after)
    if streams:
        student = Server(Clock(), "student", dies_at=killed_after / 4)
    try:
        flow(student)
    except Killed:
        assert killed_after < 9
    finished = (flow.folder / "summary.json").exists()
    student_wrote = set(student.written)
    chosen = [pool[i] for i in order[:size]]
    flow.write_prompts(chosen)
    again: Any = Batches("student") if not streams else Server(Clock(), "student")
    second = flow(again)
    ids = [record.id for record in chosen]
    missing = {f"answer {i}" for i in ids} - student_wrote
    later = {f"{stage} {i}" for stage in ("critique", "refine") for i in ids}
    if finished:
        later = {what for what in later if what.split()[1] not in IDS}
    assert second == sorted(missing | later)
    assert flow.ids() == ids
    alone = Flow(tmp_path_factory.mktemp("run"), chosen)
    alone(Batches("student") if not streams else Server(Clock(), "student"))
    assert alone.files() == flow.files()


CHANGES: list[tuple[dict[str, Any], tuple[str, ...], str, str]] = [
    ({"config": GenerateConfig(critique=StageConfig(temperature=0.1))},
     ("critique", "refine"), "critique", "temperature"),
    ({"config": GenerateConfig(critique=StageConfig(system="Be brief."))},
     ("critique", "refine"), "critique", "system"),
    ({"config": GenerateConfig(refine=StageConfig(top_p=0.5, max_tokens=7))},
     ("refine",), "refine", "max_tokens, top_p"),
    ({"config": GenerateConfig(refine=StageConfig(layout="continue"))},
     ("refine",), "refine", "layout, wording"),
    ({"config": GenerateConfig(answer=StageConfig(max_tokens=7))}, STAGES, "answer", "max_tokens"),
    ({"student": Batches("other")}, STAGES, "answer", "model"),
    ({"teacher": Batches("other")}, ("critique", "refine"), "critique", "model"),
    ({"seed": 1}, STAGES, "answer", "seed"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "stages", "first", "reason"), CHANGES)
def test_a_changed_setting_writes_again_what_depends_on_it_and_says_why(
    flow: Flow, changes: dict[str, Any], stages: tuple[str, ...], first: str, reason: str
) -> None:
    flow()
    flow.said.clear()
    assert flow(**changes) == every(stages=stages)
    assert f"{first}: 8 of 8 texts are written again (changed: {reason})" in flow.said
    for stage in set(STAGES) - set(stages):
        assert f"{stage}: 8 of 8 texts are there already" in flow.said


def test_a_changed_wording_of_the_critique_writes_no_answer_again(
    flow: Flow, tmp_path: Path
) -> None:
    wording = tmp_path / "mine.txt"
    wording.write_text("What do you say of {student_answer} to {problem}?")
    config = GenerateConfig(critique=StageConfig(template=str(wording)))
    flow(config=config)
    wording.write_text("What do you think of {student_answer} to {problem}?")
    flow.said.clear()
    assert flow(config=config) == every(stages=("critique", "refine"))
    assert "critique: 8 of 8 texts are written again (changed: wording)" in flow.said
    assert "refine: 8 of 8 texts are written again (changed: input)" in flow.said


def test_going_back_to_earlier_settings_costs_nothing(flow: Flow) -> None:
    flow()
    before = flow.files()
    flow(config=GenerateConfig(refine=StageConfig(temperature=0.0)))
    assert flow.files() != before
    assert flow() == []
    assert flow.files() == before


def test_one_changed_prompt_writes_one_record_again(flow: Flow) -> None:
    flow()
    changed = records(8)
    changed[3] = replace(changed[3], prompt="another one")
    flow.write_prompts(changed)
    assert flow() == every(["r3"])
    assert "answer: 1 of 8 texts are written again (changed: input)" in flow.said


def test_a_new_gold_answer_is_taken_over_without_writing(flow: Flow) -> None:
    flow()
    flow.write_prompts([replace(record, answer="new gold") for record in records(8)])
    assert flow() == []
    assert {row["answer"] for row in flow.rows()} == {"new gold"}


def test_a_moved_model_folder_is_the_same_model(flow: Flow) -> None:
    first, moved, other = Batches("runs/a"), Batches("/elsewhere/a"), Batches("runs/a")
    first.identity["fingerprint"] = moved.identity["fingerprint"] = "sha256:1"
    other.identity["fingerprint"] = "sha256:2"
    assert flow(first) == every()
    assert flow(moved) == []
    assert flow(other) == every()


def test_a_text_that_comes_out_the_same_again_leads_to_nothing_new(flow: Flow) -> None:
    """An answer is lost from the journal; its critique is known by what the answer says."""
    flow(*servers())
    lines = flow.journal.read_bytes().splitlines(keepends=True)
    lost = next(i for i, line in enumerate(lines) if b'"stage": "answer", "id": "r5"' in line)
    flow.journal.write_bytes(b"".join(lines[:lost] + lines[lost + 1 :]))
    (flow.folder / "summary.json").unlink()
    assert flow(*servers()) == ["answer r5"]


def test_more_samples_write_nothing_again(flow: Flow) -> None:
    flow()
    before = {row["id"]: row for row in flow.rows()}
    new = [f"r{i}#1" for i in range(8)]
    assert flow(config=GenerateConfig(samples_per_prompt=2)) == every(new)
    rows = flow.rows()
    assert [row["id"] for row in rows[:4]] == ["r0", "r0#1", "r1", "r1#1"]
    assert {row["id"]: row for row in rows if row["id"] in before} == before
    first, second = (rows[i]["provenance"]["answer"]["seed"] for i in (0, 1))
    assert first != second


def test_the_continued_layout_is_the_critiques_chat(flow: Flow) -> None:
    asked: list[Request] = []

    def text(request: Request) -> str:
        asked.append(request)
        return echo(request)

    config = GenerateConfig(
        critique=StageConfig(system="Be kind."), refine=StageConfig(layout="continue")
    )
    flow(teacher=Batches("teacher", text=text), config=config)
    critique = next(r for r in asked if (r.stage, r.id) == ("critique", "r2"))
    refine = next(r for r in asked if (r.stage, r.id) == ("refine", "r2"))
    assert refine.messages[:2] == critique.messages
    assert [message["role"] for message in refine.messages] == [
        "system", "user", "assistant", "user"
    ]  # fmt: skip
    assert refine.messages[2]["content"] == echo(critique)
    assert flow.rows()[2]["provenance"]["refine"]["layout"] == "continue"


def test_teach_comes_last_and_asks_the_prompt_alone(flow: Flow) -> None:
    assert flow(stages=(*STAGES, "teach")) == every(stages=(*STAGES, "teach"))
    assert flow.ids("teacher_answers") == IDS
    assert flow.rows("teacher_answers")[1]["teacher_answer"].startswith("teach of P1 ü {x}")


# ---- prompts that do not fit ----------------------------------------------------------------------------


@pytest.mark.parametrize("known_ids", [True, False])
def test_prompts_of_another_run_are_refused_before_anything_is_paid_for(
    tmp_path: Path, known_ids: bool
) -> None:
    flow = Flow(tmp_path, records(25))
    flow()
    others = [
        replace(r, prompt=f"other {r.prompt}", id=r.id if known_ids else f"x{r.id}")
        for r in records(25)
    ]
    flow.write_prompts(others)
    student = Server(Clock(), "student")
    with pytest.raises(ValueError, match="not one belongs to these 25 prompts"):
        flow(Batches("student"))
    assert student.opened == 0
    flow.write_prompts([*others[1:], records(25)[0]])
    assert len(flow()) == 72


def test_a_stage_s_file_is_no_file_of_prompts(flow: Flow) -> None:
    flow()
    flow.prompts.write_bytes((flow.folder / "answers.jsonl").read_bytes())
    with pytest.raises(ValueError, match=r"8 of 8 records .* have a `student_answer` already"):
        flow()


def test_ids_that_look_like_samples_are_refused(flow: Flow) -> None:
    flow.write_prompts([*records(2), replace(records(3)[2], id="r1#1")])
    flow()
    with pytest.raises(ValueError, match="the id 'r1#1' is that of a sample"):
        flow(config=GenerateConfig(samples_per_prompt=2))


def test_an_empty_file_is_refused(flow: Flow) -> None:
    flow.prompts.write_text("")
    with pytest.raises(ValueError, match="holds no records"):
        flow()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"answer": StageConfig(template="boxed")}, r"data\.wording"),
        ({"critique": StageConfig(layout="continue")}, "only refine"),
        ({"refine": StageConfig(layout="continue", system="x")}, r"critique\.system"),
        ({"batch_size": 0}, "batch_size"),
        ({"samples_per_prompt": 0}, "samples_per_prompt"),
        ({"max_failed_share": 1.5}, "max_failed_share"),
        ({"max_usd": 0.0}, "max_usd"),
        ({"max_total_tokens": 0}, "max_total_tokens"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GenerateConfig(**settings)
    with pytest.raises(ValueError, match="temperature"):
        StageConfig(temperature=-1)


def test_a_refusal_leaves_a_finished_run_finished(tmp_path: Path) -> None:
    flow = Flow(tmp_path, records(25))
    flow()
    before = flow.prompts.read_bytes()
    flow.write_prompts([replace(record, prompt=f"other {record.id}") for record in records(25)])
    with pytest.raises(ValueError, match="another run"):
        flow()
    flow.prompts.write_bytes(before)
    assert flow() == []
    assert flow.said[-1] == "records: 25 records, complete, nothing to do"


def test_records_that_are_being_reworked_do_not_count_as_finished(flow: Flow) -> None:
    flow()
    with pytest.raises(Killed):
        flow(teacher=Batches("other", dies_after=3))
    assert not (flow.folder / "summary.json").exists()
