"""What ranks say: each into a file of its own, rank 0 also to the terminal, and the real error of all last."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.command import exit_code_of
from engine.failed_rank import memory_kills, obituary, tells_of_lost_peer
from engine.rank_logs import PLACES, rank_log

ROOT = Path(__file__).resolve().parent.parent
LOST = "[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:10164"


def log_of(folder: Path, rank: int, attempt: int = 1) -> str:
    return (folder / "logs" / f"attempt-{attempt}" / f"rank-{rank}.log").read_text()


# ---- one rank -------------------------------------------------------------------------------------


def test_rank_0_is_heard_and_kept_but_for_its_progress_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout
    with rank_log(tmp_path, 1, 0):
        print("a line")
        print("and an error", file=sys.stderr)
        sys.stderr.write("\r 45 %|####")
    assert sys.stdout is before
    heard = capsys.readouterr()
    assert (heard.out, heard.err) == ("a line\n", "and an error\n\r 45 %|####")
    assert log_of(tmp_path, 0) == "a line\nand an error\n"


OTHER_RANK = """
import os, subprocess, sys
from pathlib import Path
from engine.rank_logs import rank_log

with rank_log(Path(sys.argv[1]), 1, 3):
    print("from Python", flush=True)
    os.write(2, b"from a library\\n")
    subprocess.run(["echo", "from a child"], check=True)
print("heard again")
"""


def test_other_ranks_write_into_their_file_whoever_in_them_writes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OTHER_RANK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert log_of(tmp_path, 3) == "from Python\nfrom a library\nfrom a child\n"
    assert (done.stdout, done.stderr) == ("heard again\n", "")


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_is_kept_with_its_traceback_and_goes_on(tmp_path: Path, rank: int) -> None:
    with pytest.raises(KeyError), rank_log(tmp_path, 2, rank):
        raise KeyError("no such thing")
    text = log_of(tmp_path, rank, attempt=2)
    assert "Traceback" in text
    assert text.endswith("KeyError: 'no such thing'\n")


def test_a_further_attempt_has_files_of_its_own(tmp_path: Path) -> None:
    for attempt in (1, 2):
        with rank_log(tmp_path, attempt, 0):
            print(f"attempt {attempt}")
    assert (log_of(tmp_path, 0, 1), log_of(tmp_path, 0, 2)) == ("attempt 1\n", "attempt 2\n")


# ---- the last words -------------------------------------------------------------------------------


@dataclass
class Failed:
    """What torchrun knows of a process."""

    exitcode: int
    message: object = ""
    timestamp: int = 100
    pid: int = 4711


def raised(text: str, timestamp: int = 100) -> Failed:
    return Failed(1, {"message": text, "extraInfo": {"py_callstack": text}}, timestamp)


def test_the_rank_that_failed_by_itself_is_named_not_one_that_lost_it(tmp_path: Path) -> None:
    failures = {0: raised(LOST, 100), 1: Failed(-signal.SIGTERM), 2: raised("KeyError: 'x'", 101)}
    said = obituary(failures, str(tmp_path), 0)
    assert f"error: rank 2 on {socket.gethostname()} (pid 4711) failed first: exit code 1" in said
    assert "  KeyError: 'x'\n" in said
    assert "Connection closed" not in said


def test_where_all_have_lost_a_rank_the_other_machines_are_pointed_to(tmp_path: Path) -> None:
    said = obituary({8: raised(LOST), 9: raised(LOST)}, str(tmp_path), 0)
    assert "it may only have lost a rank of another machine" in said


def test_a_killed_rank_is_told_of_by_its_log(tmp_path: Path) -> None:
    log = tmp_path / "rank-1.log"
    log.write_text("".join(f"line {i}\n" for i in range(100)))
    (tmp_path / "rank-1").write_text(str(log))
    said = obituary({1: Failed(-signal.SIGKILL)}, str(tmp_path), memory_kills())
    assert "rank 1" in said
    assert "ended by SIGKILL" in said
    assert "  line 99\n" in said
    assert "line 50" not in said
    assert "a job's memory limit" in said
    assert f"its log: {log}\n" in said


def test_a_memory_kill_by_the_kernel_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.failed_rank.memory_kills", lambda: 3)
    said = obituary({0: Failed(-signal.SIGKILL)}, str(tmp_path), 2)
    assert "the kernel has ended 1 process(es) here for want of memory" in said


@pytest.mark.parametrize(
    ("own", "file"),
    [
        ("0::/job/7\n", "job/7/memory.events"),
        ("0::/job/7\n", "memory.events"),  # a container sees its own group as the root
        ("4:cpu,memory:/job/7\n", "memory/job/7/memory.oom_control"),
    ],
)
def test_memory_kills_are_counted_in_both_versions_of_control_groups(
    tmp_path: Path, own: str, file: str
) -> None:
    (tmp_path / "own").write_text(f"9:pids:/\n{own}")
    assert memory_kills(tmp_path, tmp_path / "own") == 0
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("oom 4\noom_kill 2\nunder_oom 0\n")
    assert memory_kills(tmp_path, tmp_path / "own") == 2


def test_a_rank_that_fails_by_itself_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one that may have lost another waits, so that this one is the first to have spoken."""
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(PLACES, str(tmp_path))
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))

    def fail(text: str) -> None:
        raise RuntimeError(text)

    assert exit_code_of(lambda: fail("index out of range")) == 1
    assert not naps
    told = json.loads((tmp_path / "error.json").read_text())["message"]["extraInfo"]
    assert told["py_callstack"].endswith("RuntimeError: index out of range\n")
    assert tells_of_lost_peer(LOST)
    assert exit_code_of(lambda: fail(LOST)) == 1
    assert len(naps) == 1


# ---- two ranks under the launcher -----------------------------------------------------------------

PROGRAM = """
import os, sys, time
from pathlib import Path
from engine.command import exit_code_of, leave, rank
from engine.rank_logs import rank_log

def work():
    with rank_log(Path(sys.argv[2]), 1, rank()):
        print("hello from", rank(), flush=True)
        if rank() == 1 and sys.argv[1] == "raise":
            raise KeyError("the real error")
        if rank() == 1:
            os.kill(os.getpid(), 9 if sys.argv[1] == "kill" else 11)
        time.sleep(1.0)
        raise RuntimeError("Connection closed by peer")

leave(exit_code_of(work))
"""


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("raise", "exit code 1"),
        pytest.param("kill", "ended by SIGKILL", marks=pytest.mark.rehearsal),
        pytest.param("crash", "ended by SIGSEGV", marks=pytest.mark.rehearsal),
    ],
)
def test_the_launcher_ends_with_the_real_error_its_rank_and_its_host(
    tmp_path: Path, what: str, reason: str
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    options = ["--standalone", "--nproc-per-node", "2", str(tmp_path / "program.py"), what]
    done = subprocess.run(
        [sys.executable, "-m", "engine.torchrun", *options, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stdout == "hello from 0\n"
    assert log_of(tmp_path, 1).startswith("hello from 1\n")
    said = done.stderr.splitlines()
    start = next(i for i, line in enumerate(said) if line.startswith("error: "))
    assert said[start].startswith(f"error: rank 1 on {socket.gethostname()} (pid ")
    assert said[start].endswith(f"failed first: {reason}")
    assert "its log: " in said[-2]
    assert said[-1].startswith("the other ranks were ended with it; run the same command")
    assert "elastic" not in done.stderr, "the launcher's own lines would bury it"
    if what == "raise":
        assert "  KeyError: 'the real error'" in said[start:]
        assert (
            done.stderr.count("the real error") == 2
        )  # in the traceback's source line, and as its message
    if what == "crash":
        assert "Fatal Python error: Segmentation fault" in log_of(tmp_path, 1)
