"""Claims: a log gets few lines, and their rate is not taken in the middle of a batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datagen import progress_bar


class StoppedClock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def batches(clock: StoppedClock, count: int, size: int, seconds: float) -> Iterator[int]:
    for _ in range(count):
        clock.now += seconds
        yield from range(size)


def test_lines_count_whole_batches_and_come_at_most_every_half_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = StoppedClock()
    monkeypatch.setattr(progress_bar, "time", clock)
    monkeypatch.setattr(progress_bar.sys.stderr, "isatty", lambda: False, raising=False)
    said: list[str] = []
    stream = batches(clock, count=6, size=8, seconds=20)
    items = list(progress_bar.with_progress(stream, "answer", 48, 0, said.append))
    assert len(items) == 48
    # 8 texts in 20 s is 24 a minute, whenever it is said
    assert said == [
        "answer: 8 of 48, 24.0/min, 1:40 min left",
        "answer: 24 of 48, 24.0/min, 1:00 min left",
        "answer: 40 of 48, 24.0/min, 20 s left",
    ]


def test_a_resumed_stage_counts_on_but_rates_only_what_it_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = StoppedClock()
    monkeypatch.setattr(progress_bar, "time", clock)
    monkeypatch.setattr(progress_bar.sys.stderr, "isatty", lambda: False, raising=False)
    said: list[str] = []
    list(progress_bar.with_progress(batches(clock, 2, 10, 40), "critique", 100, 80, said.append))
    assert said == ["critique: 90 of 100, 15.0/min, 40 s left"]
