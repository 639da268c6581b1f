"""What the sandbox protects on this very machine: each claim is tried by a program inside it, not assumed.

    PROBES: a program that tries something → was it refused? → one line each, with the kernel's reasons

Kernels and containers differ in what they grant an ordinary user, so the same code can be well or badly confined. The
lines are for a person to read before generated code is run for the first time.
"""

from __future__ import annotations

import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from evals.sandbox import Job, ProgramVerdict, SandboxLimits, run_job

SECRET = "not for the tested program"
TEST = "def check(candidate):\n    assert candidate() is False\n"


@dataclass(frozen=True)
class Probe:
    """One thing that tested code must not be able to do."""

    claim: str
    attempt: str
    """Lines of a function that returns True once it succeeded; `PATH`, `PORT`, `PID` are filled in."""


PROBES = (
    Probe("the user's files cannot be read", "return bool(open(PATH).read())"),
    Probe("nothing can be written outside the private folder", "return bool(open(PATH, 'a'))"),
    Probe(
        "no network, not even this machine's own",
        "import socket\nreturn bool(socket.create_connection(('127.0.0.1', PORT), 2))",
    ),
    Probe("no new processes", "import os\npid = os.fork()\nreturn True if pid else os._exit(0)"),
    Probe("no other programs", "import subprocess\nreturn subprocess.call(['/bin/true']) == 0"),
    Probe("no signals to other processes", "import os\nos.kill(PID, 0)\nreturn True"),
    Probe(
        "no look at other processes",
        "open(f'/proc/{PID}/status').read()\nreturn True",
    ),
    Probe(
        "the private folder is bounded",
        "for i in range(200):\n    open(str(i), 'wb').write(bytes(SIZE // 100))\nreturn True",
    ),
    Probe("memory is bounded", "return bool(bytearray(10 << 30))"),
)

NOT_COVERED = (
    "not covered anywhere: attacks on the kernel or the processor itself (run in a virtual machine "
    "against those), and the time and memory that every program may use up to its limits"
)


def describe_protection(
    limits: SandboxLimits | None = None, without: tuple[str, ...] = ()
) -> list[str]:
    """Lines that say what was tried in the sandbox and refused, what was not, and which walls stand."""
    limits = limits or SandboxLimits()
    with tempfile.TemporaryDirectory(prefix="cgd_probe_") as folder, socket.socket() as listener:
        os.chmod(folder, 0o755)
        secret = Path(folder) / "secret.txt"
        secret.write_text(SECRET, encoding="utf-8")
        secret.chmod(0o666)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        facts = {
            "PATH": repr(str(secret)),
            "PORT": str(listener.getsockname()[1]),
            "PID": str(os.getpid()),
            "SIZE": str(limits.disk_bytes),
        }
        verdicts = [run_job(job_of(probe, facts), limits, without) for probe in PROBES]
    lines = [line_of(probe, verdict) for probe, verdict in zip(PROBES, verdicts, strict=True)]
    return [*lines, *wall_lines(verdicts[0].walls), NOT_COVERED]


def job_of(probe: Probe, facts: dict[str, str]) -> Job:
    """The probe as a program that passes when the attempt is refused."""
    body = "\n".join(f"        {line}" for line in probe.attempt.splitlines())
    program = (
        f"def probe():\n    try:\n{body}\n"
        "    except (OSError, MemoryError):\n        return False\n"
    )
    constants = "".join(f"{name} = {value}\n" for name, value in facts.items())
    return Job(constants + program, "", TEST, "probe")


def line_of(probe: Probe, verdict: ProgramVerdict) -> str:
    """A probe that ended in any other way than being refused proves nothing, so it counts against."""
    if verdict.status == "passed":
        return f"protected: {probe.claim}"
    reason = "it was possible" if verdict.status == "failed" else verdict.detail
    return f"NOT protected: {probe.claim} ({reason})"


def wall_lines(walls: dict[str, str]) -> list[str]:
    """Which layers stand, and the kernel's reason for each that does not."""
    standing = [name for name, reason in walls.items() if not reason]
    missing = [f"no {name}: {reason}" for name, reason in walls.items() if reason]
    return [f"layers that stand: {', '.join(standing) or 'none'}", *missing]
