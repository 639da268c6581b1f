"""Generators: chat messages go in; text, the reason why it ended, and token counts come out.

    Requests(messages, seed) + Sampling -> Generator.generate -> (index, Completion), as they finish
    Generator.open -> Session: submit(ticket, request, sampling) ... collect() -> (ticket, Outcome)

A generator is anything that fits the `Generator` protocol (`backends.py` names them). Stages know
the protocol alone, so student and teacher may be of different kinds. Everything random hangs on
each request's own seed: neither the batch that a request shares nor the moment at which a run was
resumed changes what is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Protocol

from datagen.records import Record

Message = dict[str, str]
"""One turn of a chat: {"role": "user", "content": "..."}."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen, and when a text is cut."""

    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    """Only the most probable tokens that together reach this probability may be drawn."""
    max_tokens: int = 1024
    """A text that reaches this length is cut: its finish reason is `length`."""

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], got {self.top_p}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be 1 or more, got {self.max_tokens}")


@dataclass(frozen=True)
class Request:
    """A chat that waits for its next turn."""

    id: str
    """The record's id; errors name it."""
    messages: tuple[Message, ...]
    """The chat so far; its last turn is the user's."""
    seed: int
    """All that chance may depend on."""
    stage: str = ""
    """For scripted teachers: what is asked for."""
    record: Record | None = None
    """For scripted teachers: what it is asked about."""


@dataclass(frozen=True)
class Completion:
    """The turn that a generator wrote."""

    text: str
    """Without special tokens."""
    finish_reason: str
    """`stop`: it ended by itself; `length`: it was cut at `max_tokens`."""
    prompt_tokens: int
    """The chat template's tokens included."""
    completion_tokens: int
    """The stop token included, since it was computed too."""
    seconds: float
    """This text's share of its batch's time; of a server's text the time it took."""
    cached_tokens: int = 0
    """Prompt tokens that the back end had computed before and took over."""


@dataclass(frozen=True)
class Failure:
    """A request of which no text came, though the generator is well."""

    kind: str
    """too long, refused, timeout, connection, server, bad reply"""
    message: str
    """One line for people."""
    attempts: int = 1
    """How often it was tried."""


Outcome = Completion | Failure
"""What becomes of a request."""


class Session(Protocol):
    """A generator at work. One thread uses it; what it does behind that is its own business."""

    def room(self) -> int:
        """How many more requests it would like now; more may be submitted, and wait inside."""
        ...

    def submit(self, ticket: int, request: Request, sampling: Sampling, done: bool = False) -> None:
        """Hands in work under a number of the caller's. What is `done` is not written and not collected:
        generators that form batches need to know it, others ignore it."""
        ...

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        """What has finished: at once where something has, else within `timeout` seconds, else nothing.

        A session that computes in this thread takes the time it needs for its next texts."""
        ...

    def close(self) -> None:
        """Gives up what is unfinished, and frees what the session holds."""
        ...


class Generator(Protocol):
    """What student and teacher have in common."""

    @property
    def identity(self) -> dict[str, str]:
        """backend, model, revision: part of every record's provenance and of its work key."""
        ...

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        done: AbstractSet[int] = frozenset(),
    ) -> Iterator[tuple[int, Completion]]:
        """Yields (index into requests, completion) as they finish, in any order.

        Indices in `done` are not yielded again, but keep their place in the plan of batches: a
        resumed run forms the very batches of an undisturbed one, and so the same texts, bit for
        bit, on one machine. Raises ValueError at the end where requests failed.
        """
        ...

    def open(self) -> Session:
        """The generator at work: takes requests while it writes."""
        ...


def what_matters(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an identity that texts depend on: not the path, where the content is known; folders may be moved."""
    moved = {"model"} if "fingerprint" in identity else set()
    return {name: value for name, value in identity.items() if name not in moved}
