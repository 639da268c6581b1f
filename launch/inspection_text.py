"""An Inspection on a terminal, in a file, or as JSON.

Colours only where a terminal shows them (NO_COLOR and TERM=dumb are heeded); the marks are there in any case. Every
text that a model or a file has written is escaped before it is printed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from typing import TextIO

from engine.marking import escaped, marked_lines
from launch.inspection import Inspection, Lengths, PlannedStep, ShownExample
from launch.inspection_losses import StepLosses

WIDTH_OF_A_FILE = 100
IDS_SHOWN = 6
"""Examples of a row that are named in the table; `--json` names all."""


def print_inspection(inspection: Inspection, as_json: bool, out: TextIO) -> None:
    """Writes it; characters that the stream cannot encode become their escapes. A reader may close the pipe early."""
    if as_json:
        text = json.dumps(asdict(inspection), indent=1)
    else:
        width = shutil.get_terminal_size().columns if out.isatty() else WIDTH_OF_A_FILE
        text = "\n".join(as_lines(inspection, width, wants_colour(out)))
    encoding = out.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=out, flush=True)
    except BrokenPipeError:  # `| head`; the rest goes nowhere, at interpreter shutdown as well
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def wants_colour(out: TextIO) -> bool:
    """A terminal that has not been told otherwise (no-color.org)."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def as_lines(inspection: Inspection, width: int, colour: bool) -> Iterator[str]:
    """Everything, top to bottom."""
    yield f"objective  {inspection.objective}, {inspection.layout}"
    if inspection.also_trained:
        others = ", ".join(inspection.also_trained)
        yield f"           this run also trains {others}: --set train.objective=NAME shows one"
    yield f"student    {escaped(inspection.student)}"
    yield f"data       {escaped(inspection.data)}"
    yield f"examples   {inspection.summary}"
    yield from length_lines(inspection.lengths)
    yield from example_lines(inspection.example, width, colour)
    yield from plan_lines(inspection.plan)
    if inspection.losses:
        yield from loss_lines(inspection.losses)


def length_lines(lengths: Lengths) -> Iterator[str]:
    """Shortest to longest, and how much of it is learnt."""
    yield (
        f"lengths    {lengths.shortest:,} ({escaped(lengths.shortest_id)}) to "
        f"{lengths.longest:,} ({escaped(lengths.longest_id)}) tokens, median {lengths.median:,.0f}"
    )
    yield (
        f"supervised {lengths.supervised_tokens:,} of {lengths.tokens:,} tokens, "
        f"{lengths.supervised_share:.1%}"
    )


def example_lines(example: ShownExample, width: int, colour: bool) -> Iterator[str]:
    """The conversation as the objective makes it of the record, then the tokens of its pack."""
    yield ""
    yield f"example {escaped(example.id)}, line {example.line}: the conversation"
    for message in example.context:
        yield from turn_lines(message["role"], message["content"])
    yield from turn_lines("assistant, to be learnt", example.target)
    yield ""
    yield (
        f"example {escaped(example.id)}: {example.tokens:,} tokens, {example.supervised_tokens:,} "
        "learnt (LEARN), the others only read (read)"
    )
    yield from marked_lines(example.pieces, width, colour, example.num_stop_ids)
    if not example.num_stop_ids:
        yield "      cut to train.max_length: no end of turn is learnt from this example"


def turn_lines(role: str, content: str) -> Iterator[str]:
    """A turn of the conversation, its lines indented."""
    yield f"  {escaped(role)}:"
    for line in content.split("\n"):
        yield f"  | {escaped(line)}".rstrip()


def plan_lines(plan: PlannedStep) -> Iterator[str]:
    """The step as a table: a line a row, and a line a rank where there are several."""
    num_rows = len(plan.rows) // plan.world_size
    yield ""
    yield (
        f"step {plan.step} of {plan.num_steps} on {plan.world_size} rank(s): {plan.examples} examples, "
        f"{plan.tokens:,} tokens ({plan.supervised_tokens / plan.tokens:.1%} supervised), {num_rows} row(s) a rank "
        f"of at most {plan.row_tokens:,} tokens"
    )
    yield "rank  row  examples  tokens    fill      work  balance"
    for row in plan.rows:
        ids = [escaped(name) for name in row.examples[:IDS_SHOWN]]
        more = len(row.examples) - len(ids)
        listed = " ".join(ids) + (f" … and {more} more" if more else "")
        yield (
            f"{row.rank:4d} {row.row:4d} {len(row.examples):9d} {row.tokens:7,d} {row.fill:7.1%} "
            f"{row.work:9,.0f} {row.balance:8.1%}  {listed}"
        ).rstrip()
    if plan.world_size > 1:
        yield "rank   tokens      work     busy"
        for rank in plan.ranks:
            yield f"{rank.rank:4d} {rank.tokens:8,d} {rank.work:9,.0f} {rank.busy:8.1%}"
    yield (
        f"efficiency {plan.efficiency:.1%} (work: tokens' worth, attention included; balance: over the heaviest "
        "row of the round, which all ranks wait for)"
    )


def loss_lines(losses: StepLosses) -> Iterator[str]:
    """A line an example, the worst first."""
    yield ""
    yield (
        f"losses under the student before training: {losses.step_loss:.4f} nats for the step, "
        f"every {losses.reduction} weighing the same"
    )
    yield "nats a token     nats  supervised  tokens  example"
    for example in losses.examples:
        yield (
            f"{example.loss:12.4f} {example.nll:8.2f} {example.supervised_tokens:11,d} "
            f"{example.tokens:7,d}  {escaped(example.id)}"
        )
