"""Where results come from: machine, code with what was not committed, inputs, and every attempt; without secrets."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from engine import git_state as git_module
from engine.attempt_log import ATTEMPTS, AttemptLog, next_attempt, read_attempts
from engine.git_state import git_facts, git_state
from engine.interruption import Interrupted
from engine.provenance import (
    describe_environment,
    file_facts,
    hash_of_file,
    model_facts,
    note_environment,
)
from engine.redaction import redacted, redacted_command
from launch.config import CONFIGS, load_config
from launch.provenance import run_environment

SECRET = "sk-" + "abcdefgh12345678"


# ---- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("teacher.api_key=abc", "teacher.api_key=***"),
        ("x.password=hunter2", "x.password=***"),
        ("x.hf_token=whatever", "x.hf_token=***"),
        ("teacher.api_key_env=OPENAI_API_KEY", "teacher.api_key_env=OPENAI_API_KEY"),
        ("teacher.api_key_env=" + SECRET, "teacher.api_key_env=***"),
        ("generate.critique.max_tokens=800", "generate.critique.max_tokens=800"),
        ("train.pack_tokens=8192", "train.pack_tokens=8192"),
        ("run.name=monkey", "run.name=monkey"),
        ("teacher.base_url=https://me:pass@host/v1", "teacher.base_url=https://***@host/v1"),
        (SECRET, "***"),
        ("launch/configs/quickstart.toml", "launch/configs/quickstart.toml"),
    ],
)
def test_a_command_is_kept_without_its_secrets(given: str, kept: str) -> None:
    assert redacted_command(["--set", given]) == ["--set", kept]


def test_known_shapes_of_secrets_are_taken_out_of_any_text() -> None:
    assert redacted(f"+key = '{SECRET}'\n+lr = 1e-5") == "+key = '***'\n+lr = 1e-5"
    assert redacted("Authorization: Bearer abcdefghijkl") == "Authorization: ***"


# ---- the code -------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    root = tmp_path / "code"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    for command in (["init", "-q"], ["add", "a.py"], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    git_state.cache_clear()
    return root


def test_a_clean_checkout_is_named_by_its_commit(checkout: Path, tmp_path: Path) -> None:
    state = git_state(checkout)
    assert state is not None
    assert len(state.name) == 40
    assert git_facts(tmp_path, state) == {}


def test_what_was_not_committed_is_kept_once_and_without_secrets(
    checkout: Path, tmp_path: Path
) -> None:
    (checkout / "a.py").write_text(f"x = 2  # {SECRET}\n")
    (checkout / "new.py").write_text("y = 1\n")
    state = git_state(checkout)
    assert state is not None
    assert state.name.endswith("+changes")
    facts = git_facts(tmp_path, state)
    assert facts["new_files"] == {"new.py": hashlib.sha256(b"y = 1\n").hexdigest()}
    patch = tmp_path / facts["diff"]
    assert hashlib.sha256(patch.read_bytes()).hexdigest() == facts["diff_sha256"]
    assert "+x = 2  # ***" in patch.read_text()
    before = patch.stat().st_mtime_ns
    assert git_facts(tmp_path, state) == facts
    assert patch.stat().st_mtime_ns == before


def test_a_large_difference_is_hashed_and_not_kept(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_module, "MOST_PATCH_BYTES", 100)
    (checkout / "a.py").write_text("x = 2\n" * 100)
    facts = git_facts(tmp_path, git_state(checkout))
    assert len(facts["diff_sha256"]) == 64
    assert facts["diff"].startswith("not kept: ")
    assert not (tmp_path / "patches").exists()


def test_code_without_a_checkout_is_no_error(tmp_path: Path) -> None:
    git_state.cache_clear()
    assert git_state(tmp_path) is None
    assert git_facts(tmp_path, None) == {}


# ---- inputs ---------------------------------------------------------------------------------------


def test_files_are_known_by_their_hash_large_ones_by_size_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"abc" * 1000)
    facts = file_facts(path)
    assert facts["sha256"] == hashlib.sha256(b"abc" * 1000).hexdigest()
    assert facts["bytes"] == 3000
    monkeypatch.setattr("engine.provenance.HASHED_WHOLE", 2000)
    monkeypatch.setattr("engine.provenance.EDGE_BYTES", 10)
    short = file_facts(path)["sha256_of_size_and_ends"]
    path.write_bytes(b"abc" * 999 + b"abd")
    assert hash_of_file(path, 3000) != short
    assert "error" in file_facts(tmp_path / "nowhere")


def test_a_downloaded_model_is_known_by_its_commit(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "notes.md").write_text("not read")
    facts = model_facts(folder)
    assert facts["commit"] == "a" * 40
    assert list(facts["files"]) == ["config.json"]


# ---- attempts -------------------------------------------------------------------------------------


def test_an_attempt_that_ran_on_something_else_has_a_file_of_its_own(tmp_path: Path) -> None:
    first: dict[str, Any] = {"host": "a", "gpus": ["H200"], "command": ["run"]}
    assert note_environment(tmp_path, 1, first) == "environment.json"
    assert (
        note_environment(tmp_path, 2, first | {"command": ["run", "again"]}) == "environment.json"
    )
    assert note_environment(tmp_path, 3, first | {"host": "b"}) == "environment-3.json"
    assert note_environment(tmp_path, 4, first | {"host": "b"}) == "environment-3.json"
    assert json.loads((tmp_path / "environment.json").read_text()) == first


def test_each_attempt_is_noted_when_it_starts_and_when_it_ends(tmp_path: Path) -> None:
    with AttemptLog(tmp_path, next_attempt(tmp_path), {"git": "c0ffee"}):
        pass
    with pytest.raises(ValueError, match="disk"), AttemptLog(tmp_path, next_attempt(tmp_path), {}):
        raise ValueError(f"the disk is full {SECRET}")
    with pytest.raises(Interrupted), AttemptLog(tmp_path, next_attempt(tmp_path), {}):
        raise Interrupted("told to stop")
    lines = read_attempts(tmp_path)
    assert [(line["attempt"], line["event"]) for line in lines] == [
        (number, event) for number in (1, 2, 3) for event in ("started", "ended")
    ]
    assert lines[0]["git"] == "c0ffee"
    ended = lines[1::2]
    assert [line["state"] for line in ended] == ["done", "failed", "stopped"]
    assert [line["exit"] for line in ended] == [0, 2, 75]
    assert ended[1]["message"] == "the disk is full ***"


def test_a_kill_leaves_an_attempt_without_an_end_and_tears_no_later_line(tmp_path: Path) -> None:
    AttemptLog(tmp_path, 1, {}).__enter__()
    with (tmp_path / ATTEMPTS).open("a") as file:
        file.write('{"attempt": 2, "ev')
    with AttemptLog(tmp_path, next_attempt(tmp_path), {}):
        pass
    assert [(line["attempt"], line["event"]) for line in read_attempts(tmp_path)] == [
        (1, "started"),
        (2, "started"),
        (2, "ended"),
    ]


# ---- a whole run ----------------------------------------------------------------------------------


def test_a_runs_environment_names_machine_packages_seeds_wordings_and_inputs(
    tmp_path: Path, tiny_student: Path
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "1 + 1?", "answer": "2"}\n')
    changes = [f"data.prompts={prompts}", f"student.model={tiny_student}", "run.seed=7"]
    config = load_config(CONFIGS / "quickstart.toml", changes)
    facts = run_environment(config, tmp_path)
    assert facts["packages"]["pytest"] == pytest.__version__
    assert facts["memory_bytes"] > 2**30
    assert facts["cpu"]
    assert facts["seeds"]["run"] == 7
    assert facts["inputs"]["data.prompts"][0]["sha256"] == hash_of_file(prompts, 40)
    weights = (tiny_student / "model.safetensors").read_bytes()
    files = facts["inputs"]["student.model"]["files"]
    assert files["model.safetensors"]["sha256"] == hashlib.sha256(weights).hexdigest()
    template = Path(load_config.__globals__["PACKAGE"]).parent / "datagen/templates/critique.txt"
    wording = template.read_text().removesuffix("\n")
    assert facts["wordings"]["critique"]["sha256"] == hashlib.sha256(wording.encode()).hexdigest()
    assert json.loads(json.dumps(facts)) == facts


def test_it_costs_little_the_second_time(tmp_path: Path) -> None:
    describe_environment(tmp_path, {})
    before = time.process_time()
    describe_environment(tmp_path, {})
    assert time.process_time() - before < 0.05
