"""Several samples of one problem: pass@k, avg@k and maj@k, and the same figure over several seeds.

    n samples, c of them right                       → pass_at_k, average_at_k
    n extracted answers, some equal, marks of each   → majority_at_k
    one figure a seed                                → over_seeds: mean ± std

All three @k are expectations over the C(n, k) ways of choosing k of the n samples, so nothing depends on the
order in which samples were written, and k < n wastes none of them. Each is per problem; a benchmark's figure is
the mean over its problems, with an interval from `bootstrap_interval` of these per-problem scores.

pass@k is the estimator of Chen et al., arXiv 2107.03374, Eq. 1: 1 - C(n-c, k) / C(n, k).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

MAX_VOTERS = 1000
"""Beyond about this many samples the number of subsets no longer fits a double."""


@dataclass(frozen=True)
class SeedSummary:
    """A figure over several seeds, printed as mean ± std."""

    seeds: int
    mean: float
    std: float | None
    """None of a single seed with ddof 1: one run says nothing about the spread."""
    ddof: int
    """The divisor is seeds - ddof."""


@dataclass(frozen=True)
class Camp:
    """The samples of one problem that gave the same answer."""

    votes: int
    right: float
    """Share of them that was marked right: 0 or 1, unless the grader and `equal` disagree."""


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Probability that of k samples chosen among all, at least one is right; unbiased in k <= n."""
    check_counts(num_samples, num_correct, k)
    if num_samples - num_correct < k:
        return 1.0
    # C(n-c, k) / C(n, k) is symmetric in c and k; a product over the smaller one, in logarithms,
    # neither overflows nor loses a small probability in 1 - (nearly 1).
    few, many = sorted((num_correct, k))
    rest = np.arange(num_samples - few + 1, num_samples + 1)
    return float(-np.expm1(np.log1p(-many / rest).sum()))


def average_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Mean accuracy of k samples (avg@k). Its expectation is c / n for every k: k names the setting."""
    check_counts(num_samples, num_correct, k)
    return num_correct / num_samples


def check_counts(num_samples: int, num_correct: int, k: int) -> None:
    """Refuses counts that cannot be."""
    if not 0 <= num_correct <= num_samples:
        raise ValueError(f"{num_correct} of {num_samples} samples cannot be right")
    if not 1 <= k <= num_samples:
        raise ValueError(f"k must lie between 1 and the {num_samples} samples drawn, got {k}")


def majority_at_k(
    answers: Sequence[Any],
    correct: Sequence[bool],
    k: int | None = None,
    *,
    key: Callable[[Any], Hashable] | None = None,
    equal: Callable[[Any, Any], bool] | None = None,
) -> float:
    """Probability that the most frequent answer among k samples is right; k unset: among all of them.

    Answers are the same when their `key` is, or when `equal` says so of the first of the camp; without either,
    when they are `==` as text. None (no answer found) does not vote. A tie is not broken by order but by
    expectation: each of the leading camps is taken with the same probability. Nobody voting is a wrong answer.
    """
    k = len(answers) if k is None else k
    if len(answers) != len(correct):
        raise ValueError(f"{len(answers)} answers need as many marks, got {len(correct)}")
    check_counts(len(answers), sum(map(bool, correct)), k)
    if len(answers) > MAX_VOTERS:
        raise ValueError(f"majority_at_k takes at most {MAX_VOTERS} samples, got {len(answers)}")
    camps = form_camps(answers, correct, key, equal)
    silent = len(answers) - sum(camp.votes for camp in camps)
    chances = (
        camp.right * chance_to_lead(camp.votes, other_votes(camps, index), silent, k)
        for index, camp in enumerate(camps)
        if camp.right
    )
    return min(1.0, sum(chances) / comb(len(answers), k))


def form_camps(
    answers: Sequence[Any],
    correct: Sequence[bool],
    key: Callable[[Any], Hashable] | None,
    equal: Callable[[Any, Any], bool] | None,
) -> list[Camp]:
    """Samples grouped by answer. `equal` is asked about the first member of each camp only: n answers in g
    camps are at most n·g questions, and where it is not transitive the earlier camp wins."""
    if key is not None and equal is not None:
        raise ValueError("give key or equal, not both")
    members: dict[Hashable, list[bool]] = {}
    first_of: list[Any] = []
    for answer, mark in zip(answers, correct, strict=True):
        if answer is None:
            continue
        if equal is None:
            name = key(answer) if key is not None else answer
        else:
            same = (i for i, first in enumerate(first_of) if equal(first, answer))
            name = next(same, len(first_of))
            if name == len(first_of):
                first_of.append(answer)
        members.setdefault(name, []).append(bool(mark))
    return [Camp(len(marks), sum(marks) / len(marks)) for marks in members.values()]


def other_votes(camps: Sequence[Camp], index: int) -> list[int]:
    """The sizes of all camps but one."""
    return [camp.votes for position, camp in enumerate(camps) if position != index]


def chance_to_lead(votes: int, others: Sequence[int], silent: int, k: int) -> float:
    """In how many k-subsets a camp leads; a subset where t others draw level counts 1 / (t + 1)."""
    total = 0.0
    for drawn in range(1, min(votes, k) + 1):
        rest = k - drawn
        # ways[t, s]: choices of s samples from the others, none above `drawn` votes, t of them level with it.
        # Camps of fewer than `drawn` samples can neither win nor tie: all of theirs may be chosen, as of the silent.
        free = silent + sum(size for size in others if size < drawn)
        ways = np.zeros((rest // drawn + 1, rest + 1))
        ways[0, : free + 1] = [comb(free, s) for s in range(min(free, rest) + 1)]
        for size in (size for size in others if size >= drawn):
            ways = join_camp(ways, size, drawn)
        shares = 1 / (1 + np.arange(len(ways)))
        total += comb(votes, drawn) * float(shares @ ways[:, rest])
    return total


def join_camp(ways: np.ndarray, size: int, limit: int) -> np.ndarray:
    """`ways` after one more camp gave between 0 and `limit` of its samples; `limit` itself is a tie."""
    joined = ways.copy()
    for given in range(1, min(size, limit, ways.shape[1] - 1) + 1):
        more: np.ndarray = comb(size, given) * ways[:, :-given]
        if given < limit:
            joined[:, given:] += more
        else:
            joined[1:, given:] += more[:-1]
    return joined


def over_seeds(values: Sequence[float], ddof: int = 1) -> SeedSummary:
    """Mean and standard deviation over seeds. ddof 1 is the spread one expects of the next seed, and what
    Table 4 of arXiv 2505.11628 prints; its Tables 5, 16 and 17 divide by the number of seeds (ddof 0), which for
    three seeds is 18 % smaller. Always print the ddof beside the figure."""
    if len(values) == 0 or ddof not in (0, 1):
        raise ValueError(f"values and a ddof of 0 or 1 are needed, got {len(values)} and {ddof}")
    spread = float(np.std(values, ddof=ddof)) if len(values) > ddof else None
    return SeedSummary(len(values), float(np.mean(values)), spread, ddof)
