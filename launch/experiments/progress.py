"""What a command that runs many jobs says: a line for each that is finished, and how long the rest will take.

    [12/96] training cgd, seed 0: 41 s  (3:10 min so far, about 12:00 min left)

Each kind of job has its own mean. Means are kept in POOL/seconds.json, so that the next command knows them from its
first line. On a terminal the last line says what is being done.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from datagen.progress_bar import clock
from datagen.records import write_whole
from launch.experiments.jobs import Job

SECONDS = "seconds.json"


class Durations:
    """Mean seconds of each kind of job, over all commands on a pool."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._sums = {
                k: (int(n), float(s)) for k, (n, s) in json.loads(file.read_text()).items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            self._sums = {}  # only a guess is lost

    def note(self, kind: str, seconds: float) -> None:
        """One more job."""
        count, total = self._sums.get(kind, (0, 0.0))
        self._sums[kind] = (count + 1, round(total + seconds, 3))
        write_whole(self._file, json.dumps(self._sums, indent=1).encode() + b"\n")

    def mean(self, kind: str) -> float | None:
        """Of one job; None where none was measured."""
        count, total = self._sums.get(kind, (0, 0.0))
        return total / count if count else None

    def left(
        self, waiting: Iterable[Job], running: Iterable[tuple[Job, float]], at_once: int
    ) -> float | None:
        """Seconds for these jobs, so many at once; None where a kind was never measured."""
        todo = [(self.mean(job.kind), 0.0) for job in waiting]
        todo += [(self.mean(job.kind), spent) for job, spent in running]
        if any(mean is None for mean, _ in todo):
            return None
        return sum(max(0.0, (mean or 0.0) - spent) for mean, spent in todo) / at_once


class Reporter:
    """Says how far a command is."""

    def __init__(self, total: int, durations: Durations, at_once: int, to_stderr: bool) -> None:
        self._total, self._durations, self._at_once = total, durations, at_once
        self._stream = sys.stderr if to_stderr else sys.stdout
        self._started = time.monotonic()
        self._live = ""
        self.done = 0

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        print(text, file=self._stream, flush=True)

    def finished(
        self, job: Job, seconds: float, waiting: Sequence[Job], running: Sequence[tuple[Job, float]]
    ) -> None:
        """One job more is done."""
        self.done += 1
        self._durations.note(job.kind, seconds)
        left = self._durations.left(waiting, running, self._at_once)
        rest = "" if left is None or not (waiting or running) else f", about {clock(left)} left"
        sofar = clock(time.monotonic() - self._started)
        self.say(f"{self._place()} {job.label}: {clock(seconds)}  ({sofar} so far{rest})")

    def failed(self, job: Job, code: int, tail: Sequence[str]) -> None:
        """One job has failed: its last lines, and where all of them are."""
        self.done += 1
        lines = [f"{self._place()} {job.label}: FAILED (exit code {code}); its last lines:"]
        lines += [f"    {line}" for line in tail]
        self.say("\n".join([*lines, f"  all of them: {job.log}"]))

    def running(self, jobs: Sequence[tuple[Job, float]]) -> None:
        """What is being done, on a terminal."""
        if not self._stream.isatty() or not jobs:
            return
        text = "  ".join(f"{job.label} {clock(seconds)}" for job, seconds in jobs)
        width = shutil.get_terminal_size((120, 40)).columns - 1
        self._clear()
        self._live = text[:width]
        print(self._live, end="\r", file=self._stream, flush=True)

    def _clear(self) -> None:
        if self._live:
            print(" " * len(self._live), end="\r", file=self._stream)
            self._live = ""

    def _place(self) -> str:
        return f"[{self.done}/{self._total}]"
