"""Claims: events that come soon after each other are taken together, and nobody waits long for that."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from datagen.openai_loop import LONGEST_GATHER_SECONDS, GatheringSelector, LoopThread


@pytest.fixture
def selector() -> Iterator[GatheringSelector]:
    with GatheringSelector() as selector:
        yield selector


def test_gathering_takes_a_hundredth_of_what_requests_take_up_to_a_bound(
    selector: GatheringSelector,
) -> None:
    for seconds, gathered in ((2.0, 0.02), (1000.0, LONGEST_GATHER_SECONDS), (0.0, 0.0)):
        for _ in range(200):
            selector.adapt(seconds)
        assert selector.gather_seconds == pytest.approx(gathered, abs=1e-6)


@pytest.mark.parametrize(("gather", "together"), [(0.2, 2), (0.0, 1)])
def test_events_are_taken_together_where_that_is_wanted(
    selector: GatheringSelector, gather: float, together: int
) -> None:
    first, second = socket.socketpair(), socket.socketpair()
    try:
        for near, _ in (first, second):
            selector.register(near, 1)
        selector.gather_seconds = gather
        first[1].send(b"x")
        later = threading.Timer(0.05, second[1].send, [b"x"])
        later.start()
        assert len(selector.select(5)) == together
        later.join()
    finally:
        for end in (*first, *second):
            end.close()


def test_what_is_due_does_not_wait_for_others(selector: GatheringSelector) -> None:
    selector.gather_seconds = 5.0
    started = time.monotonic()
    assert selector.select(0) == []
    assert selector.select(0.01) == []
    assert time.monotonic() - started < 2.0


def test_the_thread_brings_results_and_errors_home() -> None:
    async def fail() -> None:
        raise ValueError("from the loop")

    async def answer() -> int:
        return 42

    thread = LoopThread()
    assert thread.run(answer()) == 42
    with pytest.raises(ValueError, match="from the loop"):
        thread.run(fail())
    thread.stop()
    assert not thread.is_running
