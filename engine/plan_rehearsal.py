"""The rehearsal: one real training step on tensors without data, among ranks that are not there.

    shapes of the student + settings + rows  →  the engine's own shard_student, make_optimizer, train_step  →  Peak

Real: the model, FSDP2 and its groups, recomputation, the loss with its chunks, clipping, AdamW; every allocation comes
from the code that trains. Not there: data (torch's fake tensors have shapes and no values) and the other ranks (torch's
"fake" process group: collectives return at once).

A build of torch without CUDA cannot pretend to hold CUDA tensors in backward, so the fake tensors lie on the CPU, and
what the engine does otherwise on a GPU is switched on by hand (`as_on_cuda`): the attention kernel, the loss's chunk
and its mixed products. Host and device are then one memory; plan.py tells them apart for `train.cpu_offload`.
Compiled blocks are rehearsed uncompiled; fusion drops intermediate results, so that is an upper bound as a rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import PretrainedConfig

from engine import loss
from engine.attention import ATTENTION_OPS
from engine.model import Student, shard_student
from engine.optim import make_optimizer
from engine.packing import Pack
from engine.parallel import World, make_mesh
from engine.plan_memory import Kind, MemoryLedger, Peak, tensors_in
from engine.settings import TrainConfig
from engine.train import train_step

OFFLOADED: frozenset[Kind] = frozenset({"parameters", "gradients", "optimizer"})
"""What `train.cpu_offload` keeps in host memory."""

LEFT_FACTOR = {"aten.mm": 0, "aten.addmm": 1, "aten.bmm": 0, "aten._grouped_mm": 0}
"""Matrix products, and which argument is the left factor."""


@dataclass(frozen=True)
class Rehearsal:
    """What a step holds at its peak, and how much of the blocks' forward pass it computes again in backward: shares of
    the FLOPs of matrix products, and of the calls of attention."""

    peak: Peak
    repeated_products: float
    repeated_attention: float


class FakeLedger(MemoryLedger):
    """The ledger over fake tensors; answers the two questions that need values, and counts what is computed twice."""

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[str] = Counter()
        self.attention: Counter[str] = Counter()

    def run(self, function: Any, args: Any, kwargs: Any) -> Any:
        """As on real tensors, but for the losses read at the end of a step, and for what no fake tensor takes part in
        (borders of documents, which the CPU's attention reads)."""
        inputs = list(tensors_in((args, kwargs)))
        if function is torch.ops.aten._local_scalar_dense.default and is_fake(inputs[0]):
            return 1.0  # finite: the optimizer step is taken
        if inputs and not any(map(is_fake, inputs)):
            with unset_fake_temporarily():
                return function(*args, **kwargs)
        result = function(*args, **kwargs)
        self.count(function, args, result)
        return result

    def count(self, function: Any, args: Any, result: Any) -> None:
        """Adds up what belongs to a forward pass, by phase: in backward, gradients are recorded only to recompute."""
        packet = str(function._overloadpacket)
        if packet in LEFT_FACTOR and torch.is_grad_enabled():
            self.products[self.phase] += 2 * result.numel() * args[LEFT_FACTOR[packet]].shape[-1]
        if function in ATTENTION_OPS:
            self.attention[self.phase] += 1

    def rehearsal(self, peak: Peak) -> Rehearsal:
        """The counts as shares."""
        shares = (
            done["backward"] / max(1, done["forward"]) for done in (self.products, self.attention)
        )
        return Rehearsal(peak, *shares)


def is_fake(tensor: Tensor) -> bool:
    """Whether it has a shape and no values."""
    return isinstance(tensor, FakeTensor)


def rehearse(
    model_config: PretrainedConfig,
    config: TrainConfig,
    world_size: int,
    rows: Sequence[Pack],
    device_type: str,
) -> Rehearsal:
    """A step of `rows` after the first step, as rank 0 sees it, who has the largest shards."""
    config = replace(config, compile=False)
    with ExitStack() as stack:
        world = stack.enter_context(imagined_world(world_size, config))
        if device_type == "cuda":
            stack.enter_context(as_on_cuda())
        ledger = FakeLedger()
        fake = stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        unreal = [without_values(row, fake) for row in rows]
        peak = observe_step(model_config, config, world, unreal, ledger)
        return ledger.rehearsal(peak)


@contextmanager
def imagined_world(world_size: int, config: TrainConfig) -> Iterator[World]:
    """Rank 0 of a process group of which only rank 0 exists."""
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=world_size)
    try:
        mesh = make_mesh("cpu", world_size, config.shard_size, config.replicate_size)
        yield World(0, world_size, torch.device("cpu"), mesh)
    finally:
        dist.destroy_process_group()


@contextmanager
def as_on_cuda() -> Iterator[None]:
    """What depends on the device in the engine behaves as on a GPU: attention.py asks `is_cuda`, loss.py its table."""
    on_cuda = {"cpu": loss.CHUNK_POSITIONS["cuda"]}
    with (
        mock.patch.object(FakeTensor, "is_cuda", True, create=True),
        mock.patch.dict(loss.CHUNK_POSITIONS, on_cuda),
    ):
        yield


def without_values(row: Pack, fake: FakeTensorMode) -> Pack:
    """The row as fake tensors; its borders stay real, for attention document by document."""
    return Pack(
        **{
            name: fake.from_tensor(value)
            if isinstance(value, Tensor) and name != "borders_N1"
            else value
            for name, value in vars(row).items()
        }
    )


def observe_step(
    model_config: PretrainedConfig,
    config: TrainConfig,
    world: World,
    rows: Sequence[Pack],
    ledger: MemoryLedger,
    warm_up_steps: int = 0,
) -> Peak:
    """The peak of a training step that is not the first: moments exist. On real tensors this is a measurement."""
    with ledger:
        student = shard_student(model_config, config, world)
        optimizer = make_optimizer(student, config.learning_rate, config.weight_decay)
        ledger.name(student.parameters(), "parameters")
        make_moments(student, optimizer)
        moments = [t for t in tensors_in(list(optimizer.state.values())) if t.ndim > 0]
        ledger.name(moments, "optimizer")
        announce_phases(student, optimizer, ledger)
        for _ in range(warm_up_steps):
            train_step(student, optimizer, rows, config, world)
        ledger.start_over()
        train_step(student, optimizer, rows, config, world)
    return ledger.peak(OFFLOADED if config.cpu_offload else frozenset())


def make_moments(student: Student, optimizer: torch.optim.Optimizer) -> None:
    """AdamW's state, by a step with nothing in it."""
    for parameter in student.parameters():
        torch.nn.init.zeros_(
            parameter
        )  # with real tensors: finite, or the step would end before the optimizer
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()


def announce_phases(
    student: Student, optimizer: torch.optim.Optimizer, ledger: MemoryLedger
) -> None:
    """Tells the ledger what the step is doing, and which tensors are the sharded gradients."""

    def enter(phase: str, head: torch.Size | None = None) -> Any:
        def hook(*_: Any) -> None:
            ledger.phase, ledger.head_shape = phase, head

        return hook

    def before_optimizer(*_: Any) -> None:
        ledger.phase = "optimizer step"
        ledger.name((p.grad for p in student.parameters() if p.grad is not None), "gradients")

    head = student.causal_lm.lm_head
    student.register_forward_pre_hook(enter("forward"))
    head.register_forward_pre_hook(enter("loss", head.weight.shape))
    head.register_forward_hook(enter("forward"))
    student.register_forward_hook(enter("backward"))
    optimizer.register_step_pre_hook(before_optimizer)
