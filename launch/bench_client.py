"""`cgd bench client`: processor time that feeding servers costs, per request, at a stated rate.

    a process that plays N servers (replies rendered beforehand, after a random time) <- ServerSession in this process

As many requests are in flight as the rate asks for: rate × seconds per text. Only this process's time counts: it makes
bodies, sends, reads and parses replies, and hands texts out as a run's flow would take them. `ours` is what `http://`
servers get, `aiohttp` what `https://` ones do (here without TLS). A loopback charges the sender with part of the
receiver's work, so the figures are rather too high.
"""

from __future__ import annotations

import asyncio
import json
import math
import multiprocessing
import os
import random
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from datagen.backends import TeacherConfig
from datagen.generators import Request, Sampling
from datagen.openai_connection import KeepAliveClient
from datagen.openai_http import AiohttpClient, HttpClient
from datagen.openai_retry import RetryPolicy
from datagen.openai_session import ServerSession
from datagen.progress_bar import say_line

PROMPT = "What is the sum of the first n odd numbers? Show each step.\n"
PROMPT_CHARS = 2_000
ANSWER = "The k-th odd number is 2k − 1, so the sum is \\sum_{k=1}^n (2k - 1) = n^2.\n"
ANSWER_CHARS = 3_000
GOAL = 2.0
"""Percent of a core, per 100 requests a second."""

MakeClient = Callable[[Mapping[str, str]], HttpClient]
CLIENTS: dict[str, MakeClient] = {"ours": KeepAliveClient, "aiohttp": AiohttpClient}


@dataclass(frozen=True)
class Measured:
    """What one client did."""

    requests: int
    seconds: float
    user_seconds: float
    system_seconds: float
    filled: float
    """Requests done, as a share of what the servers could have done with all their places taken."""

    @property
    def milliseconds(self) -> float:
        """Of processor time, per request."""
        return 1e3 * (self.user_seconds + self.system_seconds) / self.requests

    @property
    def percent_per_100(self) -> float:
        """Of a core, for 100 requests a second."""
        return 10 * self.milliseconds


def run_bench(options: Namespace) -> str:
    """Both clients at the rate, and the table."""
    if options.rate <= 0 or options.seconds <= 0 or options.text_seconds <= 0:
        raise ValueError("--rate, --seconds and --text-seconds must be above 0")
    for name in ("rounds", "servers"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name} must be 1 or more, got {getattr(options, name)}")
    rounds = [
        {name: measure(make, options) for name, make in CLIENTS.items()}
        for _ in range(options.rounds)
    ]
    return table({name: [one[name] for one in rounds] for name in CLIENTS}, options)


def measure(make: MakeClient, options: Namespace) -> Measured:
    """One client, once every place has been taken for a while."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    arguments = (far, options.servers, options.text_seconds)
    process = context.Process(target=serve, args=arguments, daemon=True)
    process.start()
    try:
        urls = near.recv()
        concurrency = math.ceil(options.rate * options.text_seconds / options.servers)
        config = TeacherConfig(base_url=urls, model="m", concurrency=concurrency)
        session = BenchSession(config, make)
        try:
            return feed(session, concurrency * options.servers, options)
        finally:
            session.close()
    finally:
        process.kill()
        process.join()


class BenchSession(ServerSession):
    """A session with a client of the bench's choice."""

    def __init__(self, config: TeacherConfig, make: MakeClient) -> None:
        self._make = make
        super().__init__("m", config, RetryPolicy(), None, say_line, random.Random(0))

    async def make_client(self) -> HttpClient:
        """The client that is measured."""
        return self._make({"Authorization": "Bearer key"})


def feed(session: ServerSession, places: int, options: Namespace) -> Measured:
    """Keeps the session full; the first two rounds of texts are not measured."""
    messages = ({"role": "user", "content": repeated(PROMPT, PROMPT_CHARS)},)
    sampling = Sampling(temperature=0.7)
    submitted = finished = 0
    began = time.perf_counter()
    started: tuple[int, float, os.times_result] | None = None
    while True:
        while session.room() > 0:
            request = Request(f"r{submitted}", messages, submitted)
            session.submit(submitted, request, sampling)
            submitted += 1
        finished += len(session.collect(1.0))
        now = time.perf_counter()
        if started is None and now - began > 2 * options.text_seconds:
            started = finished, now, os.times()
        if started is not None and now - started[1] > options.seconds:
            break
    before, at, times = started
    spent, seconds, count = os.times(), now - at, finished - before
    possible = seconds * places / options.text_seconds
    user, system = spent.user - times.user, spent.system - times.system
    return Measured(count, seconds, user, system, count / possible)


def repeated(text: str, chars: int) -> str:
    """As much of a text as is asked for."""
    return (text * math.ceil(chars / len(text)))[:chars]


def serve(channel: Connection, servers: int, text_seconds: float) -> None:
    """The process of the servers; says their addresses."""
    asyncio.run(_serve(channel, servers, text_seconds))


async def _serve(channel: Connection, servers: int, text_seconds: float) -> None:
    loop, chance, reply = asyncio.get_running_loop(), random.Random(0), rendered()
    made = [
        await loop.create_server(
            lambda: Answering(reply, text_seconds, chance), "127.0.0.1", 0, backlog=1000
        )
        for _ in range(servers)
    ]
    ports = [server.sockets[0].getsockname()[1] for server in made]
    channel.send(tuple(f"http://127.0.0.1:{port}/v1" for port in ports))
    await asyncio.Event().wait()


def rendered() -> bytes:
    """A reply as vLLM's server sends it."""
    message = {"role": "assistant", "content": repeated(ANSWER, ANSWER_CHARS), "tool_calls": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 500, "total_tokens": 1500, "completion_tokens": 1000}
    value = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    body = json.dumps(value | {"choices": [choice], "usage": usage}).encode()
    head = f"content-length: {len(body)}\r\ncontent-type: application/json\r\n\r\n".encode()
    return (
        b"HTTP/1.1 200 OK\r\ndate: Mon, 05 Jan 2026 10:00:00 GMT\r\nserver: uvicorn\r\n"
        + head
        + body
    )


class Answering(asyncio.Protocol):
    """A connection of a server: reads requests of known length, and answers each after a random time."""

    def __init__(self, reply: bytes, text_seconds: float, chance: random.Random) -> None:
        self._reply, self._text_seconds, self._chance = reply, text_seconds, chance
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Between half and one and a half times the mean later comes the reply."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = (
            int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) if found else 0
        )
        if not found or len(body) < length:
            return
        self._received = b""
        seconds = self._text_seconds * self._chance.uniform(0.5, 1.5)
        asyncio.get_running_loop().call_later(seconds, self._transport.write, self._reply)


def table(results: Mapping[str, Sequence[Measured]], options: Namespace) -> str:
    """A line for each client: its best round, since whatever else runs on the machine only adds."""
    lines = [
        f"{options.servers} servers, texts of {options.text_seconds:g} s (±50 %), prompts of {PROMPT_CHARS:,} "
        f"characters, answers of {ANSWER_CHARS:,}; goal: {GOAL:g} % of a core per 100 requests/s",
        f"{'':10}{'requests/s':>12}{'user ms':>10}{'system ms':>11}{'ms/request':>12}"
        f"{'% of a core per 100/s':>23}{'worst round':>13}{'places filled':>15}",
    ]
    for name, rounds in results.items():
        best, worst = (pick(rounds, key=lambda one: one.milliseconds) for pick in (min, max))
        user, system = (1e3 * s / best.requests for s in (best.user_seconds, best.system_seconds))
        lines.append(
            f"{name:10}{best.requests / best.seconds:12.0f}{user:10.3f}{system:11.3f}"
            f"{best.milliseconds:12.3f}{best.percent_per_100:23.2f}{worst.percent_per_100:13.2f}"
            f"{100 * best.filled:14.1f} %"
        )
    return "\n".join(lines)
