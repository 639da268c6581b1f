"""Checkpoints: all or nothing, verified before they are trusted, loadable on another number of ranks.

    step-N.partial/  (every rank writes its shards)  →  manifest.json with a checksum of each file  →  rename to step-N/

A kill at any moment leaves either a whole `step-N` or a `.partial` that is ignored. The state is the step number, the
weights and the optimizer's moments; the data position needs no state, because the examples of a step are a function of
seed and step (packing.py), and nothing else in a step is random across steps (train.py seeds each step).
When a checkpoint is written, and in which thread, is saving.py's business.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_state_dict,
)

from engine.agreement import from_main, gather, on_every_rank
from engine.parallel import World

MANIFEST = "manifest.json"
PARTIAL = ".partial"
OPTIONS = StateDictOptions(
    flatten_optimizer_state_dict=True
)  # by parameter name: survives another world size

State = dict[str, dict[str, Any]]
"""`model` and `optimizer`: this rank's shards and a few numbers, by name."""


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """What a checkpoint holds; the tensors are the live ones. Collective."""
    weights, moments = get_state_dict(model, optimizer, options=OPTIONS)
    return {"model": weights, "optimizer": moments}


# ---- writing ------------------------------------------------------------------------------------


def write_checkpoint(
    folder: Path, step: int, state: State, keep: int, group: dist.ProcessGroup
) -> None:
    """Writes `folder/step-{step}` and removes all but the newest `keep`. Collective over `group`.

    Raises ValueError, the same on every rank, where it cannot be written (a full disk); those before it are untouched.
    """
    partial = folder / f"step-{step}{PARTIAL}"
    is_main = dist.get_rank(group) == 0
    try:
        on_every_rank(lambda: make_room(partial) if is_main else None, group)
        dcp.save(state, checkpoint_id=partial, process_group=group)
        sums = checksums(partial, group)
        manifest = {"step": step, "world_size": dist.get_world_size(group), "sha256": sums}
        on_every_rank(lambda: complete(partial, manifest, keep) if is_main else None, group)
    except (ValueError, CheckpointException) as error:
        if is_main:
            shutil.rmtree(partial, ignore_errors=True)  # what was written may fill the disk
        raise ValueError(
            f"{folder / f'step-{step}'} could not be written: {first_cause(error)}. "
            "The checkpoints before it are untouched; make room and run the same command to continue"
        ) from error


def make_room(partial: Path) -> None:
    """An empty folder to write into; what killed saves have left behind goes."""
    for leftover in partial.parent.glob(f"*{PARTIAL}"):
        shutil.rmtree(leftover)
    partial.mkdir(parents=True)


def complete(partial: Path, manifest: dict[str, Any], keep: int) -> None:
    """The manifest, the rename that makes the checkpoint count, and then the end of the oldest ones."""
    with (partial / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    final = partial.with_name(partial.name.removesuffix(PARTIAL))
    if final.exists():  # a damaged one of the same step: a sound one would have been continued from
        remove(final)
    os.replace(partial, final)
    descriptor = os.open(final.parent, os.O_RDONLY)
    os.fsync(descriptor)  # the new name, too, survives a power cut
    os.close(descriptor)
    for step in saved_steps(final.parent)[keep:]:
        remove(final.parent / f"step-{step}")


def remove(checkpoint: Path) -> None:
    """First the name, then the files: a kill on the way leaves no half checkpoint under a whole one's name."""
    doomed = checkpoint.with_name(f"{checkpoint.name}.old{PARTIAL}")
    shutil.rmtree(doomed, ignore_errors=True)
    os.replace(checkpoint, doomed)
    shutil.rmtree(doomed)


def first_cause(error: BaseException) -> str:
    """What went wrong first, in one line: failures of ranks come wrapped."""
    if isinstance(error, CheckpointException) and error.failures:
        return first_cause(next(iter(error.failures.values()))[0])
    return str(error) or type(error).__name__


# ---- reading ------------------------------------------------------------------------------------


def load_newest(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, world: World
) -> int:
    """Restores the newest sound checkpoint and returns its step; 0 where there is none. Collective.

    A damaged checkpoint is reported with the name of the file, and the one before it is used. Raises ValueError
    where there are checkpoints but none is sound (starting over silently would lose the run), and where one is sound
    but of another model.
    """
    steps = from_main(lambda: saved_steps(folder))
    for step in steps:
        if damage := find_damage(folder / f"step-{step}"):
            world.say(f"checkpoint step-{step} is not used: {damage}")
            continue
        load_checkpoint(folder / f"step-{step}", model, optimizer)
        return step
    if steps:
        raise ValueError(
            f"{folder}: all {len(steps)} checkpoints are damaged; --overwrite starts anew"
        )
    return 0


def load_checkpoint(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Weights and moments from a folder in which no damage was found. Collective."""
    state = state_of(model, optimizer)
    on_every_rank(lambda: require_fit(checkpoint, state))
    try:
        dcp.load(state, checkpoint_id=checkpoint)
    except CheckpointException as error:
        raise ValueError(f"{checkpoint} could not be read: {first_cause(error)}") from error
    set_state_dict(
        model,
        optimizer,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
        options=OPTIONS,
    )


def require_fit(checkpoint: Path, state: State) -> None:
    """Raises ValueError, naming tensors, where the checkpoint is of a model with other tensors or shapes."""
    stored = dcp.FileSystemReader(checkpoint).read_metadata().state_dict_metadata
    shapes = {name: list(getattr(entry, "size", ())) for name, entry in stored.items()}
    wanted = {
        f"{part}.{name}": list(value.shape) if isinstance(value, Tensor) else []
        for part, entries in state.items()
        for name, value in entries.items()
    }
    problems = list(misfits(shapes, wanted))
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(
            f"{checkpoint} is of another model: {'; '.join(problems[:3])}{more}. Remove it if it does not belong "
            "here, use another run.name or run.dir, or --overwrite to start anew"
        )


def misfits(stored: dict[str, list[int]], wanted: dict[str, list[int]]) -> Iterator[str]:
    """One phrase for every name that only one side has, or that has two shapes."""
    for name in sorted(stored.keys() | wanted.keys()):
        if name not in stored:
            yield f"it lacks {name}"
        elif name not in wanted:
            yield f"it has {name}, which the student lacks"
        elif stored[name] != wanted[name]:
            yield f"{name} has shape {stored[name]}, the student's {wanted[name]}"


def saved_steps(folder: Path) -> list[int]:
    """Steps of the finished checkpoints, newest first."""
    names = [path.name.removeprefix("step-") for path in folder.glob("step-*") if path.is_dir()]
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def find_damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, the same answer on every rank; None where every byte is as it was written.

    The shards' index is a pickle: nothing is read from it before its checksum has been compared. Collective.
    """
    try:
        expected = from_main(lambda: read_manifest(checkpoint / MANIFEST))
        found = checksums(checkpoint)
    except ValueError as error:
        return str(error)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            state = "is missing" if name not in found else "has changed since it was written"
            return f"{checkpoint / name} {state}"
    return None


def read_manifest(path: Path) -> dict[str, str]:
    """The checksums a checkpoint was written with, by file name."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from error


def checksums(checkpoint: Path, group: dist.ProcessGroup | None = None) -> dict[str, str]:
    """SHA-256 of every file but the manifest; the ranks share the work, and all get the whole table. Collective."""
    names = from_main(
        lambda: sorted(path.name for path in checkpoint.iterdir() if path.name != MANIFEST), group
    )
    my_names = names[dist.get_rank(group) :: dist.get_world_size(group)]
    mine = on_every_rank(lambda: {name: sha256(checkpoint / name) for name in my_names}, group)
    return {name: digest for table in gather(mine, group) for name, digest in table.items()}


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
