"""A fleet that is not there: servers on a virtual clock, as sessions that a run's own flow can drive.

    Fleet (clock, events) <- SimulatedSession (the real Pool) -> Replica (continuous batching) -> texts, later

A replica writes up to `slots` texts at a time, in steps: each step gives every text one token and takes
`base + each × texts` seconds, so a fuller replica writes more tokens a second and each text more slowly. Reading a
prompt counts as steps, too. What finds no slot waits there. Messages take `NETWORK_SECONDS` each way, and replies up
to `LONGEST_GATHER_SECONDS` more, as in `datagen.openai_loop`. Lengths are drawn from a log-normal law by the
request's seed. The clock stands still while the flow computes, and goes on while it waits.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from datagen.generators import Completion, Outcome, Request, Sampling
from datagen.openai_loop import LONGEST_GATHER_SECONDS
from datagen.openai_pool import Pool, Server, home_of

NETWORK_SECONDS = 0.01
PROMPT_TOKENS_PER_STEP = 200
CHARS_PER_TOKEN = 4
LONGEST_TOKENS = 2048


@dataclass(frozen=True)
class Speed:
    """How fast a replica is."""

    slots: int
    base: float
    """Seconds of a step, however few texts there are."""
    each: float
    """Further seconds for each text."""

    def step_seconds(self, texts: int) -> float:
        """Of one step."""
        return self.base + self.each * texts


@dataclass(frozen=True)
class Lengths:
    """How long texts are, in tokens: log-normal."""

    median: float
    sigma: float

    def draw(self, seed: int) -> int:
        """The length of one text."""
        drawn = random.Random(seed).lognormvariate(math.log(self.median), self.sigma)
        return min(LONGEST_TOKENS, max(1, round(drawn)))


class Fleet:
    """The clock, and what happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def later(self, seconds: float, happens: Callable[[], None]) -> None:
        """Something for the future."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), happens))

    def wait(self, seconds: float, for_what: Callable[[], bool]) -> None:
        """Time goes by: until it has come, or so long."""
        end = self.now + seconds
        while not for_what():
            if not self._events or self._events[0][0] > end:
                self.now = end
                return
            self.now, _, happens = heapq.heappop(self._events)
            happens()


class Replica:
    """A server with continuous batching, and the account of its time."""

    def __init__(self, fleet: Fleet, speed: Speed) -> None:
        self._fleet, self._speed = fleet, speed
        self._steps, self._at = 0.0, 0.0
        """Steps done until a moment."""
        self._running: list[tuple[float, int, Callable[[], None]]] = []
        self._queue: deque[tuple[float, Callable[[], None]]] = deque()
        self._numbers = count()
        self._alarm = 0
        self.slot_seconds = 0.0
        """Texts that were being written, summed over time."""
        self.texts = 0
        self.ended = 0.0
        """When the last text did."""

    def begin(self, steps: float, done: Callable[[], None]) -> None:
        """A text of so many steps."""
        self._queue.append((steps, done))
        self._go_on()

    def _go_on(self) -> None:
        """Brings the account up to now: texts end, others take their slots."""
        fleet, running = self._fleet, self._running
        passed = fleet.now - self._at
        self._at = fleet.now
        self.slot_seconds += passed * len(running)
        self._steps += passed / self._speed.step_seconds(len(running))
        while running and running[0][0] <= self._steps + 1e-6:
            _, _, done = heapq.heappop(running)
            self.texts += 1
            self.ended = fleet.now
            done()
        while self._queue and len(running) < self._speed.slots:
            steps, done = self._queue.popleft()
            heapq.heappush(running, (self._steps + steps, next(self._numbers), done))
        self._alarm += 1
        if running:
            left = max(0.0, running[0][0] - self._steps)
            self._fleet.later(
                left * self._speed.step_seconds(len(running)), self._ring(self._alarm)
            )

    def _ring(self, alarm: int) -> Callable[[], None]:
        def ring() -> None:
            if alarm == self._alarm:  # else something has changed since
                self._go_on()

        return ring


class SimulatedSession:
    """Replicas of one model as a `Session`; requests take the way that real ones take through the pool."""

    def __init__(
        self,
        fleet: Fleet,
        replicas: Sequence[Replica],
        speed: Speed,
        lengths: Mapping[str, Lengths],
    ) -> None:
        self.replicas = replicas
        self._fleet, self._lengths = fleet, lengths
        self._pool = Pool([str(number) for number in range(len(replicas))], speed.slots)
        self._waiting: deque[tuple[int, Request]] = deque()
        self._finished: list[tuple[int, Outcome]] = []
        self._unfinished = 0
        self._chance = random.Random(0)

    def room(self) -> int:
        """As in `ServerSession`."""
        return max(0, self._pool.capacity() - self._unfinished)

    def submit(self, ticket: int, request: Request, sampling: Sampling, done: bool = False) -> None:
        """To a server, as soon as one has a place."""
        self._unfinished += 1
        self._waiting.append((ticket, request))
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            server = self._pool.choose(self._fleet.now, home_of(self._waiting[0][1].id))
            if server is None:
                return
            self._send(server, *self._waiting.popleft())

    def _send(self, server: Server, ticket: int, request: Request) -> None:
        fleet, began = self._fleet, self._fleet.now
        tokens = self._lengths[request.stage].draw(request.seed)
        prompt = sum(len(message["content"]) for message in request.messages) // CHARS_PER_TOKEN
        replica = self.replicas[int(server.url)]

        def arrive() -> None:
            replica.begin(tokens + prompt / PROMPT_TOKENS_PER_STEP, end)

        def end() -> None:
            gather = self._chance.uniform(0, LONGEST_GATHER_SECONDS)
            fleet.later(NETWORK_SECONDS + gather, reply)

        def reply() -> None:
            self._pool.release(server)
            self._pool.succeeded(server)
            text = text_of(request.stage, tokens)
            completion = Completion(text, "stop", prompt, tokens, round(fleet.now - began, 3))
            self._finished.append((ticket, completion))
            self._hand_out()

        fleet.later(NETWORK_SECONDS, arrive)

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        """What has come; where nothing has, time goes by, for the other sessions as well."""
        self._fleet.wait(timeout, lambda: bool(self._finished))
        finished, self._finished = self._finished, []
        self._unfinished -= len(finished)
        return finished

    def close(self) -> None:
        """There is nothing to free."""


def text_of(stage: str, tokens: int) -> str:
    """Something to journal; its length matters only to the disk."""
    end = "\n\nConclusion: wrong" if stage == "critique" else ""
    return f"{tokens} tokens of {stage}: the number is \\boxed{{{tokens}}}.{end}"
