"""Asking a generator about many records at once, where what is asked next depends on what came back.

    record → Interview: yields what it asks, is sent what came back, … returns the record's row
    conduct(generator, interviews) → rows, as interviews end

Each record is an interview of its own, written as if it were alone; `conduct` holds many of them at a time, so
that a server is kept busy and a local model gets full batches. A request that can never be answered (too long,
refused) is told to its interview. One that failed for another reason may pass later: its record gets no row, all
others do, and at the end a ValueError says what happened.
"""

from __future__ import annotations

from collections.abc import Generator as Coroutine
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from datagen.generators import Failure, Generator, Outcome, Request, Sampling, Session
from evals.diagnostics.diagnosis import Row

IN_FLIGHT = 512
"""Requests that are handed in at a time, where the caller does not say: enough for several servers."""
FINAL = ("too long", "refused")
"""Kinds of failures that another attempt would meet again."""


@dataclass(frozen=True)
class Ask:
    """One request, and how its text is drawn."""

    request: Request
    sampling: Sampling


Interview = Coroutine[Sequence[Ask], list[Outcome], Row]
"""Yields one request or more, is sent their outcomes in the same order, and in the end returns a row."""


@dataclass
class Round:
    """What an interview waits for."""

    interview: Interview
    outcomes: list[Outcome | None]


def conduct(
    writer: Generator, interviews: Iterable[Interview], in_flight: int = IN_FLIGHT
) -> Iterator[Row]:
    """The rows of all interviews, in the order in which they end. A local model writes what is in flight as one
    wave, longest first, so a smaller number gives rows earlier and loses less in a kill."""
    desk = InterviewDesk(writer.open(), in_flight)
    waiting = iter(interviews)
    try:
        while True:
            while desk.has_room and (interview := next(waiting, None)) is not None:
                yield from desk.go_on(interview, None)
            if desk.is_idle:
                break
            yield from desk.collect()
    finally:
        desk.session.close()
    if desk.failed:
        record, failure = desk.failed[0]
        raise ValueError(
            f"{len(desk.failed)} records lack a text; the first, {record}: {failure.kind}: {failure.message}. "
            "The same command tries these again, and keeps every record that is done"
        )


class InterviewDesk:
    """A session, and who waits for which of its texts."""

    def __init__(self, session: Session, in_flight: int) -> None:
        self.session = session
        self._in_flight = in_flight
        self.failed: list[tuple[str, Failure]] = []
        """Records without a row, and why."""
        self._asked: dict[int, tuple[Round, int, str]] = {}
        self._tickets = count()

    @property
    def has_room(self) -> bool:
        """Whether another interview may begin. Where nothing is in flight one begins in any case: servers that are
        all unwell have no room, and only work finds out when they are back."""
        return self.is_idle or (len(self._asked) < self._in_flight and self.session.room() > 0)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for anything."""
        return not self._asked

    def go_on(self, interview: Interview, outcomes: list[Outcome] | None) -> Iterator[Row]:
        """Sends an interview its outcomes and hands in what it asks next, or yields its row."""
        try:
            asks = next(interview) if outcomes is None else interview.send(outcomes)
        except StopIteration as end:
            yield end.value
            return
        assert asks, "an interview that asks nothing would never go on"
        waits = Round(interview, [None] * len(asks))
        for place, ask in enumerate(asks):
            ticket = next(self._tickets)
            self._asked[ticket] = (waits, place, ask.request.id)
            self.session.submit(ticket, ask.request, ask.sampling)

    def collect(self) -> Iterator[Row]:
        """Takes what has finished, and goes on with the interviews that have all they waited for."""
        for ticket, outcome in self.session.collect(timeout=1.0):
            waits, place, record = self._asked.pop(ticket)
            waits.outcomes[place] = outcome
            outcomes = [told for told in waits.outcomes if told is not None]
            if len(outcomes) < len(waits.outcomes):
                continue
            passing = [o for o in outcomes if isinstance(o, Failure) and o.kind not in FINAL]
            if passing:
                self.failed.append((record, passing[0]))
                waits.interview.close()
            else:
                yield from self.go_on(waits.interview, outcomes)
