"""Workers: several processes, on one machine or many, each with its own share of the records.

    id -> shard_of -> worker K of N -> data/journal/K-of-N.jsonl -> the last one to finish merges

A record belongs to the worker that its id's hash names, so nobody has to hand out work, and a restart
with another number of workers only moves records about: all journals are read by all. What workers
share is the file system: its locks (flock) keep a second command, or workers of another N, out of the
folder. They end with their process, however it ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LOCK_SECONDS = 10.0
"""Two workers that start at once: one of them waits so long until the other has said how many they are."""


@dataclass(frozen=True)
class Worker:
    """One of so many."""

    number: int = 0
    """From 0."""
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count:
            raise ValueError(
                f"worker {self.number}/{self.count}: of {self.count} workers the first is 0/"
                f"{self.count}, the last {self.count - 1}/{self.count}"
            )

    def owns(self, record_id: str) -> bool:
        """Whether a record is this worker's."""
        return shard_of(record_id, self.count) == self.number

    @property
    def journal(self) -> str:
        """The name of its journal."""
        return f"{self.number}-of-{self.count}.jsonl"


def shard_of(record_id: str, count: int) -> int:
    """The worker that a record belongs to."""
    return int.from_bytes(hashlib.sha256(record_id.encode()).digest()[:8]) % count


def worker_from(text: str | None, environment: Mapping[str, str]) -> tuple[Worker, str]:
    """The worker that `K/N` names, or else torchrun's or a Slurm array's variables; and who said so.

    Without any of them one worker does everything."""
    if text is not None:
        parts = text.split("/")
        if len(parts) != 2 or not all(part.isdecimal() for part in parts):
            raise ValueError(f"--worker: expected K/N such as 0/8, got {text!r}")
        return Worker(int(parts[0]), int(parts[1])), "--worker"
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return Worker(int(environment["RANK"]), int(environment["WORLD_SIZE"])), "torchrun"
    if "SLURM_ARRAY_TASK_ID" in environment and "SLURM_ARRAY_TASK_COUNT" in environment:
        first = int(environment.get("SLURM_ARRAY_TASK_MIN", "0"))
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1"))
        number = (int(environment["SLURM_ARRAY_TASK_ID"]) - first) // step
        return Worker(number, int(environment["SLURM_ARRAY_TASK_COUNT"])), "Slurm array"
    return Worker(), ""


@contextmanager
def locked_for_workers(path: Path, count: int) -> Iterator[None]:
    """Holds a folder's lock together with other workers of the same N, and against everybody else."""
    with path.open("a+") as file:
        give_up = time.monotonic() + LOCK_SECONDS
        while not _enter(file, count):
            if time.monotonic() >= give_up:
                raise ValueError(
                    f"another process is working in {path.parent}; wait for it, or use another run.dir"
                )
            time.sleep(0.05)
        file.seek(0)
        others = file.read().strip()
        if others != str(count):
            raise ValueError(
                f"workers of another number ({others}) are at work in {path.parent}; wait for them, "
                f"or start this one as one of {others}"
            )
        yield


def _enter(file: IO[str], count: int) -> bool:
    """The first one in says how many they are; the lock is his alone while he does."""
    if _flock(file, fcntl.LOCK_EX):
        file.truncate(0)
        file.write(str(count))
        file.flush()
    return _flock(file, fcntl.LOCK_SH)


def _flock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits for a lock, and holds it: one worker after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
