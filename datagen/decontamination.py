"""Decontamination: no prompt may be a problem that the student is going to be evaluated on.

    evaluation problems → words → Index: exact texts, runs of 13 words, rare words and phrases
    prompts → words → candidates: pairs that share enough → rules → what is removed, and why

Comparing all pairs would take 10^9 comparisons. A pair becomes a candidate when it shares a run of 13
words, or a share of the problem's SIGNATURE: its rarest words, pairs and triples of words among all
problems. Only candidates are judged, by datagen.contamination_rules. The verdict on a prompt depends on
the evaluation problems and on this prompt alone, so samples of different sizes agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from datagen.canonical_words import canonical_words
from datagen.contamination_rules import (
    KEPT_RULES,
    RUN_WORDS,
    Match,
    Text,
    Weights,
    match,
    numbers_of,
)
from datagen.shingles import Encoder, Postings, Shingles, joined, shingles

PHRASES = (1, 2, 3)
"""Words in the entries of a signature."""
SIGNATURE = 8
"""Entries of each length."""
COMMON = 200
"""A phrase in more problems than that tells nothing, and is in no signature."""
COMMON_RUN = 50
"""Likewise for runs: a passage that so many problems share belongs to none of them."""
MIN_SHARED = 0.3
"""Share of a signature that makes a candidate, and …"""
MIN_SHARED_WITH_NUMBERS = 0.08
"""… where both hold the same numbers."""
CHUNK = 4_000
"""Prompts looked up at a time: bounds the memory of candidates."""


@dataclass(frozen=True)
class EvaluationSet:
    """The problems of one benchmark, without their wording."""

    name: str
    problems: tuple[tuple[str, str], ...]
    """(id, text); an id may stand twice, with and without its options."""
    private: bool = False
    """Its authors ask that no problem is published in clear: reports hold ids only."""


@dataclass(frozen=True)
class Finding:
    """A prompt that meets a rule, and the problem that it resembles most."""

    prompt: int
    """Its place among the prompts."""
    benchmark: str
    problem_id: str
    problem: str | None
    """The problem's text; None where it must not be published."""
    rule: str
    coverage: float

    @property
    def is_contaminated(self) -> bool:
        """True where the prompt has to go."""
        return self.rule not in KEPT_RULES


class Index:
    """All evaluation problems, ready to be looked up."""

    def __init__(self, sets: Sequence[EvaluationSet]) -> None:
        self._of = [
            (chosen, identity, text) for chosen in sets for identity, text in chosen.problems
        ]
        self._texts = [Text(tuple(canonical_words(text))) for _, _, text in self._of]
        self._weights = Weights(Counter(word for text in self._texts for word in set(text.words)))
        self._encoder = Encoder()
        encoded = self._encoder.encode([text.words for text in self._texts])
        self._exact = {
            text.words: place
            for place, text in reversed(list(enumerate(self._texts)))
            if text.words
        }
        runs = shingles(encoded, RUN_WORDS)
        self._runs = Postings.of(runs.hashes_S, runs.texts_S)
        signatures = [rarest(shingles(encoded, size)) for size in PHRASES]
        self._signatures = [Postings.of(keys, texts) for keys, texts in signatures]
        sizes = np.bincount(joined(t for _, t in signatures), minlength=len(self._texts))
        self._signature_sizes = np.maximum(sizes, 1)
        self._numbers = number_keys([text.words for text in self._texts])

    def __len__(self) -> int:
        return len(self._texts)

    def find(self, prompts: Sequence[str]) -> list[Finding]:
        """The prompts that meet a rule, each with the problem it resembles most."""
        findings: list[Finding] = []
        rest = iter(enumerate(prompts))
        while self._texts and (chunk := list(islice(rest, CHUNK))):
            findings += self._find(chunk)
        return findings

    def _find(self, chunk: Sequence[tuple[int, str]]) -> list[Finding]:
        texts = [Text(tuple(canonical_words(prompt))) for _, prompt in chunk]
        best: dict[int, tuple[Match, int]] = {}
        for place, text in enumerate(texts):
            if text.words in self._exact:
                best[place] = Match("exact", 1.0), self._exact[text.words]
        for place, problem in self._candidates(texts):
            if place in best and best[place][0].rule == "exact":
                continue
            found = match(self._texts[problem], texts[place], self._weights)
            if found and (place not in best or found.strength > best[place][0].strength):
                best[place] = found, problem
        return [self._finding(chunk[place][0], *best[place]) for place in sorted(best)]

    def _finding(self, prompt: int, found: Match, problem: int) -> Finding:
        chosen, identity, text = self._of[problem]
        shown = None if chosen.private else text
        return Finding(prompt, chosen.name, identity, shown, found.rule, round(found.coverage, 3))

    def _candidates(self, texts: Sequence[Text]) -> list[tuple[int, int]]:
        """(prompt, problem) of all pairs that are worth a closer look, in order."""
        words = [text.words for text in texts]
        encoded = self._encoder.encode(words)
        num_problems = len(self._texts)
        runs = shingles(encoded, RUN_WORDS)
        keys, owners = runs.hashes_S, runs.texts_S
        few = self._runs.counts(keys) <= COMMON_RUN
        at, problems = self._runs.look_up(keys[few])
        by_run = np.unique(owners[few][at] * num_problems + problems)

        pairs = []
        for size, postings in zip(PHRASES, self._signatures, strict=True):
            found = shingles(encoded, size)
            keys, owners = distinct(found)
            at, problems = postings.look_up(keys)
            pairs.append(owners[at] * num_problems + problems)
        by_phrase, counts = np.unique(joined(pairs), return_counts=True)
        places, problems = by_phrase // num_problems, by_phrase % num_problems
        shared = counts / self._signature_sizes[problems]
        numbers = number_keys(words)[places]
        same_numbers = (numbers != 0) & (numbers == self._numbers[problems])
        enough = (shared >= MIN_SHARED) | (same_numbers & (shared >= MIN_SHARED_WITH_NUMBERS))
        chosen = np.union1d(by_run, by_phrase[enough])
        return list(
            zip((chosen // num_problems).tolist(), (chosen % num_problems).tolist(), strict=True)
        )


def rarest(found: Shingles) -> tuple[Any, Any]:
    """(key, text) of the SIGNATURE rarest shingles of each text; ties go by their hashes."""
    keys, texts = distinct(found)
    unique, counts = np.unique(keys, return_counts=True)
    num_texts = counts[np.searchsorted(unique, keys)]
    order = np.lexsort((keys, num_texts, texts))
    keys, texts, num_texts = keys[order], texts[order], num_texts[order]
    rank = np.arange(len(texts)) - np.searchsorted(texts, texts)
    chosen = (rank < SIGNATURE) & (num_texts <= COMMON)
    return keys[chosen], texts[chosen]


def distinct(found: Shingles) -> tuple[Any, Any]:
    """(key, text), each pair once."""
    order = np.lexsort((found.hashes_S, found.texts_S))
    keys, texts = found.hashes_S[order], found.texts_S[order]
    if not len(keys):
        return keys, texts
    new: Any = np.append(True, (keys[1:] != keys[:-1]) | (texts[1:] != texts[:-1]))
    return keys[new], texts[new]


def number_keys(texts: Sequence[Sequence[str]]) -> Any:
    """A key for each text's set of numbers; 0 where there is none."""
    sets = [numbers_of(words) for words in texts]
    return np.array([hash(numbers) if numbers else 0 for numbers in sets], np.int64)
