"""Ranks and shards: one process or many, the same code.

    start_world()  →  World(rank, size, device, mesh)  →  shard(model, world, precision)

FSDP2 keeps parameters, gradients and optimizer state split over all ranks, in fp32; a block's full weights exist only
while that block runs, in the compute dtype. Gradients are *summed* over ranks in fp32: the loss is already divided by
the step's global weight, so the sum is exactly the gradient one process would have computed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
)
from torch.distributed.tensor import Shard
from torch.utils.checkpoint import checkpoint

from engine.settings import ActivationCheckpointing, Precision

COMPUTE_DTYPE = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class World:
    """This process among the ranks, and the device it computes on.

    `mesh` has one axis where all ranks share one copy of the weights, two (replicate, shard) where there are copies.
    """

    rank: int
    size: int
    device: torch.device
    mesh: DeviceMesh

    @property
    def is_main(self) -> bool:
        """Rank 0 writes the files that exist once, and does the talking."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The element-wise sum over ranks, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def say(self, text: str) -> None:
        """Prints on rank 0."""
        if self.is_main:
            print(text, flush=True)

    def barrier(self) -> None:
        """Returns when every rank is here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def start_world(shard_size: int | None = None) -> Iterator[World]:
    """The process group for the length of the block: torchrun's where it launched us, otherwise a group of one.

    Raises ValueError where torchrun started more ranks than the machine has GPUs, or where `shard_size` does not
    divide the ranks.
    """
    launched = "TORCHELASTIC_RUN_ID" in os.environ or "RANK" in os.environ
    device = this_device()
    # gloo beside nccl: offloaded gradients are reduced on the host
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if launched:
        dist.init_process_group(backend)
    else:
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    try:
        size = dist.get_world_size()
        yield World(dist.get_rank(), size, device, make_mesh(device.type, size, shard_size or size))
    finally:
        dist.destroy_process_group()


def make_mesh(device_type: str, size: int, shard_size: int) -> DeviceMesh:
    """All ranks in a row, or copies (one a line) of shards (the columns): neighbours share a copy."""
    if size % shard_size:
        raise ValueError(f"train.shard_size = {shard_size} does not divide the {size} ranks")
    if shard_size == size:
        return init_device_mesh(device_type, (size,), mesh_dim_names=("shard",))
    shape = (size // shard_size, shard_size)
    return init_device_mesh(device_type, shape, mesh_dim_names=("replicate", "shard"))


def this_device() -> torch.device:
    """This rank's GPU, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    num_gpus = torch.cuda.device_count()
    num_ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if num_ranks > num_gpus:
        raise ValueError(
            f"torchrun started {num_ranks} ranks on a machine with {num_gpus} GPU(s); "
            f"use --nproc-per-node {num_gpus}"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def recompute_activations(blocks: nn.ModuleList, mode: ActivationCheckpointing) -> None:
    """`full`: a block keeps only its input and runs forward once more in backward. `selective`: only its MLP does,
    whose wide activations are most of the memory and, up to the last product, two thirds of its arithmetic.

    Set on `forward`, below FSDP's hooks and without a wrapper module: parameter names stay those of the model.
    """
    for block in blocks:
        if mode == "full":
            block.forward = checkpointed(block.forward)
        if mode == "selective":
            block.mlp.forward = checkpointed(block.mlp.forward)


def checkpointed(forward: Callable[..., Any]) -> Callable[..., Any]:
    """`forward`, recomputed in backward. Reentrant mode would give wrong router gradients in Mixtral."""

    def run(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return run


def compile_blocks(blocks: nn.ModuleList) -> None:
    """Compiles each block's forward, recomputation included; all blocks share one program.

    On a CPU attention is a break in the graph (attention.py); on CUDA there is none.
    """
    for block in blocks:
        block.forward = torch.compile(block.forward, fullgraph=torch.cuda.is_available())


def shard(
    model: nn.Module,
    parts: Sequence[nn.Module],
    world: World,
    precision: Precision,
    cpu_offload: bool = False,
) -> None:
    """Splits every parameter over the ranks: a group for each part, one for the rest of the model.

    Weights of a group are gathered together, when its module runs; tied weights must share one. The model may still be
    on the meta device.
    """
    num_shards = world.mesh.size(-1)

    def placement(parameter: nn.Parameter) -> Shard | None:
        """Experts are fewer than ranks may be: their inner dim is split instead, where it comes out even."""
        is_experts = parameter.ndim == 3
        return Shard(1) if is_experts and parameter.shape[1] % num_shards == 0 else None

    on_gpu = world.device.type == "cuda"
    common: dict[str, Any] = {
        "mesh": world.mesh,
        "shard_placement_fn": placement,
        "offload_policy": CPUOffloadPolicy(pin_memory=on_gpu) if cpu_offload else OffloadPolicy(),
    }
    compute, exact = COMPUTE_DTYPE[precision], torch.float32
    for part in parts:
        # Gradients are reduced in fp32; activations stay in the compute dtype, the targets' weights in theirs.
        policy = MixedPrecisionPolicy(compute, exact, cast_forward_inputs=False)
        fully_shard(part, mp_policy=policy, **common)
    fully_shard(model, mp_policy=MixedPrecisionPolicy(compute, exact, output_dtype=exact), **common)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            # Sum, not mean. The factor alone asks NCCL for a pre-multiplied sum, which in torch up to 2.13 returns
            # zeros for bf16 and which gloo lacks; forcing plain sums avoids it. Neither setter recurses.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
