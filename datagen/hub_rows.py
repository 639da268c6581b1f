"""Rows of a data set on the hub, by number.

The data set is downloaded once and memory-mapped, so that rows are taken from it by number without
holding the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from datagen.reasons import first_line
from datagen.rows import Row


@dataclass(frozen=True)
class HubRows:
    """One split of a hub data set."""

    hub: str
    subset: str | None
    split: str

    @property
    def name(self) -> str:
        """What ids of rows without one begin with."""
        return f"{self.hub.replace('/', '-')}-{self.split}"

    def count(self) -> int:
        """How many rows there are."""
        return len(self._table)

    def rows(self, numbers: Sequence[int]) -> Iterator[Row]:
        """The rows with these numbers."""
        for number in numbers:
            yield Row(f"{self._label}, row {number + 1}", number, self._table[int(number)])

    @property
    def _label(self) -> str:
        subset = f" ({self.subset})" if self.subset else ""
        return f"{self.hub}{subset}, split {self.split}"

    @cached_property
    def _table(self) -> Any:
        import datasets  # slow to import, and only here

        try:
            return datasets.load_dataset(self.hub, self.subset, split=self.split)
        except Exception as error:  # hub, network, parsing: each library has errors of its own
            raise ValueError(
                f"data.prompts: {self.hub!r} is no file here, and the hub data set cannot be "
                f"loaded ({self._label}): {first_line(error)}"
            ) from error
