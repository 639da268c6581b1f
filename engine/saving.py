"""When checkpoints are written: at once, or in the background while training goes on; one at a time in either case.

    save(folder, step)  →  copy of the state in host memory  →  a thread writes it (checkpoint.py)  →  wait()

The copy is made before `save` returns, so later steps cannot change what is saved; both ways write the same bytes. The
thread's collectives run in a gloo group of their own: mixed with those of training they would meet the wrong partners.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

from engine.checkpoint import state_of, write_checkpoint
from engine.parallel import World


class Saver:
    """Saves the checkpoints of one training. The end of its `with` block waits for the one being written.

    Every method is collective. A failure in the background is the ValueError of the next `save` or `wait`, which every
    rank reaches after the same step, so all of them hear of it there.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        world: World,
        keep: int,
        in_background: bool,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.keep = keep
        self.group = dist.new_group(backend="gloo")
        self.thread = ThreadPoolExecutor(max_workers=1) if in_background else None
        self.in_flight: Future[None] | None = None
        # Blocking copies into memory that is kept from save to save; pinned, a GPU fills it at full speed.
        self.stager = DefaultStager(
            StagingOptions(
                use_pinned_memory=world.device.type == "cuda",
                use_shared_memory=False,
                use_async_staging=False,
                use_non_blocking_copy=False,
            )
        )

    def save(self, folder: Path, step: int) -> None:
        """The checkpoint after `step` steps; in the background, after the one before it is written."""
        self.wait()
        state = state_of(self.model, self.optimizer)
        if self.thread is None:
            write_checkpoint(folder, step, state, self.keep, self.group)
            return
        copy = self.stager.stage(state)
        self.in_flight = self.thread.submit(
            write_checkpoint, folder, step, copy, self.keep, self.group
        )

    def wait(self) -> None:
        """Returns when nothing is being written. Raises ValueError, on every rank, where it could not be."""
        if self.in_flight is not None:
            writing, self.in_flight = self.in_flight, None
            writing.result()

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits. Where the block has failed its own error comes first, and that of a save is its note."""
        try:
            self.wait()
        except ValueError as unsaved:
            if error is None:
                raise
            error.add_note(str(unsaved))
        finally:
            if self.thread is not None:
                self.thread.shutdown()
            self.stager.close()
