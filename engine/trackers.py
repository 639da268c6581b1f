"""Trackers: the numbers of every step, also where people like to look at curves. Rank 0 alone has them.

    [train] report_to = ["tensorboard"]     curves in TRAINING/tensorboard, for `tensorboard --logdir runs`
                        "wandb", "mlflow", "trackio"     on request, see other_trackers.py

They get numbers and settings, never a prompt, a text or what is printed. metrics.jsonl is the record, a tracker a copy:
one that fails is left out with a word, and the training goes on. A resumed training goes on in the same run of a
tracker, whose id is kept in trackers.json, and shows no step twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from engine.advice import first_line
from engine.attempt_log import Attempt
from engine.event_file import EventFile
from engine.whole_files import write_whole

IDS = "trackers.json"
NOT_SHOWN = {"step", "examples", "ranks"}
"""Figures of a step that are no curve."""


class Tracker(Protocol):
    """One place where curves are shown."""

    id: str
    """What it calls the training, for the next attempt."""

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """One point of every curve; steps come in order."""

    def close(self, failed: bool) -> None:
        """The attempt is over."""


@dataclass(frozen=True)
class Tracked:
    """What trackers are opened for: an attempt at a training, and what was done before it."""

    attempt: Attempt
    done: Sequence[Mapping[str, Any]]
    """The lines of metrics.jsonl that stand: steps of earlier attempts that are not done again."""
    newest_seen: int
    """The newest step that any attempt has written: after a kill, steps are done again."""


def require_trackers(names: Iterable[str]) -> None:
    """Raises ValueError where one is asked for and not installed."""
    missing = [name for name in names if name != "tensorboard" and find_spec(name) is None]
    if missing:
        raise ValueError(
            f"train.report_to: {missing[0]} is not installed; `pip install {missing[0]}`, or leave it out"
        )


class Trackers:
    """All trackers of an attempt, for the length of a `with` block."""

    def __init__(self, names: Sequence[str], tracked: Tracked) -> None:
        self.open: dict[str, Tracker] = {}
        self.newest: dict[str, int] = {}
        """The step up to which each has everything."""
        for name in names:
            self.trying(name, partial(self.start, name, tracked))

    def start(self, name: str, tracked: Tracked) -> None:
        """Opens one tracker; one that has not met this training before hears of the steps that are done."""
        ids = read_ids(tracked.attempt.folder)
        tracker = open_tracker(name, tracked, ids.get(name))
        write_ids(tracked.attempt.folder, ids | {name: tracker.id})
        self.open[name] = tracker
        takes_back = name == "tensorboard"  # its files can: those steps are drawn again
        self.newest[name] = len(tracked.done) if takes_back else tracked.newest_seen
        if name not in ids:
            for line in tracked.done:
                tracker.write(line["step"], figures_of(line))
            self.newest[name] = len(tracked.done)

    def write(self, line: Mapping[str, Any]) -> None:
        """A step's line of metrics.jsonl, to every tracker that does not have it."""
        for name, tracker in list(self.open.items()):
            if line["step"] > self.newest[name]:
                self.trying(name, partial(tracker.write, line["step"], figures_of(line)))

    def trying(self, name: str, work: Callable[[], object]) -> None:
        """Does the work; a tracker that fails is left out from then on, whatever its reason."""
        try:
            work()
        except Exception as error:
            self.open.pop(name, None)
            print(
                f"report_to: {name} failed and is left out: {first_line(error)[:300]}", flush=True
            )

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Ends all."""
        for name, tracker in list(self.open.items()):
            self.trying(name, partial(tracker.close, error is not None))


def open_tracker(name: str, tracked: Tracked, known: str | None) -> Tracker:
    """The tracker of that name; `known` is what it has called this training before."""
    if name == "tensorboard":
        attempt = tracked.attempt
        first_step = len(tracked.done) if known else 0
        return EventFile(attempt.folder / "tensorboard", attempt.number, first_step)
    from engine.other_trackers import OPENERS

    return OPENERS[name](tracked, known)


def figures_of(line: Mapping[str, Any]) -> dict[str, float]:
    """The curves' points of a step's line."""
    return {
        f"train/{name}": float(value)
        for name, value in line.items()
        if name not in NOT_SHOWN and isinstance(value, int | float)
    }


def read_ids(folder: Path) -> dict[str, str]:
    """What trackers call this training; nothing where none has met it."""
    try:
        return dict(json.loads((folder / IDS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def write_ids(folder: Path, ids: Mapping[str, str]) -> None:
    """Keeps them."""
    write_whole(folder / IDS, json.dumps(ids) + "\n")
