"""Which rows become prompts: in their order, without benchmark problems and duplicates, up to the limit.

    rows in order -> contaminated out -> exact duplicates out -> near duplicates out -> the first N

Rows are taken in portions until N are left, so that a sample of a large set reads little more than it
keeps. Each row's fate depends on the rows before it alone: a larger N begins with what a smaller one
chose. Whatever is left out is named, with what it resembles.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from datagen.decontamination import Finding, Index
from datagen.near_duplicates import near_duplicates
from datagen.records import Record
from datagen.row_sampling import first_rows


@dataclass(frozen=True)
class Candidate:
    """A row as a record whose prompt is the bare problem."""

    where: str
    """File and line, for messages."""
    record: Record
    remark: str | None = None
    """What of the row was left out."""


class Source(Protocol):
    """Rows that can be taken by number: a built-in world, files, a hub data set."""

    def count(self) -> int:
        """How many there are."""

    def candidates(self, numbers: Sequence[int]) -> Iterator[Candidate]:
        """Those with these numbers, which go up."""


@dataclass(frozen=True)
class Duplicate:
    """A row that says the same as an earlier one."""

    record: Record
    resembles: str
    """The id of the one that stays."""
    similarity: float | None
    """Share of word triples in common; None where the texts are equal."""

    def to_json(self) -> dict[str, Any]:
        """A line of duplicates.jsonl."""
        rule = "exact" if self.similarity is None else "near"
        similarity = 1.0 if self.similarity is None else self.similarity
        own = {"id": self.record.id, "prompt": self.record.prompt}
        return own | {"rule": rule, "resembles": self.resembles, "similarity": similarity}


@dataclass(frozen=True)
class Contaminated:
    """A row that resembles a problem of a benchmark."""

    record: Record
    finding: Finding

    def to_json(self) -> dict[str, Any]:
        """A line of contaminated.jsonl. Of a private benchmark neither side's text is shown."""
        found = self.finding
        about = {
            "id": self.record.id,
            "removed": found.is_contaminated,
            "rule": found.rule,
            "coverage": found.coverage,
            "benchmark": found.benchmark,
            "problem_id": found.problem_id,
        }
        shown = {"prompt": self.record.prompt, "problem": found.problem}
        return about if found.problem is None else about | shown


@dataclass
class Selection:
    """What was chosen, and what was not."""

    kept: list[Candidate] = field(default_factory=list)
    contaminated: list[Contaminated] = field(default_factory=list)
    """Removed ones, and those that were found and kept."""
    duplicates: list[Duplicate] = field(default_factory=list)
    num_seen: int = 0
    """Rows that were looked at."""

    @property
    def remarks(self) -> Counter[str]:
        """What of the kept rows was left out, and how often."""
        return Counter(one.remark for one in self.kept if one.remark)


FIRST_MORE = 100
"""Rows that are taken at least when too few are left."""


def select(
    source: Source, limit: int | None, seed: int | None, index: Index, threshold: float | None
) -> Selection:
    """The first `limit` rows that may stay; with a seed in random order, else in their own."""
    total = source.count()
    wanted = total if limit is None else min(limit, total)
    pool: list[Candidate] = []
    findings: dict[int, Finding] = {}
    while True:
        numbers = first_rows(total, wanted, seed)
        portion = in_order(source, numbers[len(pool) :])
        for found in index.find([one.record.prompt for one in portion]):
            findings[len(pool) + found.prompt] = found
        pool += portion
        selection = chosen(pool, findings, limit, threshold)
        missing = 0 if limit is None else limit - len(selection.kept)
        if missing <= 0 or len(pool) >= total:
            return selection
        wanted = min(total, wanted + max(2 * missing, FIRST_MORE))


def in_order(source: Source, numbers: Any) -> list[Candidate]:
    """The rows with these numbers, in this order."""
    ascending = sorted(numbers.tolist())
    found = dict(zip(ascending, source.candidates(ascending), strict=True))
    return [found[number] for number in numbers.tolist()]


def chosen(
    pool: Sequence[Candidate],
    findings: dict[int, Finding],
    limit: int | None,
    threshold: float | None,
) -> Selection:
    """Every row's fate, in order, until the limit is reached."""
    removed = {place for place, found in findings.items() if found.is_contaminated}
    first_with: dict[str, int] = {}
    resembles: dict[int, tuple[int, float | None]] = {}
    different: list[int] = []
    for place, one in enumerate(pool):
        if place in removed:
            continue
        first = first_with.setdefault(normalised(one.record.prompt), place)
        if first == place:
            different.append(place)
        else:
            resembles[place] = first, None
    if threshold is not None:
        texts = [pool[place].record.prompt for place in different]
        for near in near_duplicates(texts, threshold):
            resembles[different[near.prompt]] = different[near.resembles], near.similarity
    selection = Selection()
    for place, one in enumerate(pool):
        if len(selection.kept) == limit:
            break
        selection.num_seen += 1
        if place in findings:
            selection.contaminated.append(Contaminated(one.record, findings[place]))
        if place in resembles:
            first, similarity = resembles[place]
            selection.duplicates.append(Duplicate(one.record, pool[first].record.id, similarity))
        elif place not in removed:
            selection.kept.append(one)
    return selection


def normalised(text: str) -> str:
    """The text without differences of width, white space and case."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
