"""Do two short answers agree? Read both (`reader`), then compare what they mean (`agreement`).

    text → tree → meaning → exact normal form, else values at rational points

Exact values are compared exactly; what a decimal may be off by is `tolerance`'s. An answer beyond the
bounds is reported as such, never as different; one that is no formula is compared as words. What can
be neither shown nor refuted, such as an integral against a number, is undecided. Nothing a model
writes is ever evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from evals.agreement import answers_agree
from evals.choices import choices_agree
from evals.expression import Node
from evals.limits import MAX_ANSWER_CHARS, TooLarge, Unreadable
from evals.notation import same_text
from evals.policy import Policy
from evals.reader import read_formula
from evals.scalars import Comparer

Outcome = Literal["equal", "different", "limit reached", "undecided"]
STRICT = Policy()


@dataclass(frozen=True)
class Comparison:
    """What was decided, and by which rule."""

    outcome: Outcome
    rule: str


def compare(
    prediction: str, gold: str, policy: Policy = STRICT, identical_text: bool = True
) -> Comparison:
    """Compares two answers. Identical text is equal even where it is too large to be read, unless
    `identical_text` is off, as it is to test the reader."""
    prediction, gold = prediction.strip(), gold.strip()
    if identical_text and prediction and prediction == gold:
        return Comparison("equal", "identical text")
    if max(len(prediction), len(gold)) > MAX_ANSWER_CHARS:
        return Comparison("limit reached", f"longer than {MAX_ANSWER_CHARS} characters")
    if not prediction or not gold:
        return Comparison("different", "no text")
    try:
        chosen = choices_agree(prediction, gold, policy.choices)
        if chosen is not None:
            return Comparison("equal" if chosen else "different", "choice")
        return compare_formulas(prediction, gold, policy)
    except TooLarge as problem:
        return Comparison("limit reached", str(problem))


def compare_formulas(prediction: str, gold: str, policy: Policy) -> Comparison:
    """Reads both and compares the readings; text that is no formula is compared as text."""
    left, right = read_or_none(prediction), read_or_none(gold)
    if left is None or right is None:
        if same_text(prediction, gold):
            return Comparison("equal", "normalised text")
        return Comparison("different" if left or right else "undecided", "normalised text")
    comparer = Comparer(policy)
    try:
        equal = answers_agree(left, right, comparer)
        if equal is False and comparer.rule == "one value and several":
            equal = lists_agree(prediction, gold, comparer)
    except TooLarge:
        if left == right:
            return Comparison("equal", "identical formulas")
        raise
    if equal is None:
        return Comparison("equal", "identical formulas") if left == right else Comparison(
            "undecided", comparer.rule or "no value"
        )  # fmt: skip
    return Comparison("equal" if equal else "different", comparer.rule or "words")


def lists_agree(prediction: str, gold: str, comparer: Comparer) -> bool | None:
    """Once more with every comma as a separator: `100,200` may be a number or a list of two."""
    left, right = read_formula(prediction, thousands=False), read_formula(gold, thousands=False)
    return answers_agree(left, right, comparer)


def is_unparsable(gold: str) -> bool:
    """Whether a gold answer is neither a formula nor prose: an error of the data."""
    try:
        if read_or_none(gold) is not None:
            return False
    except TooLarge:
        return False
    balanced = gold.count("{") - gold.count("\\{") == gold.count("}") - gold.count("\\}")
    return not balanced or PROSE.search(gold) is None


PROSE = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{3,}")


def read_or_none(text: str) -> Node | None:
    """The tree, or None for what is no formula."""
    try:
        return read_formula(text)
    except Unreadable:
        return None
