"""Ranks and shards: one process or many, the same code.

    start_world()  →  World(rank, size, device, mesh)  →  prepare_blocks  →  shard

FSDP2 keeps parameters, gradients and optimizer state split over all ranks, in fp32; a block's full weights exist only
while that block runs, in the compute dtype. Gradients are *summed* over ranks in fp32: the loss is already divided by
the step's global weight, so the sum is exactly the gradient one process would have computed.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from engine.advice import OutOfMemory
from engine.attention import ATTENTION_OPS
from engine.settings import ActivationCheckpointing, Precision

COMPUTE_DTYPE = {"fp32": torch.float32, "bf16": torch.bfloat16}

WORLD_NUMBERS = itertools.count()
"""Counts the process groups of this process; all ranks start equally many."""


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
def start_world(
    shard_size: int | None = None, replicate_size: int | None = None
) -> Iterator[World]:
    """The process group for the length of the block: torchrun's where it launched us, otherwise a group of one.

    Raises ValueError where torchrun started more ranks than the machine has GPUs, or where the sizes do not fit the
    number of ranks.
    """
    launched = "TORCHELASTIC_RUN_ID" in os.environ or "RANK" in os.environ
    device = this_device()
    # gloo beside nccl: offloaded gradients are reduced on the host
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if launched:
        store, rank, size = next(dist.rendezvous("env://"))
        # Keys of its own: torchrun's store outlives the group, and a second group of the same process would connect to
        # the addresses of the first and wait for ever.
        store = dist.PrefixStore(f"world-{next(WORLD_NUMBERS)}", store)
    else:
        store, rank, size = dist.HashStore(), 0, 1
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    waited_for = False
    try:
        yield World(rank, size, device, make_mesh(device.type, size, shard_size, replicate_size))
    except OutOfMemory:
        waited_for = size > 1  # by ranks in a collective: ending the group here could last for ever
        raise
    finally:
        if not waited_for:
            dist.destroy_process_group()


def make_mesh(
    device_type: str, size: int, shard_size: int | None = None, replicate_size: int | None = None
) -> DeviceMesh:
    """All ranks in a row, or copies (one a line) of shards (the columns): neighbours share a copy."""
    copies, shards = mesh_shape(size, shard_size, replicate_size)
    if copies == 1:
        return init_device_mesh(device_type, (size,), mesh_dim_names=("shard",))
    return init_device_mesh(device_type, (copies, shards), mesh_dim_names=("replicate", "shard"))


def mesh_shape(size: int, shard_size: int | None, replicate_size: int | None) -> tuple[int, int]:
    """(copies of the weights, ranks that share one); a size that is not given follows from the other."""
    for key, given in (("shard_size", shard_size), ("replicate_size", replicate_size)):
        if given is not None and size % given:
            raise ValueError(
                f"train.{key} = {given} does not divide the {size} ranks; start {given} or a multiple "
                f"(torchrun --nproc-per-node {given} -m engine.train CONFIG), or leave train.{key} unset"
            )
    shards = shard_size or size // (replicate_size or 1)
    if replicate_size is not None and replicate_size * shards != size:
        raise ValueError(
            f"train.replicate_size = {replicate_size} copies of train.shard_size = {shards} ranks are "
            f"{replicate_size * shards} ranks, not the {size} there are; leave one of the two unset"
        )
    return size // shards, shards


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


def require_precision(precision: Precision, device: torch.device) -> None:
    """Raises ValueError where this rank's GPU cannot compute in the dtype; emulated, it would be slow and unsaid."""
    if device.type != "cuda" or precision != "bf16":
        return
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError(
            f"train.precision = 'bf16': {torch.cuda.get_device_name(device)} has no bf16 arithmetic; "
            "set train.precision = 'fp32'"
        )


def prepare_blocks(
    blocks: nn.ModuleList, mode: ActivationCheckpointing, compiled: bool, one_graph: bool
) -> None:
    """Recomputation and compilation, in the order in which both take effect.

    Inside one graph the compiler plans what to keep. Where attention breaks the graph, recomputation goes around the
    pieces: a break inside a recomputed region would leave all of it uncompiled, silently.
    """
    if compiled and not one_graph:
        compile_blocks(blocks, one_graph=False)
    recompute_activations(blocks, mode)
    if compiled and one_graph:
        compile_blocks(blocks, one_graph=True)


def recompute_activations(blocks: nn.ModuleList, mode: ActivationCheckpointing) -> None:
    """`full`: a block keeps its input and runs forward once more in backward. `selective`: it also keeps what its
    attention has multiplied, and computes MLP, norms and rotations again.

    A kept byte of attention saves the most arithmetic: every product of the block saves about one FLOP a byte and unit
    of width, the attention kernel more with every token of a document. Llama-3.1-8B in bf16, per token and layer:
    `full` keeps 8 KiB, `selective` 36 KiB (+ queries 8, keys and values 4, attended 8, output 8), `none` some 190 KiB;
    over 32 layers of 8192 tokens 2, 9 and 49 GiB (`cgd plan` counts them). Of the forward pass `full` repeats 73 % of
    the products (all but the last) and all of attention, `selective` 54 % (gate and up).

    Set on `forward`, below FSDP's hooks and without a wrapper module: parameter names stay those of the model.
    """
    for block in blocks:
        if mode == "full":
            block.forward = checkpointed(block.forward)
        if mode == "selective":
            shapes = {tuple(p.shape) for p in block.self_attn.parameters() if p.ndim == 2}
            contexts = partial(
                create_selective_checkpoint_contexts, partial(keep_attention, shapes)
            )
            block.forward = checkpointed(block.forward, context_fn=contexts)


def keep_attention(
    weight_shapes: set[tuple[int, ...]], _: Any, op: Any, *args: Any, **kwargs: Any
) -> CheckpointPolicy:
    """Whether an operation's result is kept: attention itself, and products with weights of `weight_shapes`."""
    products = (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)
    # the weight comes last, and transposed
    is_ours = op in products and tuple(args[-1].shape[::-1]) in weight_shapes
    keeps = is_ours or op in ATTENTION_OPS
    return CheckpointPolicy.MUST_SAVE if keeps else CheckpointPolicy.PREFER_RECOMPUTE


def checkpointed(forward: Callable[..., Any], **how: Any) -> Callable[..., Any]:
    """`forward`, recomputed in backward. Reentrant mode would give wrong router gradients in Mixtral."""

    def run(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, **how, **kwargs)

    return run


def compile_blocks(blocks: nn.ModuleList, one_graph: bool) -> None:
    """Compiles each block's forward; all blocks share one program. `one_graph`: a break in the graph is an error."""
    for block in blocks:
        block.forward = torch.compile(block.forward, fullgraph=one_graph)


def shard(
    model: nn.Module,
    blocks: Sequence[nn.Module],
    ends: Sequence[nn.Module],
    world: World,
    precision: Precision,
    cpu_offload: bool = False,
) -> None:
    """Splits every parameter over the ranks: a group for each block and end, one for the rest of the model.

    Weights of a group are gathered together, when its module runs, and once more for its backward. `ends` are modules
    whose backward does without their weights; they are not gathered again. Tied weights must share a group. The model
    may still be on the meta device. One rank in fp32 keeps the model as it is: with nothing to split or to cast, FSDP
    would only copy.
    """
    if world.size == 1 and precision == "fp32" and not cpu_offload:
        return
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
    for part in (*blocks, *ends):
        # Gradients are reduced in fp32; activations stay in the compute dtype, the targets' weights in theirs.
        policy = MixedPrecisionPolicy(compute, exact, cast_forward_inputs=False)
        fully_shard(part, mp_policy=policy, **common).set_unshard_in_backward(part not in ends)
    fully_shard(model, mp_policy=MixedPrecisionPolicy(compute, exact, output_dtype=exact), **common)
    if world.size == 1:
        return  # nothing is summed; FSDP would still divide by one, in a copy of every gradient
    for module in model.modules():
        if isinstance(module, FSDPModule):
            # Sum, not mean. The factor alone asks NCCL for a pre-multiplied sum, which in torch up to 2.13 returns
            # zeros for bf16 and which gloo lacks; forcing plain sums avoids it. Neither setter recurses.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
