"""Claims: before anything is run, everything that would stop the work ahead is said at once, and quickly."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, save_tiny_model
from faulty_server import FaultyServer

from launch import pipeline
from launch.config import CONFIGS, Config, load_config
from launch.pipeline import Step, run_pipeline, work_ahead
from launch.preflight import preflight

QUICKSTART = CONFIGS / "quickstart.toml"
ALL = {"data", "train", "evaluate", "base"}
SECONDS = 0.3
"""Of processor time, for the quickstart."""


def quickstart(tmp_path: Path, *overrides: str) -> Config:
    return load_config(QUICKSTART, [f"run.dir={tmp_path / 'run'}", *overrides])


def refused(config: Config, kinds: set[str]) -> str:
    with pytest.raises(ValueError, match=r"\S") as stopped:
        preflight(config, kinds)
    return str(stopped.value)


def said(config: Config, kinds: set[str]) -> list[str]:
    lines: list[str] = []
    preflight(config, kinds, say=lines.append)
    return lines


def test_the_quickstart_costs_a_fraction_of_a_second_and_one_line(tmp_path: Path) -> None:
    config = quickstart(tmp_path)
    said(config, ALL)
    started = time.process_time()
    (line,) = said(config, ALL)
    assert time.process_time() - started < SECONDS
    assert line.startswith("preflight: ")
    assert line.endswith(" checks passed")
    assert not (tmp_path / "run").exists(), "looking leaves nothing behind"


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, tiny_student: Path) -> None:
    student = shutil.copytree(tiny_student, tmp_path / "student")
    (student / "model.safetensors").unlink()
    config = quickstart(
        tmp_path,
        f"student.model={student}",
        "data.prompts=nowhere.jsonl",
        "teacher.script=arithmetik",
        'evaluate.benchmarks=["gone.jsonl", "arithmetic", "lost.jsonl"]',
        "generate.critique.template=no-such-wording",
        "train.shard_size=3",
    )
    message = refused(config, ALL)
    assert message.startswith("7 problems, found before anything was run:\n")
    for part in (
        "data.prompts: 'nowhere.jsonl'",
        "no-such-wording",
        "arithmetik",
        "gone.jsonl",
        "lost.jsonl",
        "student.model: ",
        "train.shard_size = 3",
    ):
        assert part in message


def test_one_problem_is_said_alone(tmp_path: Path) -> None:
    message = refused(quickstart(tmp_path, "data.prompts=nowhere.jsonl"), ALL)
    assert message.startswith("data.prompts: 'nowhere.jsonl' is no file")
    assert message.endswith("; --set data.prompts=FILE")
    assert "\n" not in message


def test_only_the_work_ahead_is_looked_at(tmp_path: Path) -> None:
    config = quickstart(
        tmp_path,
        f"student.model={tmp_path / 'gone'}",
        "data.prompts=nowhere.jsonl",
        'evaluate.benchmarks=["gone.jsonl"]',
    )
    assert "gone.jsonl" in refused(config, {"evaluate"})
    assert "student.model" not in refused(config, {"evaluate"})
    assert "student.model" in refused(config, {"train"})
    assert "nowhere" not in refused(config, {"train"})
    assert said(quickstart(tmp_path), set()) == ["preflight: 1 check passed"]


def test_a_full_disk_stops_a_training_before_its_data_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 1.4 million parameters: five trainings keep two checkpoints of 16 MB each, and an export
    sizes = shutil._ntuple_diskusage(10**12, 10**12 - 10**8, 10**8)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: sizes)
    config = quickstart(tmp_path, "train.save_every=2")
    message = refused(config, ALL)
    assert "disk: run folder" in message
    assert "11 checkpoints of 16 MiB, 5 exports of 5 MiB" in message
    assert "train.keep_checkpoints=1" in message
    assert not any("disk" in line for line in said(config, {"data", "base"}))


def test_warnings_are_printed_and_stop_nothing(tmp_path: Path) -> None:
    lines = said(quickstart(tmp_path, "train.max_length=2000"), {"train"})
    assert "preflight: student context: train.max_length = 2,000" in lines[0]
    assert len(lines) == 2


def test_a_dead_server_is_found_before_the_prompts_are_made(tmp_path: Path) -> None:
    with FaultyServer() as server:
        url = server.base_url
    config = quickstart(tmp_path, "teacher.backend=openai", f"teacher.base_url={url}")
    assert f"teacher.base_url: {url} cannot be reached: " in refused(config, {"data"})
    preflight(config, {"train", "evaluate", "base"})


def test_a_file_without_the_field_that_an_objective_needs(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "1 + 1?", "answer": "2"}) + "\n")
    config = quickstart(tmp_path, f"train.data={path}", 'pipeline.objectives=["sft", "cgd"]')
    assert "learns to write 'refined_answer'" in refused(config, {"train"})
    preflight(quickstart(tmp_path, f"train.data={path}", 'pipeline.objectives=["sft"]'), {"train"})


def test_vllm_that_is_not_here_is_missed_before_the_first_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datagen.vllm_engine.find_spec", lambda _: None)
    config = quickstart(tmp_path, "inference.backend=vllm")
    assert "vLLM is not installed here" in refused(config, {"data"})
    preflight(config, {"train"})


# ---- as part of a run -------------------------------------------------------------------------------


def step(folder: Path, kind: str, name: str, finished: bool) -> Step:
    marker = folder / name
    if finished:
        marker.touch()
    return Step(kind, name, marker, lambda: None)


def test_the_work_ahead_is_that_of_unfinished_steps(tmp_path: Path) -> None:
    steps = [
        step(tmp_path, "data", "records", finished=True),
        step(tmp_path, "evaluate", "evaluate base", finished=True),
        step(tmp_path, "evaluate", "evaluate cgd", finished=False),
        step(tmp_path, "report", "report", finished=False),
    ]
    assert work_ahead(steps, overwrite=False) == {"evaluate"}
    assert work_ahead(steps, overwrite=True) == {"data", "evaluate", "base"}
    assert work_ahead([], overwrite=False) == set()


def test_a_run_is_looked_at_once_and_not_when_it_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    monkeypatch.setattr(pipeline, "preflight", lambda _, kinds, says: seen.append(kinds))
    monkeypatch.setattr(pipeline, "run_steps", lambda *_: [s.marker.touch() for s in made])
    made = [step(tmp_path, "train", "train cgd", finished=False)]
    monkeypatch.setattr(pipeline, "plan", lambda *_, **__: made)
    config = quickstart(tmp_path)
    run_pipeline(config)
    run_pipeline(config)
    assert seen == [{"train"}]


def test_what_is_wrong_leaves_no_run_folder(cgd: Run, tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "student")
    (folder / "tokenizer.json").unlink()
    run: list[Any] = ["run", QUICKSTART, "--set", f"run.dir={tmp_path / 'run'}"]
    code, printed = cgd(*run, "--set", f"student.model={folder}")
    assert code == 2
    assert "holds no tokenizer" in printed
    assert not (tmp_path / "run").exists()
