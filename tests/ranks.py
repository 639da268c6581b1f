"""Ranks without torchrun's start-up: processes forked from one that has imported the engine already.

    pids = fork_ranks(2, work, log)    each child calls work(rank) in torchrun's environment and leaves with its result

The parent must not have started a thread, which it has not as long as it computes nothing: a fork would lose it. Tests
therefore do not fork themselves, they run a small program that imports this module (faults.py, mishaps.py).
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import transformers.models.llama.modeling_llama  # noqa: F401  (imported once, not in every rank)

import engine.train

POLL_SECONDS = 0.001


def fork_ranks(count: int, work: Callable[[int], int], log: Path) -> list[int]:
    """Starts `count` ranks, whose output is appended to `log`; returns their process ids."""
    assert len(os.listdir("/proc/self/task")) == 1, "a fork would lose threads"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [fork_rank(rank, count, port, work, log) for rank in range(count)]


def fork_rank(rank: int, count: int, port: int, work: Callable[[int], int], log: Path) -> int:
    """One of them; in the child it does not return."""
    pid = os.fork()
    if pid:
        return pid
    exit_code = 1
    try:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        exit_code = work(rank)
    except BaseException:
        traceback.print_exc()
    finally:  # never back into the parent's code
        engine.train.leave(exit_code)


def have_ended(pids: list[int]) -> bool:
    """Whether all have ended by themselves; their ids stay theirs until `reap`."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return all(os.waitid(os.P_PID, pid, flags) is not None for pid in pids)


def reap(pids: list[int]) -> list[int]:
    """Waits for all of them; their exit codes, negative where a signal ended them."""
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def wait_until(seen: Callable[[], bool], pids: list[int], most_seconds: float) -> bool:
    """Whether it was seen before the ranks ended."""
    deadline = time.monotonic() + most_seconds
    while not have_ended(pids):
        assert time.monotonic() < deadline, "the ranks hang"
        if seen():
            return True
        time.sleep(POLL_SECONDS)
    return False
