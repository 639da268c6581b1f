"""How long the examples are, how much of each is learnt, and whether each one ends with the stop token.

examples → Lengths: shortest to longest, tokens, a histogram → Stop: the token that closes a turn, and who lacks it
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from engine.examples import Example, end_of_turn_ids

MOST_BINS = 12


@dataclass(frozen=True)
class Bin:
    """How many examples have from `first` to `last` tokens, both included."""

    first: int
    last: int
    examples: int


@dataclass(frozen=True)
class Lengths:
    """Of all examples, in tokens."""

    shortest: int
    shortest_id: str
    median: float
    longest: int
    longest_id: str
    tokens: int
    supervised_tokens: int
    supervised_share: float
    histogram: tuple[Bin, ...]


@dataclass(frozen=True)
class Stop:
    """`learnt_in`: examples whose last token it is; `inside`: examples that learn to write it before their end."""

    text: str
    ids: tuple[int, ...]
    learnt_in: int
    inside: int


def lengths_of(examples: Sequence[Example]) -> Lengths:
    """The distribution."""
    shortest, longest = min(examples, key=len), max(examples, key=len)
    tokens = sum(map(len, examples))
    supervised = sum(example.num_supervised for example in examples)
    return Lengths(
        shortest=len(shortest),
        shortest_id=shortest.id,
        median=statistics.median(map(len, examples)),
        longest=len(longest),
        longest_id=longest.id,
        tokens=tokens,
        supervised_tokens=supervised,
        supervised_share=supervised / tokens,
        histogram=histogram([len(example) for example in examples]),
    )


def histogram(lengths: Sequence[int]) -> tuple[Bin, ...]:
    """Bins of one width, a round number of tokens, from the shortest to the longest; empty ones between are kept."""
    width = next(
        step * 10**power
        for power in range(10)
        for step in (1, 2, 5)
        if max(lengths) // (step * 10**power) - min(lengths) // (step * 10**power) < MOST_BINS
    )
    counts = Counter(length // width for length in lengths)
    return tuple(
        Bin(number * width, (number + 1) * width - 1, counts[number])
        for number in range(min(counts), max(counts) + 1)
    )


def stop_of(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase) -> Stop:
    """The end of turn of this chat template, and in how many examples it stands where it should, and where not."""
    ids = end_of_turn_ids(tokenizer)
    return Stop(
        text=str(tokenizer.decode(ids)),
        ids=tuple(ids),
        learnt_in=sum(example.token_ids[-len(ids) :].tolist() == ids for example in examples),
        inside=sum(
            bool((example.token_ids[example.num_context : -len(ids)] == ids[-1]).any())
            for example in examples
        ),
    )
