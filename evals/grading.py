"""Grading: a model's output against the gold answer.

    prediction → extract_answer → compare with the gold answer → Verdict
               → compat: what the grader behind published tables says of it

A verdict says more than right or wrong: an output without an answer, an answer beyond the
reader's bounds and a gold answer that cannot be read are outcomes of their own. The last one is
an error of the data, so it is counted apart and never held against the model. The lenient verdict is
a second opinion beside it and changes nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from evals.compat import leniently_correct
from evals.equivalence import STRICT, compare, is_unparsable
from evals.extract import extract_answer, extract_marked
from evals.policy import Policy

GRADER_VERSION = "3"
"""Counts up when a verdict may change, so that finished evaluations are graded again."""

Status = Literal[
    "correct", "wrong", "no answer found", "unparsable gold", "limit reached", "undecided"
]
OF_OUTCOME: dict[str, Status] = {
    "equal": "correct",
    "different": "wrong",
    "limit reached": "limit reached",
    "undecided": "undecided",
}


@dataclass(frozen=True)
class Verdict:
    """The outcome for one output."""

    status: Status
    correct: bool
    extracted: str | None
    """The answer as the model wrote it."""
    rule: str | None
    """Which extraction rule found it, for example `boxed` or `last number`."""
    reason: str
    """One line: the status and what it rests on."""


def grade(prediction: str, gold: str, policy: Policy = STRICT) -> Verdict:
    """Whether the final answer of `prediction` is `gold`, an answer or a reference solution."""
    expected = read_gold(gold)
    if expected is None or is_unparsable(expected):
        return Verdict(
            "unparsable gold", False, None, None, "unparsable gold: no answer can be read from it"
        )
    found = (
        extract_answer(prediction, policy.choices) if policy.choices else extract_answer(prediction)
    )
    if found is None:
        return Verdict("no answer found", False, None, None, "no answer found")
    comparison = compare(found.answer, expected, policy)
    status = OF_OUTCOME[comparison.outcome]
    return Verdict(
        status, status == "correct", found.answer, found.rule, f"{status}: {comparison.rule}"
    )


def grade_leniently(
    prediction: str, gold: str, verdict: Verdict, policy: Policy = STRICT
) -> bool | None:
    """What the reference of `compat` says; `verdict` where it is not followed, None without a gold."""
    expected = read_gold(gold)
    if expected is None:
        return None
    lenient = leniently_correct(prediction, expected, policy.choices, policy.compat_units)
    return verdict.correct if lenient is None else lenient


def read_gold(gold: str) -> str | None:
    """The short answer: what a solution marks as its answer, or a single line as it stands."""
    marked = extract_marked(gold)
    if marked is not None:
        return marked.answer
    gold = gold.strip()
    return gold if gold and "\n" not in gold else None


def verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """What a graded row gains."""
    return {
        "correct": verdict.correct,
        "extracted": verdict.extracted,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "status": verdict.status,
    }
