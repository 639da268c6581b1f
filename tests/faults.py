"""Kills a real 2-rank training again and again, continues it each time, and compares what it ends with.

    python tests/faults.py FOLDER --runs 6 --seed 0       →  one JSON line: kills by phase, what differed

An attempt starts in a fraction of a second, because its ranks are forked from this warm process (ranks.py). All else is
as under torchrun: two processes, its environment variables, gloo, the engine's own command. This process only looks at
files: which phase a kill has hit is read off the run folder afterwards, when nothing moves in it any more.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ranks import POLL_SECONDS, fork_ranks, have_ended, reap

from engine.settings import RunConfig, StudentConfig, TrainConfig
from engine.toml import to_toml
from engine.train import main as train_command

RANKS = 2
STEPS = 32
SAVE_EVERY = 4
MOST_KILLS_PER_RUN = 12
PHASES = ("before the first step", "in steps", "during a save", "in export")
SECONDS_PER_ATTEMPT = 60.0


Entries = frozenset[tuple[str, int, int]]
"""Names, inodes and times of last change."""


@dataclass(frozen=True)
class Aim:
    """When to kill: a random time after something is seen in the run folder."""

    seen: Callable[[Path, Entries], bool]
    most_seconds: float
    weight: int


def is_started(folder: Path, before: Entries) -> bool:
    return True


def has_stepped(folder: Path, before: Entries) -> bool:
    return "metrics.jsonl" in new_names(folder, before) and bool(lines(folder / "metrics.jsonl"))


def is_saving(folder: Path, before: Entries) -> bool:
    return any(name.endswith(".partial") for name in new_names(folder / "checkpoints", before))


def is_exporting(folder: Path, before: Entries) -> bool:
    return not new_names(folder, before).isdisjoint({"export.partial", "export"})


AIMS = (
    Aim(is_started, most_seconds=0.5, weight=3),
    Aim(has_stepped, most_seconds=0.8, weight=6),
    Aim(is_saving, most_seconds=0.1, weight=5),
    Aim(is_exporting, most_seconds=0.03, weight=2),
)


def new_names(folder: Path, before: Entries) -> set[str]:
    """Entries that this attempt has made or written to."""
    return {name for name, _, _ in entries(folder) - before}


def entries(folder: Path) -> Entries:
    """What lies in a folder; what vanishes while we look is not there."""
    found = set()
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):
                found.add((entry.name, entry.inode(), entry.stat().st_mtime_ns))
    return frozenset(found)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def end(pids: list[int], chance: random.Random) -> None:
    """SIGKILL to all ranks: in one go, or to one of them a moment before the others."""
    order = chance.sample(pids, len(pids))
    gap = chance.choice([0.0, chance.uniform(0, 0.2)])
    for pid in order:
        os.kill(pid, signal.SIGKILL)
        time.sleep(gap)


def attempt(config: Path, folder: Path, aim: Aim | None, chance: random.Random) -> str:
    """Starts or continues the training, kills it as aimed, and returns the phase that was hit, or `done`."""
    before = entries(folder) | entries(folder / "checkpoints")
    log = folder.parents[2] / "log.txt"
    pids = fork_ranks(RANKS, lambda rank: train_command([str(config)]), log)
    deadline = time.monotonic() + SECONDS_PER_ATTEMPT
    seen_at: float | None = None
    delay = chance.uniform(0, aim.most_seconds) if aim else 0.0
    while not have_ended(pids):
        now = time.monotonic()
        assert now < deadline, "the ranks hang: " + "\n".join(lines(log)[-20:])
        if aim and seen_at is None and aim.seen(folder, before):
            seen_at = now
        if seen_at is not None and now >= seen_at + delay:
            end(pids, chance)
            reap(pids)
            return "done" if (folder / "summary.json").exists() else phase_hit(folder, before)
        time.sleep(POLL_SECONDS)
    codes = reap(pids)
    assert codes == [0] * RANKS, f"ended by itself with {codes}: " + "\n".join(lines(log)[-20:])
    return "done"


def phase_hit(folder: Path, before: Entries) -> str:
    """Read off the folder the ranks have left."""
    if is_exporting(folder, before):
        return "in export"
    if is_saving(folder, before):
        return "during a save"
    return "in steps" if has_stepped(folder, before) else "before the first step"


def sound_steps(checkpoints: Path) -> Iterator[int]:
    """Steps of finished checkpoints, every byte of which is as its manifest says; fails where one is not."""
    for folder in checkpoints.glob("step-*[0-9]"):
        sums = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["sha256"]
        for name, digest in sums.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, folder / name
        yield int(folder.name.removeprefix("step-"))


def result(folder: Path) -> dict[str, object]:
    """What two equal trainings have in common, bit for bit: weights, the state of the optimizer, losses."""
    files = [folder / "export" / "model.safetensors"]
    files += sorted((folder / "checkpoints" / f"step-{STEPS}").glob("*.distcp"))
    assert len(files) == 1 + RANKS
    steps = [json.loads(line) for line in lines(folder / "metrics.jsonl")]
    return {
        **{file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        "steps": [(m["step"], m["loss"], m["grad_norm"]) for m in steps],
    }


def write_config(root: Path, name: str, async_save: bool) -> tuple[Path, Path]:
    """The configuration of one training, and the folder it will train in."""
    run = RunConfig(name=name, dir=str(root / name))
    train = TrainConfig(
        data=str(root / "records.jsonl"),
        batch_size=4,
        learning_rate=1e-3,
        epochs=float(STEPS),
        max_steps=STEPS,
        max_length=512,
        precision="fp32",
        save_every=SAVE_EVERY,
        async_save=async_save,
    )
    (root / name).mkdir()
    config = root / name / "settings.toml"
    student = StudentConfig(model=str(root / "student"))
    config.write_text(to_toml({"run": run, "student": student, "train": train}))
    return config, run.folder / "train" / train.objective


def run_until_done(root: Path, name: str, async_save: bool, chance: random.Random) -> Counter[str]:
    """One training, killed until it is through; counts the kills by phase."""
    config, folder = write_config(root, name, async_save)
    kills: Counter[str] = Counter()
    newest = 0
    while True:
        weights = [aim.weight for aim in AIMS]
        aim = chance.choices(AIMS, weights)[0] if kills.total() < MOST_KILLS_PER_RUN else None
        hit = attempt(config, folder, aim, chance)
        steps = list(sound_steps(folder / "checkpoints"))
        assert max(steps, default=0) >= newest, "a kill has cost a finished checkpoint"
        newest = max(steps, default=0)
        if hit == "done":
            return kills
        kills[hit] += 1


def main() -> None:
    """An undisturbed training, then `--runs` of them killed over and over; prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds student/ and records.jsonl")
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    root: Path = options.folder.resolve()
    config, folder = write_config(root, "undisturbed", async_save=False)
    assert attempt(config, folder, None, random.Random(0)) == "done", lines(root / "log.txt")
    undisturbed = result(folder)
    kills: Counter[str] = Counter(dict.fromkeys(PHASES, 0))
    differing: list[str] = []
    for number in range(options.runs):
        name = f"run-{number}"
        chance = random.Random(options.seed * 1_000_003 + number)
        kills += run_until_done(root, name, async_save=number % 2 == 1, chance=chance)
        ended_with = result(root / name / "train" / "cgd")
        differing += [f"{name}: {k}" for k in undisturbed if ended_with[k] != undisturbed[k]]
        shutil.rmtree(root / name)
    counts = {phase: kills[phase] for phase in PHASES}
    print(json.dumps({"kills": counts, "differing": differing}))


if __name__ == "__main__":
    main()
