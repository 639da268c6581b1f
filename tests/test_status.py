"""What is told of a job while it works: status.json, `cgd status`, and a time left that is counted in tokens."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, make_records
from exports import train_tiny
from hypothesis import example, given
from hypothesis import strategies as st

from datagen import flow_progress
from datagen.flow_progress import FlowProgress
from engine import progress as progress_module
from engine import status_file
from engine.attempt_log import read_attempts
from engine.interruption import Interrupted
from engine.metrics import read_lines
from engine.packing import examples_of_step, num_steps
from engine.progress import TokenProgress, tokens_before
from engine.status_file import STATUS, StatusFile
from engine.toml import to_toml
from evals import token_progress
from evals.token_progress import watched
from launch.config import CONFIGS, Config, PipelineConfig, load_config
from launch.pipeline import plan
from launch.running import Step, Watched, run_steps
from launch.runs import as_tables
from launch.status import facts_of, is_alive
from launch.status_stages import stages_of
from launch.status_text import sparkline

ROOT = Path(__file__).resolve().parent.parent


def told(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / STATUS).read_text()))


# ---- the file -------------------------------------------------------------------------------------


def test_the_file_holds_what_is_promised_and_says_how_it_ended(tmp_path: Path) -> None:
    with StatusFile(tmp_path / STATUS, attempt=3) as status:
        status.stage("train cgd", 4, 7)
        facts = told(tmp_path)
        assert facts["state"] == "running"
        assert facts["stage"] == {"name": "train cgd", "index": 4, "count": 7}
        assert (facts["pid"], facts["host"]) == (os.getpid(), socket.gethostname())
        assert facts["attempt"] == 3
        assert facts["free_disk_bytes"] > 0
        for moment in ("started_at", "updated_at"):
            assert datetime.fromisoformat(facts[moment]).utcoffset() == timedelta(0)
        last = {"step": 2, "loss": 0.5, "grad_norm": 1.0, "tokens_per_second": 10.0}
        status.progress(100.0, 400.0, 10.0, "step 2/8", last)
        status.write()
    facts = told(tmp_path)
    assert facts["state"] == "done"
    assert facts["last"] == last
    assert facts["progress"] == {
        "done": 100.0,
        "total": 400.0,
        "unit": "tokens",
        "per_second": 10.0,
        "eta_seconds": 30.0,
    }


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ValueError("no room"), "failed"),
        (Interrupted("told to"), "stopped"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_the_file_says_how_a_job_failed(tmp_path: Path, error: BaseException, state: str) -> None:
    with pytest.raises(type(error)), StatusFile(tmp_path / STATUS):
        raise error
    assert told(tmp_path)["state"] == state
    assert told(tmp_path)["message"] == (str(error) or "interrupted; the same command continues")


def test_progress_is_written_every_five_seconds_at_most_and_changes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(status_file.time, "monotonic", lambda: clock[0])
    written: list[float] = []
    with StatusFile(tmp_path / STATUS) as status:
        for second in range(12):
            clock[0] = 100.0 + second
            status.progress(second, 100, 1.0)
            written.append(told(tmp_path)["progress"]["done"])
        assert written == [0] * 5 + [5] * 5 + [10] * 2
        status.stage("report", 2, 2)
        assert told(tmp_path)["stage"]["name"] == "report"


def test_a_file_that_cannot_be_written_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with StatusFile(tmp_path / "file" / STATUS) as status:
        status.stage("train cgd", 1, 1)
        status.write()
    assert capsys.readouterr().out.count("could not be written") == 1


# ---- the time left ----------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=12),
    st.integers(1, 5),
    st.floats(0.1, 3.5),
    st.integers(0, 9),
)
def test_tokens_of_the_steps_before_are_those_of_their_examples(
    lengths: list[int], batch_size: int, epochs: float, seed: int
) -> None:
    total = num_steps(len(lengths), batch_size, epochs)
    seen = 0
    for step in range(total):
        assert tokens_before(step, lengths, batch_size, epochs, seed) == seen
        chosen = examples_of_step(len(lengths), batch_size, epochs, seed, step)
        seen += sum(lengths[i] for i in chosen)
    assert tokens_before(total, lengths, batch_size, epochs, seed) == seen


def test_the_time_left_is_that_of_the_tokens_left_not_of_the_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four steps of 100 tokens are done at 50 a second; the last two have 1,000 each."""
    clock = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: clock[0])
    progress = TokenProgress("cgd", 0, 6, 0, 2400)
    for step in range(1, 5):
        clock[0] = 20.0 * step
        progress.add(100, 0.5, 10.0)
    assert capsys.readouterr().out == (
        "cgd: step 2/6, loss 0.5000, 5 tokens/s, 7:20 min left\n"
        "cgd: step 4/6, loss 0.5000, 5 tokens/s, 6:40 min left\n"
    )


def test_generation_and_evaluation_tell_the_same_to_whoever_watches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, heard = [0.0], []
    monkeypatch.setattr(flow_progress.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(token_progress.time, "monotonic", lambda: clock[0])

    def watch(done: float, total: float, per_second: float, message: str) -> None:
        heard.append((done, total, per_second, message))

    flow = FlowProgress(["answer", "critique"], 4, Counter(), lambda text: None, watch)
    flow.tick()
    for _ in range(4):
        flow.add("answer", 50, stays=True)
    clock[0] = 10.0
    flow.tick()
    assert heard == [(200, 400.0, 20.0, "answer 4/4, critique 0/4")]

    def made() -> Any:
        for number in range(4):
            clock[0] += 10.0
            yield str(number), {"tokens": 100}

    list(watched(made(), "evaluate base/x", 4, [], lambda text: None, watch))
    assert heard[-1] == (300, 400.0, 10.0, "evaluate base/x: 3 of 4 answers")


def test_a_training_ends_with_all_its_tokens_done(tmp_path: Path, tiny_student: Path) -> None:
    folder = train_tiny(tmp_path, tiny_student, make_records(10), epochs=1.5).folder
    facts, lines = told(folder), read_lines(folder / "metrics.jsonl")
    assert facts["state"] == "done"
    assert (
        facts["progress"]["done"] == facts["progress"]["total"] == sum(x["tokens"] for x in lines)
    )
    assert facts["last"]["loss"] == lines[-1]["loss"]
    shown = facts_of(folder)
    assert (shown["state"], shown["stages"]) == ("done", [])
    assert shown["trainings"]["cgd"]["steps"] == len(lines)


# ---- a run's stages ---------------------------------------------------------------------------------


def a_config(tmp_path: Path, student: Path) -> Config:
    changes = [f"run.dir={tmp_path / 'run'}", f"student.model={student}"]
    return load_config(CONFIGS / "quickstart.toml", changes)


@pytest.mark.parametrize("kind", ["as it is", "mixture", "own data", "rounds"])
def test_the_stages_are_those_of_the_pipeline(
    tmp_path: Path, tiny_student: Path, kind: str
) -> None:
    config = a_config(tmp_path, tiny_student)
    if kind == "mixture":
        mixture = replace(config.generate.mixture, total=5)
        config = replace(config, generate=replace(config.generate, mixture=mixture))
    if kind == "own data":
        config = replace(config, train=replace(config.train, data="mine.jsonl"))
    if kind == "rounds":
        config = replace(config, pipeline=PipelineConfig(objectives=("cgd",), rounds=2))
    stages = stages_of(config.run.folder, tomllib.loads(to_toml(as_tables(config))))
    steps = plan(config, config.run.folder)
    assert [(s.name, s.marker) for s in stages] == [(s.name, s.marker) for s in steps]


def test_a_run_notes_its_stages_and_a_command_without_work_notes_nothing(
    tmp_path: Path, tiny_student: Path
) -> None:
    config = a_config(tmp_path, tiny_student)
    folder = config.run.folder
    folder.mkdir()
    seen: list[dict[str, Any]] = []

    def work(name: str) -> Step:
        def run(watched: Watched) -> None:
            watched.progress(1, 2, 3.0, "halfway")
            seen.append(told(folder))
            (folder / name).write_text("")

        return Step("data", name, folder / name, run)

    steps = [work("one"), work("two")]
    with Watched(config, folder) as noted:
        run_steps(steps, noted)
    assert [facts["stage"] for facts in seen] == [
        {"name": name, "index": index, "count": 2} for index, name in ((1, "one"), (2, "two"))
    ]
    assert told(folder)["state"] == "done"
    before = contents(folder)
    idle = [replace(step, run=lambda _: None) for step in steps]
    with Watched(config, folder) as noted:
        run_steps(idle, noted)
    assert contents(folder) == before
    assert "environment.json" in before


@pytest.mark.parametrize(
    ("error", "state"),
    [(ValueError("no such model"), "failed"), (Interrupted("at step 3"), "stopped")],
)
def test_a_run_whose_stage_fails_says_so_to_whoever_looks(
    tmp_path: Path, tiny_student: Path, error: BaseException, state: str
) -> None:
    config = a_config(tmp_path, tiny_student)
    folder = config.run.folder
    folder.mkdir()

    def run(_: Watched) -> None:
        raise error

    step = Step("data", "one", folder / "one", run)
    with pytest.raises(type(error)), Watched(config, folder) as noted:
        run_steps([step], noted)
    assert (told(folder)["state"], told(folder)["message"]) == (state, str(error))
    begun, ended = read_attempts(folder)
    assert (begun["event"], ended["event"], ended["state"]) == ("started", "ended", state)
    assert ended["message"] == str(error)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# ---- cgd status -------------------------------------------------------------------------------------


def a_run(root: Path, name: str = "mine", **changes: Any) -> Path:
    """A run folder with a training under way."""
    run = root / name
    training = run / "train" / "cgd"
    training.mkdir(parents=True)
    (run / "config.toml").write_text(
        '[train]\nobjective = "cgd"\n[pipeline]\nobjectives = ["cgd"]\n'
    )
    lines = [
        {"step": s, "loss": 2.0 / s, "grad_norm": 0.5, "tokens_per_second": 100.0}
        for s in range(1, 6)
    ]
    (training / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines) + '{"st')
    (training / "checkpoints" / "step-4").mkdir(parents=True)
    (training / "checkpoints" / "step-4" / "manifest.json").write_text("{}")
    facts = {
        "state": "running",
        "stage": {"name": "train cgd", "index": 4, "count": 6},
        "progress": {
            "done": 500,
            "total": 2000,
            "unit": "tokens",
            "per_second": 100.0,
            "eta_seconds": 15.0,
        },
        "last": None,
        "started_at": now(),
        "updated_at": now(),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "attempt": 2,
        "message": "step 5/20",
    }
    (run / STATUS).write_text(json.dumps(facts | changes))
    return run


def now(seconds: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_at_work_is_shown_with_stage_rate_time_left_losses_disk_and_checkpoints(
    tmp_path: Path, cgd: Run
) -> None:
    code, said = cgd("status", a_run(tmp_path))
    assert code == 0
    first, progress, *rest = said.splitlines()
    assert first.endswith(
        f"mine: running, stage 4 of 6: train cgd, attempt 2, pid {os.getpid()} on {socket.gethostname()}"
    )
    assert progress == "  25 % of 2,000 tokens (step 5/20), 100 tokens/s, 15 s left"
    assert "loss 0.4000 █▄▂▁▁ (last 5 steps, from 2.0000), gradient norm 0.5" in rest[0]
    assert rest[1] == "    checkpoints kept: step-4"
    assert "[ ] prompts" in said
    assert "[>] train cgd" in said
    assert "used by this run" in rest[-1]


def test_a_killed_run_is_said_to_be_killed(tmp_path: Path, cgd: Run) -> None:
    code, said = cgd("status", a_run(tmp_path, pid=dead_pid()))
    assert code == 0
    assert "mine: killed, stage 4 of 6: train cgd" in said
    assert "is no longer running; the same command continues" in said


def test_another_process_with_the_same_number_is_not_taken_for_it(tmp_path: Path, cgd: Run) -> None:
    assert is_alive(os.getpid(), now())
    long_ago = now(-7 * 24 * 3600.0)
    assert not is_alive(os.getpid(), long_ago)
    assert "mine: killed" in cgd("status", a_run(tmp_path, updated_at=long_ago))[1]


def test_a_run_of_another_machine_is_silent_after_a_while(tmp_path: Path, cgd: Run) -> None:
    a_run(tmp_path, "fresh", host="elsewhere")
    a_run(tmp_path, "old", host="elsewhere", updated_at=now(-3600.0))
    _, said = cgd("status", tmp_path)
    _, fresh, old = said.splitlines()
    assert fresh.split()[1:6] == ["running", "0/6", "train", "cgd", "25"]
    assert old.split()[1] == "silent"
    assert "nothing heard from elsewhere for 60 min" in cgd("status", tmp_path / "old")[1]


def test_a_run_without_a_status_file_is_told_from_what_it_has_made(
    tmp_path: Path, cgd: Run
) -> None:
    run = a_run(tmp_path)
    (run / STATUS).unlink()
    (run / "data").mkdir()
    (run / "data" / "prompts.jsonl").write_text("")
    (run / "data" / "journal").mkdir()
    (run / "data" / "journal" / "0-of-2.jsonl").write_text("{}\n" * 3)
    _, said = cgd("status", run)
    assert "mine: unfinished\n" in said
    assert "[x] prompts" in said
    assert "texts by worker: 0/2 3" in said


def test_what_was_left_out_and_failed_is_said(tmp_path: Path, cgd: Run) -> None:
    run = a_run(tmp_path)
    (run / "data").mkdir()
    stage = {"stage": "critique", "dropped": {"truncated": 2}, "failed": {"timeout": 1}}
    summary = {"prompts": 10, "records": 7, "stages": [stage]}
    (run / "data" / "summary.json").write_text(json.dumps(summary))
    (run / "train" / "cgd" / "summary.json").write_text(json.dumps({"too_long": 3, "no_target": 0}))
    _, said = cgd("status", run)
    assert "records: 7 of 10 prompts" in said
    assert "dropped by critique: 2 truncated" in said
    assert "failed by critique: 1 timeout" in said
    assert "left out of the examples: 3 too long" in said


def test_an_engine_started_by_itself_is_followed_by_its_own_file(tmp_path: Path, cgd: Run) -> None:
    run = a_run(tmp_path, state="done")
    training = json.loads((run / STATUS).read_text()) | {"state": "running", "message": "step 6/20"}
    (run / "train" / "cgd" / STATUS).write_text(json.dumps(training))
    assert "step 6/20" in cgd("status", run)[1]
    assert "step 6/20" in cgd("status", run / "train" / "cgd")[1]


def test_as_json_it_is_one_object(tmp_path: Path, cgd: Run) -> None:
    a_run(tmp_path, "one")
    a_run(tmp_path, "two", state="failed", message="no room")
    _, said = cgd("status", tmp_path / "one", tmp_path / "two", "--json")
    one, two = json.loads(said)["runs"]
    assert (one["state"], two["state"], two["message"]) == ("running", "failed", "no room")
    assert one["trainings"]["cgd"]["checkpoints"] == [4]
    assert {stage["name"]: stage["done"] for stage in one["stages"]}["report"] is False


def test_a_message_cannot_steer_the_terminal(tmp_path: Path, cgd: Run) -> None:
    _, said = cgd("status", a_run(tmp_path, state="failed", message="bad \x1b[2J\x07 things"))
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "bad" in said


@pytest.mark.parametrize("broken", ["", "[1]", "{", '{"state": 3}'])
def test_a_broken_status_file_is_no_reason_to_fail(tmp_path: Path, cgd: Run, broken: str) -> None:
    run = a_run(tmp_path)
    (run / STATUS).write_text(broken)
    assert cgd("status", run)[0] == 0


def test_what_is_no_run_is_said(tmp_path: Path, cgd: Run) -> None:
    assert cgd("status", tmp_path / "nowhere")[0] == 2
    assert "is no run folder and holds none" in cgd("status", tmp_path)[1]
    assert "--watch: expected seconds" in cgd("status", a_run(tmp_path), "--watch", "0")[1]


def test_status_loads_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; from launch.cli import main; "
        f"code = main(['status', {str(a_run(tmp_path))!r}, '--json']); "
        "heavy = {'torch', 'numpy', 'transformers', 'datasets', 'jinja2'} & sys.modules.keys(); "
        "print(heavy, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "set()"


@given(st.lists(st.floats(allow_nan=True), max_size=80))
@example([1.7e308, -1.7e308, 1.7e308])
@example([0.0, 5e-323])
def test_a_sparkline_draws_whatever_losses_there_are(values: list[float]) -> None:
    assert len(sparkline(values)) <= 32
