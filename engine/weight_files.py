"""Weights to disk: gathered one stored tensor at a time, into numbered safetensors files of bounded size.

    shards → one tile, whole on rank 0 → cast, waits → the file is full → written, let go

Rank 0 holds what waits for the current file (at most `file_bytes`, or one tensor that is larger) and the tile just
gathered; the others hold that tile at most. A tile (weights.py) is what one tensor on disk holds: mostly a parameter,
but of a mixture's experts, which are one parameter in memory, a single matrix.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from engine.agreement import from_main
from engine.model import Student, named_weights
from engine.parallel import World
from engine.weights import Tile, overlap, tiles


class WeightFiles:
    """Files `part-N.safetensors` in a folder, renamed when their number is known.

    Where one cannot be written the rest is thrown away, and `finish` says why: by then every rank can hear of it.
    """

    def __init__(self, folder: Path, dtype: torch.dtype, file_bytes: int) -> None:
        self.folder, self.dtype, self.file_bytes = folder, dtype, file_bytes
        self.waiting: dict[str, Tensor] = {}
        self.waiting_bytes = self.total_bytes = self.count = 0
        self.file_of: dict[str, int] = {}
        self.failure: Exception | None = None

    def add(self, name: str, weight: Tensor) -> None:
        """Takes the tensor into the current file, or begins a new one where that would be too large."""
        num_bytes = weight.numel() * self.dtype.itemsize
        if self.waiting and self.waiting_bytes + num_bytes > self.file_bytes:
            self.write()
        self.waiting[name] = weight.to(dtype=self.dtype, device="cpu")
        self.waiting_bytes += num_bytes
        self.total_bytes += num_bytes

    def write(self) -> None:
        """Writes what waits, and lets go of it."""
        self.count += 1
        self.file_of |= dict.fromkeys(self.waiting, self.count)
        path = self.folder / f"part-{self.count}.safetensors"
        try:
            if self.failure is None:
                save_file(self.waiting, path, metadata={"format": "pt"})
                # safetensors gives the file to its owner alone; readers may be others, such as a server's user
                path.chmod(self.folder.stat().st_mode & 0o666)
        except (OSError, SafetensorError) as error:
            self.failure = error
        self.waiting, self.waiting_bytes = {}, 0

    def finish(self) -> None:
        """Writes the rest, and gives the names `from_pretrained` looks for: one file alone, or several and an index."""
        self.write()
        if self.failure is not None:
            raise ValueError(str(self.failure)) from self.failure
        if self.count == 1:
            os.replace(self.folder / "part-1.safetensors", self.folder / "model.safetensors")
            return
        numbers = range(1, self.count + 1)
        names = {n: f"model-{n:05d}-of-{self.count:05d}.safetensors" for n in numbers}
        for number, name in names.items():
            os.replace(self.folder / f"part-{number}.safetensors", self.folder / name)
        index = {
            "metadata": {"total_size": self.total_bytes},
            "weight_map": {weight: names[number] for weight, number in self.file_of.items()},
        }
        text = json.dumps(index, indent=1) + "\n"
        (self.folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


@torch.no_grad()
def write_weights(
    student: Student, dtype: torch.dtype, folder: Path, world: World, file_bytes: int
) -> None:
    """Every weight, in the order of the model. Collective: gathering needs every rank, writing rank 0 alone.

    Raises ValueError, on every rank, where a file cannot be written.
    """
    files = WeightFiles(folder, dtype, file_bytes)
    for name, parameter in named_weights(student).items():
        for tile in tiles(name, tuple(parameter.shape), student.causal_lm.config):
            if world.is_main:
                files.add(tile.stored, gathered(parameter, tile))
            else:
                gathered(parameter, tile)  # let go at once
    from_main(files.finish)


def gathered(parameter: nn.Parameter, tile: Tile) -> Tensor:
    """One stored tensor, whole on rank 0; elsewhere it is of no use. Collective.

    Every rank lays its part into zeros, and the bit patterns are added up: exact, -0.0 included, for any way of
    sharding, and with one tile in memory. `full_tensor` would make all experts whole, twice where they are split along
    their inner dim.
    """
    whole = torch.zeros(tile.shape, dtype=torch.float32, device=parameter.device)
    if (common := overlap(parameter, tile)) is not None:
        mine, in_tile = common
        whole[in_tile] = mine
    if isinstance(parameter, DTensor) and (shards := parameter.device_mesh).size(-1) > 1:
        group = shards.get_group(shards.ndim - 1)
        if 0 in dist.get_process_group_ranks(group):  # of several copies the first one is enough
            dist.reduce(whole.view(torch.int32), dst=0, group=group)
    is_expert = whole.ndim == 3
    return whole.squeeze(0) if is_expert else whole
