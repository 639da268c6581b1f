"""status.json: what a job is doing now, for people and scripts that watch it from outside.

    StatusFile(path)  →  stage(…), progress(…)  →  path, written aside and renamed: at changes, and every 5 s at most

    {"state": "running" | "done" | "failed" | "stopped",
     "stage": {"name", "index", "count"},
     "progress": {"done", "total", "unit", "per_second", "eta_seconds"},
     "last": {"step", "loss", "grad_norm", "tokens_per_second"},
     "started_at", "updated_at" (UTC), "pid", "host", "attempt", "free_disk_bytes", "message"}

A process that is killed cannot say so: its file goes on saying "running", with a process id that is gone and a clock
that stands still. Reading it that way is the reader's work. Nothing depends on this file: where it cannot be written,
one line says so and the job goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from engine.interruption import Interrupted
from engine.whole_files import write_whole

STATUS = "status.json"
WRITE_EVERY_SECONDS = 5.0


class Watch(Protocol):
    """Who else wants to know how far a job is."""

    def __call__(
        self,
        done: float,
        total: float,
        per_second: float,
        message: str,
        last: Mapping[str, float] | None,
    ) -> None:
        """As `StatusFile.progress`."""


class StatusFile:
    """The status of one job, for the length of a `with` block; `path` is None where another process writes it.

    `watch` hears of the same progress: the larger job that this one is a stage of.
    """

    def __init__(self, path: Path | None, attempt: int = 1, watch: Watch | None = None) -> None:
        self.path, self.watch = path, watch
        self.last_write = float("-inf")
        self.facts: dict[str, Any] = {
            "state": "running",
            "stage": None,
            "progress": None,
            "last": None,
            "started_at": now(),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "attempt": attempt,
            "message": "",
        }

    def __enter__(self) -> StatusFile:
        self.write()
        return self

    def stage(self, name: str, index: int, count: int) -> None:
        """A stage has begun, the first one being 1."""
        stage = {"name": name, "index": index, "count": count}
        self.facts |= {"stage": stage, "progress": None, "last": None, "message": ""}
        self.write()

    def progress(
        self,
        done: float,
        total: float,
        per_second: float,
        message: str = "",
        last: Mapping[str, float] | None = None,
    ) -> None:
        """How far the stage is, in tokens; `total` may be an estimate that changes."""
        is_first = self.facts["progress"] is None
        left = (total - done) / per_second if per_second > 0 else None
        figures = {"done": done, "total": total, "unit": "tokens", "per_second": per_second}
        self.facts |= {"progress": {**figures, "eta_seconds": left}, "message": message}
        if last is not None:
            self.facts["last"] = dict(last)
        if is_first or time.monotonic() - self.last_write >= WRITE_EVERY_SECONDS:
            self.write()
        if self.watch is not None:
            self.watch(done, total, per_second, message, last)

    def write(self) -> None:
        """The file as it should be now, whole or not at all."""
        if self.path is None:
            return
        self.last_write = time.monotonic()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.path.parent).free
            text = json.dumps({**self.facts, "updated_at": now(), "free_disk_bytes": free})
            write_whole(self.path, text + "\n")
        except OSError as error:
            why = error.strerror or error
            print(f"{self.path} could not be written ({why}); going on without it", flush=True)
            self.path = None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Says how it ended."""
        self.facts["state"] = ending(error)
        if error is not None:
            self.facts["message"] = reason_of(error)
        self.write()


def ending(error: BaseException | None) -> str:
    """The word for how a job ended."""
    if error is None:
        return "done"
    return "stopped" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"


def reason_of(error: BaseException) -> str:
    """Why it ended, for people; Ctrl-C has no words of its own."""
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted; the same command continues"
    return str(error) or type(error).__name__


def now() -> str:
    """This moment, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
