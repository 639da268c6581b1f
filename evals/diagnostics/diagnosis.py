"""What a diagnostic is: a measurement of each record, and a summary of the measurements.

    Diagnosis (model, records) → measure: one row a record, as they come → summarise → Result

The frame (run.py) keeps the rows: it appends each to a file the moment it is yielded, asks only for those that
are missing, shares them out among processes, and calls `summarise` once all are there, in the order of the
records. A diagnostic therefore holds nothing but its definition. A record that cannot be measured is not
skipped: its row says why, under `left_out`, and the frame counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from datagen.generators import Generator
from datagen.plan import digest
from datagen.progress_bar import Say
from datagen.records import Record

Row = dict[str, Any]
"""{"id": the record's, …}: what was measured of one record; or {"id": …, "left_out": why not}."""

LEFT_OUT = "left_out"

Input = Literal["model", "max_tokens", "judge", "records"]
"""What a row may depend on besides its record and the seed; `records`: on the other records of the sample. A change
of any makes the rows stale."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One model and the records it is looked at with."""

    model: Path
    """A Hugging Face folder: an export, or the student."""
    chat_template: str | None
    """A Jinja file in place of the folder's own template."""
    layout: str
    """How student answer and critique are shown: that of training."""
    records: tuple[Record, ...]
    """The sample, in file order. All have a student answer, a critique and a refined answer."""
    seed: int
    """Everything random follows from it."""
    max_tokens: int
    """Of a text that is generated."""
    max_length: int
    """Of conditioning and target together, in tokens, as in training."""
    batch_size: int
    """Texts computed at a time, where that is possible; changes speed only."""
    device: str
    """`cpu`, `cuda:0`, …"""
    folder: Path
    """RUN/diagnostics."""
    judge: Callable[[], Generator] | None
    """Makes the judge; None where none is configured."""
    say: Say

    @cached_property
    def records_sha256(self) -> str:
        """Of the sample."""
        return digest([about(record) for record in self.records])


def about(record: Record) -> dict[str, Any]:
    """What of a record is measured: all but how it was made."""
    return {name: value for name, value in record.to_json().items() if name != "provenance"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the rows say together."""

    figures: dict[str, float]
    """Flat: `with_critique.mean`, `with_critique.sd`, …"""
    curves: dict[str, Any] = field(default_factory=dict)
    """Whatever drawings need beyond that."""
    notes: tuple[str, ...] = ()
    """Sentences that belong under the figures."""


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """A definition, and the two functions that compute it."""

    definition: str
    """What exactly is measured. Part of every row's key: measured otherwise is measured again."""
    source: str
    """Where the paper has it."""
    measure: Callable[[Diagnosis, Sequence[Record]], Iterator[Row]]
    """Yields one row for each of these records (a part of `Diagnosis.records`), in any order."""
    summarise: Callable[[Diagnosis, Sequence[Row]], Result]
    """Of all rows that were measured, in the order of the records; never of none."""
    uses: tuple[Input, ...] = ("model",)
    samples: int = 500
    """Records looked at where the configuration does not say; the paper's number."""
    balanced_by: str | None = None
    """A field of the record. The sample has as many records of each of its values, or all there are; a record
    without it is left out."""
