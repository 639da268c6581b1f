"""Where memory goes: every tensor storage alive during a training step, by kind, and the moment of the peak.

    with MemoryLedger(...) as ledger: train_step(...)   →   ledger.peak()

A dispatch mode sees each operation just above its kernel. What an operation returns is storage that is new (a line in
the ledger) or known (a view); when the last tensor of a storage dies, or FSDP empties it, the ledger gets a line with
the opposite sign. The peak is then a matter of adding up. It works on real tensors and on fake ones alike, so that a
prediction and a measurement are made with the same rule.

What a storage is for is known from where it was made and, for FSDP's buffers, from the operation that uses it:

    in forward, or recomputed           an activation, kept for backward or soon dropped
    inside the head                     the loss: logits of a chunk, and what is computed from them
    in backward, in the optimizer       a temporary: gradients by activations
    FSDP's copies for gather and reduce what they are called

Sharded parameters, gradients and moments are named by whoever knows them (`name`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args
from unittest import mock

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Kind = Literal[
    "parameters",
    "gradients",
    "optimizer",
    "activations",
    "logits_chunk",
    "gathers",
    "unsharded_gradients",
    "temporaries",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

FSDP_BUFFERS: dict[str, Kind] = {
    "fsdp.all_gather_copy_in": "gathers",
    "fsdp.split_with_sizes_copy": "gathers",
    "fsdp.chunk_cat": "unsharded_gradients",
}
"""FSDP allocates with `torch.empty`; what a buffer is for shows when one of these operations takes it."""


@dataclass
class Line:
    """One storage. `is_named`: somebody said what it is for."""

    kind: Kind
    is_named: bool
    num_bytes: int = 0


@dataclass(frozen=True)
class Peak:
    """The moment when most bytes of a device were alive: how many of each kind, and what the step was doing.

    `on_host`: kinds that lie in host memory, and are not counted. `largest_gradient`: bytes of the largest sharded
    gradient buffer, one group's.
    """

    bytes_by_kind: dict[Kind, int]
    phase: str
    on_host: frozenset[Kind]
    largest_gradient: int

    @property
    def total(self) -> int:
        """All that lies on the device."""
        return sum(n for kind, n in self.bytes_by_kind.items() if kind not in self.on_host)


class MemoryLedger(TorchDispatchMode):
    """Records which storages live when.

    `phase` is a word for what is being done, `head_shape` the head's weight while the head computes; both are set by
    whoever does it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.phase = "start"
        self.head_shape: torch.Size | None = None
        self.lines: weakref.WeakKeyDictionary[torch.UntypedStorage, Line] = (
            weakref.WeakKeyDictionary()
        )
        self.changes: list[tuple[Line, int, str]] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = self.run(function, args, kwargs or {})
        for tensor in tensors_in(result):
            self.see(tensor)
            if tensor.shape == self.head_shape:
                self.name([tensor], "unsharded_gradients")
        packet = str(function._overloadpacket)
        if packet in FSDP_BUFFERS:
            self.name(tensors_in((args, kwargs)), FSDP_BUFFERS[packet])
        return result

    def run(self, function: Any, args: Any, kwargs: Any) -> Any:
        """The operation itself."""
        return function(*args, **kwargs)

    def see(self, tensor: Tensor) -> Line:
        """The line of the tensor's storage, begun where that is new; it ends when the storage dies."""
        if tensor.device.type == "meta":
            return Line("temporaries", is_named=False)  # a shape that takes no memory
        # What a DTensor computes inside itself is not seen, only its result: it also computes shapes on whole,
        # imagined tensors.
        storage = (
            tensor._local_tensor if isinstance(tensor, DTensor) else tensor
        ).untyped_storage()
        if storage in self.lines:
            return self.lines[storage]
        line = self.lines[storage] = Line(self.present_kind(), is_named=False)
        self.resized(line, storage.nbytes())
        weakref.finalize(storage, self.resized, line, 0).atexit = False
        return line

    def resized(self, line: Line, num_bytes: int) -> None:
        """Books a storage's new size."""
        if num_bytes != line.num_bytes:
            self.changes.append((line, num_bytes - line.num_bytes, self.phase))
            line.num_bytes = num_bytes

    def present_kind(self) -> Kind:
        """What a storage made now is for, unless somebody names it."""
        if self.head_shape is not None:
            return "logits_chunk"
        is_forward = torch.is_grad_enabled() or self.phase == "forward"
        return "activations" if is_forward else "temporaries"

    def name(self, tensors: Iterable[Tensor], kind: Kind) -> None:
        """Says what these tensors are for, from their beginning on. The first name stays."""
        for tensor in tensors:
            line = self.see(tensor)
            if not line.is_named:
                line.kind, line.is_named = kind, True

    def __enter__(self) -> MemoryLedger:
        self.watched_resize = watch_resize(self)
        self.watched_resize.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.watched_resize.__exit__(*error)

    def start_over(self) -> None:
        """Forgets how it came to the present state, so that the peak is one of what follows."""
        alive = [line for line in self.lines.values() if line.num_bytes]
        self.changes = [(line, line.num_bytes, self.phase) for line in alive]

    def peak(self, on_host: frozenset[Kind] = frozenset()) -> Peak:
        """Adds the changes up, and stops where the sum of what is not on the host was largest."""
        live = most = 0
        last_change, phase = 0, self.phase
        for index, (line, change, doing) in enumerate(self.changes):
            if line.kind in on_host:
                continue
            live += change
            if live > most:
                most, last_change, phase = live, index, doing
        totals = dict.fromkeys(KINDS, 0)
        for line, change, _ in self.changes[: last_change + 1]:
            totals[line.kind] += change
        gradients = (change for line, change, _ in self.changes if line.kind == "gradients")
        return Peak(totals, phase, on_host, max(gradients, default=0))


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """Every tensor in nested lists, tuples and dicts."""
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


@contextmanager
def watch_resize(ledger: MemoryLedger) -> Iterator[None]:
    """FSDP empties and refills gathered weights by resizing their storage, which is no operation on tensors."""
    resize: Callable[[torch.UntypedStorage, int], Any] = torch.UntypedStorage.resize_

    def watched(storage: torch.UntypedStorage, num_bytes: int) -> Any:
        result = resize(storage, num_bytes)
        if storage in ledger.lines:
            ledger.resized(ledger.lines[storage], num_bytes)
        return result

    with mock.patch.object(torch.UntypedStorage, "resize_", watched):
        yield
