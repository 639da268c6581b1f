"""Shingles: all runs of n words of many texts at once, as 64-bit numbers in one array.

    words -> Encoder -> word numbers end to end, with borders -> shingles(n) -> (hash, text, position)

Two shingles are equal when their hashes are: at 64 bits, a chance collision among 10^7 of them has a
probability below 10^-5. Hashes are of the words themselves, so they compare across encoders and runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Encoded:
    """Texts end to end. W words in all, N texts."""

    hashes_W: Any
    """A 64-bit hash of each word."""
    starts_N: Any
    """Where each text begins, and one more: where the last ends."""


@dataclass(frozen=True)
class Shingles:
    """All runs of n words that lie within one text, in order. S of them."""

    hashes_S: Any
    texts_S: Any
    """The text each belongs to."""
    positions_S: Any
    """Its first word, counted from the start of its text."""


class Encoder:
    """Remembers the hash of each word, since most words are met thousands of times."""

    def __init__(self) -> None:
        self._hash_of: dict[str, int] = {}

    def encode(self, texts: Sequence[Sequence[str]]) -> Encoded:
        """All texts as one array."""
        known = self._hash_of
        for word in set().union(*texts) - known.keys():
            known[word] = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
        flat = [known[word] for words in texts for word in words]
        lengths = [0, *(len(words) for words in texts)]
        return Encoded(np.array(flat, np.uint64), np.cumsum(lengths))


def shingles(encoded: Encoded, size: int) -> Shingles:
    """Every run of `size` words."""
    hashes, starts = encoded.hashes_W, encoded.starts_N
    lengths = np.diff(starts)
    counts = np.maximum(lengths - size + 1, 0)
    texts: Any = np.repeat(np.arange(len(lengths)), counts)
    firsts = np.cumsum(counts) - counts
    positions = np.arange(counts.sum()) - np.repeat(firsts, counts)
    at = starts[:-1][texts] + positions
    mixed: Any = np.full(len(at), size, np.uint64)
    for offset in range(size):
        mixed = mix(mixed * MULTIPLIER + hashes[at + offset])
    return Shingles(mixed, texts, positions)


def mix(values: Any) -> Any:
    """Spreads 64-bit numbers: each bit of the result depends on all bits (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True)
class Postings:
    """Which items hold a key. K keys, sorted; I items."""

    keys_K: Any
    starts_K: Any
    items_I: Any

    @classmethod
    def of(cls, keys: Any, items: Any) -> Postings:
        """Of pairs (key, item), in any order."""
        order = np.argsort(keys, kind="stable")
        unique, starts = np.unique(keys[order], return_index=True)
        return cls(unique, np.append(starts, len(order)), items[order])

    def counts(self, keys: Any) -> Any:
        """How many items hold each key."""
        if not len(self.keys_K):
            return np.zeros(len(keys), np.int64)
        places, found = self._find(keys)
        return np.where(found, self.starts_K[places + 1] - self.starts_K[places], 0)

    def look_up(self, keys: Any) -> tuple[Any, Any]:
        """(index into `keys`, item) for every item that holds one of the keys."""
        places, found = self._find(keys)
        which = np.nonzero(found)[0]
        first = self.starts_K[places[which]]
        counts = self.starts_K[places[which] + 1] - first
        asked: Any = np.repeat(which, counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return asked, self.items_I[np.repeat(first, counts) + within]

    def _find(self, keys: Any) -> tuple[Any, Any]:
        if not len(self.keys_K):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
        places = np.minimum(np.searchsorted(self.keys_K, keys), len(self.keys_K) - 1)
        return places, self.keys_K[places] == keys


def joined(arrays: Iterable[Any]) -> Any:
    """Arrays end to end."""
    return np.concatenate(list(arrays))
