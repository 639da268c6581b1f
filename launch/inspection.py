"""`cgd inspect`: what the trainer really consumes, by the trainer's own functions.

    configuration → load_examples → examples_of_step → plan_step → make_packs → Inspection → text or JSON

Nothing is computed here a second way: the mask is the packs', the plan is the step's, the losses are the student's own
forward. What is shown is data (frozen dataclasses below), so that the terminal and `--json` show the same.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from engine.attempt import training_file
from engine.balance import QUADRATIC_TOKENS, StepPlan, plan_step, row_work
from engine.examples import Example, ExampleSet, end_of_turn_ids, load_examples, read_rows
from engine.marking import Piece, pieces
from engine.model import fetch_folder, load_tokenizer
from engine.objectives import Message, conversation
from engine.packing import examples_of_step, make_packs, num_steps
from engine.settings import TrainConfig
from launch.config import Config
from launch.inspection_losses import StepLosses, losses_of_step


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be shown. Steps count from 1, as in metrics.jsonl."""

    step: int = 1
    example: str | None = None
    """An id; unset, the first example."""
    world_size: int = 1
    losses: bool = False


@dataclass(frozen=True)
class Lengths:
    """Of all examples, in tokens."""

    shortest: int
    shortest_id: str
    median: float
    longest: int
    longest_id: str
    tokens: int
    supervised_tokens: int
    supervised_share: float


@dataclass(frozen=True)
class ShownExample:
    """One example: the row of the file, the conversation the objective makes of it, and the tokens of its pack."""

    id: str
    line: int
    tokens: int
    supervised_tokens: int
    record: dict[str, Any]
    context: tuple[Message, ...]
    target: str
    pieces: tuple[Piece, ...]
    num_stop_ids: int
    """How many of the last tokens close the turn; 0 where the example was cut before its end."""


@dataclass(frozen=True)
class PlannedRow:
    """`work` is in tokens' worth, attention included; `balance` is over the heaviest row of the round."""

    rank: int
    row: int
    examples: tuple[str, ...]
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
    """One optimizer step over rows and ranks."""

    step: int
    num_steps: int
    world_size: int
    row_tokens: int
    examples: int
    tokens: int
    supervised_tokens: int
    efficiency: float
    ranks: tuple[PlannedRank, ...]
    rows: tuple[PlannedRow, ...]


@dataclass(frozen=True)
class Inspection:
    """Everything that is shown."""

    student: str
    data: str
    objective: str
    layout: str
    also_trained: tuple[str, ...]
    counts: dict[str, int]
    summary: str
    lengths: Lengths
    example: ShownExample
    plan: PlannedStep
    losses: StepLosses | None


def inspect_training(config: Config, question: Question) -> Inspection:
    """Looks at one training as it would start now. Raises ValueError for whatever a user can mend."""
    if question.world_size < 1:
        raise ValueError(f"--world-size must be positive, got {question.world_size}")
    settings = config.train
    source = fetch_folder(config.student)
    data = training_file(settings.data, config.run.folder)
    tokenizer = load_tokenizer(config.student, source)
    loaded = load_examples(
        data,
        tokenizer,
        settings.objective,
        settings.layout,
        settings.max_length,
        settings.too_long,
        settings.no_target,
    )
    index = index_of(question.example, loaded, data)
    plan, shown_plan = planned(loaded.examples, settings, config.run.seed, question)
    return Inspection(
        student=config.student.model,
        data=str(data),
        objective=settings.objective,
        layout=settings.layout,
        also_trained=tuple(o for o in config.pipeline.objectives if o != settings.objective),
        counts=loaded.counts(),
        summary=loaded.summary(),
        lengths=lengths_of(loaded.examples),
        example=shown_example(index, loaded.examples, settings, tokenizer, data),
        plan=shown_plan,
        losses=losses_of_step(settings, source, loaded.examples, plan) if question.losses else None,
    )


def index_of(wanted: str | None, loaded: ExampleSet, data: Path) -> int:
    """Where the example stands. Raises ValueError for an id not trained on, with the reason or the nearest id."""
    if wanted is None:
        return 0
    index_by_id = {example.id: index for index, example in enumerate(loaded.examples)}
    if wanted in index_by_id:
        return index_by_id[wanted]
    for number, row in read_rows(data):
        if str(row["id"]) == wanted:
            raise ValueError(
                f"--example {wanted}: {data}:{number} is read but not trained on ({loaded.summary()})"
            )
    (nearest,) = get_close_matches(wanted, index_by_id, n=1, cutoff=0.0)
    raise ValueError(f"--example {wanted}: no row of {data} has this id; the nearest is {nearest}")


def lengths_of(examples: Sequence[Example]) -> Lengths:
    """The distribution in a line."""
    shortest, longest = min(examples, key=len), max(examples, key=len)
    tokens = sum(map(len, examples))
    supervised = sum(example.num_supervised for example in examples)
    return Lengths(
        shortest=len(shortest),
        shortest_id=shortest.id,
        median=statistics.median(map(len, examples)),
        longest=len(longest),
        longest_id=longest.id,
        tokens=tokens,
        supervised_tokens=supervised,
        supervised_share=supervised / tokens,
    )


def shown_example(
    index: int,
    examples: Sequence[Example],
    settings: TrainConfig,
    tokenizer: PreTrainedTokenizerBase,
    data: Path,
) -> ShownExample:
    """The example through the pack that the trainer would make of it alone, beside the row it came from."""
    example = examples[index]
    (pack,) = make_packs([[index]], [index], examples, settings.loss_reduction)
    stop_ids = end_of_turn_ids(tokenizer)
    is_whole = example.token_ids[-len(stop_ids) :].tolist() == stop_ids
    line, row = next((n, row) for n, row in read_rows(data) if str(row["id"]) == example.id)
    told = conversation(row, settings.objective, settings.layout)
    return ShownExample(
        id=example.id,
        line=line,
        tokens=len(pack.token_ids_T),
        supervised_tokens=len(pack.supervised_S),
        record=row,
        context=told.context,
        target=told.target,
        pieces=tuple(pieces(pack, tokenizer)),
        num_stop_ids=len(stop_ids) if is_whole else 0,
    )


def planned(
    examples: Sequence[Example], settings: TrainConfig, seed: int, question: Question
) -> tuple[StepPlan, PlannedStep]:
    """The step's plan as the trainer makes it on `world_size` ranks, and the figures of its rows."""
    lengths = [len(example) for example in examples]
    total = num_steps(len(lengths), settings.batch_size, settings.epochs, settings.max_steps)
    if not 1 <= question.step <= total:
        raise ValueError(f"--step {question.step}: this training has steps 1 to {total}")
    batch = examples_of_step(
        len(lengths), settings.batch_size, settings.epochs, seed, question.step - 1
    )
    plan = plan_step(batch, lengths, question.world_size, settings.row_tokens)
    # the heaviest row of each round is what all ranks wait for
    rounds = [max(row_work(row, lengths) for row in rows) for rows in zip(*plan.rows, strict=True)]
    slowest = sum(rounds)
    rows = [
        PlannedRow(
            rank=rank,
            row=number,
            examples=tuple(examples[i].id for i in row),
            tokens=sum(lengths[i] for i in row),
            work=row_work(row, lengths) / QUADRATIC_TOKENS,
            fill=sum(lengths[i] for i in row) / settings.row_tokens,
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
            busy=sum(row_work(row, lengths) for row in held) / slowest,
        )
        for rank, held in enumerate(plan.rows)
    ]
    return plan, PlannedStep(
        step=question.step,
        num_steps=total,
        world_size=question.world_size,
        row_tokens=settings.row_tokens,
        examples=len(batch),
        tokens=sum(lengths[i] for i in batch),
        supervised_tokens=sum(examples[i].num_supervised for i in batch),
        efficiency=plan.efficiency(lengths),
        ranks=tuple(ranks),
        rows=tuple(rows),
    )
