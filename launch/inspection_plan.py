"""The plan of one optimizer step as figures: which examples lie in which row of which rank, and who waits for whom.

    examples → examples_of_step → plan_step → PlannedStep: rows and ranks

The functions are the trainer's own, so the rows are those that it makes; here they are only counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.balance import QUADRATIC_TOKENS, StepPlan, plan_step, row_work
from engine.examples import Example
from engine.packing import examples_of_step, fixed_shape, num_steps
from engine.settings import TrainConfig


@dataclass(frozen=True)
class PlannedRow:
    """`documents` are (tokens read, tokens learnt) of each example, in order. `work` is in tokens' worth, attention
    included; `balance` is over the heaviest row of the round.
    """

    rank: int
    row: int
    examples: tuple[str, ...]
    documents: tuple[tuple[int, int], ...]
    tokens: int
    work: float
    fill: float
    balance: float


@dataclass(frozen=True)
class PlannedRank:
    """All rows of a rank; `busy` is the share of the step in which it does not wait."""

    rank: int
    tokens: int
    work: float
    busy: float


@dataclass(frozen=True)
class PlannedStep:
    """One optimizer step over rows and ranks. `padded_efficiency`: where compiled rows are padded on a GPU."""

    step: int
    num_steps: int
    world_size: int
    rows_of_a_rank: int
    row_tokens: int
    examples: int
    tokens: int
    supervised_tokens: int
    efficiency: float
    padded_efficiency: float | None
    ranks: tuple[PlannedRank, ...]
    rows: tuple[PlannedRow, ...]


def planned(
    examples: Sequence[Example], settings: TrainConfig, seed: int, step: int, world_size: int
) -> tuple[StepPlan, PlannedStep]:
    """The plan of step 1, 2, … as the trainer makes it on `world_size` ranks, and the figures of its rows."""
    lengths = [len(example) for example in examples]
    total = num_steps(len(lengths), settings.batch_size, settings.epochs, settings.max_steps)
    if not 1 <= step <= total:
        raise ValueError(f"--step {step}: this training has steps 1 to {total}")
    batch = examples_of_step(len(lengths), settings.batch_size, settings.epochs, seed, step - 1)
    plan = plan_step(batch, lengths, world_size, settings.row_tokens)
    rows, ranks = rows_and_ranks(plan, examples, settings.row_tokens)
    padded = fixed_shape(settings, "cuda")
    return plan, PlannedStep(
        step=step,
        num_steps=total,
        world_size=world_size,
        rows_of_a_rank=len(plan.rows[0]),
        row_tokens=settings.row_tokens,
        examples=len(batch),
        tokens=sum(lengths[i] for i in batch),
        supervised_tokens=sum(examples[i].num_supervised for i in batch),
        efficiency=plan.efficiency(lengths),
        padded_efficiency=plan.efficiency(lengths, padded) if padded else None,
        ranks=tuple(ranks),
        rows=tuple(rows),
    )


def rows_and_ranks(
    plan: StepPlan, examples: Sequence[Example], row_tokens: int
) -> tuple[list[PlannedRow], list[PlannedRank]]:
    """Every row of the plan and every rank, counted. The heaviest row of a round is what all ranks wait for."""
    lengths = [len(example) for example in examples]
    rounds = [max(row_work(row, lengths) for row in rows) for rows in zip(*plan.rows, strict=True)]
    rows = [
        PlannedRow(
            rank=rank,
            row=number,
            examples=tuple(examples[i].id for i in row),
            documents=tuple((examples[i].num_context, examples[i].num_supervised) for i in row),
            tokens=sum(lengths[i] for i in row),
            work=row_work(row, lengths) / QUADRATIC_TOKENS,
            fill=sum(lengths[i] for i in row) / row_tokens,
            balance=row_work(row, lengths) / rounds[number],
        )
        for rank, held in enumerate(plan.rows)
        for number, row in enumerate(held)
    ]
    ranks = [
        PlannedRank(
            rank=rank,
            tokens=sum(row.tokens for row in rows if row.rank == rank),
            work=sum(row.work for row in rows if row.rank == rank),
            busy=sum(row_work(row, lengths) for row in held) / sum(rounds),
        )
        for rank, held in enumerate(plan.rows)
    ]
    return rows, ranks
