"""Claim: a training on two machines that loses one of them, and is started again on both, ends as if nothing had been.

The machines are network namespaces with a cable (veth) between them, each with a name and a hosts file of its own;
what runs on them is the command of the cluster's scripts, two ranks on each.
`CGD_SLOW=1 pytest tests/test_rehearsal_nodes.py -s` as root.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import make_records, save_tiny_model

from engine.interruption import EXIT_INTERRUPTED
from engine.settings import RunConfig, StudentConfig, TrainConfig
from engine.toml import to_toml
from launch.cluster.slurm import shell_line, training_command

PROGRAMS = ("ip", "unshare", "mount", "hostname")
ABSENT = [program for program in PROGRAMS if shutil.which(program) is None]
pytestmark = [
    pytest.mark.rehearsal,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(ABSENT), reason=f"needs {', '.join(ABSENT)}"),
]

NAMES = ("node0", "node1")
RANKS_PER_NODE = 2
STEPS = 150
SECONDS = 240.0


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """The namespaces of two machines that reach each other and nothing else."""
    spaces = tuple(f"cgd-{os.getpid()}-{name}" for name in NAMES)
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n10.231.7.1 node0\n10.231.7.2 node1\n")
    try:
        for space in spaces:
            ip("netns", "add", space)
        ends = [("name", f"cgd{number}", "netns", space) for number, space in enumerate(spaces)]
        ip("link", "add", *ends[0], "type", "veth", "peer", *ends[1])
        for number, space in enumerate(spaces):
            ip(
                "-netns",
                space,
                "address",
                "add",
                f"10.231.7.{number + 1}/24",
                "dev",
                f"cgd{number}",
            )
            for device in ("lo", f"cgd{number}"):
                ip("-netns", space, "link", "set", device, "up")
        yield spaces
    finally:
        for space in spaces:
            subprocess.run(["ip", "netns", "delete", space], check=False)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def training(
    folder: Path, config: Path, spaces: tuple[str, ...]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The command of a training at work on both machines, each in a process group of its own."""
    line = shell_line(training_command(2, RANKS_PER_NODE, str(config)))
    agents = []
    with (folder / "log.txt").open("a") as log:
        for name, space in zip(NAMES, spaces, strict=True):
            mount = f"mount --bind {folder}/hosts /etc/hosts && hostname {name}"
            own = f"{mount} && exec {line}"
            command = ["ip", "netns", "exec", space, "unshare", "--mount", "--uts", "sh", "-c", own]
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            environment = {**os.environ, "HEAD": "node0", "PORT": "29500", "PATH": path}
            agents.append(
                subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            )
    try:
        yield agents
    finally:
        for agent in agents:
            end(agent)


def end(agent: subprocess.Popen[bytes]) -> None:
    """SIGKILL to all processes of a machine."""
    for process in session(agent.pid):
        os.kill(process, signal.SIGKILL)
    agent.wait()


def session(leader: int) -> list[int]:
    """The processes of a session; torchrun's ranks have process groups of their own in it, or sessions below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, ahead = [], [leader]
    while ahead:
        one = ahead.pop()
        found.append(one)
        ahead += children.get(one, [])
    return [process for process in found if Path(f"/proc/{process}").exists()]


def wait(agents: list[subprocess.Popen[bytes]]) -> list[int]:
    return [agent.wait(SECONDS) for agent in agents]


def wait_until(seen: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not seen():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.01)


def write_config(folder: Path, name: str) -> tuple[Path, Path]:
    """The configuration of a training, and the folder it trains in."""
    run = RunConfig(name=name, dir=str(folder / name))
    train = TrainConfig(
        data=str(folder / "records.jsonl"),
        batch_size=4,
        learning_rate=1e-3,
        epochs=float(STEPS),
        max_steps=STEPS,
        max_length=512,
        precision="fp32",
        save_every=20,
    )
    config = folder / f"{name}.toml"
    student = StudentConfig(model=str(folder / "student"))
    config.write_text(to_toml({"run": run, "student": student, "train": train}))
    return config, run.folder / "train" / train.objective


def rows(folder: Path) -> list[tuple[int, float, float]]:
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(row["step"], row["loss"], row["grad_norm"]) for row in map(json.loads, lines)]


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "export" / "model.safetensors").read_bytes()).hexdigest()


def test_a_training_that_loses_a_machine_ends_like_an_undisturbed_one(
    tmp_path: Path, nodes: tuple[str, ...]
) -> None:
    save_tiny_model(tmp_path / "student")
    records = "".join(json.dumps(record) + "\n" for record in make_records(20))
    (tmp_path / "records.jsonl").write_text(records, encoding="utf-8")
    log, told = tmp_path / "log.txt", time.monotonic()
    seconds: dict[str, float] = {}

    def took(what: str) -> None:
        nonlocal told
        seconds[what], told = round(time.monotonic() - told, 1), time.monotonic()

    config, undisturbed = write_config(tmp_path, "undisturbed")
    with training(tmp_path, config, nodes) as agents:
        assert wait(agents) == [0, 0], log.read_text()[-3000:]
    took("undisturbed")

    config, folder = write_config(tmp_path, "disturbed")
    with training(tmp_path, config, nodes) as agents:  # one machine is told to leave: both do
        wait_until(lambda: len(rows(folder)) >= 30, log)
        os.kill(agents[1].pid, signal.SIGUSR1)
        assert wait(agents) == [EXIT_INTERRUPTED] * 2, log.read_text()[-3000:]
    left_at = len(rows(folder))
    assert 30 <= left_at < STEPS
    took("told to leave")

    with training(
        tmp_path, config, nodes
    ) as agents:  # one machine is lost: the other does not go on alone
        wait_until(lambda: len(rows(folder)) >= left_at + 30, log)
        end(agents[1])
        lost = time.monotonic()
        assert agents[0].wait(SECONDS) not in (0, EXIT_INTERRUPTED)
        seconds["until the other machine gave up"] = round(time.monotonic() - lost, 1)
    assert not (folder / "export").exists()
    took("killed")

    with training(tmp_path, config, nodes) as agents:
        assert wait(agents) == [0, 0], log.read_text()[-3000:]
    took("to the end")
    print(f"\n{seconds}; left at step {left_at}")
    assert [step for step, _, _ in rows(folder)] == [*range(1, STEPS + 1)]
    assert rows(folder) == rows(undisturbed)
    assert weights(folder) == weights(undisturbed)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["world_size"] == 2 * RANKS_PER_NODE
