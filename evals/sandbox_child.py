"""The inner side of the sandbox: a fresh interpreter builds the walls, divides in two, and reports a verdict.

    limits (argument) → walls → fork ┬ candidate: limits, Landlock, filter → sandbox_candidate
                                     └ judge: reads the job only now → sandbox_judge → verdict with the token

The job is read after the fork, so the candidate's memory has never held the test or the token. The judge ends the
candidate; should the judge be killed, the kernel does (parent-death signal), and in a process id namespace
everything that the candidate started dies with it. Should the evaluator be killed, the judge dies the same way.
Started by `sandbox.py` as `python -I -S`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from evals import sandbox_kernel as kernel
from evals.sandbox_candidate import serve
from evals.sandbox_judge import Finding, main_judge
from evals.sandbox_landlock import give_up_files
from evals.sandbox_lines import Lines
from evals.sandbox_namespaces import (
    DEVICES,
    SCRATCH,
    Walls,
    attempt,
    library_folders,
    separate,
)
from evals.sandbox_syscalls import filter_system_calls

HIGHEST_FILE = 1024
UNKNOWN_TASKS = 1024
"""Without /proc they cannot be counted, and a limit below them would fail honest programs."""
END_GRACE_SECONDS = 2.0


def main() -> None:
    """Build, divide, judge, report."""
    settings = json.loads(sys.argv[1])
    walls = build(settings)
    die_with_caller(settings["caller"], walls)
    to_candidate, to_judge = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            run_candidate(settings, walls, to_candidate[0], to_judge[1])
        finally:
            os._exit(0)
    os.close(to_candidate[0])
    os.close(to_judge[1])
    report(settings, walls, pid, to_judge[0], to_candidate[1])


def die_with_caller(caller: int, walls: Walls) -> None:
    """From here on the kernel ends this process with the one that started it; one that has ended already
    told the kernel nothing. After `build`, since changing the user id undoes it."""
    attempt(walls, "judge dies with its caller", kernel.die_with_parent)
    if os.getppid() != caller:
        os._exit(1)


def build(settings: dict[str, Any]) -> Walls:
    """The walls that both halves share."""
    null = os.open(os.devnull, os.O_RDWR)
    os.set_inheritable(null, True)
    settings["null"] = null
    settings["readable"] = [*library_folders(), *DEVICES]
    walls = separate(settings["private"], settings["disk_bytes"], settings["without"])
    settings["scratch"] = settings["private"] if walls["files hidden"] else SCRATCH
    settings["num_tasks"] = other_tasks(walls)
    os.umask(0o077)
    os.chdir(settings["scratch"])
    return walls


def other_tasks(walls: Walls) -> int:
    """What RLIMIT_NPROC counts besides the program: nothing in a user namespace of its own."""
    if not walls["user namespace"]:
        return 0
    return kernel.num_tasks_of_user() if walls["files hidden"] else UNKNOWN_TASKS


def confine(settings: dict[str, Any], walls: Walls, partner: int) -> None:
    """The walls of one process: limits, no way back, no files, no system calls it does not need."""
    bounds = {
        "RLIMIT_AS": settings["memory_bytes"],
        "RLIMIT_CPU": settings["cpu_seconds"],
        "RLIMIT_FSIZE": settings["disk_bytes"],
        "RLIMIT_NOFILE": settings["open_files"],
        "RLIMIT_NPROC": settings["num_tasks"] + settings["threads"],
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    refused = kernel.lower_limits(bounds)
    walls["limits"] = f"not on this system: {', '.join(refused)}" if refused else ""
    attempt(walls, "no new privileges", kernel.forbid_new_privileges)
    attempt(walls, "no capabilities", kernel.drop_capabilities)
    shown, own = settings["readable"], [settings["scratch"]]
    is_judge = partner != os.getpid()  # it must be able to end its partner
    layer(settings, walls, "landlock", lambda: give_up_files(shown, own, may_signal=is_judge))
    layer(settings, walls, "system call filter", lambda: filter_system_calls(partner))


def layer(settings: dict[str, Any], walls: Walls, name: str, work: Callable[[], object]) -> None:
    """A wall that a test may leave out, to see what the others hold."""
    if name in settings["without"]:
        walls[name] = "left out"
    else:
        attempt(walls, name, work)


def run_candidate(settings: dict[str, Any], walls: Walls, read_end: int, write_end: int) -> None:
    """Own session, two pipes and nothing else open, confined; then the tested code."""
    os.setsid()
    attempt(walls, "dies with its judge", kernel.die_with_parent)
    for number in range(3):
        os.dup2(settings["null"], number)
    os.dup2(read_end, 10)
    os.dup2(write_end, 11)
    os.closerange(3, 10)
    os.closerange(12, HIGHEST_FILE)
    confine(settings, walls, os.getpid())
    os.write(11, json.dumps(walls).encode() + b"\n")
    sys.argv = [""]
    serve(10, 11, settings["wall_seconds"])


def report(settings: dict[str, Any], walls: Walls, pid: int, read_end: int, write_end: int) -> None:
    """Judge the candidate, end it, write the verdict."""
    deadline = time.monotonic() + settings["wall_seconds"]
    lines = Lines(read_end, write_end, deadline)
    job = json.loads(sys.stdin.buffer.readline())
    attempt(walls, "memory hidden", kernel.hide_memory)
    confine(settings, dict(walls), pid)
    started = time.monotonic()
    try:
        walls |= json.loads(lines.receive())
        finding = main_judge(job, lines)
    except Exception as error:
        finding = ("error", f"the sandbox could not start the program: {error!r}")
    finding = end(pid, finding, settings["cpu_seconds"])
    verdict = {"token": job["token"], "status": finding[0], "detail": finding[1], "walls": walls}
    verdict["seconds"] = time.monotonic() - started
    os.write(1, json.dumps(verdict).encode() + b"\n")


def end(pid: int, finding: Finding, cpu_seconds: int) -> Finding:
    """Kill the candidate, and say how it had ended when it did so by itself."""
    done, give_up = 0, time.monotonic() + (END_GRACE_SECONDS if finding[0] == "ended" else 0)
    while not done and time.monotonic() < give_up:
        done, code, usage = os.wait4(pid, os.WNOHANG)
        time.sleep(0 if done else 0.001)
    if not done:
        os.kill(pid, kernel.SIGKILL)  # not waited for yet, so it is there
        _, code, usage = os.wait4(pid, 0)
    if finding[0] != "ended":
        return finding
    used = usage.ru_utime + usage.ru_stime
    if used >= cpu_seconds - 0.5:
        return "timeout", f"it used its {cpu_seconds} s of processor time"
    if os.WIFSIGNALED(code):
        return "error", f"the program ended before it answered, by signal {os.WTERMSIG(code)}"
    return "error", f"the program ended before it answered, exit code {os.WEXITSTATUS(code)}"
