"""The rows a plan is made for: those of the data where there are data, otherwise assumed ones, and it says which.

    config, tokenizer and records, or two assumptions  →  Workload: every step's examples, and the rows that matter

Time follows from all examples of the run. Memory follows from the fullest rows alone: the peak of a rank's step is
that of one of its rows, with the gradients of the rows before it already there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.attempt import training_file
from engine.balance import FixedShape, plan_step
from engine.examples import Example, load_examples
from engine.model import load_tokenizer
from engine.packing import Pack, examples_of_step, fixed_shape, make_pack, num_steps
from engine.settings import RunConfig, StudentConfig, TrainConfig


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What is taken for granted where there are no data."""

    num_examples: int = 100_000
    """In the training file."""
    tokens_per_example: int | None = None
    """Conditioning, target and end of turn together; unset, train.max_length, so that rows are full."""
    supervised: float = 0.35
    """Share of an example's tokens that are targets."""

    def __post_init__(self) -> None:
        if self.num_examples <= 0:
            raise ValueError(f"--examples must be positive, got {self.num_examples}")
        if self.tokens_per_example is not None and self.tokens_per_example < 2:
            raise ValueError(f"--tokens-per-example must be 2 or more: {self.tokens_per_example}")
        if not 0 < self.supervised < 1:
            raise ValueError(f"--supervised must lie in (0, 1), got {self.supervised}")


@dataclass(frozen=True)
class Data:
    """The run's examples, or None where they have to be assumed. `source` says where they come from, or why not."""

    examples: Sequence[Example] | None
    source: str
    seed: int
    assumed: Assumptions


@dataclass(frozen=True)
class Workload:
    """Examples, and which of them each step takes. Where all steps are alike, one stands for `num_steps` of them."""

    examples: Sequence[Example]
    steps: Sequence[Sequence[int]]
    num_steps: int
    source: str

    def lengths(self) -> list[int]:
        """Tokens of every example that is trained on, step after step."""
        return [len(self.examples[i]) for step in self.steps for i in step]

    def num_supervised(self) -> int:
        """Targets of all these."""
        return sum(self.examples[i].num_supervised for step in self.steps for i in step)


def find_data(
    run: RunConfig, student: StudentConfig, config: TrainConfig, assumed: Assumptions
) -> Data:
    """The examples of the training file, where it is there already and the student has a tokenizer to read it with."""
    if assumed.tokens_per_example is not None and assumed.tokens_per_example > config.max_length:
        raise ValueError(
            f"--tokens-per-example {assumed.tokens_per_example}: train.max_length = {config.max_length} drops them all"
        )
    try:
        path = training_file(config.data, run.folder)
    except ValueError:
        missing = f"there is no file {config.data}" if config.data else "there are no records yet"
        why = f"{missing}, so assumed (--examples, --tokens-per-example and --supervised say otherwise)"
        return Data(None, why, run.seed, assumed)
    folder = Path(student.model).expanduser()
    if not (folder / "tokenizer_config.json").is_file():
        reason = f"{student.model} is no folder with a tokenizer to read {path} with, so assumed"
        return Data(None, reason, run.seed, assumed)
    loaded = load_examples(
        path,
        load_tokenizer(student, folder),
        config.objective,
        config.layout,
        config.max_length,
        config.too_long,
        config.no_target,
    )
    return Data(loaded.examples, f"{path}: {loaded.summary()}", run.seed, assumed)


def make_workload(data: Data, config: TrainConfig) -> Workload:
    """The run's steps under `config`, whose max_length may be lower than the one the data were read with."""
    if data.examples is None:
        return assumed_workload(data, config)
    examples = [example for example in data.examples if len(example) <= config.max_length]
    if not examples:
        raise ValueError(f"no example is as short as train.max_length = {config.max_length}")
    total = num_steps(len(examples), config.batch_size, config.epochs, config.max_steps)
    steps = [
        examples_of_step(len(examples), config.batch_size, config.epochs, data.seed, step)
        for step in range(total)
    ]
    return Workload(examples, steps, total, data.source)


def assumed_workload(data: Data, config: TrainConfig) -> Workload:
    """Equal examples, so that all steps are alike."""
    assumed = data.assumed
    length = min(assumed.tokens_per_example or config.max_length, config.max_length)
    num_supervised = max(1, round(length * assumed.supervised))
    example = Example("assumed", np.zeros(length, dtype=np.int32), length - num_supervised)
    total = num_steps(assumed.num_examples, config.batch_size, config.epochs, config.max_steps)
    source = (
        f"{data.source}: {assumed.num_examples:,} examples of {length:,} tokens, "
        f"{assumed.supervised:.0%} of them supervised"
    )
    return Workload([example] * config.batch_size, [range(config.batch_size)], total, source)


def fullest_rows(
    workload: Workload, config: TrainConfig, world_size: int, device_type: str
) -> list[list[Pack]]:
    """Steps of one rank that hold the peak, whatever causes it: tokens or targets.

    Each is the fullest of all first rows and then the fullest of all later rows, which find gradients in memory.
    Padded to one shape where the trainer pads.
    """
    lengths = [len(example) for example in workload.examples]
    plans = [plan_step(step, lengths, world_size, config.row_tokens) for step in workload.steps]
    ranks = [rows for plan in plans for rows in plan.rows]
    first = [rows[0] for rows in ranks]
    later = [row for rows in ranks for row in rows[1:]]

    def size(row: Sequence[int]) -> tuple[int, int]:
        return sum(lengths[i] for i in row), sum(workload.examples[i].num_supervised for i in row)

    by_tokens = [max(rows, key=size) for rows in (first, later) if rows]
    by_targets = [max(rows, key=lambda row: size(row)[::-1]) for rows in (first, later) if rows]
    steps = {tuple(map(size, rows)): rows for rows in (by_tokens, by_targets)}
    fixed = fixed_shape(config, device_type)
    return [packs_of(rows, workload.examples, fixed) for rows in steps.values()]


def packs_of(
    rows: Sequence[Sequence[int]], examples: Sequence[Example], fixed: FixedShape | None
) -> list[Pack]:
    """The rows as tensors; their weights do not matter here."""
    return [make_pack([examples[i] for i in row], [1.0] * len(row), fixed) for row in rows]
