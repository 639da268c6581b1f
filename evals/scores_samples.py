"""Several answers a problem: avg@n, pass@k and maj@k, each with its spread over seeds and its interval.

    rows → votes of each problem and seed → figure of a problem ─→ mean over problems → mean ± std over seeds
                                                                └→ mean over seeds → interval over problems

Of n answers drawn, k are 1, 2, 4 … and n. maj@k is the probability that, of k of them, the most frequent answer
is right. Answers are one when they are equal, not when they are spelt alike: right ones are one camp, as all
equal the gold answer; wrong ones are compared with each other, strictly, as answers are with a gold. Who leads
in a tie is drawn by lot among the leaders, as an expectation; an output without an answer has no vote, and
where nobody votes the problem is not solved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from evals.equivalence import compare
from evals.limits import TooLarge
from evals.rationals import Number, read_number
from evals.statistics_samples import MAX_VOTERS, majority_at_k, over_seeds, pass_at_k
from evals.statistics_shares import mean_interval

Row = Mapping[str, Any]
RIGHT = object()
"""The one camp of all right answers, however they are spelt."""
MAX_CAMPS = 32
"""A wrong answer is compared with the first of so many camps, the most frequent ones; past them its text counts."""


@dataclass(frozen=True)
class Vote:
    """One answer to a problem."""

    right: bool
    camp: Hashable | None
    """Equal answers are in one camp; None has no vote."""


@dataclass(frozen=True)
class Answer:
    """A wrong answer, and its value where it is a plain number."""

    text: str
    number: Number | None


Figure = Callable[[Sequence[Vote], int], float]


def sample_figures(graded: Sequence[Row]) -> dict[str, Any]:
    """avg@n, pass@k and maj@k, and of how many problems not all answers could be compared."""
    rows_of: dict[str, list[Row]] = {}
    for row in graded:
        rows_of.setdefault(row["id"], []).append(row)
    votes = {identity: votes_of(rows) for identity, rows in rows_of.items()}
    by_seed: dict[int, dict[str, list[Vote]]] = {}
    for identity, rows in rows_of.items():
        for row, vote in zip(rows, votes[identity], strict=True):
            by_seed.setdefault(row["seed"], {}).setdefault(identity, []).append(vote)
    if not by_seed:
        return {}
    drawn = min(len(votes) for problems in by_seed.values() for votes in problems.values())
    sizes = sorted({2**power for power in range(drawn.bit_length())} | {drawn})
    voters = [k for k in sizes if k > 1 and drawn <= MAX_VOTERS]
    crowded = sum(num_wrong_camps(camp) > MAX_CAMPS for camp in votes.values())
    return {
        "avg_at": {str(drawn): summary(average, by_seed, drawn)},
        "pass_at": {str(k): summary(passed, by_seed, k) for k in sizes},
        "majority_at": {str(k): summary(majority, by_seed, k) for k in voters},
        "majority_not_all_compared": crowded,
    }


def summary(
    of: Figure, by_seed: Mapping[int, Mapping[str, Sequence[Vote]]], k: int
) -> dict[str, Any]:
    """One figure: its mean and standard deviation over seeds, and the 95 % interval over problems."""
    figures = [{name: of(votes, k) for name, votes in seed.items()} for seed in by_seed.values()]
    seeds = [fmean(values.values()) for values in figures]
    problems = [fmean(values[name] for values in figures) for name in figures[0]]
    interval = mean_interval(problems)
    return {
        **asdict(over_seeds(seeds)),
        "per_seed": seeds,
        "interval": [interval.low, interval.high],
    }


def average(votes: Sequence[Vote], k: int) -> float:
    """avg@k of one problem: the expected share of right answers, whatever k."""
    return fmean(vote.right for vote in votes)


def passed(votes: Sequence[Vote], k: int) -> float:
    """pass@k of one problem."""
    return pass_at_k(len(votes), sum(vote.right for vote in votes), k)


def majority(votes: Sequence[Vote], k: int) -> float:
    """maj@k of one problem."""
    return majority_at_k([vote.camp for vote in votes], [vote.right for vote in votes], k)


def votes_of(rows: Sequence[Row]) -> list[Vote]:
    """The votes of all answers to one problem."""
    texts = [
        None if row["extracted"] is None else " ".join(row["extracted"].split()) for row in rows
    ]
    wrong = Counter(
        text
        for row, text in zip(rows, texts, strict=True)
        if text is not None and not row["correct"]
    )
    camp_of = camps_of([text for text, _ in wrong.most_common()])
    return [
        Vote(True, RIGHT)
        if row["correct"]
        else Vote(False, None if text is None else camp_of[text])
        for row, text in zip(rows, texts, strict=True)
    ]


def camps_of(texts: Sequence[str]) -> dict[str, str]:
    """Each text's camp, called by its first text. Only the first MAX_CAMPS are compared with."""
    camp_of: dict[str, str] = {}
    first: list[Answer] = []
    for answer in map(answer_of, texts):
        equals = (one.text for one in first[:MAX_CAMPS] if equal(answer, one))
        camp_of[answer.text] = next(equals, answer.text)
        if camp_of[answer.text] == answer.text:
            first.append(answer)
    return camp_of


def answer_of(text: str) -> Answer:
    """The text, read as far as it is a plain number."""
    try:
        return Answer(text, read_number(text))
    except TooLarge:
        return Answer(text, None)


def equal(one: Answer, other: Answer) -> bool:
    """Most wrong answers are plain numbers, and those need no reader to be told apart."""
    if one.number is not None and other.number is not None:
        return one.number.agrees(other.number)
    return compare(one.text, other.text).outcome == "equal"


def num_wrong_camps(votes: Sequence[Vote]) -> int:
    """Different wrong answers."""
    return len({vote.camp for vote in votes} - {RIGHT, None})
