"""Packing: which examples make a step, which row and rank each one goes to, and the tensors of a row.

    lengths, seed, step, world size  →  StepPlan (rows of example indices, one list a rank)  →  Pack

A step is a fixed set of `batch_size` examples, the next ones of a permutation that depends on the seed alone; the plan
(balance.py) then only spreads them over rows and ranks. Attention stops at document borders and positions restart
there, so the plan changes speed and nothing else.
Shapes: T tokens in a row, N documents in it, S supervised positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch

from engine.balance import FixedShape
from engine.examples import Example
from engine.settings import TrainConfig


def num_steps(
    num_examples: int, batch_size: int, epochs: float, max_steps: int | None = None
) -> int:
    """Optimizer steps of a run; the last one holds what is left when batches do not come out even."""
    steps = -(-num_shown(num_examples, epochs) // batch_size)
    return steps if max_steps is None else min(steps, max_steps)


def num_shown(num_examples: int, epochs: float) -> int:
    """Examples shown in all, repetitions counted; a small fraction of an epoch still shows one."""
    return max(1, round(num_examples * epochs))


def examples_of_step(
    num_examples: int, batch_size: int, epochs: float, seed: int, step: int
) -> list[int]:
    """Examples of step 0, 1, …: slices of one endless stream of permutations, so an epoch's end is no special case."""
    last = min((step + 1) * batch_size, num_shown(num_examples, epochs))
    return [
        int(epoch_order(num_examples, seed, position // num_examples)[position % num_examples])
        for position in range(step * batch_size, last)
    ]


@lru_cache(maxsize=4)
def epoch_order(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation of one epoch, int64 [num_examples]; a function of seed and epoch alone."""
    return np.random.default_rng([seed, epoch]).permutation(num_examples)


@dataclass(frozen=True)
class Pack:
    """A row as tensors. Supervised positions are chosen here, once, so that only they reach the LM head.

    token_ids_T, positions_T     int64; positions restart at every document
    borders_N1                   int32 cumulative document lengths, from 0 to T; the last may repeat
    longest                      no document is longer, in tokens
    supervised_S                 int64 positions whose *next* token is a target
    targets_S                    int64 that next token
    weights_S                    fp32 weight of each target in the step's loss
    """

    token_ids_T: torch.Tensor
    positions_T: torch.Tensor
    borders_N1: torch.Tensor
    longest: int
    supervised_S: torch.Tensor
    targets_S: torch.Tensor
    weights_S: torch.Tensor

    def to(self, device: torch.device) -> Pack:
        """The same row on another device; copied once a row, so that no layer waits for the host."""
        tensors = {name: x for name, x in vars(self).items() if isinstance(x, torch.Tensor)}
        if device.type == "cuda":  # a copy from memory that is not pinned would make the host wait
            tensors = {name: x if x.is_cuda else x.pin_memory() for name, x in tensors.items()}
        moved = {name: x.to(device, non_blocking=True) for name, x in tensors.items()}
        return replace(self, **moved)


def fixed_shape(config: TrainConfig, device_type: str) -> FixedShape | None:
    """The one shape compiled CUDA kernels are made for; elsewhere padding would cost more than it saves."""
    pads = config.compile and device_type == "cuda"
    return FixedShape(config.row_tokens, config.batch_size + 1) if pads else None


def make_pack(
    examples: Sequence[Example], weights: Sequence[float], fixed: FixedShape | None = None
) -> Pack:
    """The row's tensors on the CPU. `weights` is one number an example, the weight of each of its supervised tokens.

    An empty row (more ranks than examples) becomes one unsupervised token: the rank then runs the same collectives
    as the others and adds nothing to the gradient. With `fixed`, every row has the same shapes: padding is one
    more unsupervised document, and the borders repeat the last.
    """
    documents = [example.token_ids for example in examples] or [np.zeros(1, dtype=np.int32)]
    missing = fixed.tokens - sum(map(len, documents)) if fixed else 0
    if missing > 0:
        documents.append(np.zeros(missing, dtype=np.int32))
    lengths = [len(ids) for ids in documents]
    starts = np.cumsum([0, *lengths])
    borders = (
        np.pad(starts, (0, fixed.documents + 1 - len(starts)), mode="edge") if fixed else starts
    )
    # The logits at position t predict token t + 1, so supervision moves one to the left, inside its own document.
    supervised = [
        np.arange(start + example.num_context - 1, start + len(example) - 1)
        for start, example in zip(starts, examples, strict=False)
    ]
    supervised_S = np.concatenate(supervised) if supervised else np.zeros(0, dtype=np.int64)
    token_ids_T = np.concatenate(documents).astype(np.int64)
    weights_S: np.ndarray = np.repeat(weights, [example.num_supervised for example in examples])
    return Pack(
        token_ids_T=torch.from_numpy(token_ids_T),
        positions_T=torch.from_numpy(np.concatenate([np.arange(length) for length in lengths])),
        borders_N1=torch.from_numpy(borders.astype(np.int32)),
        longest=fixed.tokens if fixed else max(lengths),
        supervised_S=torch.from_numpy(supervised_S),
        targets_S=torch.from_numpy(token_ids_T[supervised_S + 1]),
        weights_S=torch.from_numpy(weights_S.astype(np.float32)),
    )


def target_weights(examples: Sequence[Example], reduction: str) -> list[float]:
    """The weight of a supervised token of each example of a *whole step*, over all ranks and rows; they sum to one.

    `token`: every supervised token of the step weighs the same. `example`: every example weighs the same, shared by its
    tokens. Known from lengths alone, so no collective is needed, and no mean of means can arise.
    """
    if reduction == "token":
        num_supervised = sum(example.num_supervised for example in examples)
        return [1 / num_supervised] * len(examples)
    return [1 / (len(examples) * example.num_supervised) for example in examples]


def make_packs(
    rows: Sequence[Sequence[int]],
    of_step: Sequence[int],
    examples: Sequence[Example],
    reduction: str,
    fixed: FixedShape | None = None,
) -> list[Pack]:
    """One rank's rows as tensors; targets are weighted by the whole step `of_step`, not by row or rank."""
    shares = target_weights([examples[i] for i in of_step], reduction)
    weights = dict(zip(of_step, shares, strict=True))
    return [make_pack([examples[i] for i in row], [weights[i] for i in row], fixed) for row in rows]
