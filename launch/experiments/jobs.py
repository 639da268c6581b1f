"""A job: one command that makes one run folder, named after everything that its result depends on.

    kind + configuration + jobs before it -> KEY -> POOL/KIND/KEY, its configuration POOL/KIND/KEY.toml beside it

Two variants, or two experiments, that ask for the same thing get the same key, and so share the folder. Keys leave
out what changes no result, and where the pool lies: paths inside it count as the keys that they contain. Which
checkpoints a training keeps counts, since accuracy per epoch reads them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from datagen.records import write_whole
from engine.config import flatten, to_toml
from launch.config import BUILTIN, PACKAGE
from launch.experiments.epochs import EpochEnd

Kind = Literal["data", "mixture", "train", "export", "evaluate", "diagnose"]
KINDS: tuple[Kind, ...] = ("data", "mixture", "train", "export", "evaluate", "diagnose")
SECTIONS_OF: Mapping[Kind, tuple[str, ...]] = {
    "data": ("run", "student", "inference", "teacher", "data", "generate"),
    "train": ("run", "student", "train"),
    "evaluate": ("run", "student", "inference", "evaluate"),
    "diagnose": (
        "run",
        "student",
        "inference",
        "train.layout",
        "train.max_length",
        "diagnose",
        "judge",
    ),
}
"""What of a configuration the work of a job reads, and so what stands in its file."""
NOT_IN_KEYS = {"run.name", "run.dir", "diagnose.names", "diagnose.batch_size", "diagnose.device"}
KEPT = {"train.save_every", "train.keep_checkpoints", "diagnose", "judge"}
"""Harmless for a run folder, but not here: who wants an earlier checkpoint, or diagnostics of other records, needs
another job."""
KEY_LENGTH = 12
STEP = "STEP"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command, and the files that say it is done."""

    kind: Kind
    key: str
    label: str
    """What it is, for people."""
    path: Path
    """The run folder; of a mixture its file, of an export the model folder."""
    command: tuple[str, ...]
    """What a user would type."""
    markers: tuple[Path, ...]
    """Written last."""
    after: tuple[str, ...] = ()
    """The jobs whose results it reads, by id."""
    config: Path | None = None
    """Its configuration file."""
    tables: Mapping[str, Any] | None = None
    """What stands in it."""
    gpus: int = 0
    nodes: int = 1
    """Machines that share these."""
    hours: float | None = None
    """GPU-hours, hours on a CPU, as the scale expects them."""
    records: int | None = None
    """Of a training: on how many, as far as settings say."""
    parts: tuple[str, ...] = ()
    """Of a diagnose job: which diagnostics. The only thing that experiments may add to a shared job."""
    epoch: EpochEnd | None = None
    """Of an export: STEP in its command stands for the step that this ended with."""

    @property
    def id(self) -> str:
        """Kind and key."""
        return f"{self.kind}/{self.key}"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.path.with_name(f"{self.key}.log")

    @property
    def is_done(self) -> bool:
        """Whether everything it writes last is there."""
        return all(marker.exists() for marker in self.markers)

    @property
    def argv(self) -> tuple[str, ...]:
        """The command, with the step that is only known when the training is finished."""
        if self.epoch is None:
            return self.command
        step = self.epoch.step(self.path.parent)
        return tuple(str(step or STEP) if part == STEP else part for part in self.command)

    def write_config(self) -> None:
        """Writes the configuration file."""
        if self.config is not None and self.tables is not None:
            text = to_toml(self.tables)
            self.config.parent.mkdir(parents=True, exist_ok=True)
            if not self.config.exists() or self.config.read_text(encoding="utf-8") != text:
                write_whole(self.config, text.encode())


# ---- keys -------------------------------------------------------------------------------------------


def key_of(kind: Kind, settings: Mapping[str, Any], pool: Path) -> str:
    """A short digest of what a result depends on: `settings` are resolved, with their defaults."""
    counted = {
        name: without_place(value, pool)
        for name, value in flatten(settings).items()
        if not ignored() & {*accumulate(name.split("."), "{}.{}".format)}
    }
    return digest([kind, counted])


@cache
def ignored() -> frozenset[str]:
    """Keys, or whole tables, that change no result."""
    from launch.runs import HARMLESS  # loads torch

    return frozenset((HARMLESS | NOT_IN_KEYS) - KEPT)


def digest(value: Any) -> str:
    """The first digits of a hash."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def without_place(value: Any, pool: Path) -> Any:
    """A path in the pool as it stands there, a packaged model by its content, anything else as it is."""
    if isinstance(value, str) and value.startswith(f"{pool}{os.sep}"):
        return Path(value).relative_to(pool).as_posix()
    if isinstance(value, str) and value.startswith(BUILTIN):
        return f"{value} {content_of(value)}"
    return value


@cache
def content_of(builtin: str) -> str:
    """A hash of a packaged model's files: it may be trained anew from one version to the next."""
    whole = hashlib.sha256()
    for path in sorted((PACKAGE / builtin.removeprefix(BUILTIN)).glob("*")):
        if path.is_file():
            whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()[:KEY_LENGTH]


# ---- many jobs --------------------------------------------------------------------------------------


def merged(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Every job once, in the order of the first; diagnostics that several ask for in one."""
    found: dict[str, Job] = {}
    for job in jobs:
        known = found.setdefault(job.id, job)
        if missing := [part for part in job.parts if part not in known.parts]:
            most = replace(known, gpus=max(known.gpus, job.gpus))
            found[job.id] = with_parts(most, (*known.parts, *missing))
    return tuple(found.values())


def with_parts(job: Job, parts: Sequence[str]) -> Job:
    """A diagnose job that makes these diagnostics."""
    folder = job.path / "diagnostics"
    return replace(
        job,
        parts=tuple(parts),
        command=(*job.command[:-1], ",".join(parts)),
        markers=tuple(folder / f"{name}.json" for name in parts),
    )


def chain_lengths(jobs: Sequence[Job]) -> dict[str, int]:
    """How many jobs, itself included, must be done one after the other before the last that waits for each."""
    waiting: dict[str, list[str]] = {job.id: [] for job in jobs}
    for job in jobs:
        for before in job.after:
            if before in waiting:
                waiting[before].append(job.id)
    lengths: dict[str, int] = {}
    for job in reversed(jobs):  # a job comes after those it reads from
        lengths[job.id] = 1 + max((lengths[later] for later in waiting[job.id]), default=0)
    return lengths
