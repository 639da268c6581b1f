"""The sandbox: run a generated program against a test, in processes that can harm and fake nothing.

    Job(program, prompt, test, entry_point) → two confined processes (sandbox_child) → ProgramVerdict

The tests never run in the process that runs the model's code. A judge process runs them and calls the tested
function in a second process; only plain values pass between the two (sandbox_values). So "passed" cannot be had by
ending early, by patching `assert`, or by a value that equals everything. The verdict carries a token that the
second process has never held.

Every program has a fresh interpreter, an empty folder in memory, and walls in several layers, so that the loss of
one (kernels and containers differ) is not the loss of all: namespaces and a root without files (sandbox_namespaces),
Landlock (sandbox_landlock), a system call filter (sandbox_syscalls), resource limits (sandbox_kernel). This is
strong confinement for programs that are wrong or careless and for known tricks; against an attack on the kernel
itself only a virtual machine helps.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

Status = Literal["passed", "failed", "timeout", "memory", "error", "refused"]

PROJECT = Path(__file__).resolve().parent.parent
START = "import sys; sys.path.append({!r}); from evals.sandbox_child import main; sys.path.pop(); main()"
START_SECONDS = 20.0
"""Wall time on top of the program's own, for starting and ending on a busy machine."""
SHOWN_CHARS = 300
MAX_OUTPUT_CHARS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What a program may use. The defaults let every reference solution pass on a busy machine."""

    cpu_seconds: int = 5
    """Processor time of the program."""
    wall_seconds: float = 15.0
    """Time from its start to the verdict; a program that sleeps meets this one."""
    memory_bytes: int = 512 << 20
    """Address space of one process."""
    disk_bytes: int = 16 << 20
    """The private folder as a whole where it lies in memory; else the largest file."""
    open_files: int = 64
    threads: int = 16
    program_chars: int = 200_000
    """A longer program is refused unread."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise ValueError(f"sandbox limit {name} must be positive, got {value}")
        if self.memory_bytes < 64 << 20:
            raise ValueError(
                f"sandbox limit memory_bytes is {self.memory_bytes}: "
                f"Python itself does not start below {64 << 20}; raise it"
            )


@dataclass(frozen=True)
class Job:
    """A program and the test that it has to pass."""

    program: str
    prompt: str
    """Code that the test may use (helpers that the problem states); it is run beside the test."""
    test: str
    """Defines `check(candidate)`."""
    entry_point: str
    """The function that is tested."""


@dataclass(frozen=True)
class ProgramVerdict:
    """How the program did. Anything but "passed" counts as wrong; the status says of what kind."""

    status: Status
    """failed: a wrong value · error: an exception, no such function, ended early · timeout, memory: a limit ·
    refused: it asked for what the sandbox withholds (files, network, processes), or is too long."""
    detail: str
    """The failing line of the test, or the exception; shortened."""
    walls: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Wall → "" where it stood during this run, else the kernel's reason."""


def require_permission(allow_code: bool, benchmark: str = "HumanEval") -> None:
    """Running generated code is opt-in; without permission this raises a `ValueError` with the remedy."""
    if not allow_code:
        raise ValueError(
            f"{benchmark} runs Python code written by the model, which has not been allowed: set allow_code = true "
            "in [evaluate] (or leave the benchmark out). The code runs in a sandbox; what protects this machine, "
            "and what does not, is printed before the first program"
        )


def run_job(
    job: Job, limits: SandboxLimits | None = None, without: tuple[str, ...] = ()
) -> ProgramVerdict:
    """Run one program against its test. `without` leaves walls out, so that tests can see the others hold."""
    limits = limits or SandboxLimits()
    if len(job.program) > limits.program_chars:
        detail = f"the program has {len(job.program)} characters, more than {limits.program_chars}"
        return ProgramVerdict("refused", detail)
    private = tempfile.mkdtemp(prefix="cgd_sandbox_")
    try:
        return run_confined(job, limits, private, without)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def run_confined(
    job: Job, limits: SandboxLimits, private: str, without: tuple[str, ...]
) -> ProgramVerdict:
    """Start the inner side, hand it the job, and end all of it at the latest when the time is up. Should this
    process be killed first, the kernel ends it: so the thread that starts it has to wait for it."""
    settings = {**asdict(limits), "private": private, "without": without, "caller": os.getpid()}
    start = START.format(str(PROJECT))
    interpreter = getattr(sys, "_base_executable", None) or sys.executable
    token = secrets.token_hex(16)
    with subprocess.Popen(
        [interpreter, "-I", "-S", "-c", start, json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        cwd="/",
        start_new_session=True,
    ) as process:
        message = json.dumps({**asdict(job), "token": token}).encode() + b"\n"
        try:
            output, errors = process.communicate(message, limits.wall_seconds + START_SECONDS)
        except subprocess.TimeoutExpired:
            return ProgramVerdict(
                "timeout", "the sandbox itself did not end in time; it was killed"
            )
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    return read_verdict(output, errors, token)


def clean_environment() -> dict[str, str]:
    """No variable of the user's but the one that the interpreter itself may need to start."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {"LANG": "C.UTF-8", **kept}


def read_verdict(output: bytes, errors: bytes, token: str) -> ProgramVerdict:
    """The judge's last line; a verdict without the token is none."""
    try:
        said = json.loads(output[:MAX_OUTPUT_CHARS])
        status, is_ours = said["status"], secrets.compare_digest(str(said["token"]), token)
    except (ValueError, TypeError, KeyError, RecursionError):
        lines = errors[-2000:].decode("utf-8", "replace").strip().splitlines()
        detail = f"the sandbox gave no verdict: {lines[-1] if lines else 'it was killed'}"
        return ProgramVerdict("error", detail[:SHOWN_CHARS])
    if not is_ours or status not in get_args(Status):
        return ProgramVerdict("error", "the verdict was forged")
    return ProgramVerdict(status, str(said["detail"])[:SHOWN_CHARS], said["walls"])
