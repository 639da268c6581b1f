"""Packing: which examples make a step, which row and rank each one goes to, and the tensors of a row.

    lengths, seed, step, world size  →  StepPlan (rows of example indices, one list a rank)  →  Pack

A step is a fixed set of `batch_size` examples, the next ones of a permutation that depends on the seed alone; the plan
then only spreads them over rows and ranks. Attention stops at document borders and positions restart there, so the
plan changes speed and nothing else. It is a pure function: every rank computes all of it and takes its own rows,
without communication. All ranks get equally many rows, because FSDP's collectives must match or the ranks wait
for each other for ever.          Shapes: T tokens in a row, N documents in it, S supervised positions.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from engine.examples import Example

QUADRATIC_TOKENS = 16_384
"""Length at which a document's attention costs as much as its matrix products: its work is `len + len²/this`."""


@dataclass(frozen=True)
class StepPlan:
    """`rows[rank][i]` holds the example indices of that rank's i-th row; a row may be empty, counts are equal."""

    rows: tuple[tuple[tuple[int, ...], ...], ...]

    @property
    def examples(self) -> list[int]:
        """All examples of the step, on all ranks."""
        return [index for rank in self.rows for row in rank for index in row]

    def efficiency(self, lengths: Sequence[int]) -> float:
        """Real tokens over the tokens there was time for: every rank waits for the longest row of each round."""
        per_round = zip(
            *([sum(lengths[i] for i in row) for row in rank] for rank in self.rows), strict=True
        )
        rounds = [(sum(tokens), max(tokens) * len(self.rows)) for tokens in per_round]
        return sum(real for real, _ in rounds) / max(1, sum(room for _, room in rounds))


def num_steps(
    num_examples: int, batch_size: int, epochs: float, max_steps: int | None = None
) -> int:
    """Optimizer steps of a run; the last one holds what is left when batches do not come out even."""
    steps = -(-round(num_examples * epochs) // batch_size)
    return steps if max_steps is None else min(steps, max_steps)


def examples_of_step(
    num_examples: int, batch_size: int, epochs: float, seed: int, step: int
) -> list[int]:
    """Examples of step 0, 1, …: slices of one endless stream of permutations, so an epoch's end is no special case."""
    last = min((step + 1) * batch_size, round(num_examples * epochs))
    return [
        int(epoch_order(num_examples, seed, position // num_examples)[position % num_examples])
        for position in range(step * batch_size, last)
    ]


@lru_cache(maxsize=4)
def epoch_order(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation of one epoch, int64 [num_examples]; a function of seed and epoch alone."""
    return np.random.default_rng([seed, epoch]).permutation(num_examples)


def plan_step(
    examples: Sequence[int], lengths: Sequence[int], world_size: int, row_tokens: int
) -> StepPlan:
    """Longest first, each to the row with the least work that has room (longest-processing-time scheduling).

    Rows are shared out evenly, so work balanced over rows is balanced over ranks, and round by round.
    Raises ValueError where an example is longer than a row.
    """
    longest = max((lengths[i] for i in examples), default=0)
    if longest > row_tokens:
        raise ValueError(
            f"an example of {longest} tokens does not fit train.pack_tokens = {row_tokens}"
        )
    by_work = sorted(examples, key=lambda i: (-lengths[i], i))
    rounds = max(1, -(-sum(lengths[i] for i in examples) // (row_tokens * world_size)))
    while (rows := spread(by_work, lengths, rounds * world_size, row_tokens)) is None:
        rounds += 1
    rows.sort(key=lambda row: -sum(work(lengths[i]) for i in row))
    # Rows of like weight run in the same round: rank r takes rows r, r + world_size, …
    return StepPlan(tuple(tuple(map(tuple, rows[rank::world_size])) for rank in range(world_size)))


def spread(
    by_work: Sequence[int], lengths: Sequence[int], num_rows: int, row_tokens: int
) -> list[list[int]] | None:
    """The examples over `num_rows` rows, or None where that many rows do not hold them this way."""
    rows: list[list[int]] = [[] for _ in range(num_rows)]
    lightest = [(0.0, row, 0) for row in range(num_rows)]  # work, row, tokens
    for index in by_work:
        passed_over = []
        while lightest and lightest[0][2] + lengths[index] > row_tokens:
            passed_over.append(heapq.heappop(lightest))
        if not lightest:
            return None
        cost, row, tokens = heapq.heappop(lightest)
        rows[row].append(index)
        heapq.heappush(lightest, (cost + work(lengths[index]), row, tokens + lengths[index]))
        for entry in passed_over:
            heapq.heappush(lightest, entry)
    return rows


def work(length: int) -> float:
    """Relative cost of a document: linear in its tokens plus the quadratic cost of its attention."""
    return length + length * length / QUADRATIC_TOKENS


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
        moved = {
            name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for name, value in vars(self).items()
        }
        return Pack(**moved)


@dataclass(frozen=True)
class FixedShape:
    """Shapes that all rows are padded to, so that compiled blocks are compiled once."""

    tokens: int
    documents: int


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
