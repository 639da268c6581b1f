"""Workers: every record is one worker's, whoever comes last merges, and nobody else gets into the folder."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from flow_fakes import STAGES, Clock, Flow, Killed, Server, records
from hypothesis import given
from hypothesis import strategies as st

from datagen import workers
from datagen.budget import BudgetSpent
from datagen.stages import GenerateConfig
from datagen.workers import Worker, locked_for_workers, shard_of, worker_from


@given(st.text(), st.integers(1, 9))
def test_every_record_has_one_owner(record_id: str, count: int) -> None:
    owners = [k for k in range(count) if Worker(k, count).owns(record_id)]
    assert owners == [shard_of(record_id, count)]


def test_shards_are_of_one_size_and_the_same_in_every_process() -> None:
    sizes = Counter(shard_of(f"gsm8k-{i}", 8) for i in range(8000))
    assert min(sizes.values()) > 880
    assert shard_of("a", 1000) == 250


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_the_last_worker_merges_what_one_alone_would_write(
    tmp_path: Path, order: list[int]
) -> None:
    alone = Flow(tmp_path / "alone", records(20))
    alone()
    flow = Flow(tmp_path / "many", records(20))
    written: list[str] = []
    for number in order:
        assert not (flow.folder / "summary.json").exists()
        written += flow(worker=(number, 3))
    assert sorted(written) == sorted(f"{s} r{i}" for s in STAGES for i in range(20))
    assert flow.files() == alone.files()
    assert flow.said[0].endswith("others still have work to do, and the last one writes the files")
    assert flow(worker=(0, 3)) == []


def test_a_restart_with_another_number_of_workers_writes_nothing_twice(tmp_path: Path) -> None:
    flow = Flow(tmp_path / "run", records(20))
    written: list[str] = []
    for worker, dies_at in [((0, 2), 1.5), ((2, 3), 2.2), ((1, 5), 1.1)]:
        clock = Clock()
        student, teacher = (Server(clock, name, dies_at=dies_at) for name in ("s", "t"))
        with pytest.raises(Killed):
            flow(student, teacher, worker=worker)
        written += student.written + teacher.written
    clock = Clock()
    written += flow(Server(clock, "s"), Server(clock, "t"))
    alone = Flow(tmp_path / "alone", records(20))
    alone(Server(clock, "s"), Server(clock, "t"))
    assert flow.files() == alone.files()
    journalled = b"".join(path.read_bytes() for path in flow.folder.glob("journal/*.jsonl"))
    assert journalled.count(b"\n") == 60
    assert len(list(flow.folder.glob("journal/*.jsonl"))) == 4


def test_a_budget_is_shared_out_among_workers(tmp_path: Path) -> None:
    flow = Flow(tmp_path, records(40))
    config = GenerateConfig(max_total_tokens=8 * 60)
    for number in (0, 1):
        with pytest.raises(BudgetSpent, match="share"):
            flow(config=config, worker=(number, 2))
    lines = b"".join(path.read_bytes() for path in flow.folder.glob("journal/*.jsonl"))
    assert 58 <= lines.count(b"\n") <= 62


# ---- who am I -----------------------------------------------------------------------------------------------


def test_a_worker_is_named_by_option_torchrun_or_slurm() -> None:
    array = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "4"}
    steps = {"SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_STEP": "2"}
    torchrun = {"RANK": "3", "WORLD_SIZE": "8"}
    assert worker_from(None, {}) == (Worker(0, 1), "")
    assert worker_from(None, torchrun | array) == (Worker(3, 8), "torchrun")
    assert worker_from(None, array | steps) == (Worker(1, 4), "Slurm array")
    assert worker_from("2/7", torchrun) == (Worker(2, 7), "--worker")


@pytest.mark.parametrize("text", ["8", "a/b", "1/2/3", "-1/2", "1/", "2/2", "0/0"])
def test_impossible_workers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="worker"):
        worker_from(text, {})


# ---- the lock ---------------------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from datagen.workers import locked_for_workers
with locked_for_workers(Path(sys.argv[1]), int(sys.argv[2])):
    print("in", flush=True)
    sys.stdin.read()
"""


def test_workers_of_one_number_share_a_folder_and_others_stay_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "LOCK_SECONDS", 0.2)
    lock = tmp_path / ".lock"
    command = [sys.executable, "-c", HOLD, str(lock), "3"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with locked_for_workers(lock, 3):
            pass
        with (
            pytest.raises(ValueError, match=r"another number \(3\) are at work"),
            locked_for_workers(lock, 2),
        ):
            pass
        other.communicate("")
    with locked_for_workers(lock, 2):
        assert lock.read_text() == "2"
