"""`cgd generate`: three lines of settings and two servers give records; mistakes cost a sentence, and no money."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Run
from faulty_server import FaultyServer

from datagen import vllm_devices
from launch import worker_processes
from launch.config import load_config
from launch.worker_processes import models_here, own_devices, take_own_devices


@pytest.fixture
def cgd(cgd: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return cgd


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[FaultyServer, FaultyServer]]:
    """A student and a teacher, and a configuration of three lines."""
    rows = [{"problem": f"What is {i} + {i}?", "answer": f"\\boxed{{{2 * i}}}"} for i in range(6)]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with FaultyServer(models=("small",)) as student, FaultyServer(models=("large",)) as teacher:
        (tmp_path / "mine.toml").write_text(
            f"""\
inference.base_url = "{student.base_url}"
teacher.base_url = "{teacher.base_url}"
data.prompts = "problems.jsonl"
"""
        )
        yield student, teacher


Servers = tuple[FaultyServer, FaultyServer]


def rows(folder: Path, name: str = "refinements") -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / f"data/{name}.jsonl").read_bytes().splitlines()]


def test_two_servers_and_a_file_of_problems_give_records(
    cgd: Run, servers: Servers, tmp_path: Path
) -> None:
    code, printed = cgd("generate", "mine.toml")
    assert code == 0, printed
    records = rows(tmp_path / "runs/mine")
    assert len(records) == 6
    for record in records:
        assert record["student_answer"]
        assert record["critique"]
        assert record["refined_answer"]
        assert record["student_correct"] in (True, False)
    assert "records: 6 of 6 prompts" in printed
    student, teacher = servers
    assert sum(student.served.values()) == 6 + 1, "one tiny request first"
    assert sum(teacher.served.values()) == 12 + 1
    code, printed = cgd("generate", "mine.toml")
    assert (code, "nothing was left to do" in printed) == (0, True)


def test_training_asks_for_the_model_itself(cgd: Run, servers: Servers) -> None:
    for verb in ("run", "train", "evaluate"):
        code, printed = cgd(verb, "mine.toml")
        assert code == 2
        assert "student.model: required, but not given" in printed


def test_a_server_that_is_not_there_costs_nothing(cgd: Run, servers: Servers) -> None:
    code, printed = cgd("generate", "mine.toml", "--set", "teacher.base_url=http://127.0.0.1:9/v1")
    assert code == 2
    assert "cannot be reached" in printed.split("error:")[1]
    assert not servers[0].served


def test_a_spent_budget_ends_with_code_1_and_a_larger_one_goes_on(
    cgd: Run, servers: Servers, tmp_path: Path
) -> None:
    short = [f"generate.{stage}.max_tokens=20" for stage in ("answer", "critique", "refine")]
    settings = [part for setting in short for part in ("--set", setting)]
    limited = [*settings, "--set", "generate.max_total_tokens=600"]
    code, printed = cgd("generate", "mine.toml", *limited)
    assert code == 1
    assert "error: the budget is spent" in printed
    safe = (tmp_path / "runs/mine/data/journal/0-of-1.jsonl").read_bytes().count(b"\n")
    assert 0 < safe < 18
    code, printed = cgd("generate", "mine.toml", *settings)
    assert code == 0, printed
    assert sum(sum(server.served.values()) for server in servers) <= 18 + 2 + 2


def test_other_settings_are_refused_or_taken_in_on_request(
    cgd: Run, servers: Servers, tmp_path: Path
) -> None:
    cgd("generate", "mine.toml")
    changed = ("--set", "generate.refine.temperature=0.1")
    code, printed = cgd("generate", "mine.toml", *changed)
    assert code == 2
    assert "generate.refine.temperature: 0.7 -> 0.1" in printed
    assert "--rework" in printed
    code, printed = cgd("generate", "mine.toml", *changed, "--rework")
    assert code == 0, printed
    assert "critique: 6 of 6 texts are there already" in printed
    assert "refine: 6 of 6 texts are written again (changed: temperature)" in printed
    assert "nothing was left to do" not in printed
    code, printed = cgd("generate", "mine.toml", *changed, "--set", "data.limit=4", "--rework")
    assert code == 0, printed
    assert len(rows(tmp_path / "runs/mine")) == 4
    assert sum(servers[1].served.values()) == 18 + 2, "shrinking opens no server"


def test_workers_one_by_one_and_the_last_one_merges(
    cgd: Run, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, printed = cgd("generate", "mine.toml", "--worker", "1/2")
    assert code == 0, printed
    assert "the last one writes the files" in printed
    assert not (tmp_path / "runs/mine/data/summary.json").exists()
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    code, printed = cgd("generate", "mine.toml")
    assert code == 0, printed
    assert "worker 0 of 2, as Slurm array says; --worker 0/1 does all alone" in printed
    assert len(rows(tmp_path / "runs/mine")) == 6
    code, printed = cgd("generate", "mine.toml", "--worker", "2/2")
    assert (code, "worker 2/2" in printed) == (2, True)


@pytest.mark.slow
def test_workers_as_processes(cgd: Run, servers: Servers, tmp_path: Path) -> None:
    code, printed = cgd("generate", "mine.toml", "--workers", "2")
    assert code == 0, printed
    assert "worker 0 | worker 0 of 2" in printed
    assert len(rows(tmp_path / "runs/mine")) == 6
    assert len(list((tmp_path / "runs/mine/data/journal").glob("*-of-2.jsonl"))) == 2


def test_every_worker_sees_its_own_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "here.toml"
    path.write_text('[student]\nmodel = "m"\n[teacher]\nmodel = "t"\nbackend = "vllm"\n')
    monkeypatch.setattr(worker_processes, "visible_devices", lambda: ["4", "5", "6", "7"])
    two = load_config(path, ["teacher.tensor_parallel=2"])
    name = "CUDA_VISIBLE_DEVICES"
    assert own_devices(models_here(load_config(path)), 3, 4) == {name: "7"}
    assert own_devices(models_here(two), 1, 2) == {name: "6,7"}
    with pytest.raises(ValueError, match="start at most 2 workers here"):
        own_devices(models_here(two), 2, 3)
    servers = ["inference.base_url=http://a/v1", "teacher.backend=openai", "teacher.model="]
    remote = load_config(path, [*servers, "teacher.base_url=http://b/v1"])
    assert own_devices(models_here(remote), 7, 8) == {}


def test_without_gpus_every_vllm_worker_has_cores_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "here.toml"
    path.write_text('[student]\nmodel = "m"\n[teacher]\nmodel = "t"\nbackend = "vllm"\n')
    monkeypatch.setattr(worker_processes, "visible_devices", list)
    monkeypatch.setattr(os, "environ", {"LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8))
    local = models_here(load_config(path))
    given = [own_devices(local, number, 2) for number in range(2)]
    assert given == [{vllm_devices.CORES: "0,1,2,3"}, {vllm_devices.CORES: "4,5,6,7"}]
    not_vllm = load_config(path, ["teacher.backend=transformers"])
    assert own_devices(models_here(not_vllm), 1, 2) == {}
    take_own_devices(local)
    assert os.environ[vllm_devices.CORES] == "4,5,6,7"


def test_a_run_is_called_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tuesday.toml"
    path.write_text('student.model = "m"\n')
    assert load_config(path).run.dir == "runs/tuesday"
