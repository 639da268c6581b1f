"""The judge of data generation: the evaluator's reading of answers behind the protocol that gates know.

text, gold → grade → right, wrong, or nobody can tell
"""

from __future__ import annotations

from evals.extract import extract_answer
from evals.grading import grade
from evals.leaks import gives_away

CANNOT_TELL = {"unparsable gold", "limit reached", "undecided"}
"""Outcomes that say nothing about the text; one without an answer is wrong."""


class AnswerJudge:
    """Fits `datagen.gates.Judge`."""

    def final_answer(self, text: str) -> str | None:
        """The answer that a text gives."""
        found = extract_answer(text)
        return found.answer if found else None

    def is_correct(self, text: str, gold: str) -> bool | None:
        """Whether a text's final answer is the gold one."""
        verdict = grade(text, gold)
        return None if verdict.status in CANNOT_TELL else verdict.correct

    def gives_away(self, critique: str, gold: str, prompt: str, student_answer: str) -> bool:
        """Whether a critique tells the gold answer to a student who did not have it."""
        return gives_away(critique, gold, prompt, student_answer)
