"""Claims: with `compat` every row says what the lenient grader says, and null means that it had nothing to compare."""

from __future__ import annotations

import pytest

from evals.benchmark_problem import Problem
from evals.grading_pool import DIED, failed
from evals.judging import FIELDS, Judge
from evals.policy import Policy

PROBLEMS = [
    (Problem("number", "?", "0.5"), "\\boxed{50}"),
    (Problem("option", "?", "B", policy=Policy(choices=4)), "The answer is (B)."),
    (Problem("no gold", "?", None), "\\boxed{5}"),
    (Problem("format", "?", None, check={"kind": "one_word"}), "yes"),
    (Problem("two lines", "?", "no\nanswer"), "\\boxed{5}"),
    (Problem("large", "?", "5"), "\\boxed{2^{10^{9}}}"),
]


def judged(compat: bool, reason: str = "stop") -> list[dict[str, object]]:
    """The verdicts on all of them."""
    with Judge(len(PROBLEMS), workers=0, compat=compat) as judge:
        for index, (problem, text) in enumerate(PROBLEMS):
            judge.submit(index, problem, {"output": text})
        return judge.results([reason] * len(PROBLEMS))


def test_every_row_has_the_lenient_verdict_or_null() -> None:
    rows = judged(compat=True)
    assert [row["correct_compat"] for row in rows] == [True, True, None, None, None, False]
    assert [row["correct"] for row in rows] == [False, True, None, None, None, False]


def test_without_compat_no_row_has_it_and_nothing_else_changes() -> None:
    rows, both = judged(compat=False), judged(compat=True)
    assert all(row.keys() == set(FIELDS) for row in rows)
    assert [{name: row[name] for name in FIELDS} for row in both] == rows


@pytest.mark.parametrize("compat", [False, True])
def test_an_answer_that_its_grader_did_not_survive_is_wrong_for_both(compat: bool) -> None:
    verdict = failed(DIED, compat)
    assert verdict["correct"] is False
    assert verdict.get("correct_compat") is (False if compat else None)


def test_units_count_where_the_policy_says_so() -> None:
    problem = Problem("unit", "?", "5 s", policy=Policy(compat_units=True))
    with Judge(1, workers=0, compat=True) as judge:
        judge.submit(0, problem, {"output": "\\boxed{5 m}"})
        (row,) = judge.results(["stop"])
    assert row["correct_compat"] is False
