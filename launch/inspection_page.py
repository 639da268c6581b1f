"""An Inspection as one page: the same as on the terminal, for a browser, a colleague or a printer.

    Inspection → views (rows of bars, runs of tokens) → inspection_page.html.j2, with the look of a run's report

The page loads nothing and runs no script. Texts come from models and from files of others: what all our pages share
(evals/report_page.py) escapes them and makes hidden characters visible, here with the terminal's escapes.
What is learnt is marked by a word, a line below it and a colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from datagen.records import write_whole
from engine.marking import Piece, escaped, name, shown
from evals.report_page import page_environment
from launch.inspection import Inspection, ShownExample
from launch.inspection_lengths import Bin
from launch.inspection_plan import PlannedRow
from launch.inspection_text import as_text


@dataclass(frozen=True)
class Token:
    """One piece on the page. `position` is its first token's; `breaks`: the text goes on in a new line."""

    position: int
    ids: tuple[int, ...]
    text: str
    stops: bool
    breaks: bool


@dataclass(frozen=True)
class Run:
    """Neighbouring tokens of one kind."""

    learnt: bool
    tokens: tuple[Token, ...]
    num_tokens: int


def write_page(inspection: Inspection, path: Path, every_token: bool = False) -> None:
    """Writes the page aside and renames it, so that a reader never sees half of one."""
    if path.is_dir():
        raise ValueError(f"--html {path}: this is a folder; name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page(inspection, every_token).encode("utf-8", "replace"))


def page(inspection: Inspection, every_token: bool = False) -> str:
    """The whole page as text. `every_token` adds a table of position, id, mask and text."""
    environment = page_environment(Path(__file__).parent)
    environment.filters |= {"name": name, "field": as_text, "runs": runs, "stop": stop_text}
    environment.filters["exact"] = exact
    return environment.get_template("inspection_page.html.j2").render(
        seen=inspection,
        every_token=every_token,
        bars=[row_drawing(row, inspection.plan.row_tokens) for row in inspection.plan.rows],
        histogram=histogram_drawing(inspection.lengths.histogram),
        most_loss=inspection.losses.examples[0].loss if inspection.losses else None,
    )


def exact(text: str) -> str:
    """A text in its lines, every other character that is not printable as the escape that the terminal shows."""
    return "\n".join(escaped(line) for line in text.split("\n"))


def stop_text(example: ShownExample) -> str:
    """What closes the turn, as it reads; nothing where the example was cut."""
    return "".join(piece.text for piece in example.pieces if piece.stops)


def runs(pieces: Sequence[Piece]) -> Iterator[Run]:
    """What is read and what is learnt, in order."""
    position = 0
    for learnt, group in groupby(pieces, key=lambda piece: piece.learnt):
        tokens = []
        begun = position
        for piece in group:
            tokens.append(
                Token(position, piece.ids, sign(piece), piece.stops, piece.text.endswith("\n"))
            )
            position += len(piece.ids)
        yield Run(learnt, tuple(tokens), position - begun)


def sign(piece: Piece) -> str:
    """The piece on one line; a token without text shows its id. The page counts several tokens of one character."""
    return escaped(piece.text) if piece.text else shown(piece)


def row_drawing(row: PlannedRow, row_tokens: int) -> Markup:
    """A row to scale: of each document first what is read, then what is learnt, told apart by height as well."""
    parts: list[str] = []
    at = 0
    for read, learnt in row.documents:
        parts += [
            block("reads", at, read, row_tokens, "35%", "30%"),
            block("learns", at + read, learnt, row_tokens, "0", "100%"),
        ]
        at += read + learnt
        parts.append(
            f'<line class="border" x1="{share(at, row_tokens)}%" x2="{share(at, row_tokens)}%" y1="0" y2="100%"/>'
        )
    return Markup(f'<svg class="lane" aria-hidden="true">{"".join(parts)}</svg>')


def block(kind: str, start: int, length: int, whole: int, top: str, height: str) -> str:
    """A rectangle of numbers only."""
    return (
        f'<rect class="{kind}" x="{share(start, whole)}%" width="{share(length, whole)}%" '
        f'y="{top}" height="{height}"/>'
    )


def share(part: float, whole: float) -> float:
    """In percent, as fine as a drawing shows."""
    return round(100 * part / whole, 3)


def histogram_drawing(bins: Sequence[Bin]) -> Markup:
    """Bars side by side, with their counts above; their spans stand in the table's words below."""
    most = max(group.examples for group in bins)
    step = 100 / len(bins)
    bars = []
    for place, group in enumerate(bins):
        height = share(group.examples, most) * 0.86
        middle = round((place + 0.5) * step, 3)
        bars.append(
            f'<rect class="bar" x="{round(place * step + 0.06 * step, 3)}%" width="{round(0.88 * step, 3)}%" '
            f'y="{round(100 - height, 3)}%" height="{round(height, 3)}%"/>'
        )
        if group.examples:
            top = f'x="{middle}%" y="{round(100 - height, 3)}%" dy="-5" text-anchor="middle"'
            bars.append(f"<text {top}>{group.examples:,}</text>")
    return Markup(f'<svg class="spread" aria-hidden="true">{"".join(bars)}</svg>')
