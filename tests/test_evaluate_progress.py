"""The time that is left is told in tokens, over whole batches."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from evals import token_progress
from evals.token_progress import Made, pace, watched


def test_what_is_left_follows_from_the_mean_length() -> None:
    assert pace(1000, 10.0, 5, 20, 1000) == "100 tokens/s, 30 s left"
    assert pace(1000, 10.0, 10, 20, 6000) == "100 tokens/s, 1:00 min left", "long answers were kept"
    assert pace(0, 1.0, 1, 2, 0) == "no tokens yet"


def test_a_rate_is_never_taken_inside_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(token_progress.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(token_progress.sys, "stderr", io.StringIO())

    def batches() -> Iterator[Made]:
        for _ in range(3):
            clock[0] += 40.0
            for _ in range(4):
                yield "key", {"tokens": 100}

    said: list[str] = []
    assert len(list(watched(batches(), "x", 12, [], said.append))) == 12
    assert said == [
        "x: 4 of 12 answers, 10 tokens/s, 1:20 min left",
        "x: 8 of 12 answers, 10 tokens/s, 40 s left",
    ]
