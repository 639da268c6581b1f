"""Mixtures: so many records, and a set share of them with a right student answer (Fig. 4 of the paper).

    records with `student_correct`, share, total, seed -> choose -> the chosen ones, in their old order

Which records are taken depends on their ids and the seed alone, not on their order or on how many more there
are to choose from. Records of which nobody could tell whether the student is right have no place in a share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from datagen.records import Record


@dataclass(frozen=True, kw_only=True)
class MixtureConfig:
    """The `[generate.mixture]` section: which of the finished records are kept for training."""

    correct_share: float | None = None
    """Share of records with a right student answer, from 0 (only wrong ones) to 1; unset, as they come."""
    total: int | None = None
    """How many records; unset, as many as the share allows."""

    def __post_init__(self) -> None:
        if self.correct_share is not None and not 0 <= self.correct_share <= 1:
            raise ValueError(f"correct_share must lie in [0, 1], got {self.correct_share}")
        if self.total is not None and self.total < 1:
            raise ValueError(f"total must be 1 or more, got {self.total}")

    @property
    def chooses(self) -> bool:
        """Whether anything is asked for."""
        return self.correct_share is not None or self.total is not None


def choose(
    records: Sequence[Record], correct_share: float | None, total: int | None, seed: int
) -> list[Record]:
    """`total` records, `correct_share` of them with a right student answer; a ValueError where there are too few.

    Without a share any records will do; without a total as many are taken as the share allows.
    """
    right = [record for record in records if record.student_correct is True]
    wrong = [record for record in records if record.student_correct is False]
    if correct_share is None:
        if total is not None and total > len(records):
            raise ValueError(f"mixture: {total:,} records asked for, there are {len(records):,}")
        taken = draw(records, len(records) if total is None else total, seed)
        return [record for record in records if record.id in taken]
    most = largest_total(len(right), len(wrong), correct_share)
    asked = most if total is None else total
    num_right = split(asked, correct_share)
    if num_right > len(right) or asked - num_right > len(wrong) or not asked:
        raise ValueError(too_few(correct_share, asked, records, len(right), len(wrong), most))
    taken = draw(right, num_right, seed) | draw(wrong, asked - num_right, seed)
    return [record for record in records if record.id in taken]


def split(total: int, correct_share: float) -> int:
    """How many of `total` have a right answer: rounded, halves up; exact, so that 0.29 of 100 are 29."""
    return int(Fraction(str(correct_share)) * total + Fraction(1, 2))


def largest_total(num_right: int, num_wrong: int, correct_share: float) -> int:
    """The most records that can be had with this share."""
    total = num_right + num_wrong
    share = Fraction(str(correct_share))
    if share > 0:
        total = min(total, int((num_right + 1) / share) + 1)
    if share < 1:
        total = min(total, int((num_wrong + 1) / (1 - share)) + 1)
    while total and not fits(total, num_right, num_wrong, correct_share):
        total -= 1
    return total


def fits(total: int, num_right: int, num_wrong: int, correct_share: float) -> bool:
    """Whether there are enough of both kinds."""
    needed = split(total, correct_share)
    return needed <= num_right and total - needed <= num_wrong


def draw(records: Sequence[Record], count: int, seed: int) -> set[str]:
    """The ids of `count` records, the first in an order that seed and ids make."""
    ranked = sorted((record.id for record in records), key=lambda id: rank(seed, id))
    return set(ranked[:count])


def rank(seed: int, record_id: str) -> str:
    """The record's place in an order that has nothing to do with the file's."""
    return hashlib.sha256(f"mixture/{seed}/{record_id}".encode()).hexdigest()


def too_few(
    correct_share: float, total: int, records: Sequence[Record], right: int, wrong: int, most: int
) -> str:
    """What was asked for, what there is, and what can be had."""
    unknown = len(records) - right - wrong
    rest = f", {unknown:,} of which nobody can tell" if unknown else ""
    return (
        f"mixture: {total:,} records with correct_share = {correct_share:g} need "
        f"{split(total, correct_share):,} right student answers and "
        f"{total - split(total, correct_share):,} wrong ones; there are {right:,} right, "
        f"{wrong:,} wrong{rest}. With this share at most {most:,} records can be had"
    )
