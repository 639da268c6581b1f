"""attempts.jsonl: every attempt at a job, one line when it starts and one when it ends. Lines are only ever added.

    {"attempt": 2, "event": "started", "at", "command", "host", "pid", "environment": "environment-2.json", …}
    {"attempt": 2, "event": "ended", "at", "seconds", "state": "done" | "failed" | "stopped", "exit", "message"}

An attempt without a second line was killed, or is still at work. `environment` names the file that says in full what
the attempt ran on (provenance.py): the first attempt's, or one of its own where something has changed.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.command import exit_code_for
from engine.redaction import redacted, redacted_command
from engine.status_file import StatusFile, ending, now

ATTEMPTS = "attempts.jsonl"
MOST_MESSAGE = 2000
"""Characters of an error that are kept."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a training."""

    folder: Path
    """The training's."""
    name: str
    """For people."""
    number: int
    """From 1."""
    settings: Mapping[str, Any]
    status: StatusFile


class AttemptLog:
    """Notes one attempt, for the length of a `with` block. Raises OSError where the start cannot be noted."""

    def __init__(self, folder: Path, number: int, facts: Mapping[str, Any]) -> None:
        """`facts`: what the starting line says besides when, where and how it was called."""
        self.path, self.number, self.facts = folder / ATTEMPTS, number, facts

    def __enter__(self) -> AttemptLog:
        self.started = time.monotonic()
        self.append(
            "started",
            command=redacted_command(sys.argv),
            cwd=os.getcwd(),
            host=socket.gethostname(),
            pid=os.getpid(),
            **self.facts,
        )
        return self

    def append(self, event: str, **facts: Any) -> None:
        """Adds one line, in one piece."""
        line = json.dumps({"attempt": self.number, "event": event, "at": now(), **facts}) + "\n"
        if self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            line = "\n" + line  # a kill or a full disk has torn the one before
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Notes the end; a disk that has become full does not hide what went wrong before."""
        seconds = round(time.monotonic() - self.started, 3)
        message = redacted(str(error))[:MOST_MESSAGE] if error is not None else ""
        code = exit_code_for(error)
        try:
            ended = {"seconds": seconds, "state": ending(error), "exit": code, "message": message}
            self.append("ended", pid=os.getpid(), **ended)
        except OSError as full:
            print(f"{self.path}: the end of this attempt could not be noted: {full}", flush=True)


def read_attempts(folder: Path) -> list[dict[str, Any]]:
    """The lines of a folder's attempts, torn ones left out."""
    try:
        text = (folder / ATTEMPTS).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    lines = []
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and isinstance(found.get("attempt"), int):
            lines.append(found)
    return lines


def next_attempt(folder: Path) -> int:
    """The number of the attempt that begins now; the first is 1."""
    return 1 + max((line["attempt"] for line in read_attempts(folder)), default=0)
