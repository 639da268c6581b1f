"""`cgd inspect`: what the trainer really consumes, by the trainer's own functions.

    configuration → load_examples → examples_of_step → plan_step → make_packs → Inspection → text, page or JSON

Nothing is computed here a second way: the mask is the packs', the plan is the step's, the losses are the student's own
forward. What is shown is data (frozen dataclasses), so that terminal, page and `--json` show the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from engine.attempt import training_file
from engine.examples import (
    Example,
    ExampleSet,
    end_of_turn_ids,
    load_examples,
    read_rows,
    render,
)
from engine.marking import Piece, name, pieces
from engine.model import fetch_folder, load_tokenizer
from engine.objectives import OBJECTIVES, Objective, conversation
from engine.packing import make_packs
from engine.settings import TrainConfig
from launch.config import Config
from launch.inspection_lengths import Lengths, Stop, lengths_of, stop_of
from launch.inspection_losses import StepLosses, losses_of_step
from launch.inspection_plan import PlannedStep, planned

Use = Literal["read", "learnt", "not used"]

CHAT_ROWS = {
    "messages": Objective(sees=(), writes="messages"),
    "completion": Objective(sees=("prompt",), writes="completion"),
}
"""Rows of plain chat data under `sft`, by the field that they are known by (objectives.py)."""

MOST_DROPPED_IDS = 10


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be shown. Steps count from 1, as in metrics.jsonl."""

    step: int = 1
    example: str | None = None
    """An id; unset, the first example."""
    world_size: int = 1
    losses: bool = False


@dataclass(frozen=True)
class ShownExample:
    """One example: the row of the file, the text the chat template makes of it, and the tokens of its pack."""

    why: str
    """`the first`, `the longest`, …: why this one is shown."""
    id: str
    line: int
    tokens: int
    supervised_tokens: int
    record: dict[str, Any]
    uses: dict[str, Use]
    """What the objective does with each field of the record."""
    context: str
    """As the chat template writes it: what the student reads."""
    target: str
    """What it must write; the stop token follows."""
    pieces: tuple[Piece, ...]

    @property
    def is_whole(self) -> bool:
        """Whether it ends with the stop token; it does not where it was cut."""
        return self.pieces[-1].stops


@dataclass(frozen=True)
class Inspection:
    """Everything that is shown. `others` are examples at the ends: longest, shortest, highest and lowest loss."""

    run: str
    student: str
    data: str
    objective: str
    layout: str
    sees: tuple[str, ...]
    writes: str
    also_trained: tuple[str, ...]
    max_length: int
    counts: dict[str, int]
    summary: str
    dropped_ids: tuple[str, ...]
    lengths: Lengths
    stop: Stop
    example: ShownExample
    others: tuple[ShownExample, ...]
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
    task = (settings.objective, settings.layout, settings.max_length)
    loaded = load_examples(data, tokenizer, *task, settings.too_long, settings.no_target)
    index = index_of(question.example, loaded, data)
    plan, shown_plan = planned(
        loaded.examples, settings, config.run.seed, question.step, question.world_size
    )
    losses = losses_of_step(settings, source, loaded.examples, plan) if question.losses else None
    lengths = lengths_of(loaded.examples)
    wanted = worth_showing(index, question, loaded.examples, lengths, losses)
    rows, dropped = rows_of(data, [loaded.examples[i].id for i in wanted], loaded)
    shown = [
        shown_example(" and ".join(why), i, rows, loaded.examples, settings, tokenizer)
        for i, why in wanted.items()
    ]
    kind = kind_of(shown[0].record, settings.objective)
    return Inspection(
        run=config.run.name,
        student=config.student.model,
        data=str(data),
        objective=settings.objective,
        layout=settings.layout,
        sees=kind.sees,
        writes=kind.writes,
        also_trained=tuple(o for o in config.pipeline.objectives if o != settings.objective),
        max_length=settings.max_length,
        counts=loaded.counts(),
        summary=loaded.summary(),
        dropped_ids=dropped,
        lengths=lengths,
        stop=stop_of(loaded.examples, tokenizer),
        example=shown[0],
        others=tuple(shown[1:]),
        plan=shown_plan,
        losses=losses,
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
    raise ValueError(
        f"--example {wanted}: no row of {data} has this id; the nearest is {name(nearest)}"
    )


def worth_showing(
    index: int,
    question: Question,
    examples: Sequence[Example],
    lengths: Lengths,
    losses: StepLosses | None,
) -> dict[int, list[str]]:
    """The examples that are shown, the one asked for first, and why each of them is."""
    ends = {"the shortest": lengths.shortest_id, "the longest": lengths.longest_id}
    if losses:
        ends["the highest loss of the step"] = losses.examples[0].id
        ends["the lowest loss of the step"] = losses.examples[-1].id
    index_by_id = {example.id: i for i, example in enumerate(examples)}
    reasons = {index: ["the first" if question.example is None else "asked for"]}
    for why, example_id in ends.items():
        reasons.setdefault(index_by_id[example_id], []).append(why)
    return reasons


def rows_of(
    data: Path, wanted: Iterable[str], loaded: ExampleSet
) -> tuple[dict[str, tuple[int, dict[str, Any]]], tuple[str, ...]]:
    """(line number, row) of the wanted ids, and the first ids of the file that are not trained on."""
    trained_on = {example.id for example in loaded.examples}
    wanted_ids = set(wanted)
    rows: dict[str, tuple[int, dict[str, Any]]] = {}
    dropped: list[str] = []
    for number, row in read_rows(data):
        row_id = str(row["id"])
        if row_id in wanted_ids:
            rows[row_id] = (number, row)
        elif row_id not in trained_on and len(dropped) < MOST_DROPPED_IDS:
            dropped.append(row_id)
    return rows, tuple(dropped)


def kind_of(row: Mapping[str, Any], objective: str) -> Objective:
    """What is seen and written of this row: plain chat data has fields of its own."""
    chat = (CHAT_ROWS[field] for field in CHAT_ROWS if objective == "sft" and field in row)
    return next(chat, OBJECTIVES[objective])


def shown_example(
    why: str,
    index: int,
    rows: Mapping[str, tuple[int, dict[str, Any]]],
    examples: Sequence[Example],
    settings: TrainConfig,
    tokenizer: PreTrainedTokenizerBase,
) -> ShownExample:
    """The example through the pack that the trainer would make of it alone, beside the row it came from."""
    example = examples[index]
    (pack,) = make_packs([[index]], [index], examples, settings.loss_reduction)
    line, row = rows[example.id]
    told = conversation(row, settings.objective, settings.layout)
    kind = kind_of(row, settings.objective)
    uses: dict[str, Use] = {
        field: "learnt" if field == kind.writes else "read" if field in kind.sees else "not used"
        for field in row
    }
    return ShownExample(
        why=why,
        id=example.id,
        line=line,
        tokens=len(pack.token_ids_T),
        supervised_tokens=len(pack.supervised_S),
        record=row,
        uses=uses,
        context=render(tokenizer, told.context),
        target=told.target,
        pieces=tuple(pieces(pack, tokenizer, end_of_turn_ids(tokenizer))),
    )
