"""Judges and models that are functions: what they say follows from the record alone.

A record's `extra` may hold `own` (its real critique, so that any other one is recognised) and `rated` (what the
judge thinks of it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from datagen.critique_content import GENERIC
from datagen.generators import Completion, Outcome, Request, Sampling, Session
from datagen.records import Record
from datagen.scripted import ScriptedGenerator
from datagen.sessions import BatchSession


def judge(stage: str, record: Record, seed: int) -> str:
    """Rates as the record says, the generic sentence 2 and 1, any other critique 1 and 1; misleads to 99."""
    if stage == "mislead":
        return f"{record.id}: the last step is wrong. The answer is 99.\nLeads to: 99"
    assert stage == "judge"
    if record.critique == record.extra["own"]:
        informativeness, specificity = record.extra["rated"]
    else:
        informativeness, specificity = (2, 1) if record.critique == GENERIC else (1, 1)
    return reply(informativeness, specificity)


def reply(informativeness: int, specificity: int) -> str:
    """As the wording asks for it."""
    return f"It is so.\nInformativeness: {informativeness}\nSpecificity: {specificity}"


def silent(stage: str, record: Record, seed: int) -> str:
    """Never rates, never misleads."""
    return "I would rather not say."


def follower(stage: str, record: Record, seed: int) -> str:
    """Answers with the number that the critique names; without a critique it stays with the student's answer."""
    named = re.findall(r"answer is (\d+)", record.critique or "")
    number = re.findall(r"\d+", record.student_answer or "")[-1]
    return f"\\boxed{{{named[-1] if named else number}}}"


def stubborn(stage: str, record: Record, seed: int) -> str:
    """Knows the answer and reads no critique."""
    return f"\\boxed{{{record.final_answer}}}"


class Faulty:
    """A scripted judge or model, with other outcomes for some requests; it may die after so many texts."""

    def __init__(
        self,
        outcomes: dict[tuple[str, float], Outcome],
        dies_after: int = 10**9,
        script: str = "judge",
    ) -> None:
        self._inner = ScriptedGenerator(f"scripted_judges:{script}")
        self._outcomes, self._left = outcomes, dies_after
        self.asked: list[str] = []
        self.identity = self._inner.identity

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, done: AbstractSet[int] = frozenset()
    ) -> Iterator[tuple[int, Completion]]:
        """Not used by diagnostics."""
        raise NotImplementedError

    def open(self) -> Session:
        """One after the other."""
        return BatchSession(self._write)

    def _write(
        self, requests: Sequence[Request], sampling: Sampling, done: AbstractSet[int]
    ) -> Iterator[tuple[int, Outcome]]:
        own = dict(self._inner.generate(requests, sampling, done))
        for index, request in enumerate(requests):
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            self.asked.append(request.id)
            yield index, self._outcomes.get((request.id, sampling.temperature), own[index])
