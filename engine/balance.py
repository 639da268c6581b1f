"""Balance: over rows and ranks, the examples of a step are spread so that the slowest rank does as little as possible.

    examples of a step, lengths, world size  →  plan_step  →  StepPlan: rows of example indices, one list a rank

A pure function: every rank computes all of it, in whole numbers, and takes its own rows, without communication. All
ranks get equally many rows, because FSDP's collectives must match or the ranks wait for each other for ever.

How even it is. Row i of all ranks is round i. Weights are gathered block by block in every round, so a round takes as
long as its heaviest row, and a step takes `slowest` = the sum of that over rounds; `mean` is the work of a rank. Then

    slowest ≤ mean + (heaviest row - lightest row) ≤ mean + one full row                                    (always)
    slowest ≤ mean + the longest example's tokens + the attention of the heaviest row     (where `greedy` finds rows)

First line: rows are dealt in order of work, so the rounds' ranges of work do not overlap, and what the heaviest row of
each round has above that round's mean adds up to at most the whole range. Second line: let e be the last example put
into the heaviest row h. A row that had room for it had at least h's work without e, since e went to the lightest such.
A row without room held more than `row_tokens - len(e)` tokens, and h holds at most `row_tokens`. Either way the row has
at least h's work less len(e) tokens and less the quadratic part of h. What comes after (sharing out anew around long
examples, swapping) is kept only where the step gets faster. No plan beats max(mean, the longest example's work).
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

QUADRATIC_TOKENS = 16_384
"""Length at which a document's attention costs as much as its matrix products: about right from 1.5 to 8 billion
parameters, where attention runs at half the FLOP/s of matrix products. Elsewhere ranks wait a little longer."""

EXCHANGES_PER_ROW = 2
"""Most exchanges that even out a round, per row: the first few matter, and a plan has a millisecond or two."""

Row = list[int]
"""Indices of examples."""


@dataclass(frozen=True)
class FixedShape:
    """Shapes that all rows are padded to, so that compiled blocks are compiled once."""

    tokens: int
    documents: int


@dataclass(frozen=True)
class StepPlan:
    """`rows[rank][i]` holds the example indices of that rank's i-th row; a row may be empty, counts are equal."""

    rows: tuple[tuple[tuple[int, ...], ...], ...]

    @property
    def examples(self) -> list[int]:
        """All examples of the step, on all ranks."""
        return [index for rank in self.rows for row in rank for index in row]

    def efficiency(self, lengths: Sequence[int], fixed: FixedShape | None = None) -> float:
        """Real tokens over the tokens there was time for, a token counted by its work: 1 where no rank ever waits.

        Every rank waits for the heaviest row of each round. With `fixed`, padding takes time as well.
        """
        rounds = zip(*self.rows, strict=True)
        slowest = sum(
            max(work_with_padding(row, lengths, fixed) for row in rows) for rows in rounds
        )
        return row_work(self.examples, lengths) / max(1, slowest * len(self.rows))


def work(length: int) -> int:
    """Cost of a document, in tokens' work / QUADRATIC_TOKENS: linear in its tokens plus its attention's quadratic cost.

    A whole number: sums are then the same in any order and on any machine, and so is the plan.
    """
    return length * (QUADRATIC_TOKENS + length)


def row_work(row: Sequence[int], lengths: Sequence[int]) -> int:
    """Cost of a row: attention is paid by document, not by row."""
    return sum(work(lengths[index]) for index in row)


def work_with_padding(row: Sequence[int], lengths: Sequence[int], fixed: FixedShape | None) -> int:
    """Cost of a row that is filled up to `fixed`, where that is given, by one more document."""
    padding = fixed.tokens - sum(lengths[index] for index in row) if fixed else 0
    return row_work(row, lengths) + work(max(0, padding))


def plan_step(
    examples: Sequence[int], lengths: Sequence[int], world_size: int, row_tokens: int
) -> StepPlan:
    """The step's examples over ranks and rows, in the fewest rounds that are found; see the top for how even it is.

    The order of `examples` does not matter. Raises ValueError where an example is longer than a row.
    """
    longest = max((lengths[i] for i in examples), default=0)
    if longest > row_tokens:
        raise ValueError(
            f"an example of {longest} tokens does not fit train.pack_tokens = {row_tokens}"
        )
    ordered = sorted(examples, key=lambda i: (-lengths[i], i))
    num_rounds = max(1, -(-sum(lengths[i] for i in examples) // (row_tokens * world_size)))
    while (rows := spread(ordered, lengths, num_rounds * world_size, row_tokens)) is None:
        num_rounds += 1
    plans = [deal(rows, lengths, world_size)]
    filled = fill_long_rounds(ordered, lengths, num_rounds, world_size, row_tokens)
    if filled is not None:
        plans.append(deal(filled, lengths, world_size))
    best = min(plans, key=lambda rounds: sum(row_work(rows[0], lengths) for rows in rounds))
    rounds = [even_out(rows, lengths, row_tokens) for rows in best]
    return StepPlan(tuple(zip(*(map(tuple, rows) for rows in rounds), strict=True)))


def deal(rows: Sequence[Row], lengths: Sequence[int], world_size: int) -> list[list[Row]]:
    """Rounds of one row a rank, heaviest rows first: no other way to deal these rows takes less time."""
    by_work = sorted(rows, key=lambda row: -row_work(row, lengths))
    return [by_work[first : first + world_size] for first in range(0, len(rows), world_size)]


def spread(
    ordered: Sequence[int], lengths: Sequence[int], num_rows: int, row_tokens: int
) -> list[Row] | None:
    """The examples over `num_rows` rows, evenly where `greedy` manages; None where they were not made to fit."""
    rows = greedy(ordered, lengths, num_rows, row_tokens)
    return best_fit(ordered, lengths, num_rows, row_tokens) if rows is None else rows


def greedy(
    ordered: Sequence[int], lengths: Sequence[int], num_rows: int, row_tokens: int
) -> list[Row] | None:
    """Longest first, each to the row with the least work that has room; None where no row has."""
    rows: list[Row] = [[] for _ in range(num_rows)]
    lightest = [(0, row, 0) for row in range(num_rows)]  # work, row, tokens
    for index in ordered:
        passed_over = []
        while lightest and lightest[0][2] + lengths[index] > row_tokens:
            passed_over.append(heapq.heappop(lightest))
        if not lightest:
            return None
        cost, row, tokens = lightest[0]
        rows[row].append(index)
        grown = (cost + work(lengths[index]), row, tokens + lengths[index])
        heapq.heapreplace(lightest, grown)
        for entry in passed_over:
            heapq.heappush(lightest, entry)
    return rows


def best_fit(
    ordered: Sequence[int], lengths: Sequence[int], num_rows: int, row_tokens: int
) -> list[Row] | None:
    """Longest first, each to the fullest row that has room: uneven, but holds more. None where no row has room."""
    rows: list[Row] = [[] for _ in range(num_rows)]
    rooms = [(row_tokens, row) for row in range(num_rows)]
    for index in ordered:
        fullest = bisect_left(rooms, (lengths[index], 0))
        if fullest == num_rows:
            return None
        room, row = rooms.pop(fullest)
        rows[row].append(index)
        insort(rooms, (room - lengths[index], row))
    return rows


def fill_long_rounds(
    ordered: Sequence[int],
    lengths: Sequence[int],
    num_rounds: int,
    world_size: int,
    row_tokens: int,
) -> list[Row] | None:
    """Rows for a step whose longest example exceeds an even share; None where there is no such example, or no room.

    All ranks wait for that example in any case, so its round is filled up to its work, and the others get less.
    """
    rows: list[Row] = []
    left, work_left = list(ordered), row_work(ordered, lengths)
    while left and num_rounds > 1 and world_size > 1:
        limit = work(lengths[left[0]])
        if limit * num_rounds * world_size <= work_left:
            break
        filled, left = first_fit(left, lengths, world_size, row_tokens, limit)
        work_left -= sum(row_work(row, lengths) for row in filled)
        rows += filled
        num_rounds -= 1
    rest = spread(left, lengths, num_rounds * world_size, row_tokens) if rows else None
    return None if rest is None else rows + rest


def first_fit(
    ordered: Sequence[int], lengths: Sequence[int], num_rows: int, row_tokens: int, row_limit: int
) -> tuple[list[Row], list[int]]:
    """Rows of at most `row_limit` work, longest first into the first row with room, and what is left over."""
    rows: list[Row] = [[] for _ in range(num_rows)]
    rooms = [(row_tokens, row_limit)] * num_rows
    left = []
    for index in ordered:
        tokens, cost = lengths[index], work(lengths[index])
        for row, (room, slack) in enumerate(rooms):
            if tokens <= room and cost <= slack:
                rows[row].append(index)
                rooms[row] = (room - tokens, slack - cost)
                break
        else:
            left.append(index)
    return rows, left


def even_out(rows: Sequence[Row], lengths: Sequence[int], row_tokens: int) -> list[Row]:
    """One round, evener: while that makes its heaviest row lighter, an example of it changes places with another row's,
    or with nothing. The best exchange of all is taken each time.       M places in the heaviest row, P in all, R rows.
    """
    if len(rows) < 2:
        return list(rows)
    places = [(row, index) for row, held in enumerate(rows) for index in (*held, None)]
    row_P = np.array([row for row, _ in places])
    tokens_P = np.array([0 if i is None else lengths[i] for _, i in places], dtype=np.int64)
    work_P = tokens_P * (QUADRATIC_TOKENS + tokens_P)
    work_R = np.array([row_work(row, lengths) for row in rows], dtype=np.int64)
    tokens_R = np.array([sum(lengths[i] for i in row) for row in rows], dtype=np.int64)
    for _ in range(EXCHANGES_PER_ROW * len(rows)):
        heaviest = work_R.argmax()
        mine_M = np.flatnonzero(row_P == heaviest)
        moved_MP = work_P[mine_M, None] - work_P
        after_MP = np.maximum(work_R[heaviest] - moved_MP, work_R[row_P] + moved_MP)
        crowded_MP = tokens_R[row_P] + tokens_P[mine_M, None] - tokens_P > row_tokens
        after_MP[crowded_MP] = work_R[heaviest]
        give, take = np.unravel_index(after_MP.argmin(), after_MP.shape)
        if after_MP[give, take] >= work_R[heaviest]:
            break
        mine, other = mine_M[give], row_P[take]
        for total_R, size_P in ((work_R, work_P), (tokens_R, tokens_P)):
            total_R[heaviest] -= size_P[mine] - size_P[take]
            total_R[other] += size_P[mine] - size_P[take]
        row_P[mine] = other
        if tokens_P[take]:  # a nothing stays: every row keeps one
            row_P[take] = heaviest
    evened: list[Row] = [[] for _ in rows]
    for row, (_, index) in zip(row_P, places, strict=True):
        if index is not None:
            evened[row].append(index)
    return evened
