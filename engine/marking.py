"""Marking: an example as text, token by token, with what is learnt told apart from what is only read.

    Pack → pieces (the tokens as they read, and whether the trainer supervises them) → rows of pieces → marked lines

The mask is the pack's own, so what is shown is what is trained on. It is marked by a word in front of every line and,
where wanted, by colour as well: it survives a file, a pipe and a reader who sees no green. Texts come from models and
from files of others: a control character is shown as its escape, never sent to the terminal.
Every training begins with `first_example`: a wrong template, a wrong border or a missing stop token is seen at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from engine.examples import Example, end_of_turn_ids
from engine.packing import Pack, make_pack

READ, LEARNT = "read ", "LEARN"
SEPARATOR = "│"
BOLD_GREEN, PLAIN = "\x1b[1;32m", "\x1b[0m"
WIDTH = 100
"""Columns of a line where no terminal says otherwise."""

LINES_AT_EACH_END = 7
"""Of what is read, and of what is learnt, at the start of a training; what lies between is counted."""

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What bytes decode to that are not a whole character yet."""

MOST_TOKENS_OF_A_CHARACTER = 4
"""UTF-8 needs no more bytes, and no token is less than one."""

PLAIN_SIGNS = str.maketrans(
    {"│": "|", "←": "<-", "…": "...", "↵": "\\n", "⇥": "\\t", "░": "-", "█": "#", "·": "."}
)
"""For streams that cannot take the signs."""

LONGEST_NAME = 80
"""Characters of an id that are printed in a sentence or a table."""


@dataclass(frozen=True)
class Piece:
    """One token as it reads, or the few that make up one character; `learnt` where they are targets of the loss.

    `stops` where they close the turn: generation ends there.
    """

    ids: tuple[int, ...]
    text: str
    learnt: bool
    stops: bool = False


def pieces(
    pack: Pack,
    tokenizer: PreTrainedTokenizerBase,
    stop_ids: Sequence[int] = (),
    positions: range | None = None,
) -> list[Piece]:
    """The tokens in order, those at `positions` alone where given. A row that ends with `stop_ids` closes its turn.

    Texts are what each adds to the text before it, so that leading spaces are seen.
    """
    ids = pack.token_ids_T.tolist()
    targets = set((pack.supervised_S + 1).tolist())  # position t predicts token t + 1
    closed = bool(stop_ids) and ids[-len(stop_ids) :] == list(stop_ids)
    first_stop = len(ids) - len(stop_ids) if closed else len(ids)
    kinds = [(at in targets, at >= first_stop) for at in range(len(ids))]
    span = positions or range(len(ids))
    found: list[Piece] = []
    context = begun = span.start  # where the piece before this one begins, and where this one does
    for end in range(span.start + 1, span.stop + 1):
        text = added_text(tokenizer, ids[context:begun], ids[begun:end])
        border = end == span.stop or kinds[end] != kinds[begun]
        waits = text.endswith(UNFINISHED) and end - begun < MOST_TOKENS_OF_A_CHARACTER
        if border or not waits:
            found.append(Piece(tuple(ids[begun:end]), text, *kinds[begun]))
            context, begun = begun, end
    return found


def added_text(tokenizer: PreTrainedTokenizerBase, before: list[int], ids: list[int]) -> str:
    """What `ids` add to the text of `before`: some tokenizers drop the leading space of what they decode alone."""
    known, both, alone = (
        str(tokenizer.decode(part, clean_up_tokenization_spaces=False))
        for part in (before, before + ids, ids)
    )
    return both[len(known) :] if both.startswith(known) else alone


def marked_lines(
    pieces: Sequence[Piece], width: int = WIDTH, colour: bool = False, separator: str = SEPARATOR
) -> Iterator[str]:
    """Lines of about `width` columns, each with its mark, tokens told apart by `separator`."""
    for row in rows_of(pieces, width, separator):
        yield marked_line(row, colour, separator)


def rows_of(pieces: Sequence[Piece], width: int, separator: str) -> Iterator[list[Piece]]:
    """The pieces of each line; none holds both kinds. The text breaks where it does itself, and before the stop."""
    row: list[Piece] = []
    columns = len(READ) + 1
    for piece in pieces:
        columns += len(shown(piece)) + len(separator)
        if row and (kind(row[-1]) != kind(piece) or row[-1].text.endswith("\n") or columns > width):
            yield row
            row, columns = [], len(READ) + 1 + len(shown(piece)) + len(separator)
        row.append(piece)
    if row:
        yield row


def kind(piece: Piece) -> tuple[bool, bool]:
    """Pieces of one kind may share a line."""
    return piece.learnt, piece.stops


def marked_line(row: Sequence[Piece], colour: bool, separator: str) -> str:
    """One line: the mark, then the texts. The end of the turn is pointed out, with its ids."""
    text = f"{LEARNT if row[0].learnt else READ} {separator.join(map(shown, row))}"
    ids = [token_id for piece in row for token_id in piece.ids]
    stops = f"   ← stop token, id {' '.join(map(str, ids))}" if row[0].stops else ""
    return (f"{BOLD_GREEN}{text}{PLAIN}" if colour and row[0].learnt else text) + stops


def shown(piece: Piece) -> str:
    """The piece on one line; a character of several tokens says so, a token without text shows its id."""
    if not piece.text:
        return f"<id {' '.join(map(str, piece.ids))}>"
    return escaped(piece.text) + (f"<{len(piece.ids)} tokens>" if len(piece.ids) > 1 else "")


def first_example(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The first example as a training's log shows it: both ends of what is read and of what is learnt.

    Only those ends are decoded, so that the longest example costs no more than a short one.
    """
    example = examples[0]
    pack = make_pack([example], [1.0])
    stop_ids = end_of_turn_ids(tokenizer)
    length, learnt = len(pack.token_ids_T), len(pack.supervised_S)
    lines = [
        f"the first example, {name(example.id)}: {length:,} tokens, {learnt:,} of them learnt (LEARN), "
        "the others only read (read)"
    ]
    for part in (range(length - learnt), range(length - learnt, length)):
        lines += ends_of(part, pack, tokenizer, stop_ids)
    if example.token_ids[-len(stop_ids) :].tolist() != stop_ids:
        lines.append("      cut to train.max_length: no stop token is learnt from it")
    return lines


def ends_of(
    part: range, pack: Pack, tokenizer: PreTrainedTokenizerBase, stop_ids: Sequence[int]
) -> list[str]:
    """The first and the last lines of a part of the row, and how many tokens lie between."""
    decoded = LINES_AT_EACH_END * WIDTH  # a token takes at least a column
    if len(part) <= 2 * decoded:
        rows = [*rows_of(pieces(pack, tokenizer, stop_ids, part), WIDTH, "")] if part else []
        head, tail = rows[:LINES_AT_EACH_END], rows[LINES_AT_EACH_END:][-LINES_AT_EACH_END:]
    else:
        ends = (part[:decoded], part[-decoded:])
        first, last = (rows_of(pieces(pack, tokenizer, stop_ids, end), WIDTH, "") for end in ends)
        head, tail = [*first][:LINES_AT_EACH_END], [*last][-LINES_AT_EACH_END:]
    left_out = len(part) - sum(len(piece.ids) for row in head + tail for piece in row)
    middle = [f"      … {left_out:,} tokens are left out here …"] if left_out else []
    marked = [[marked_line(row, False, "") for row in rows] for rows in (head, tail)]
    return [*marked[0], *middle, *marked[1]]


def name(example_id: str) -> str:
    """An id as a sentence or a table may hold it."""
    text = escaped(example_id)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def escaped(text: str) -> str:
    """The text with line ends and tabs as signs, and every other character that is not printable as its escape."""
    signs = {"\n": "↵", "\t": "⇥"}
    return "".join(
        signs.get(c) or (c if c.isprintable() else c.encode("unicode_escape").decode())
        for c in text
    )


def encodable(text: str, encoding: str | None) -> str:
    """The text as a stream of this encoding can take it: signs become plain ones there, the rest escapes."""
    codec = encoding or "utf-8"
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return text.translate(PLAIN_SIGNS).encode(codec, "backslashreplace").decode(codec)
    return text
