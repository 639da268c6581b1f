"""The last words about a rank that failed: which one, where, of what, and where the rest of it can be read.

    first failure as torchrun saw it + its log (rank_logs.py) + the kernel's count of memory kills  →  a few lines

A process that is killed says nothing. If the kernel has killed something of this job for want of memory since it
started, that is the likely reason, and is said.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

TAIL_LINES = 15
"""Of the rank's log, where it has left no error."""
MOST_TAIL_BYTES = 64 * 1024
CGROUPS = Path("/sys/fs/cgroup")
LOST_PEER = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "remote process exited",
    "ncclRemoteError",
    "Timed out waiting",
    "watchdog",
)
"""What gloo and NCCL say of a rank that is gone, in the words of those who are left."""


class Failure(Protocol):
    """What torchrun knows of a process that failed."""

    pid: int
    exitcode: int
    message: object
    timestamp: int


def obituary(failures: Mapping[int, Failure], places: str, kills_before: int) -> str:
    """The lines to end with, about the rank that failed by itself and not for the loss of another."""
    rank = min(failures, key=lambda rank: (is_victim(failures[rank]), failures[rank].timestamp))
    return "\n".join(lines(rank, failures[rank], Path(places), kills_before))


def is_victim(failure: Failure) -> bool:
    """Whether it seems to have failed because another rank was gone, or was ended by the launcher."""
    return failure.exitcode == -signal.SIGTERM or tells_of_lost_peer(message_of(failure))


def tells_of_lost_peer(text: str) -> bool:
    """Whether an error is about another rank that does not answer."""
    return any(phrase in text for phrase in LOST_PEER)


def lines(rank: int, failure: Failure, places: Path, kills_before: int) -> Iterator[str]:
    """First what happened, then where to look."""
    log = log_of(rank, places)
    yield ""
    yield f"error: rank {rank} on {socket.gethostname()} (pid {failure.pid}) failed first: {reason(failure)}"
    said = message_of(failure)
    if said:
        yield from (f"  {line}" for line in said.splitlines())
    elif log is not None:
        yield from (f"  {line}" for line in tail(log))
    if is_victim(failure):
        yield "  it may only have lost a rank of another machine: see what was said last there"
    if failure.exitcode == -signal.SIGKILL:
        killed = memory_kills() - kills_before
        yield (
            f"  the kernel has ended {killed} process(es) here for want of memory since the start"
            if killed > 0
            else "  nothing in it asked for that: `kill -9`, a job's memory limit, or the machine's (see `dmesg`)"
        )
    if log is not None:
        yield f"its log: {log}"
    yield "the other ranks were ended with it; run the same command to continue after the newest checkpoint"


def reason(failure: Failure) -> str:
    """What its exit code means."""
    if failure.exitcode >= 0:
        return f"exit code {failure.exitcode}"
    try:
        name = signal.Signals(-failure.exitcode).name
    except ValueError:
        name = f"signal {-failure.exitcode}"
    return f"ended by {name}"


def message_of(failure: Failure) -> str:
    """What the rank has told torchrun (command.py); torchrun's own phrases say nothing."""
    told = failure.message
    if not isinstance(told, dict):
        return ""
    extra = told.get("extraInfo")
    text = extra.get("py_callstack") if isinstance(extra, dict) else None
    return str(text or told.get("message", ""))


def log_of(rank: int, places: Path) -> Path | None:
    """The file that the rank has said its log is."""
    try:
        path = Path((places / f"rank-{rank}").read_text(encoding="utf-8"))
    except OSError:
        return None
    return path if path.is_file() else None


def tail(log: Path) -> list[str]:
    """Its last lines."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - MOST_TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace").splitlines()[-TAIL_LINES:]


def memory_kills(groups: Path = CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """How many processes of this control group the kernel has killed for want of memory; 0 where it does not say."""
    for file in memory_files(groups, own):
        try:
            words = [line.split() for line in file.read_text(encoding="ascii").splitlines()]
            return sum(int(count) for name, count in words if name == "oom_kill")
        except (OSError, ValueError):
            continue
    return 0


def memory_files(groups: Path, own: Path) -> Iterator[Path]:
    """Where the count may stand: in version 2 of control groups, and in version 1; a container sees its own as root."""
    try:
        lines = own.read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines):
        for place in (path.lstrip("/"), ""):
            if not controllers:
                yield groups / place / "memory.events"
            elif "memory" in controllers.split(","):
                yield groups / "memory" / place / "memory.oom_control"
