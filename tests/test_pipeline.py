"""The whole loop on a tiny random student: complete, resumable, guarded, and the same every time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from datagen import journal
from engine.config import to_toml
from launch import pipeline, runs
from launch.config import CONFIGS, Config, load_config
from launch.data_step import stages_of
from launch.pipeline import OneGenerator, run_pipeline
from launch.running import time_left

VOLATILE = {"seconds", "train_seconds", "tokens_per_second", "peak_memory_bytes", "mfu"}
"""What differs between two runs of the same thing: clocks and memory."""


def tiny_tables(folder: Path, student: Path) -> dict[str, Any]:
    return {
        "run": {"name": "tiny", "dir": str(folder)},
        "student": {"model": str(student)},
        "data": {"prompts": "arithmetic", "limit": 5},
        "generate": {"batch_size": 3, "answer": {"temperature": 0.7, "max_tokens": 6}},
        "train": {
            "batch_size": 2,
            "learning_rate": 1e-3,
            "max_length": 1024,
            "precision": "fp32",
            "save_every": 1,
        },
        "evaluate": {"limit": 4, "max_tokens": 6, "batch_size": 3},
        "pipeline": {"objectives": ["distilled_sft", "cgd"]},
    }


def tiny_config(folder: Path, student: Path, *overrides: str) -> Config:
    path = folder.with_name(f"{folder.name}.toml")
    path.write_text(to_toml(tiny_tables(folder, student)))
    return load_config(path, overrides)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_student: Path) -> Path:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    return run_pipeline(tiny_config(folder, tiny_student))


def steady(value: Any) -> Any:
    """A JSON value without what a clock wrote."""
    if isinstance(value, dict):
        return {key: steady(item) for key, item in value.items() if key not in VOLATILE}
    return [steady(item) for item in value] if isinstance(value, list) else value


def outcome(folder: Path) -> dict[str, Any]:
    """Everything a run is for: records, losses and graded outputs, by file."""
    files = [*folder.glob("data/*.jsonl"), *folder.glob("evals/*/*.jsonl")]
    files += folder.glob("train/*/metrics.jsonl")
    text = str(folder)
    return {
        str(file.relative_to(folder)): [
            without_keys(steady(json.loads(line.replace(text, "RUN"))))
            for line in file.read_text().splitlines()
        ]
        for file in sorted(files)
    }


def without_keys(row: dict[str, Any]) -> dict[str, Any]:
    """A row without hashes that cover the run folder's own path."""
    return {name: item for name, item in row.items() if name != "key"}


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_a_run_leaves_every_file_the_run_folder_promises(finished: Path) -> None:
    models = ["distilled_sft", "cgd"]
    promised = ["config.toml", "environment.json", "results.json", "report.md", "report.html"]
    stages = ["prompts", "answers", "critiques", "refinements", "teacher_answers"]
    promised += [f"data/{stage}.jsonl" for stage in stages]
    promised += [f"train/{m}/{f}" for m in models for f in ("metrics.jsonl", "summary.json")]
    promised += [f"train/{m}/export/model.safetensors" for m in models]
    promised += [f"evals/{m}/scores.json" for m in ["base", *models]]
    promised += [f"evals/{m}/arithmetic.jsonl" for m in ["base", *models]]
    assert not [name for name in promised if not (finished / name).is_file()]
    assert not list(finished.rglob("*.partial"))


def test_every_record_holds_every_field_and_whether_the_student_was_right(finished: Path) -> None:
    records = [
        json.loads(line)
        for line in (finished / "data/teacher_answers.jsonl").read_text().splitlines()
    ]
    assert len(records) == 5
    for record in records:
        assert record["critique"]
        assert record["refined_answer"]
        assert record["teacher_answer"]
        assert isinstance(record["student_answer"], str)
        assert record["student_correct"] in (True, False)
        assert set(record["provenance"]) >= {"answer", "critique", "refine", "teach"}


def test_the_resolved_configuration_reads_back_as_the_same_run(finished: Path) -> None:
    again = load_config(finished / "config.toml")
    assert runs.as_tables(again) == runs.as_tables(load_config(finished.with_name("tiny.toml")))
    environment = json.loads((finished / "environment.json").read_text())
    assert environment["libraries"]["torch"]


def test_a_finished_run_loads_no_model_changes_no_file_and_says_so(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", refuse)
    before = snapshot(finished)
    run_pipeline(load_config(finished.with_name("tiny.toml")))
    assert snapshot(finished) == before
    printed = capsys.readouterr().out
    assert "nothing was left to do" in printed
    headings = [line for line in printed.splitlines() if line.startswith("[")]
    assert len(headings) == len(printed.splitlines()) - 1, "one line a stage"


@pytest.mark.parametrize("function", ["train", "evaluate"], ids=lambda name: f"in {name}")
def test_an_interrupted_run_goes_on_and_ends_like_an_undisturbed_one(
    function: str,
    finished: Path,
    tmp_path: Path,
    tiny_student: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Interrupted before the second call, resumed, compared file by file."""
    config = tiny_config(tmp_path / "run", tiny_student)
    work, calls = getattr(pipeline, function), []

    def interrupted_once(*args: Any, **kwargs: Any) -> Any:
        calls.append(function)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return work(*args, **kwargs)

    monkeypatch.setattr(pipeline, function, interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(config)
    run_pipeline(config)
    assert outcome(tmp_path / "run") == outcome(finished)


@pytest.mark.parametrize("safe", [0, 2, 7, 19])
def test_interrupted_data_stages_go_on_and_end_like_undisturbed_ones(
    safe: int,
    finished: Path,
    tmp_path: Path,
    tiny_student: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Interrupted when so many texts are safe: in the answers, in the critiques, at the very last text."""
    config = tiny_config(tmp_path / "run", tiny_student)
    write, texts = journal._write_all, []

    def interrupted_once(file: Any, content: bytes) -> None:
        texts.append(content)
        if len(texts) == safe + 1:
            write(file, content[:-9])
            raise KeyboardInterrupt
        write(file, content)

    monkeypatch.setattr(journal, "_write_all", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(config, kind="data")
    run_pipeline(config, kind="data")
    assert len(texts) == 4 * 5 + 1, "one text was torn, and nothing else written twice"
    data = {name: rows for name, rows in outcome(finished).items() if name.startswith("data")}
    assert outcome(tmp_path / "run") == data


def test_one_stage_after_the_other_is_the_same_as_a_whole_run(
    finished: Path, tmp_path: Path, tiny_student: Path
) -> None:
    config = tiny_config(tmp_path / "run", tiny_student)
    for kind in ("data", "train", "evaluate", "report"):
        run_pipeline(config, kind=kind)
    assert outcome(tmp_path / "run") == outcome(finished)


def test_another_configuration_is_refused_with_the_difference(finished: Path) -> None:
    file = finished.with_name("tiny.toml")
    before = snapshot(finished)
    with pytest.raises(ValueError, match=r"train\.batch_size: 2 -> 3(.|\n)*--overwrite"):
        run_pipeline(load_config(file, ["train.batch_size=3"]))
    assert snapshot(finished) == before


def test_a_harmless_difference_continues(finished: Path) -> None:
    file = finished.with_name("tiny.toml")
    run_pipeline(load_config(file, ["evaluate.batch_size=2", "train.keep_checkpoints=1"]))
    tables = tomllib.loads((finished / "config.toml").read_text())
    assert tables["evaluate"]["batch_size"] == 2
    run_pipeline(load_config(file))


def test_overwrite_starts_anew_and_keeps_what_was_there(
    tmp_path: Path, tiny_student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    for attempt, limit in enumerate([1, 2, 3]):
        config = tiny_config(folder, tiny_student, f"data.limit={limit}")
        run_pipeline(config, overwrite=attempt > 0, kind="data")
    kept = [folder, folder.with_name("run.attempt-1"), folder.with_name("run.attempt-2")]
    lengths = [len((f / "data/refinements.jsonl").read_text().splitlines()) for f in kept]
    assert lengths == [3, 1, 2]
    assert str(kept[2]) in capsys.readouterr().out


def test_two_processes_do_not_share_a_run_folder(tmp_path: Path, tiny_student: Path) -> None:
    config = tiny_config(tmp_path / "run", tiny_student)
    with (
        runs.open_run(config),
        pytest.raises(ValueError, match="another process is working in"),
        runs.open_run(config),
    ):
        pass


def test_teacher_answers_are_written_only_where_an_objective_learns_them(
    tmp_path: Path, tiny_student: Path
) -> None:
    config = tiny_config(tmp_path / "run", tiny_student, 'pipeline.objectives=["sft","cgd"]')
    assert stages_of(config) == ("answer", "critique", "refine")
    names = [step.name for step in pipeline.plan(config, tmp_path / "run")]
    assert names[:2] == ["prompts", "records"]
    assert [name for name in names if "cgd" in name] == ["train cgd", "evaluate cgd"]


def test_records_of_ones_own_need_no_data_stage(
    tmp_path: Path, tiny_student: Path, records_file: Path
) -> None:
    overrides = (f"train.data={records_file}", "pipeline.objectives=", "train.objective=cft")
    config = tiny_config(tmp_path / "run", tiny_student, *overrides)
    names = [step.name for step in pipeline.plan(config, tmp_path / "run")]
    assert names == ["evaluate base", "train cft", "evaluate cft", "report"]


def test_at_most_one_generating_model_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(pipeline, "make_generator", lambda config: made.append(config) or object())
    models, teacher = OneGenerator(), pipeline.TeacherConfig()
    student = pipeline.TeacherConfig(backend="transformers", model="student")
    first = models.get(teacher)
    assert models.get(teacher) is first
    models.get(student)
    assert models.get(teacher) is not first
    models.release()
    assert made == [teacher, student, teacher]


def test_the_time_left_is_told_once_every_kind_of_stage_has_been_timed(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.touch()
    todo = tmp_path / "todo"
    steps = [
        pipeline.Step(kind, kind, marker, lambda: None)
        for kind, marker in [("data", done), ("train", todo), ("evaluate", todo), ("report", todo)]
    ]
    assert time_left(steps, {"train": 60.0}) is None
    assert time_left(steps, {"train": 60.0, "evaluate": 5.0}) == 65.0
    assert time_left(steps[:1], {}) is None


@pytest.mark.parametrize("name", sorted(file.stem for file in CONFIGS.glob("*.toml")))
def test_the_packaged_configurations_are_sound(name: str) -> None:
    config = load_config(CONFIGS / f"{name}.toml")
    assert config.run.dir == f"runs/{name}"
    assert not config.student.model.startswith("builtin:")
    assert Config(**runs.as_tables(config)) == config


@pytest.mark.slow
@pytest.mark.parametrize("appears", ["data/journal/0-of-1.jsonl", "train/cgd/metrics.jsonl"])
def test_a_killed_run_finishes_with_the_same_outcome(
    appears: str, finished: Path, tmp_path: Path, tiny_student: Path
) -> None:
    """SIGKILL as soon as a file of the stage is there, in a process of its own."""
    folder = tmp_path / "run"
    config = tiny_config(folder, tiny_student)
    command = [sys.executable, "-m", "launch.cli", "run", str(folder.with_name("run.toml"))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ})
    while not (folder / appears).exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run was over before it was killed"
    run_pipeline(config)
    assert outcome(folder) == outcome(finished)


def test_keys_that_an_older_version_did_not_have_keep_nobody_out(
    tmp_path: Path, tiny_student: Path
) -> None:
    folder = tmp_path / "run"
    run_pipeline(tiny_config(folder, tiny_student), kind="prompts")
    saved = folder / "config.toml"
    older = [line for line in saved.read_text().splitlines() if "samples_per_prompt" not in line]
    saved.write_text("\n".join(older))
    run_pipeline(tiny_config(folder, tiny_student), kind="prompts")
    saved.write_text("\n".join(older))
    other = tiny_config(folder, tiny_student, "generate.samples_per_prompt=2")
    with pytest.raises(ValueError, match=r"generate\.samples_per_prompt: nothing -> 2"):
        run_pipeline(other, kind="prompts")
