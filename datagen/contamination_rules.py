"""When is a prompt a benchmark's problem? The rules for one pair of texts, strictest first.

    exact       the same words
    contained   the problem stands in the prompt as it is, with other text around it
    overlap     runs of 13 shared words cover most of the problem
    part        runs of 13 shared words cover the prompt: it is a piece of the problem
    reworded    the same numbers, and enough of the same words: fewer are needed the more numbers there are
    renumbered  the same words with other numbers: another problem with another answer; reported, not removed

The words are those of datagen.canonical_words, so notation does not count. Numbers decide between a
copy and another problem of its kind: where each text has a number that the other has not, a number was
replaced, and the pair is at most `renumbered`. `reworded` wants the same numbers, and asks for fewer
words the more they tell: 2,023 says much, 3 says little. A text without numbers gives nothing to go
by but its words, so nearly all of them must agree, and its formula. Words weigh less the more of the
benchmarks' problems hold them. The thresholds were chosen on pairs of public training and test sets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log

RUN_WORDS = 13
"""Of a shared run that counts: common phrases and identities are shorter."""
MIN_CONTAINED = 8
MIN_CONTAINED_ALONE = 4
"""Words of a problem that is looked for inside prompts; the lower where the prompt holds little else."""
LITTLE_ELSE = 16
MIN_OVERLAP = 0.6
MIN_OVERLAP_WITH_MORE_NUMBERS = 0.75
"""Share of the problem; the higher where the prompt has numbers of its own."""
MIN_OVERLAP_FORMULA = 0.5
"""Share of the formulas' signs: two questions about one figure share most words, too."""
MIN_PART = 0.85
MIN_PART_WORDS = 20
"""Share of the prompt, and its length: any short phrase is a piece of something."""
MIN_REWORDED = (
    (3.0, 0.35, 0.6),
    (2.0, 0.4, 0.6),
    (1.5, 0.45, 0.6),
    (1.0, 0.5, 0.85),
    (0.5, 0.65, 0.85),
    (0.0, 0.9, 0.9),
)
"""(how much the common numbers tell, share of words, share of the formula's signs): the first that fits."""
MIN_IN_PLACE = 0.34
"""Share of the numbers that stand beside the same word in both: else they have changed their roles."""
MIN_RENUMBERED = 0.75
"""Share of the words that are no numbers."""
LEAST_WEIGHT = 0.25
"""Of the most common words."""
UNKNOWN_WEIGHT = 0.25
"""Of a word that no problem holds: it may be a synonym, or a sentence that was added."""
SMALL = 10
"""Numbers up to here tell half as much as others, 2 nothing, and all of them together no more than …"""
MOST_OF_SMALL = 1.5
RULES = ("exact", "contained", "overlap", "part", "reworded", "renumbered")
FUNCTIONS = frozenset((
    "sin", "cos", "tan", "sec", "csc", "cot", "arcsin", "arccos", "arctan", "sinh", "cosh",
    "tanh", "log", "ln", "exp", "sqrt", "lim", "max", "min", "gcd", "lcm", "det", "int", "pi",
))  # fmt: skip
OPERATORS = frozenset("+-/^=")
KEPT_RULES = frozenset({"renumbered"})
"""Found, reported, and not removed."""


@dataclass(frozen=True)
class Text:
    """A text as its words, and what is counted in it."""

    words: tuple[str, ...]

    @cached_property
    def line(self) -> str:
        """The words between single spaces, for looking one text up in another."""
        return f" {' '.join(self.words)} "

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each word stands in it."""
        return Counter(self.words)

    @cached_property
    def numbers(self) -> Counter[str]:
        """How often each number stands in it."""
        return Counter(word for word in self.words if word[0].isdigit())

    @cached_property
    def data(self) -> frozenset[str]:
        """Its numbers from 2 up: 0 and 1 come and go with the wording."""
        return numbers_of(self.words)

    @cached_property
    def formula(self) -> Counter[str]:
        """Its numbers, operators, functions and letters that stand alone, the words `a` and `I` aside."""
        return Counter(
            word
            for word in self.words
            if not word.isalpha() or word in FUNCTIONS or (len(word) == 1 and word not in "ai")
        )

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Every two words that follow each other."""
        return frozenset(pairwise(self.words))

    @cached_property
    def runs(self) -> frozenset[tuple[str, ...]]:
        """Every run of RUN_WORDS words."""
        return frozenset(
            self.words[i : i + RUN_WORDS] for i in range(len(self.words) - RUN_WORDS + 1)
        )


def numbers_of(words: Sequence[str]) -> frozenset[str]:
    """The numbers from 2 up."""
    return frozenset(word for word in words if word[0].isdigit() and word not in ("0", "1"))


@dataclass(frozen=True)
class Match:
    """Which rule a pair meets, and how far: the share of words that the rule speaks of."""

    rule: str
    coverage: float

    @property
    def strength(self) -> tuple[int, float]:
        """Orders matches: the earlier rule, then the larger share."""
        return -RULES.index(self.rule), self.coverage


class Weights:
    """What each word counts for: 1 for one that a single problem holds, less for common ones."""

    def __init__(self, num_texts_of: Mapping[str, int]) -> None:
        self._weight_of = {
            word: max(LEAST_WEIGHT, 1 / (1 + log(count))) for word, count in num_texts_of.items()
        }

    def shared(self, first: Counter[str], second: Counter[str]) -> float:
        """Weighted share of words in both, of those in either."""
        weight = self._weight_of.get
        in_both = in_first = 0.0
        for word, count in first.items():
            each = weight(word, UNKNOWN_WEIGHT)
            in_first += each * count
            if word in second:
                in_both += each * min(count, second[word])
        in_second = sum(weight(word, UNKNOWN_WEIGHT) * count for word, count in second.items())
        in_either = in_first + in_second - in_both
        return in_both / in_either if in_either else 1.0


def match(problem: Text, prompt: Text, weights: Weights) -> Match | None:
    """The strictest rule that the pair meets."""
    if problem.words == prompt.words:
        return Match("exact", 1.0)
    if is_contained(problem, prompt):
        return Match("contained", 1.0)
    missing, new = problem.numbers - prompt.numbers, prompt.numbers - problem.numbers
    if missing and new:
        return if_renumbered(problem, prompt, weights)
    return by_runs(problem, prompt, bool(new)) or by_words(problem, prompt, weights)


def is_contained(problem: Text, prompt: Text) -> bool:
    """True where the problem stands in the prompt as it is, and no formula of it goes on."""
    length = len(problem.words)
    alone = len(prompt.words) <= length + LITTLE_ELSE and problem.numbers == prompt.numbers
    if length < (MIN_CONTAINED_ALONE if alone else MIN_CONTAINED):
        return False
    before, found, after = prompt.line.partition(problem.line)
    around = (*before.split()[-1:], *after.split()[:1])
    return bool(found) and not any(word in OPERATORS for word in around)


def by_runs(problem: Text, prompt: Text, has_new_numbers: bool) -> Match | None:
    """`overlap` or `part`, where the two share long runs of words."""
    shared = problem.runs & prompt.runs
    if not shared:
        return None
    overlap, part = covered(problem.words, shared), covered(prompt.words, shared)
    wanted = MIN_OVERLAP_WITH_MORE_NUMBERS if has_new_numbers else MIN_OVERLAP
    if overlap >= wanted and share(problem.formula, prompt.formula) >= MIN_OVERLAP_FORMULA:
        return Match("overlap", overlap)
    is_piece = len(prompt.words) >= MIN_PART_WORDS and not has_new_numbers
    return Match("part", part) if is_piece and part >= MIN_PART else None


def by_words(problem: Text, prompt: Text, weights: Weights) -> Match | None:
    """`reworded`, by the share of words in common, where the numbers are the same."""
    if problem.data != prompt.data:
        return None
    told = how_much_is_told(problem.data) - (0.0 if problem.numbers == prompt.numbers else 0.5)
    _, min_words, min_formula = next(
        (row for row in MIN_REWORDED if told >= row[0]), MIN_REWORDED[-1]
    )
    words = weights.shared(problem.counts, prompt.counts)
    if words < min_words or share(problem.formula, prompt.formula) < min_formula:
        return None
    if problem.data and share_in_place(problem, prompt) < MIN_IN_PLACE:
        return None
    return Match("reworded", words)


def share_in_place(problem: Text, prompt: Text) -> float:
    """Share of the problem's numbers that have the word before or after them in the prompt, too."""
    beside = {word for pair in problem.pairs & prompt.pairs for word in pair}
    return len(problem.data & beside) / len(problem.data)


def how_much_is_told(numbers: frozenset[str]) -> float:
    """How little it would be by chance that two texts hold the same numbers."""
    small = [number for number in numbers if is_small(number)]
    telling = sum(number != "2" for number in small)
    return min(telling / 2, MOST_OF_SMALL) + len(numbers) - len(small)


def is_small(number: str) -> bool:
    """True up to SMALL. By its length first: a text may hold a number of a million digits."""
    return number.isdigit() and len(number) <= len(str(SMALL)) and int(number) <= SMALL


def if_renumbered(problem: Text, prompt: Text, weights: Weights) -> Match | None:
    """`renumbered`, where the words other than numbers are the same."""
    words = weights.shared(without_numbers(problem.counts), without_numbers(prompt.counts))
    return Match("renumbered", words) if words >= MIN_RENUMBERED else None


def without_numbers(counts: Counter[str]) -> Counter[str]:
    """The words that are no numbers."""
    return Counter({word: count for word, count in counts.items() if not word[0].isdigit()})


def share(first: Counter[str], second: Counter[str]) -> float:
    """Share of entries in both, of those in either; 1 where there are none."""
    in_either = (first | second).total()
    return (first & second).total() / in_either if in_either else 1.0


def covered(words: tuple[str, ...], runs: frozenset[tuple[str, ...]]) -> float:
    """Share of the words that lie in one of the runs."""
    inside = [False] * len(words)
    for i in range(len(words) - RUN_WORDS + 1):
        if words[i : i + RUN_WORDS] in runs:
            inside[i : i + RUN_WORDS] = [True] * RUN_WORDS
    return sum(inside) / len(words)
