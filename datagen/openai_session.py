"""The session of servers: an event loop in a thread of its own keeps them busy, whatever they do.

    submit -> inbox => [ a place at a server -> attempt -> pause -> attempt ... ] => outbox -> collect
                          pool (openai_pool)      retry (openai_retry)

Every request ends as exactly one outcome: a text, or a failure that says how often it was tried. A request gives its
place back while it pauses. What would befall all requests (a key that is no longer accepted, no server for longer
than `RetryPolicy.patience_seconds`) ends the session: `collect` first hands out what is finished, then raises.
"""

from __future__ import annotations

import asyncio
import queue
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from datagen.backends import BackendConfig
from datagen.generators import Completion, Failure, Outcome, Request, Sampling
from datagen.openai_accounts import Accounts
from datagen.openai_connection import KeepAliveClient
from datagen.openai_http import AiohttpClient, HttpClient
from datagen.openai_loop import LoopThread, allow_connections
from datagen.openai_pool import Pool, Server, home_of
from datagen.openai_request import attempt, request_body
from datagen.openai_retry import Problem, RetryPolicy
from datagen.progress_bar import Say

WORTH_SAYING_SECONDS = 30.0
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """A request that was submitted."""

    ticket: int
    request: Request
    sampling: Sampling


@dataclass(frozen=True)
class Finished:
    """Its end."""

    ticket: int
    outcome: Outcome
    failed_attempts: int


class ServerSession:
    """Servers at work; as `generators.Session`, with `accounts`."""

    def __init__(
        self,
        model: str,
        config: BackendConfig,
        policy: RetryPolicy,
        key: str | None,
        say: Say,
        chance: random.Random,
    ) -> None:
        self.accounts = Accounts(
            usd_per_million_prompt_tokens=config.usd_per_million_prompt_tokens,
            usd_per_million_completion_tokens=config.usd_per_million_completion_tokens,
        )
        self._model, self._config, self._policy = model, config, policy
        self._key, self._say, self._chance = key, say, chance
        self._pool = Pool(config.base_url, config.concurrency)
        self._inbox: deque[Job] = deque()
        self._finished: list[Finished] = []
        self._outbox: queue.SimpleQueue[list[Finished]] = queue.SimpleQueue()
        self._unfinished = 0
        self._error: BaseException | None = None
        self._waiting: deque[tuple[asyncio.Future[Server], int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        allow_connections(len(config.base_url) * config.concurrency)
        self._thread = LoopThread()
        self._client = self._thread.run(self.make_client())

    async def make_client(self) -> HttpClient:
        """The one for the servers' addresses; called within the loop."""
        secure = any(url.startswith("https://") for url in self._config.base_url)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return AiohttpClient(headers) if secure else KeepAliveClient(headers)

    # For the thread that uses the session.

    def room(self) -> int:
        """What fits into the servers that are well, and a little more, so that no place waits to be filled."""
        return max(0, self._pool.capacity() - self._unfinished)

    def submit(self, ticket: int, request: Request, sampling: Sampling, done: bool = False) -> None:
        """Starts at once where a server has a place."""
        if done:
            return
        self._unfinished += 1
        self._inbox.append(Job(ticket, request, sampling))
        if len(self._inbox) == 1:  # else the loop has been told already
            self._thread.call(self._start_jobs)

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        """All that has finished. Raises ValueError once no request can pass."""
        finished: list[Finished] = []
        with suppress(queue.Empty):
            if self._error is None:
                finished += self._outbox.get(timeout=timeout)
            while True:
                finished += self._outbox.get_nowait()
        if not finished and self._error is not None:
            raise self._error
        for one in finished:
            self.accounts.add(one.outcome, one.failed_attempts)
        self._unfinished -= len(finished)
        return [(one.ticket, one.outcome) for one in finished]

    def close(self) -> None:
        """Breaks off what is on its way."""
        if self._thread.is_running:
            self._thread.run(self._close())
            self._thread.stop()
            if self.accounts.failed_attempts:
                self._say(self.accounts.sentence())

    def run(self, work: Callable[[HttpClient], Coroutine[Any, Any, T]]) -> T:
        """Something else to be done with the session's connections, before it begins."""
        return self._thread.run(work(self._client))

    # For the loop's thread.

    def _start_jobs(self) -> None:
        while self._inbox:
            task = asyncio.create_task(self._guard(self._inbox.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        await self._client.close()

    async def _guard(self, job: Job) -> None:
        try:
            finished = await self._finish(job)
        except Exception as error:
            self._stop(error)
        else:
            self._finished.append(finished)
            if len(self._finished) == 1:
                # What ends in the same turn of the loop is handed over at once: waking the other thread costs.
                asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        finished, self._finished = self._finished, []
        self._outbox.put(finished)

    async def _finish(self, job: Job) -> Finished:
        """As many attempts as it takes, or as it may have."""
        body = request_body(self._model, job.request, job.sampling, self._config)
        home = home_of(job.request.id)
        failures, spent = 0, 0.0
        while True:
            server = await self._place(home)
            try:
                limit = self._config.timeout_seconds
                result = await attempt(self._client, server.url, body, limit)
            finally:
                self._pool.release(server)
            self._learn(server, result)
            if isinstance(result, Completion):
                return Finished(job.ticket, result, failures)
            pause = self._policy.pause(int(spent), self._chance)
            failures += 1
            spent += self._policy.busy_share if result.blame == "busy" else 1.0
            if result.blame == "run":
                raise ValueError(f"{server.url}: {self._hide(result.message)}")
            if not result.may_pass or spent > self._policy.max_retries:
                failure = Failure(result.kind, self._hide(result.message), failures)
                return Finished(job.ticket, failure, failures)
            await asyncio.sleep(pause)

    def _place(self, home: int) -> asyncio.Future[Server]:
        """A server, as soon as one has a place."""
        future: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, home))
        self._hand_out()
        return future

    def _hand_out(self) -> None:
        """Free places go to those who wait; where a pause ends later, this is done again then."""
        now = time.monotonic()
        while self._waiting:
            future, home = self._waiting[0]
            server = None if future.done() else self._pool.choose(now, home)
            if server is None and not future.done():
                break
            self._waiting.popleft()
            if server is not None:
                future.set_result(server)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        opening = self._pool.next_opening(now) if self._waiting else None
        if opening is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(opening - now, self._hand_out)

    def _learn(self, server: Server, result: Completion | Problem) -> None:
        """What the result says about the server; then its place is given to the next."""
        now = time.monotonic()
        if isinstance(result, Completion):
            self._thread.selector.adapt(result.seconds)
        if isinstance(result, Completion) or result.blame == "request":
            if self._pool.succeeded(server):
                self._say(f"{server.url} is back")
        elif result.blame == "busy":
            pause = result.pause
            if pause is None:
                pause = self._policy.pause(server.waits, self._chance)
            elif pause >= WORTH_SAYING_SECONDS:
                self._say(f"{server.url} asks for a pause of {pause:.0f} s")
            self._pool.asked_to_wait(server, now, pause)
        elif result.blame == "server" and self._pool.failed(server, now):
            why = self._hide(result.message)
            self._say(f"{server.url} is set aside and probed: {server.failures} failures, {why}")
        silent = self._pool.unwell_seconds(now)
        if silent > self._policy.patience_seconds:
            assert isinstance(result, Problem)
            raise ValueError(
                f"no server has answered for {silent:.0f} s; the last one, {server.url}: "
                f"{self._hide(result.message)}. What was written is safe: run the same command "
                "again when the servers are well"
            )
        self._hand_out()

    def _stop(self, error: BaseException) -> None:
        """The first error is the session's; all work ends."""
        if self._error is None:
            self._error = error
            for task in self._tasks:
                task.cancel()
            self._hand_over()  # wakes whoever collects

    def _hide(self, message: str) -> str:
        """Servers may repeat the key in what they say."""
        return message.replace(self._key, "***") if self._key else message
