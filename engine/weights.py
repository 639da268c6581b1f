"""Weights on disk and in memory: which stored tensors make up a parameter, and how a rank reads only its own part.

Most parameters are one stored tensor of the same name. The experts of a mixture are not: in memory all experts of a
block are one [E, 2F, D] and one [E, D, F] tensor, on disk there are three matrices an expert. A parameter is therefore
described as tiles, each a stored tensor and the rectangle it covers; loading copies the intersection of tile and shard,
export (weight_files.py) puts the same tiles together again.          E experts, F their inner width, D model width.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset
from transformers import PretrainedConfig

from engine.model import Student, named_weights


@dataclass(frozen=True)
class ExpertNames:
    """How a family's files name what lies under `.mlp.` in memory."""

    module: str
    gate: str
    up: str
    down: str


EXPERTS = {
    "mixtral": ExpertNames(".block_sparse_moe.", "w1", "w3", "w2"),
    "qwen2_moe": ExpertNames(".mlp.", "gate_proj", "up_proj", "down_proj"),
    "qwen3_moe": ExpertNames(".mlp.", "gate_proj", "up_proj", "down_proj"),
    "olmoe": ExpertNames(".mlp.", "gate_proj", "up_proj", "down_proj"),
}


@dataclass(frozen=True)
class Tile:
    """A stored tensor and the rectangle of the parameter it fills: `start` and `shape`, a number per dim.

    The stored tensor has the last dims of `shape`; an expert's matrix lacks the leading one.
    """

    stored: str
    start: tuple[int, ...]
    shape: tuple[int, ...]


def tiles(name: str, shape: tuple[int, ...], config: PretrainedConfig) -> list[Tile]:
    """The stored tensors that together make up the parameter."""
    names = EXPERTS.get(config.model_type)
    if names is None:
        return [Tile(name, (0,) * len(shape), shape)]
    stored = name.replace(".mlp.", names.module)
    module, _, leaf = stored.rpartition(".")
    if leaf == "gate_up_proj":
        num_experts, inner, width = shape[0], shape[1] // 2, shape[2]
        halves = ((names.gate, 0), (names.up, inner))
        return [
            Tile(f"{module}.{e}.{half}.weight", (e, row, 0), (1, inner, width))
            for e in range(num_experts)
            for half, row in halves
        ]
    if leaf == "down_proj" and len(shape) == 3:
        return [
            Tile(f"{module}.{e}.{names.down}.weight", (e, 0, 0), (1, *shape[1:]))
            for e in range(shape[0])
        ]
    return [Tile(stored, (0,) * len(shape), shape)]


@torch.no_grad()
def load_weights(student: Student, folder: Path) -> None:
    """Fills the shards from the folder's safetensors files; a rank reads the slices it owns and nothing else.

    Raises ValueError where the folder lacks a tensor, has one too many, or one of another shape.
    """
    require_files_of_index(folder)
    file_of = {
        name: file for file in sorted(folder.glob("*.safetensors")) for name in names_in(file)
    }
    check_names(student, set(file_of), folder)
    with ExitStack() as stack:
        opened = {
            file: stack.enter_context(safe_open(file, framework="pt"))
            for file in sorted(set(file_of.values()))
        }
        for name, parameter in named_weights(student).items():
            for tile in tiles(name, tuple(parameter.shape), student.causal_lm.config):
                file = file_of[tile.stored]
                fill(parameter, tile, opened[file].get_slice(tile.stored), file)


def require_files_of_index(folder: Path) -> None:
    """Raises ValueError where the folder's index names files that are not there: a download that has not ended."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return
    try:
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"student.model: {index} is damaged ({error}); fetch it again") from None
    absent = sorted(name for name in named if not (folder / name).is_file())
    if absent:
        raise ValueError(
            f"student.model: {folder} is not whole: its index names {len(named)} files, and {len(absent)} of them are "
            f"not there ({', '.join(absent[:3])}{' …' if len(absent) > 3 else ''}); fetch them again"
        )


def names_in(file: Path) -> list[str]:
    """Names in a safetensors file; reads its header only, which also says how long the file must be."""
    try:
        with safe_open(file, framework="pt") as tensors:
            return list(tensors.keys())
    except SafetensorError as error:
        raise ValueError(
            f"student.model: {file} is damaged or was not copied to its end ({error}); fetch it again"
        ) from error


def check_names(student: Student, found: set[str], folder: Path) -> None:
    """Every parameter has its tensors and every tensor its parameter, tied copies excepted."""
    if not found:
        raise ValueError(
            f"student.model: {folder} holds no .safetensors file; older weights (.bin) are converted by loading them "
            "with transformers and saving them with save_pretrained"
        )
    lm = student.causal_lm
    wanted = {
        tile.stored
        for name, parameter in named_weights(student).items()
        for tile in tiles(name, tuple(parameter.shape), lm.config)
    }
    tied = dict(lm.named_parameters(remove_duplicate=False)).keys()
    missing = sorted(wanted - found)
    extra = sorted(name for name in found - wanted - tied if "inv_freq" not in name)
    if missing or extra:
        problems = [
            f"{what} {len(names)} tensor(s): {', '.join(names[:4])}{' …' if len(names) > 4 else ''}"
            for what, names in (("lacks", missing), ("has", extra))
            if names
        ]
        raise ValueError(
            f"student.model: {folder} does not fit the {type(lm).__name__} of its config.json: "
            f"it {' and '.join(problems)} that the architecture {'needs' if missing else 'does not know'}"
        )


def fill(parameter: nn.Parameter, tile: Tile, stored: Any, file: Path) -> None:
    """Copies the part of a stored tensor (a safetensors slice) that lies in this rank's shard."""
    shape = tuple(stored.get_shape())
    if shape != tile.shape[-len(shape) :]:
        wanted = list(tile.shape[-len(shape) :])
        raise ValueError(
            f"student.model: {file}: tensor {tile.stored} has shape {list(shape)}, config.json says {wanted}; the two "
            "are of different models: fetch the folder again"
        )
    if (common := overlap(parameter, tile)) is None:
        return
    mine, source = common
    mine.copy_(stored[source[-len(shape) :]].reshape(mine.shape))


def overlap(parameter: nn.Parameter, tile: Tile) -> tuple[Tensor, tuple[slice, ...]] | None:
    """The part of this rank's shard that lies in a tile (a view), and where in the tile it lies; None for nothing."""
    shard, offset = local_shard(parameter)
    bounds = [
        (max(at, mine), min(at + length, mine + owned))
        for at, length, mine, owned in zip(tile.start, tile.shape, offset, shard.shape, strict=True)
    ]
    if any(start >= end for start, end in bounds):
        return None
    in_shard = tuple(slice(s - at, e - at) for (s, e), at in zip(bounds, offset, strict=True))
    in_tile = tuple(slice(s - at, e - at) for (s, e), at in zip(bounds, tile.start, strict=True))
    return shard[in_shard], in_tile


def local_shard(parameter: nn.Parameter) -> tuple[Tensor, tuple[int, ...]]:
    """This rank's part of a parameter, and where in the whole it starts."""
    if not isinstance(parameter, DTensor):
        return parameter.data, (0,) * parameter.ndim
    _, offset = compute_local_shape_and_global_offset(
        parameter.shape, parameter.device_mesh, parameter.placements
    )
    return parameter.to_local(), offset
