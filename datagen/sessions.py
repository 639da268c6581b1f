"""Sessions: a generator at work, fed with requests while it writes.

    submit(ticket, request, sampling) ... collect() -> [(ticket, Completion or Failure), ...] ... close()

A critique may be refined the moment it is there, so work is not known beforehand: it is handed in as it
comes up. Servers and vLLM's engine work like this by nature; a generator that writes batches has a
`BatchSession` around it, which takes what has gathered as one wave. `write_all` is the other way round:
a known list of requests through a session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from datagen.generators import Completion, Failure, Outcome, Request, Sampling, Session

WriteBatches = Callable[
    [Sequence[Request], Sampling, AbstractSet[int]], Iterator[tuple[int, Outcome]]
]
"""A generator's `generate`, or what is like it but for requests that fail: they are outcomes, too."""


class BatchSession:
    """A generator of batches as a session: all that has gathered is one wave, written to its end.

    A wave's requests share one sampling: the first one's; others wait for a wave of their own.
    """

    def __init__(self, write: WriteBatches, stop: Callable[[], None] = lambda: None) -> None:
        """`stop` is called at the end: it frees what the writer holds."""
        self._write, self._stop = write, stop
        self._waiting: list[tuple[int, Request, Sampling, bool]] = []
        self._wave: Iterator[tuple[int, Outcome]] = iter(())
        self._tickets: list[int] = []

    def room(self) -> int:
        """No bound: the more, the better are the batches."""
        return 1_000_000_000

    def submit(self, ticket: int, request: Request, sampling: Sampling, done: bool = False) -> None:
        """Waits for the next wave."""
        self._waiting.append((ticket, request, sampling, done))

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        """The next text of the wave, or the first of the next one."""
        for index, outcome in self._wave:
            return [(self._tickets[index], outcome)]
        if all(done for *_, done in self._waiting):
            self._waiting = []
            return []
        self._start_wave()
        return self.collect(timeout)

    def _start_wave(self) -> None:
        sampling = next(sampling for _, _, sampling, done in self._waiting if not done)
        wave = [item for item in self._waiting if item[2] == sampling]
        self._waiting = [item for item in self._waiting if item[2] != sampling]
        self._tickets = [ticket for ticket, *_ in wave]
        done = frozenset(index for index, item in enumerate(wave) if item[3])
        self._wave = self._write([request for _, request, *_ in wave], sampling, done)

    def close(self) -> None:
        """Leaves the wave."""
        self._waiting, self._wave = [], iter(())
        self._stop()


def write_all(
    session: Session,
    requests: Sequence[Request],
    sampling: Sampling,
    done: AbstractSet[int] = frozenset(),
) -> Iterator[tuple[int, Completion]]:
    """The completions of a list of requests, as they finish; closes the session.

    Raises ValueError at the end where some failed; all others have been yielded by then.
    """
    waiting = [index for index in range(len(requests)) if index not in done]
    failed: list[tuple[int, Failure]] = []
    submitted = finished = 0
    try:
        while finished < len(waiting):
            while submitted < len(waiting) and session.room() > 0:
                index = waiting[submitted]
                session.submit(index, requests[index], sampling)
                submitted += 1
            for index, outcome in session.collect(timeout=1.0):
                finished += 1
                if isinstance(outcome, Failure):
                    failed.append((index, outcome))
                else:
                    yield index, outcome
    finally:
        session.close()
    if failed:
        index, failure = failed[0]
        raise ValueError(
            f"{len(failed)} of {len(waiting)} requests failed; the first, {requests[index].id}: "
            f"{failure.kind}: {failure.message}. The others are safe: the same command tries "
            "these again"
        )
