"""vLLM's engine at work: requests become token ids, go to the engine at once, and come back as they finish.

    submit -> waiting -> a window: tokenised, checked, longest first -> engine -> collect

All that is submitted goes to the engine, which keeps as many chats going as its memory holds and the
rest in a queue of its own. Three things are arranged for it:

- Windows. The engine begins with the first few hundred requests while the next ones are tokenised.
  Within a window the longest prompts go first, so that a lack of memory shows at once.
- Chats that go on (a refinement that continues its critique's conversation) overtake those that are
  new: their beginning is still in the engine's cache, and would not be after a hundred others.
- A chat that does not fit the model is a Failure of its own, not the end of the list.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from datagen.chat_tokens import tokenise
from datagen.generators import Completion, Failure, Outcome, Request, Sampling
from datagen.vllm_engine import Ended, Engine, Order, Refused

WINDOW = 256
"""Requests tokenised at a time: a tenth of a second."""

Waiting = tuple[int, Request, Sampling]


class VLLMSession:
    """A session on an engine, which is started when the first request is there."""

    def __init__(
        self, tokenizer: Any, start: Callable[[], Engine], stop: Callable[[], None]
    ) -> None:
        self._tokenizer = tokenizer
        self._start, self._stop = start, stop
        self._waiting: list[Waiting] = []
        self._unfinished: dict[int, float] = {}
        """Ticket -> what the clock below showed when it went to the engine."""
        self._engine: Engine | None = None
        self._clock = SharedClock()

    def room(self) -> int:
        """No bound: the engine has a queue of its own."""
        return 1_000_000_000

    def submit(self, ticket: int, request: Request, sampling: Sampling, done: bool = False) -> None:
        """Goes to the engine with the next `collect`."""
        if not done:
            self._waiting.append((ticket, request, sampling))

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        """The texts that end first, within `timeout` seconds after the engine has started."""
        until: float | None = None
        while self._waiting or self._unfinished:
            outcomes = self._hand_over() if self._waiting else []
            if not outcomes and self._unfinished:
                outcomes = self._step()
            now = time.monotonic()
            until = now + timeout if until is None else until  # starting takes minutes
            if outcomes or now >= until:
                return outcomes
        return []

    def close(self) -> None:
        """Leaves the engine without work."""
        engine, unfinished = self._engine, self._unfinished
        self._engine, self._unfinished, self._waiting = None, {}, []
        try:
            if engine is not None and unfinished:
                engine.abandon(unfinished)
        finally:
            self._stop()

    def _hand_over(self) -> list[tuple[int, Outcome]]:
        """Gives the engine the next window; returns those that it cannot take."""
        if self._engine is None:
            self._engine = self._start()
        window, self._waiting = self._waiting[:WINDOW], self._waiting[WINDOW:]
        self._clock.pass_time(len(self._unfinished))
        failed: list[tuple[int, Outcome]] = []
        for order in in_order(window, self._tokenizer):
            failure = misfit(order, self._engine.max_model_len) or add(order, self._engine)
            if failure is not None:
                failed.append((order.ticket, failure))
            else:
                self._unfinished[order.ticket] = self._clock.seconds
        return failed

    def _step(self) -> list[tuple[int, Outcome]]:
        assert self._engine is not None
        texts = self._engine.step()
        self._clock.pass_time(len(self._unfinished))
        return [(text.ticket, self._outcome(text)) for text in texts]

    def _outcome(self, text: Ended) -> Outcome:
        seconds = self._clock.seconds - self._unfinished.pop(text.ticket)
        if text.reason not in ("stop", "length"):
            return Failure("server", f"vLLM gave the text up: {text.reason}")
        return Completion(
            text.text,
            text.reason,
            text.prompt_tokens,
            text.completion_tokens,
            round(seconds, 6),
            text.cached_tokens,
        )


class SharedClock:
    """Shares time among all that are unfinished: a text's seconds are its share, and all together are the time
    that passed."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Seconds that one request would have got, had it been there from the beginning."""
        self._last = time.perf_counter()

    def pass_time(self, sharers: int) -> None:
        """The time since the last call goes to so many in equal parts; to nobody where there were none."""
        now = time.perf_counter()
        if sharers:
            self.seconds += (now - self._last) / sharers
        self._last = now


def in_order(window: list[Waiting], tokenizer: Any) -> list[Order]:
    """The requests of a window as the engine takes them, longest prompt first; ties in their order."""
    orders = [
        Order(
            ticket,
            tokenise(tokenizer, request.messages),
            sampling,
            request.seed,
            priority=-sum(message["role"] == "assistant" for message in request.messages),
        )
        for ticket, request, sampling in window
    ]
    return sorted(orders, key=lambda order: -len(order.prompt))


def add(order: Order, engine: Engine) -> Failure | None:
    """Hands a request to the engine; what it says, where it does not take it."""
    try:
        engine.add(order)
    except Refused as refusal:
        return Failure("refused", f"vLLM does not take the request: {refusal}")
    return None


def misfit(order: Order, max_model_len: int) -> Failure | None:
    """Why the engine would not write this to its end, if so."""
    needed = len(order.prompt) + order.sampling.max_tokens
    if needed <= max_model_len:
        return None
    return Failure(
        "too long",
        f"the prompt takes {len(order.prompt)} tokens and max_tokens is {order.sampling.max_tokens}, but the "
        f"model has {max_model_len} positions; lower max_tokens, raise max_model_len where it is set, or "
        "leave such records out",
    )
