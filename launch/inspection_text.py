"""An Inspection on a terminal, in a file, or as JSON.

Colours only where a terminal shows them (NO_COLOR and TERM=dumb are heeded); the marks are there in any case. Every
text that a model or a file has written is escaped before it is printed.
"""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from engine.marking import (
    BOLD_GREEN,
    LEARNT,
    PLAIN,
    READ,
    WIDTH,
    Piece,
    encodable,
    escaped,
    marked_lines,
    name,
)
from launch.inspection import Inspection, ShownExample
from launch.inspection_drawing import FREE_CELL, LEARNT_CELL, READ_CELL, count_bar, row_bar
from launch.inspection_lengths import Lengths, Stop
from launch.inspection_losses import ExampleLoss, StepLosses
from launch.inspection_plan import PlannedRow, PlannedStep

MOST_ROWS = 32
"""Rows of a step that are drawn on a terminal; `--html` and `--json` have all."""
BAR = 40
"""Cells of a bar, where the terminal is wide enough."""
MARKS = {"read": READ, "learnt": LEARNT, "not used": "  -  "}


def print_inspection(
    inspection: Inspection, as_json: bool, out: TextIO, every_token: bool = False
) -> None:
    """Writes it; characters that the stream cannot encode become plain ones. A reader may close the pipe early."""
    if as_json:
        text = json.dumps(asdict(inspection), indent=1)
    else:
        width = shutil.get_terminal_size().columns if out.isatty() else WIDTH
        text = "\n".join(as_lines(inspection, width, wants_colour(out), every_token))
    try:
        print(encodable(text, out.encoding), file=out, flush=True)
    except BrokenPipeError:  # `| head`; the rest goes nowhere, at interpreter shutdown as well
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def wants_colour(out: TextIO) -> bool:
    """A terminal that has not been told otherwise (no-color.org)."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def as_lines(
    inspection: Inspection, width: int, colour: bool, every_token: bool = False
) -> Iterator[str]:
    """Everything, top to bottom."""
    yield f"run        {escaped(inspection.run)}"
    sees = ", ".join(inspection.sees)
    task = f"sees {sees}; writes {inspection.writes}" if sees else f"learns {inspection.writes}"
    yield f"objective  {inspection.objective}, {inspection.layout}: {task}"
    if inspection.also_trained:
        others = ", ".join(inspection.also_trained)
        yield f"           the run also trains {others}: --objective NAME shows one"
    yield f"student    {escaped(inspection.student)}"
    yield f"data       {escaped(inspection.data)}"
    yield f"examples   {inspection.summary}"
    if inspection.dropped_ids:
        missing = inspection.counts["rows"] - inspection.counts["examples"]
        more = missing - len(inspection.dropped_ids)
        ids = " ".join(map(name, inspection.dropped_ids))
        yield f"dropped    {ids}" + (f" … and {more:,} more" if more else "")
    yield from stop_lines(inspection.stop, inspection.counts["examples"])
    yield from length_lines(inspection.lengths, width)
    yield from example_lines(inspection.example, width, colour, every_token)
    if inspection.others:
        yield ""
        yield "other examples, shown whole by --example ID and on the page of --html FILE"
        for other in inspection.others:
            yield f"  {other.why}: {name(other.id)}, {other.tokens:,} tokens, {other.supervised_tokens:,} learnt"
            yield cut(f"  {LEARNT} {escaped(other.target)}", width)
    yield from plan_lines(inspection.plan, width)
    if inspection.losses:
        yield from loss_lines(inspection.losses)


def stop_lines(stop: Stop, examples: int) -> Iterator[str]:
    """The stop token, and every example that lacks it at its end or has it before."""
    ids = " ".join(map(str, stop.ids))
    yield f"stop token {escaped(stop.text)}, id {ids}: learnt at the end of {stop.learnt_in:,} of {examples:,} examples"
    if stop.inside:
        yield f"           learnt before the end as well, where generation would stop, in {stop.inside:,} of them"


def length_lines(lengths: Lengths, width: int) -> Iterator[str]:
    """Shortest to longest, how much of it is learnt, and the histogram."""
    learnt = f"{lengths.supervised_tokens:,} are learnt ({lengths.supervised_share:.1%})"
    yield f"tokens     {lengths.tokens:,}, of which {learnt}"
    yield (
        f"lengths    {lengths.shortest:,} ({name(lengths.shortest_id)}) to "
        f"{lengths.longest:,} ({name(lengths.longest_id)}) tokens, median {lengths.median:,.0f}"
    )
    most = max(group.examples for group in lengths.histogram)
    columns = len(f"{lengths.histogram[-1].last:,}")
    for group in lengths.histogram:
        bar = count_bar(group.examples, most, min(BAR, max(10, width - 40)))
        span = f"{group.first:>{columns},} to {group.last:>{columns},}"
        yield f"  {span}  {bar} {group.examples:,}".rstrip()


def example_lines(
    example: ShownExample, width: int, colour: bool, every_token: bool
) -> Iterator[str]:
    """The record, the text that the chat template makes of it, and its tokens."""
    yield ""
    yield f"example {name(example.id)} ({example.why}): the record, line {example.line}"
    for field, use in example.uses.items():
        value = as_text(example.record[field])
        yield cut(f"  {MARKS[use]} {name(field)}: {escaped(value)}", width)
    yield ""
    yield f"example {name(example.id)}: the text, as the chat template writes it"
    stop = "".join(piece.text for piece in example.pieces if piece.stops)
    yield from text_lines(example.context, READ, width, False)
    yield from text_lines(example.target + stop, LEARNT, width, colour)
    yield ""
    yield (
        f"example {name(example.id)}: {example.tokens:,} tokens, {example.supervised_tokens:,} "
        "learnt (LEARN), the others only read (read)"
    )
    if every_token:
        yield from token_lines(example.pieces, colour)
    else:
        yield from marked_lines(example.pieces, width, colour)
    if not example.is_whole:
        yield "      cut to train.max_length: no stop token is learnt from this example"


def as_text(value: Any) -> str:
    """A field of a record: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def cut(line: str, width: int) -> str:
    """A line that ends where the terminal does."""
    return line if len(line) <= width else f"{line[: width - 1]}…"


def text_lines(text: str, mark: str, width: int, colour: bool) -> Iterator[str]:
    """The text, each line with its mark; long lines are wrapped, and none of their spaces is lost."""
    for line in text.removesuffix("\n").split("\n"):
        room = max(20, width - len(mark) - 1)
        parts = textwrap.wrap(
            escaped(line), room, drop_whitespace=False, break_on_hyphens=False
        ) or [""]
        for part in parts:
            marked = f"{mark} {part}".rstrip()
            yield f"{BOLD_GREEN}{marked}{PLAIN}" if colour else marked


def token_lines(pieces: Sequence[Piece], colour: bool) -> Iterator[str]:
    """A line a token: where it stands, its id, whether it is learnt, and how it reads."""
    yield "position      id  mask   text"
    position = 0
    for piece in pieces:
        for number, token_id in enumerate(piece.ids):
            text = (escaped(piece.text) or "(no text)") if number == 0 else "(the same character)"
            mark = LEARNT if piece.learnt else READ
            stops = "   ← stop token" if piece.stops else ""
            line = f"{position:8d} {token_id:7d}  {mark}  {text}"
            yield (f"{BOLD_GREEN}{line}{PLAIN}" if colour and piece.learnt else line) + stops
            position += 1


def plan_lines(plan: PlannedStep, width: int) -> Iterator[str]:
    """The step as a drawing: a line a row, and a line a rank where there are several."""
    ranks = "1 rank" if plan.world_size == 1 else f"{plan.world_size:,} ranks"
    rows = "1 row" if plan.rows_of_a_rank == 1 else f"{plan.rows_of_a_rank:,} rows"
    yield ""
    yield (
        f"step {plan.step:,} of {plan.num_steps:,} on {ranks}: {plan.examples:,} examples, {plan.tokens:,} tokens "
        f"({plan.supervised_tokens / plan.tokens:.1%} learnt)"
    )
    yield (
        f"{rows} a rank, of at most {plan.row_tokens:,} tokens: "
        f"{READ_CELL} read  {LEARNT_CELL} learnt  {FREE_CELL} free"
    )
    cells = min(BAR, max(10, width - 46))
    yield f"rank row {'':{cells}}  tokens   fill  examples  balance"
    for row in plan.rows[:MOST_ROWS]:
        yield row_line(row, plan.row_tokens, cells)
    if len(plan.rows) > MOST_ROWS:
        yield f"… {len(plan.rows) - MOST_ROWS:,} more rows: --json and --html show all"
    if plan.world_size > 1:
        yield "rank   tokens      work     busy"
        for rank in plan.ranks[:MOST_ROWS]:
            yield f"{rank.rank:4d} {rank.tokens:8,d} {rank.work:9,.0f} {rank.busy:8.1%}"
    yield f"efficiency {plan.efficiency:.1%}: the share of the step in which a rank works and does not wait"
    yield "(balance: the row's work, attention included, over that of the round's heaviest, which all ranks wait for)"
    if plan.padded_efficiency is not None:
        yield (
            f"with train.compile a GPU pads every row to {plan.row_tokens:,} tokens: "
            f"efficiency {plan.padded_efficiency:.1%}"
        )


def row_line(row: PlannedRow, row_tokens: int, cells: int) -> str:
    """One row, to scale."""
    bar = row_bar(row.documents, row_tokens, cells)
    figures = f"{row.tokens:7,d} {row.fill:6.1%} {len(row.examples):9,d} {row.balance:8.1%}"
    return f"{row.rank:4d} {row.row:3d} {bar} {figures}"


def loss_lines(losses: StepLosses) -> Iterator[str]:
    """A line an example, the worst first."""
    yield ""
    yield (
        f"losses under the student before training: {losses.step_loss:.4f} nats for the step, "
        f"every {losses.reduction} weighing the same"
    )
    yield "nats a token     nats  learnt  tokens"
    most = losses.examples[0].loss
    for number, example in enumerate(losses.examples):
        yield loss_line(example, most, end_of(number, len(losses.examples)))


def end_of(number: int, count: int) -> str:
    """Which end of a falling order a place is."""
    return "  ← highest" if number == 0 else "  ← lowest" if number == count - 1 else ""


def loss_line(example: ExampleLoss, most: float, end: str) -> str:
    """One example with its bar."""
    return (
        f"{example.loss:12.4f} {example.nll:8.2f} {example.supervised_tokens:7,d} {example.tokens:7,d}  "
        f"{count_bar(example.loss, most, 10):10s}  {name(example.id)}{end}"
    )
