"""Near duplicates: prompts that say almost the same as an earlier one.

    prompts → words → triples → MinHash signatures → bands → candidates → similarity → the later one goes

Similarity is the share of distinct word triples that two prompts have in common (Jaccard). A MinHash
signature holds, for each of PERMUTATIONS orders of all triples, the smallest one of the prompt; two
signatures agree in a place with a probability that equals the similarity. Prompts that agree in all
places of a band are candidates, and only these are compared. Bands are cut so that a pair that just
reaches the threshold is missed with a probability below MISSED. Every removed prompt resembles one
that stays, so doing it again removes nothing.

Memory: PERMUTATIONS * 4 bytes and about 100 * words bytes a prompt, 0.8 GB for 100,000 of 60 words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datagen.canonical_words import canonical_words
from datagen.shingles import Encoder, Shingles, mix, shingles

TRIPLE = 3
PERMUTATIONS = 128
MISSED = 0.01
BLOCK = 1_000
"""Prompts whose signatures are computed together."""


@dataclass(frozen=True)
class NearDuplicate:
    """A prompt that is left out, by its place."""

    prompt: int
    resembles: int
    """An earlier one that stays: of those found, the most similar."""
    similarity: float


def near_duplicates(prompts: Sequence[str], threshold: float) -> list[NearDuplicate]:
    """The prompts that are at least so similar to an earlier one that stays."""
    found = shingles(Encoder().encode([canonical_words(prompt) for prompt in prompts]), TRIPLE)
    borders: Any = np.searchsorted(found.texts_S, np.arange(len(prompts) + 1))
    keys_of = band_keys(found, borders, rows_of_a_band(threshold))
    triples: dict[int, frozenset[int]] = {}

    def triples_of(prompt: int) -> frozenset[int]:
        if prompt not in triples:
            first, end = borders[prompt], borders[prompt + 1]
            triples[prompt] = frozenset(found.hashes_S[first:end].tolist())
        return triples[prompt]

    kept_under: dict[int, list[int]] = defaultdict(list)
    removed: list[NearDuplicate] = []
    for prompt in sorted(keys_of):
        keys = keys_of[prompt]
        similarity, nearest = max(
            (
                (jaccard(triples_of(prompt), triples_of(other)), -other)
                for other in {other for key in keys for other in kept_under[key]}
            ),
            default=(0.0, 0),
        )
        if similarity >= threshold:
            removed.append(NearDuplicate(prompt, -nearest, round(similarity, 3)))
            triples.pop(prompt)
        else:
            for key in keys:
                kept_under[key].append(prompt)
    return removed


def rows_of_a_band(threshold: float) -> int:
    """The longest bands that still find a pair of this similarity: longer ones give fewer candidates."""
    for rows in range(PERMUTATIONS, 1, -1):
        if (1 - threshold**rows) ** (PERMUTATIONS // rows) <= MISSED:
            return rows
    return 1


def band_keys(found: Shingles, borders: Any, rows: int) -> dict[int, list[int]]:
    """For each prompt the keys of its bands that another prompt has too."""
    prompts = np.nonzero(np.diff(borders))[0]  # one of two words has no triple
    keys = np.concatenate(
        [
            np.zeros((PERMUTATIONS // rows, 0), np.uint64),
            *(
                _keys_of_block(found, borders, prompts[first : first + BLOCK], rows)
                for first in range(0, len(prompts), BLOCK)
            ),
        ],
        axis=1,
    )
    keys_of: dict[int, list[int]] = defaultdict(list)
    for band in keys:
        _, places, counts = np.unique(band, return_inverse=True, return_counts=True)
        shared = counts[places] > 1
        for prompt, key in zip(prompts[shared].tolist(), band[shared].tolist(), strict=True):
            keys_of[prompt].append(key)
    return keys_of


def _keys_of_block(found: Shingles, borders: Any, prompts: Any, rows: int) -> Any:
    """(bands, prompts) keys of some prompts that follow each other: few enough for the processor's cache."""
    begin, end = borders[prompts[0]], borders[prompts[-1] + 1]
    triples, starts = found.hashes_S[begin:end], borders[prompts] - begin
    factors = np.random.Generator(np.random.PCG64(0)).integers(0, 2**64, PERMUTATIONS, np.uint64)
    smallest = [np.minimum.reduceat(triples * (f | np.uint64(1)), starts) for f in factors]
    keys = []
    for band in range(PERMUTATIONS // rows):
        key: Any = np.full(len(prompts), band, np.uint64)
        for values in smallest[band * rows : (band + 1) * rows]:
            key = mix(key ^ values)
        keys.append(key)
    return np.array(keys)


def jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    """Share of entries in both, of those in either."""
    both = len(first & second)
    return both / (len(first) + len(second) - both)
