"""Real reference solutions: the answer is found in each, wherever the data are at hand.

The data are not part of the project. They are looked for where CGD_SHARED points, or in a folder `shared` beside it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from evals.equivalence import compare
from evals.extract import extract_answer, extract_marked

SHARED = Path(os.environ.get("CGD_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def problems(name: str) -> list[dict[str, Any]]:
    """The rows of one set; the test is skipped where they are absent."""
    path = SHARED / "data" / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"{path.name} is not at hand")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("name", "share"), [("gsm8k", 0.997), ("math500", 1.0), ("minerva_math", 1.0)]
)
def test_gold_answers_are_recovered_from_their_solutions(name: str, share: float) -> None:
    rows = problems(name)
    missed = []
    for row in rows:
        found = extract_marked(row["solution"])
        if found is None or compare(found.answer, str(row["answer"])).outcome != "equal":
            missed.append((row["id"], found))
    assert len(missed) <= (1 - share) * len(rows), missed


WAYS = [
    "So we have \\boxed{%s}.",
    "Final Answer: The final answer is $%s$. I hope it is correct.",
    "Some words.\n\nTherefore, the answer is: %s",
    "**Answer:** %s",
    "<think>\\boxed{17}</think>\n\n%s",
]


@pytest.mark.parametrize("way", WAYS)
def test_gold_answers_are_recovered_however_they_are_announced(way: str) -> None:
    answers = [str(row["answer"]) for row in problems("math500")]
    if "$" in way:
        answers = [answer for answer in answers if "$" not in answer]
    missed = []
    for answer in answers:
        found = extract_answer(way.replace("%s", answer))
        if found is None or compare(found.answer, answer).outcome != "equal":
            missed.append((answer, found))
    assert not missed
