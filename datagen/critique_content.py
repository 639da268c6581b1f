"""Critique content: the same records with another critique in them (Table 4 and Appendix I of the paper).

    A  real       the teacher's critique of this very answer
    B  unrelated  a real critique of another problem, of these same records; each is used once
    C  generic    the one sentence GENERIC

Prompt, answers and refinement stay byte for byte, so that what a student learns from A, B and C differs by
what the critique says and by nothing else. Who gets whose critique in B follows from ids, prompts and seed:
the records stand in a random ring, those of one prompt side by side, and each takes the critique that
stands as many places further as the largest prompt has records. That is always another prompt's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, get_args

from datagen.records import Record

Content = Literal["real", "unrelated", "generic"]
"""What stands in the place of the critique."""

CONTENTS: tuple[Content, ...] = get_args(Content)

GENERIC = "The answer is incorrect. Please review and provide a corrected solution."
"""The paper's condition C, to the letter."""


@dataclass(frozen=True)
class Replaced:
    """Records with the critiques that were asked for, in their old order."""

    records: list[Record]
    num_same: int
    """Records whose other critique reads exactly like their own: of these nothing was changed but a note."""


def with_critiques(records: Sequence[Record], content: Content, seed: int) -> Replaced:
    """The records with real, unrelated or generic critiques; a ValueError where one has none, or no other fits.

    The verdict of a record stays that of its own critique; `provenance.critique` says whose text stands there.
    """
    if content not in CONTENTS:
        raise ValueError(f"critiques: {content!r} is none of {', '.join(CONTENTS)}")
    for record in records:
        if not has_critique(record):
            raise ValueError(f"critiques: the record {record.id} has none; leave such records out")
    if content == "real":
        return Replaced(list(records), 0)
    if content == "generic":
        made = [
            record.with_stage("critique", {"content": content}, critique=GENERIC)
            for record in records
        ]
    else:
        donors = unrelated_donors(records, seed)
        made = [with_critique_of(record, donors[record.id]) for record in records]
    same = sum(old.critique == new.critique for old, new in zip(records, made, strict=True))
    return Replaced(made, same)


def has_critique(record: Record) -> bool:
    """Whether there is anything to replace; a blank critique is none."""
    return bool(record.critique and record.critique.strip())


def with_critique_of(record: Record, donor: Record) -> Record:
    """The record with another one's critique, and with whose it is."""
    told = {**donor.provenance.get("critique", {}), "content": "unrelated", "written_for": donor.id}
    return record.with_stage("critique", told, critique=donor.critique)


def unrelated_donors(records: Sequence[Record], seed: int) -> dict[str, Record]:
    """For each record's id the record of another prompt whose critique it gets; each gives its own once."""
    ring = in_ring(records, seed)
    largest = max((len(list(same)) for _, same in groupby(ring, key=lambda r: r.prompt)), default=0)
    if 2 * largest > len(ring):
        raise ValueError(
            f"unrelated critiques: {largest:,} of {len(ring):,} records share one prompt; "
            "at most half may, so that each can get the critique of another problem"
        )
    return {record.id: ring[(place + largest) % len(ring)] for place, record in enumerate(ring)}


def in_ring(records: Sequence[Record], seed: int) -> list[Record]:
    """The records in an order drawn from seed and ids, those with the same prompt side by side."""
    places = {record.id: place_in_ring(record.id, seed) for record in records}
    first: dict[str, str] = {}
    for record in records:
        place = places[record.id]
        first[record.prompt] = min(first.get(record.prompt, place), place)
    return sorted(records, key=lambda record: (first[record.prompt], places[record.id]))


def place_in_ring(record_id: str, seed: int) -> str:
    """A place that has nothing to do with the file's order."""
    return hashlib.sha256(f"unrelated/{seed}/{record_id}".encode()).hexdigest()
