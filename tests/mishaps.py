"""Trainings of several ranks to which something happens, told as one JSON line: exit codes, output, losses.

    python tests/mishaps.py FOLDER        FOLDER holds student/ and records.jsonl; see ranks.py for how ranks start

Each scenario does something to one rank alone and says how all of them ended.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ranks

from engine import command
from engine import train as train_module
from engine.settings import RunConfig, StudentConfig, TrainConfig
from engine.toml import to_toml
from engine.train import main as train_command

SECONDS = 60.0


@dataclass(frozen=True)
class Training:
    """One run folder and what is known of it."""

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.root / self.name / "train" / "cgd"

    @property
    def log(self) -> Path:
        return self.root / f"{self.name}.log"

    def config(self, student: str, **changes: Any) -> Path:
        run = RunConfig(name=self.name, dir=str(self.root / self.name))
        given = {
            "data": str(self.root / "records.jsonl"),
            "batch_size": 6,
            "learning_rate": 1e-3,
            "epochs": 2,
            "max_length": 512,
            "precision": "fp32",
            "save_every": 3,
            **changes,
        }
        tables = {
            "run": run,
            "student": StudentConfig(model=student),
            "train": TrainConfig(**given),
        }
        path = self.root / f"{self.name}.toml"
        path.write_text(to_toml(tables), encoding="utf-8")
        return path

    def steps(self) -> list[dict[str, Any]]:
        path = self.folder / "metrics.jsonl"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def told(self, codes: list[int], seconds: float) -> dict[str, Any]:
        checkpoints = self.folder / "checkpoints"
        return {
            "codes": codes,
            "seconds": seconds,
            "said": self.log.read_text(encoding="utf-8"),
            "checkpoints": sorted(path.name for path in checkpoints.glob("*")),
            "steps": [(m["step"], m["loss"], m["grad_norm"]) for m in self.steps()],
        }


def run(training: Training, config: Path, prepare: Callable[[int], None]) -> dict[str, Any]:
    """Two ranks, each prepared in its own way, until both have ended."""

    def work(rank: int) -> int:
        command.ALONE_AFTER_SECONDS = 0.5
        prepare(rank)
        return train_command([str(config)])

    started = time.monotonic()
    pids = ranks.fork_ranks(2, work, training.log)
    ranks.wait_until(lambda: False, pids, SECONDS)
    return training.told(ranks.reap(pids), time.monotonic() - started)


def student_missing_on_one(root: Path) -> dict[str, Any]:
    """The student lies under ~, which is another folder for rank 1."""
    training = Training(root, "missing")

    def prepare(rank: int) -> None:
        os.environ["HOME"] = str(root if rank == 0 else root / "elsewhere")

    return run(training, training.config("~/student"), prepare)


def student_torn_on_one(root: Path) -> dict[str, Any]:
    """Rank 1's copy of the weights lacks its last bytes; all else is there and equal."""
    training = Training(root, "torn")
    homes = [root / "home0", root / "home1"]
    for home in homes:
        shutil.copytree(root / "student", home / "student")
    weights = homes[1] / "student" / "model.safetensors"
    os.truncate(weights, weights.stat().st_size - 100)

    def prepare(rank: int) -> None:
        os.environ["HOME"] = str(homes[rank])

    return run(training, training.config("~/student"), prepare)


def other_data_on_one(root: Path) -> dict[str, Any]:
    """The data are a relative path, and rank 1 stands elsewhere, where a row is missing."""
    training = Training(root, "other-data")
    lines = (root / "records.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (root / "elsewhere").mkdir(exist_ok=True)
    (root / "elsewhere" / "records.jsonl").write_text("".join(lines[:-1]), encoding="utf-8")
    config = training.config(str(root / "student"), data="records.jsonl")
    return run(training, config, lambda rank: os.chdir(root if rank == 0 else root / "elsewhere"))


def limit_files(most_bytes: int) -> None:
    """Larger files cannot be written by this process: an OSError, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


def disk_full_on_one(root: Path, name: str, async_save: bool) -> dict[str, Any]:
    """No file of rank 1 may grow beyond a few kilobytes, which only its shards would."""
    training = Training(root, name)

    config = training.config(str(root / "student"), async_save=async_save)
    return run(training, config, lambda rank: limit_files(20_000) if rank == 1 else None)


def disk_full_in_metrics(root: Path) -> dict[str, Any]:
    """Rank 0 alone writes metrics, and after some steps they no longer fit."""
    training = Training(root, "metrics")
    config = training.config(str(root / "student"), epochs=8, save_every=100)
    real_step = train_module.train_step

    def full_from_now_on(*arguments: Any) -> Any:
        limit_files(2_500)
        return real_step(*arguments)

    def prepare(rank: int) -> None:
        if rank == 0:
            train_module.train_step = full_from_now_on

    return run(training, config, prepare)


def one_told_to_stop_and_continued_on_others(root: Path) -> dict[str, Any]:
    """2 ranks, 1, 2, and at last 4; each time but the last one rank alone is told to stop."""
    training = Training(root, "told")
    config = training.config(str(root / "student"), epochs=8, save_every=100)
    attempts = []
    plan = ((2, 1, signal.SIGTERM), (1, 0, signal.SIGUSR1), (2, 0, signal.SIGUSR1), (4, 0, None))
    for count, told, number in plan:
        before = len(training.steps())
        pids = ranks.fork_ranks(count, lambda rank: train_command([str(config)]), training.log)

        def has_gone_on(steps: int = before + 3) -> bool:
            return len(training.steps()) >= steps

        if number is not None and ranks.wait_until(has_gone_on, pids, SECONDS):
            os.kill(pids[told], number)
        ranks.wait_until(lambda: False, pids, SECONDS)
        attempts.append({"codes": ranks.reap(pids), "steps": len(training.steps())})
    whole = Training(root, "undisturbed")
    pids = ranks.fork_ranks(
        1,
        lambda rank: train_command(
            [str(whole.config(str(root / "student"), epochs=8, save_every=100))]
        ),
        whole.log,
    )
    return {
        "attempts": attempts,
        "undisturbed": whole.told(ranks.reap(pids), 0.0),
        **training.told([], 0.0),
    }


def main(root: Path) -> None:
    """All scenarios, by name."""
    told = {
        "student missing": student_missing_on_one(root),
        "student torn": student_torn_on_one(root),
        "other data": other_data_on_one(root),
        "disk full": disk_full_on_one(root, "disk", async_save=False),
        "disk full in background": disk_full_on_one(root, "disk-async", async_save=True),
        "disk full in metrics": disk_full_in_metrics(root),
        "told to stop": one_told_to_stop_and_continued_on_others(root),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
