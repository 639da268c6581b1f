"""The desk: one generator at work, what waits for it, and what it is writing.

    put(due) -> [waiting, by urgency] -> fill -> [in flight] -> collect -> (due, outcome)

Late stages go first: a refinement right behind its critique finds the critique's chat in the server's
cache, and a chain that ends early need not be held. Within a stage a window of neighbours is sorted by
length, longest first, so that no long text starts when all others have ended. No more is handed in than
the session has room for: what waits inside it could not be overtaken.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from datagen.chain import Due
from datagen.generators import Generator, Outcome, Session
from datagen.plan import Work

WINDOW = 1024
"""Prompts among which the longest go first."""

Waiting = tuple[int, int, int, int, Due]


class Desk:
    """A generator's session, opened with the first work."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self._session: Session | None = None
        self._waiting: list[Waiting] = []
        self._numbers = count()
        self._in_flight: dict[int, Due] = {}

    @property
    def session(self) -> Session:
        """The generator at work. A generator that cannot work at all says so here."""
        if self._session is None:
            self._session = self.generator.open()
        return self._session

    @property
    def num_waiting(self) -> int:
        """Work that is not handed in yet."""
        return len(self._waiting)

    @property
    def num_in_flight(self) -> int:
        """Work that is handed in."""
        return len(self._in_flight)

    def put(self, due: Due) -> None:
        """Work for this generator."""
        number = next(self._numbers)
        length = sum(len(message["content"]) for message in due.work.request.messages)
        urgency = (-due.place, number // WINDOW, -length, number)
        heapq.heappush(self._waiting, (*urgency, due))

    def fill(self, admits: Callable[[Work], bool], reserve: Callable[[Work], None]) -> None:
        """Hands in the most urgent work, as far as there is room and it is admitted. Where nothing is in flight one
        goes in any case: servers that are all unwell have no room, and only work finds out when they are back."""
        while self._waiting and (self.session.room() > 0 or not self._in_flight):
            due = self._waiting[0][-1]
            if not admits(due.work):
                return
            heapq.heappop(self._waiting)
            reserve(due.work)
            self.submit(due)

    def submit(self, due: Due, done: bool = False) -> None:
        """Hands in one piece of work. What is done keeps its place in a batch, and is not written."""
        ticket = next(self._numbers)
        if not done:
            self._in_flight[ticket] = due
        self.session.submit(ticket, due.work.request, due.work.sampling, done)

    def collect(self, timeout: float) -> list[tuple[Due, Outcome]]:
        """What has finished, within so many seconds."""
        finished = self.session.collect(timeout)
        return [(self._in_flight.pop(ticket), outcome) for ticket, outcome in finished]

    def close(self) -> None:
        """Gives up what is unfinished."""
        if self._session is not None:
            self._session.close()
            self._session = None
