"""Bars of characters: a row of tokens with what is read, what is learnt and what is free; counts; losses.

A cell is told from its neighbour by its shape, not by a colour. A stream that lacks the signs gets plain ones
(engine/marking.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

READ_CELL, LEARNT_CELL, FREE_CELL = "░", "█", "·"


def row_bar(documents: Sequence[tuple[int, int]], capacity: int, cells: int) -> str:
    """The row to scale: each cell shows the token in its middle, each document first what is read of it."""
    ends: list[tuple[int, str]] = []
    at = 0
    for read, learnt in documents:
        ends += [(at + read, READ_CELL), (at + read + learnt, LEARNT_CELL)]
        at += read + learnt
    middles = ((cell + 0.5) * capacity / cells for cell in range(cells))
    return "".join(
        next((sign for end, sign in ends if middle < end), FREE_CELL) for middle in middles
    )


def count_bar(count: float, most: float, cells: int) -> str:
    """A bar whose length is the count's share of the largest; what is there shows at least a cell, what is not a
    number (the loss of a broken model) none.
    """
    share = count / most if count > 0 else 0.0
    return LEARNT_CELL * max(round(cells * share), 1) if share > 0 and isfinite(share) else ""
