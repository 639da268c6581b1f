"""Checkpoints: all or nothing, verified before they are trusted, loadable on another number of ranks.

    step-N.partial/  (every rank writes its shards)  →  manifest.json with a checksum of each file  →  rename to step-N/

A kill at any moment leaves either a whole `step-N` or a `.partial` that is ignored. The state is the step number, the
weights and the optimizer's moments; the data position needs no state, because the examples of a step are a function of
seed and step (packing.py), and nothing else in a step is random across steps (train.py seeds each step).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_state_dict,
)

from engine.parallel import World

MANIFEST = "manifest.json"
OPTIONS = StateDictOptions(
    flatten_optimizer_state_dict=True
)  # by parameter name: survives another world size


def save_checkpoint(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    world: World,
    keep: int,
) -> None:
    """Writes `folder/step-{step}` and removes all but the newest `keep`. Collective: every rank calls it.

    Raises ValueError where it cannot be written (a full disk); the checkpoints before it are untouched.
    """
    try:
        write_checkpoint(folder, step, model, optimizer, world)
    except (OSError, CheckpointException) as error:
        raise ValueError(
            f"{folder / f'step-{step}'} could not be written: {first_cause(error)}. "
            "The checkpoints before it are untouched; make room and run the same command to continue"
        ) from error
    if world.is_main:
        for old in saved_steps(folder)[keep:]:
            shutil.rmtree(folder / f"step-{old}")
    world.barrier()


def write_checkpoint(
    folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, world: World
) -> None:
    """Everything into `step-N.partial`, the manifest last, then the rename."""
    final = folder / f"step-{step}"
    partial = folder / f"step-{step}.partial"
    if world.is_main:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    world.barrier()
    weights, moments = get_state_dict(model, optimizer, options=OPTIONS)
    dcp.save({"model": weights, "optimizer": moments}, checkpoint_id=partial)
    sums = checksums(partial, world)
    if world.is_main:
        write_manifest(partial / MANIFEST, {"step": step, "world_size": world.size, "sha256": sums})
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
    world.barrier()


def first_cause(error: BaseException) -> str:
    """What went wrong first, in one line: failures of ranks come wrapped."""
    if isinstance(error, CheckpointException) and error.failures:
        return first_cause(next(iter(error.failures.values()))[0])
    return str(error) or type(error).__name__


def load_newest(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, world: World
) -> int:
    """Restores the newest sound checkpoint and returns its step; 0 where there is none. Collective.

    A damaged checkpoint is reported with the name of the file, and the one before it is used. Raises ValueError
    where there are checkpoints but none is sound: starting over silently would lose the run.
    """
    steps = saved_steps(folder)
    for step in steps:
        if damage := find_damage(folder / f"step-{step}", world):
            if world.is_main:
                print(f"checkpoint step-{step} is not used: {damage}", flush=True)
            continue
        weights, moments = get_state_dict(model, optimizer, options=OPTIONS)
        state = {"model": weights, "optimizer": moments}
        dcp.load(state, checkpoint_id=folder / f"step-{step}")
        set_state_dict(
            model,
            optimizer,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
            options=OPTIONS,
        )
        return step
    if steps:
        raise ValueError(
            f"{folder}: all {len(steps)} checkpoints are damaged; --overwrite starts anew"
        )
    return 0


def saved_steps(folder: Path) -> list[int]:
    """Steps of the finished checkpoints, newest first."""
    names = [path.name.removeprefix("step-") for path in folder.glob("step-*") if path.is_dir()]
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def checksums(folder: Path, world: World) -> dict[str, str]:
    """SHA-256 of every file; the ranks share the work, and all of them get the whole table."""
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    mine = {path.name: sha256(path) for path in files[world.rank :: world.size]}
    tables: list[dict[str, str]] = [{} for _ in range(world.size)]
    if world.size == 1:
        return mine
    dist.all_gather_object(tables, mine)
    return {name: digest for table in tables for name, digest in table.items()}


def find_damage(folder: Path, world: World) -> str | None:
    """What is wrong with a checkpoint, the same answer on every rank; None where every byte is as it was written.

    The shards' index is a pickle: nothing is read from it before its checksum has been compared.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected = dict(manifest["sha256"])
    except (OSError, ValueError, KeyError) as error:
        return f"{folder / MANIFEST} cannot be read ({error})"
    found = checksums(folder, world)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            state = "is missing" if name not in found else "has changed since it was written"
            return f"{folder / name} {state}"
    return None


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(path: Path, manifest: dict[str, object]) -> None:
    """The last file of a checkpoint, on the disk before the folder gets its final name."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
