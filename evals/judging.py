"""Judging: the fields of a result row that say whether an output is right, and why.

    gold    → the grader, in worker processes beside generation when there is much to grade
    check   → nothing here: compliance is looked at when the row is written
    program → the sandbox, several programs at a time in threads that wait for it

Every output gets a status: correct, wrong, no answer found, truncated (cut at `max_tokens` before an
answer was found), limit reached, unparsable gold, undecided. A null `correct` is not graded and does
not count in the accuracy. With `compat` every row also has `correct_compat`, what the grader behind
published tables says; it is null where there is no gold answer for that grader to compare with.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from types import TracebackType
from typing import Any

from evals.benchmark_problem import Problem, Program
from evals.grading_pool import Case, GradingPool
from evals.grading_worker import grade_case
from evals.humaneval import check_program, program_of

FIELDS = ("correct", "extracted", "rule", "reason", "status")
NOT_GRADED = dict.fromkeys(FIELDS)
NO_GOLD = NOT_GRADED | {
    "status": "unparsable gold",
    "reason": "unparsable gold: the source names none",
}
CUT = {"status": "truncated", "reason": "truncated: cut before an answer was found"}
MANY = 1000
"""Outputs from which on grading is given processes of its own."""
LETTERS = 3
"""Longer extracted answers than an option's letter, in brackets, are withheld where problems are."""


class Judge:
    """Takes outputs as they come and has all verdicts at the end."""

    def __init__(self, num_outputs: int, workers: int | None = None, compat: bool = False) -> None:
        self._compat = compat
        self._pool = GradingPool(workers_for(num_outputs) if workers is None else workers)
        self._programs = ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2))
        self._runs: dict[int, Future[dict[str, Any]]] = {}
        self._known: dict[int, dict[str, Any]] = {}

    def __enter__(self) -> Judge:
        self._pool.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._programs.shutdown(cancel_futures=kind is not None)
        self._pool.__exit__(kind, error, trace)

    def submit(self, index: int, problem: Problem, output: Mapping[str, Any]) -> None:
        """Takes one output; its verdict will be `results()[index]`. One that is withheld brings it."""
        if "verdict" in output:
            self._known[index] = output["verdict"]
        elif problem.program is not None:
            self._runs[index] = self._programs.submit(
                judge_program, problem.program, output["output"]
            )
        elif problem.gold is not None:
            self._pool.submit(index, case_of(problem, output["output"], self._compat))
        else:
            self._known[index] = NO_GOLD if problem.check is None else NOT_GRADED

    def results(self, finish_reasons: Sequence[str]) -> list[dict[str, Any]]:
        """The verdicts in order, one for each finish reason."""
        verdicts = dict(self._pool.results()) | self._known
        verdicts |= {index: run.result() for index, run in self._runs.items()}
        known: dict[str, Any] = {"correct_compat": None} if self._compat else {}
        return [
            with_truncation(known | verdicts[index], reason)
            for index, reason in enumerate(finish_reasons)
        ]


def judge_program(program: Program, output: str) -> dict[str, Any]:
    """The verdict on an output that is code, after it was run against the tests."""
    found = program_of(program, output)
    if found is None:
        reason = "no answer found: no code in the output"
        return NOT_GRADED | {"correct": False, "status": "no answer found", "reason": reason}
    code, rule = found
    verdict = check_program(code, program)
    passed = verdict.status == "passed"
    status = "correct" if passed else "wrong"
    reason = f"{status}: {verdict.status}{f', {verdict.detail}' if verdict.detail else ''}"
    fields = {"correct": passed, "extracted": code, "rule": rule, "status": status}
    return fields | {"reason": reason}


def workers_for(num_outputs: int) -> int:
    """None for few outputs, whose grading takes less time than starting a process."""
    return 0 if num_outputs < MANY else max(1, min(8, (os.cpu_count() or 2) - 1))


def case_of(problem: Problem, text: str, compat: bool) -> Case:
    """What a grading process is sent."""
    return {
        "prediction": text,
        "gold": problem.gold,
        "policy": asdict(problem.policy),
        "compat": compat,
    }


def with_truncation(verdict: dict[str, Any], finish_reason: str) -> dict[str, Any]:
    """An answer that is missing because the output was cut is a finding of its own."""
    cut = finish_reason == "length" and verdict["status"] == "no answer found"
    return verdict | CUT if cut else verdict


def judge_withheld(problem: Problem, text: str, compat: bool) -> dict[str, Any]:
    """The verdict on a text that is not kept: nothing of the text is in it but a letter."""
    if problem.gold is None:
        return NO_GOLD
    verdict = grade_case(case_of(problem, text, compat))
    extracted = verdict["extracted"]
    letter = extracted if extracted is not None and len(extracted) <= LETTERS else None
    return verdict | {"extracted": letter, "reason": verdict["status"]}
