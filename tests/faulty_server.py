"""A server that speaks the OpenAI protocol, badly: it answers as scripted, and fails a share of its requests.

    with FaultyServer(fault_rate=0.3) as server: ... server.base_url ... server.served
    python tests/faulty_server.py --port 8000 --fault-rate 0.3 --seed 1      prints "ready http://127.0.0.1:8000/v1"

The text is a function of messages and seed alone (`scripted_text`), so that a disturbed run can be compared with an
undisturbed one, byte for byte. Whether an attempt fails, and how, is a function of the server's seed, the request and
the number of attempts it has seen of it. `GET /stats` says what was served, for servers in a process of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from aiohttp import web

FAULTS = (
    "429 seconds",  # Retry-After in seconds
    "429 date",  # Retry-After as a date
    "429 bare",
    "408",
    "500",
    "502 html",
    "503",
    "silence",  # never answers
    "dropped",  # the connection ends in the middle of the body
    "reset",  # it ends before the first byte
    "torn",  # a whole body that is half a JSON text
    "html",  # a page with status 200
    "no choices",
    "slow",  # a good reply, late
)
Script = Callable[[list[dict[str, str]], int | None], str]
"""(messages, seed) -> text"""
Plan = Callable[[dict[str, Any], int], str | None]
"""(request body, attempt from 0) -> the fault, or None"""


def digest(value: Any) -> str:
    """A name for a request."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def scripted_text(messages: list[dict[str, str]], seed: int | None) -> str:
    """What the server answers: an answer in a box, and a conclusion where one is asked for."""
    name = digest([messages, seed])
    number = int(name[:4], 16) % 100
    end = ("\n\nConclusion: right", "\n\nConclusion: wrong")[int(name[4], 16) % 2]
    asked = "Conclusion" in messages[-1]["content"]
    return f"Thought {name[5:13]} ×. The answer is \\boxed{{{number}}}.{end if asked else ''}"


@dataclass
class FaultyServer:
    """A server in a thread of its own; what may be changed while it runs is changed by assignment."""

    fault_rate: float = 0.0
    seed: int = 0
    faults: Sequence[str] = FAULTS
    plan: Plan | None = None
    """Decides in place of rate and seed."""
    script: Script = scripted_text
    models: tuple[str, ...] = ("tiny",)
    lists_models: bool = True
    """False: `/models` is unknown to it, as to some providers."""
    key: str | None = None
    """Requests without it get a 401."""
    context_tokens: int | None = None
    """Longer chats (words, with max_tokens) get a 400."""
    refuses: tuple[str, ...] = ()
    """Fields of the body that get a 400."""
    latency_seconds: float = 0.0
    slow_seconds: float = 0.2
    retry_after_seconds: float = 0.05
    down: bool = False
    """Every connection is cut without a word."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Put over `choices[0].message` of each reply."""
    finish_reason: str = "stop"
    port: int = 0

    bodies: list[dict[str, Any]] = field(default_factory=list, init=False)
    """Every chat that arrived, attempts and preflights included."""
    headers: list[dict[str, str]] = field(default_factory=list, init=False)
    attempts: Counter[str] = field(default_factory=Counter, init=False)
    served: Counter[str] = field(default_factory=Counter, init=False)
    """Good replies by digest of [messages, seed]."""
    failed: Counter[str] = field(default_factory=Counter, init=False)
    """By fault."""
    in_flight: int = field(default=0, init=False)
    most_in_flight: int = field(default=0, init=False)

    @property
    def base_url(self) -> str:
        """What goes into a config."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FaultyServer:
        """Returns when it listens."""
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Cuts what is open."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self.start())
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # sockets close in the next turn
        self._loop.close()

    async def start(self) -> web.AppRunner:
        """Listens, in the running loop."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/stats", self._stats)
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,  # who hangs up is no longer in flight
            shutdown_timeout=0.05,
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        return runner

    async def _stats(self, _: web.Request) -> web.Response:
        counts = {"served": self.served, "failed": self.failed, "attempts": self.attempts}
        return web.json_response({name: dict(counter) for name, counter in counts.items()})

    async def _list_models(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            return await self._cut(request)
        if not self.lists_models:
            raise web.HTTPNotFound
        if not self._knows(request):
            return error(401, "Incorrect API key provided", "invalid_api_key")
        return web.json_response({"object": "list", "data": [{"id": name} for name in self.models]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            return await self._cut(request)
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        if refusal := self._refusal(request, body):
            return refusal
        await asyncio.sleep(self.latency_seconds)
        name = digest([body["messages"], body.get("seed")])
        attempt = self.attempts[name]
        self.attempts[name] += 1
        reply = self._reply(body)
        if fault := self._fault(body, name, attempt):
            self.failed[fault] += 1
            if spoilt := await self._spoil(request, fault, reply):
                return spoilt
        self.served[name] += 1
        return web.Response(body=reply, content_type="application/json")

    def _refusal(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        if not self._knows(request):
            return error(401, "Incorrect API key provided", "invalid_api_key")
        if body.get("model") not in self.models:
            message = f"The model `{body.get('model')}` does not exist."
            return error(404, message, "model_not_found")
        if refused := [name for name in self.refuses if name in body]:
            return error(400, f"Unsupported parameter: '{refused[0]}'", "unsupported_parameter")
        words = count_words(body)
        limit = body.get("max_tokens", 0) + words
        if self.context_tokens is not None and limit > self.context_tokens:
            message = (
                f"This model's maximum context length is {self.context_tokens} tokens. However, "
                f"you requested {limit} tokens. Please reduce the length of the messages."
            )
            return error(400, message, "context_length_exceeded")
        return None

    def _knows(self, request: web.Request) -> bool:
        return self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}"

    def _fault(self, body: dict[str, Any], name: str, attempt: int) -> str | None:
        if self.plan is not None:
            return self.plan(body, attempt)
        dice = digest([self.seed, name, attempt])
        if int(dice[:8], 16) / 16**8 >= self.fault_rate:
            return None
        return self.faults[int(dice[8:16], 16) % len(self.faults)]

    def _reply(self, body: dict[str, Any]) -> bytes:
        text = self.script(body["messages"], body.get("seed"))
        message = {"role": "assistant", "content": text} | self.changes
        usage: dict[str, Any] = {
            "prompt_tokens": count_words(body),
            "completion_tokens": len(text.split()),
            "prompt_tokens_details": {"cached_tokens": 1},
        }
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return json.dumps({"id": "1", "choices": [choice], "usage": usage}).encode()

    async def _spoil(
        self, request: web.Request, fault: str, reply: bytes
    ) -> web.StreamResponse | None:
        """The failure; None for a good reply."""
        if fault == "slow":
            await asyncio.sleep(self.slow_seconds)
            return None
        if fault == "silence":
            await asyncio.sleep(3600)
        if fault == "reset":
            return await self._cut(request)
        if fault == "dropped":
            response = web.StreamResponse(headers={"Content-Length": str(len(reply))})
            await response.prepare(request)
            await response.write(reply[: len(reply) // 2])
            return await self._cut(request)
        if fault == "torn":
            return web.Response(body=reply[: len(reply) // 2], content_type="application/json")
        if fault in ("html", "502 html"):
            status = 200 if fault == "html" else 502
            page = "<html><body>Bad gateway</body></html>"
            return web.Response(status=status, text=page, content_type="text/html")
        if fault == "no choices":
            return web.json_response({"id": "1", "choices": []})
        wait = {
            "429 seconds": f"{self.retry_after_seconds:g}",
            "429 date": formatdate(usegmt=True),
        }.get(fault)
        response = error(int(fault[:3]), f"scripted fault {fault}", "fault")
        if wait is not None:
            response.headers["Retry-After"] = wait
        return response

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0)  # what was written leaves first
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


def error(status: int, message: str, code: str) -> web.Response:
    """An error as OpenAI's servers put it."""
    return web.json_response({"error": {"message": message, "code": code}}, status=status)


def count_words(body: dict[str, Any]) -> int:
    """The server's tokens."""
    return sum(len(message["content"].split()) for message in body["messages"])


async def serve(server: FaultyServer) -> None:
    """Until the process ends."""
    await server.start()
    print(f"ready {server.base_url}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """The server as a process."""
    parser = argparse.ArgumentParser(description="an OpenAI-compatible server that fails")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fault-rate", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", default=",".join(FAULTS), help="their names, with commas")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--model", action="append", help="a name it serves (tiny)")
    options = parser.parse_args()
    server = FaultyServer(
        fault_rate=options.fault_rate,
        seed=options.seed,
        faults=options.faults.split(","),
        models=tuple(options.model or ["tiny"]),
        latency_seconds=options.latency,
        port=options.port,
    )
    asyncio.run(serve(server))


if __name__ == "__main__":
    main()
