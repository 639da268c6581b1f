"""Marking: a row as text, token by token, with what is learnt told apart from what is only read.

    Pack → pieces (the tokens as they read, and whether the trainer supervises them) → lines for a terminal

The mask is the pack's own, so what is shown is what is trained on. It is marked by a word in front of every line and,
where wanted, by colour as well: it survives a file, a pipe and a reader who sees no green. Texts come from models and
from files of others: a control character is shown as its escape, never sent to the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from engine.packing import Pack

READ, LEARNT = "read ", "LEARN"
SEPARATOR = "│"
BOLD_GREEN, PLAIN = "\x1b[1;32m", "\x1b[0m"

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What bytes decode to that are not a whole character yet."""

MOST_TOKENS_OF_A_CHARACTER = 4
"""UTF-8 needs no more bytes, and no token is less than one."""


@dataclass(frozen=True)
class Piece:
    """One token as it reads, or the few that make up one character; `learnt` where they are targets of the loss."""

    ids: tuple[int, ...]
    text: str
    learnt: bool


def pieces(pack: Pack, tokenizer: PreTrainedTokenizerBase) -> list[Piece]:
    """The row's tokens in order. Texts are what each adds to the text before it, so that leading spaces are seen."""
    ids = pack.token_ids_T.tolist()
    targets = set((pack.supervised_S + 1).tolist())  # position t predicts token t + 1
    found: list[Piece] = []
    context = begun = 0  # where the piece before this one begins, and where this one does
    for end in range(1, len(ids) + 1):
        learnt = begun in targets
        text = added_text(tokenizer, ids[context:begun], ids[begun:end])
        border = end == len(ids) or (end in targets) != learnt
        waits = text.endswith(UNFINISHED) and end - begun < MOST_TOKENS_OF_A_CHARACTER
        if border or not waits:
            found.append(Piece(tuple(ids[begun:end]), text, learnt))
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
    pieces: Sequence[Piece], width: int = 100, colour: bool = False, num_stop_ids: int = 0
) -> Iterator[str]:
    """Lines of about `width` columns, each with its mark; none holds both kinds. The text breaks where it does itself.

    The last `num_stop_ids` tokens are pointed out as the end of turn.
    """
    first_stop = sum(len(piece.ids) for piece in pieces) - num_stop_ids
    line: list[str] = []
    position = 0
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        position += len(piece.ids)
        line.append(shown(piece))
        ends = (
            following is None
            or following.learnt != piece.learnt
            or piece.text.endswith("\n")
            or position == first_stop
            or sum(map(len, line)) + len(line) + len(shown(following)) + len(READ) >= width
        )
        if ends:
            text = f"{LEARNT if piece.learnt else READ} {SEPARATOR.join(line)}"
            stops = "   ← end of turn" if num_stop_ids and position > first_stop else ""
            yield (f"{BOLD_GREEN}{text}{PLAIN}" if colour and piece.learnt else text) + stops
            line = []


def shown(piece: Piece) -> str:
    """The piece on one line; a character of several tokens says so, a token without text shows its id."""
    if not piece.text:
        return f"<id {' '.join(map(str, piece.ids))}>"
    return escaped(piece.text) + (f"<{len(piece.ids)} tokens>" if len(piece.ids) > 1 else "")


def escaped(text: str) -> str:
    """The text with line ends and tabs as signs, and every other character that is not printable as its escape."""
    signs = {"\n": "↵", "\t": "⇥"}
    return "".join(
        signs.get(c) or (c if c.isprintable() else c.encode("unicode_escape").decode())
        for c in text
    )
