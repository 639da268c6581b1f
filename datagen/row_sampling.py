"""Which rows, in which order: file order, or a random order that is fixed by the seed.

    (seed, row number) -> priority; the sample of N rows is the N smallest priorities, in their order

A row's priority depends on nothing but the seed and its number. So a sample needs no shuffled copy of
the data, a larger sample begins with the smaller one, rows that are appended to a file displace some
and reorder none, and the same rows give the same sample from JSONL, JSON, Parquet and the hub.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from datagen.shingles import mix

BLOCK = 1 << 20
"""Row numbers that are looked at together: memory does not grow with the data."""


def first_rows(num_rows: int, count: int, seed: int | None) -> Any:
    """The numbers of the first `count` rows: in file order, or with a seed in the order of priorities."""
    if seed is None:
        return np.arange(min(count, num_rows))
    numbers: Any = np.zeros(0, np.int64)
    priorities: Any = np.zeros(0, np.uint64)
    for first in range(0, num_rows, BLOCK):
        block = np.arange(first, min(first + BLOCK, num_rows))
        numbers = np.append(numbers, block)
        priorities = np.append(priorities, priorities_of(block, seed))
        if len(numbers) > count:
            kept = np.argpartition(priorities, count)[:count]
            numbers, priorities = numbers[kept], priorities[kept]
    return numbers[np.lexsort((numbers, priorities))]


def priorities_of(numbers: Any, seed: int) -> Any:
    """A 64-bit hash of seed and row number for each number; small ones come first."""
    key = hashlib.sha256(f"rows/{seed}".encode()).digest()
    return mix(mix(numbers.astype(np.uint64) + np.uint64(int.from_bytes(key[:8]))))
