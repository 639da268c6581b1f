"""Stages, done one after the other: a heading for each, and everything noted that lets others follow.

    steps → [k/n] heading → the stage's own lines          on the terminal
          → RUN/status.json, RUN/attempts.jsonl            for whoever looks from outside

What is noted begins with the first stage that has work left: a command that finds nothing to do changes no file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from datagen.progress_bar import clock
from engine.attempt_log import AttemptLog, next_attempt
from engine.provenance import note_environment
from engine.status_file import STATUS, StatusFile
from launch.config import Config
from launch.provenance import run_environment


class Watched:
    """What is noted about a command that works on a run, for the length of a `with` block. It opens on first need."""

    def __init__(self, config: Config, folder: Path, has_status: bool = True) -> None:
        """Of several processes in one folder one alone has its status."""
        self.config, self.folder, self.has_status = config, folder, has_status
        self.held = ExitStack()
        self.status: StatusFile | None = None
        self.place = ("", 1, 1)

    def __enter__(self) -> Watched:
        self.held.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.held.__exit__(type(error) if error else None, error, None)

    def stage(self, name: str, index: int, count: int, has_work: bool = True) -> None:
        """The stage that comes now."""
        self.place = (name, index, count)
        if self.status is not None:
            self.status.stage(*self.place)
        elif has_work:
            self.open()

    def progress(
        self,
        done: float,
        total: float,
        per_second: float,
        message: str = "",
        last: Mapping[str, float] | None = None,
    ) -> None:
        """How far the stage is, in tokens; `last` are figures of a training's newest step."""
        self.open().progress(done, total, per_second, message, last)

    def open(self) -> StatusFile:
        """Notes that an attempt has begun, once."""
        if self.status is None:
            number = next_attempt(self.folder)
            facts = run_environment(self.config, self.folder)
            environment = note_environment(self.folder, number, facts)
            started = {
                "git": facts["git_revision"],
                "code": facts["code"],
                "environment": environment,
            }
            self.held.enter_context(AttemptLog(self.folder, number, started))
            path = self.folder / STATUS if self.has_status else None
            self.status = self.held.enter_context(StatusFile(path, number))
            self.status.stage(*self.place)
        return self.status


@dataclass(frozen=True)
class Step:
    """One line of the plan."""

    kind: str
    """data, train, evaluate or report: what `cgd generate`, `cgd train`, … pick out."""
    name: str
    """What the heading says."""
    marker: Path
    """The file that the stage writes last: it is there when the stage is finished."""
    run: Callable[[Watched], object]
    """Does what is left to do, and says so where nothing is."""


def run_steps(steps: Sequence[Step], watched: Watched) -> None:
    """Every step in order, each under a heading that says how far the whole is."""
    started = time.monotonic()
    seconds_of: dict[str, float] = {}
    for number, step in enumerate(steps, start=1):
        was_finished = step.marker.exists()
        place = f"[{number}/{len(steps)}] "
        spent = clock_line(time.monotonic() - started, time_left(steps[number - 1 :], seconds_of))
        # A finished stage says so itself, in one line: it goes on where the heading stopped.
        print(place if was_finished else f"{place}{step.name}{spent}", flush=True, end="")
        print("" if was_finished else "\n", flush=True, end="")
        watched.stage(step.name, number, len(steps), has_work=not was_finished)
        began = time.monotonic()
        step.run(watched)
        if not was_finished:
            seconds_of[step.kind] = time.monotonic() - began


def time_left(remaining: Sequence[Step], seconds_of: Mapping[str, float]) -> float | None:
    """Seconds for the unfinished steps, once one of each kind has been timed; a report takes none."""
    todo = [step.kind for step in remaining if step.kind != "report" and not step.marker.exists()]
    if not todo or any(kind not in seconds_of for kind in todo):
        return None
    return sum(seconds_of[kind] for kind in todo)


def clock_line(elapsed: float, left: float | None) -> str:
    """`  (2:05 min so far, about 7:10 min left)`; nothing at the start."""
    if elapsed < 1:
        return ""
    return f"  ({clock(elapsed)} so far{'' if left is None else f', about {clock(left)} left'})"
