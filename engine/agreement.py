"""One verdict for all ranks: what fails on one rank is the same error on every rank.

A rank that raised alone would leave the others waiting for it in their next collective. Work that can meet a mistake
(reading data or a model folder, writing a checkpoint) is therefore done inside `on_every_rank`, whose end all ranks
reach, failed or not, and where they hear of each other's failures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch.distributed as dist

from engine.advice import in_words

Result = TypeVar("Result")


def on_every_rank(work: Callable[[], Result], group: dist.ProcessGroup | None = None) -> Result:
    """Does this rank's part of the work, which holds no collective. Collective itself.

    A ValueError or OSError on any rank is a ValueError on all of them, with the message of the first rank that failed.
    """
    failure: Exception | None = None
    try:
        result = work()
    except (ValueError, OSError) as error:
        failure = error
    messages = gather(None if failure is None else in_words(failure), group)
    failed = [rank for rank, message in enumerate(messages) if message is not None]
    if not failed:
        return result
    where = "" if len(failed) == len(messages) else f" (rank {', '.join(map(str, failed))})"
    raise ValueError(f"{messages[failed[0]]}{where}") from failure


def from_main(work: Callable[[], Result], group: dist.ProcessGroup | None = None) -> Result:
    """What the work of rank 0 returns, on every rank; its failure too. Collective."""
    is_main = dist.get_rank(group) == 0
    told = on_every_rank(lambda: [work()] if is_main else [None], group)
    if dist.get_world_size(group) > 1:
        dist.broadcast_object_list(told, src=0, group=group)
    (result,) = told
    return result  # type: ignore[return-value]  # None only before rank 0 has told


def gather(mine: Any, group: dist.ProcessGroup | None = None) -> list[Any]:
    """Every rank's object, in the order of ranks, on every rank. Collective."""
    size = dist.get_world_size(group)
    everyones = [mine] * size
    if size > 1:
        dist.all_gather_object(everyones, mine, group=group)
    return everyones
