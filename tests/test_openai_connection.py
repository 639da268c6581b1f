"""Claims: a reply is the same however its bytes arrive, and a connection on which anything is odd is not used again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from aiohttp import web
from faulty_server import FaultyServer
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.openai_connection import MAX_REPLY_BYTES, KeepAliveClient, ReplyParser
from datagen.openai_http import AiohttpClient, HttpClient, NoConnection, Reply

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n"
)
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nhello"


def in_pieces(message: bytes, cuts: list[int]) -> tuple[ReplyParser, Reply | None]:
    parser, reply = ReplyParser(), None
    edges = [0, *sorted(cut % len(message) for cut in cuts), len(message)]
    for start, end in pairwise(edges):
        reply = parser.feed(message[start:end])
    return parser, reply


@settings(deadline=None)
@given(
    st.sampled_from([LENGTH, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH]),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_a_reply_is_the_same_in_any_pieces(message: bytes, cuts: list[int]) -> None:
    parser, reply = in_pieces(message, cuts)
    assert reply is not None
    assert (reply.status, reply.body) == (200, b"hello")
    assert parser.leaves_open


@pytest.mark.parametrize("message", [LENGTH, CHUNKED])
def test_every_cut_reply_is_broken_off(message: bytes) -> None:
    for length in range(len(message)):
        parser = ReplyParser()
        assert parser.feed(message[:length]) is None
        assert not parser.leaves_open
        with pytest.raises(ConnectionError, match="broke off"):
            parser.end()


def test_a_body_may_end_with_its_connection() -> None:
    parser = ReplyParser()
    assert parser.feed(UNTIL_CLOSED) is None
    assert parser.end().body == b"hello"
    assert not parser.leaves_open


@pytest.mark.parametrize(
    "message",
    [
        LENGTH + b"more",
        LENGTH.replace(b"X: a", b"Connection: close"),
        LENGTH.replace(b"1.1", b"1.0"),
    ],
)
def test_connections_that_say_more_or_close_are_not_used_again(message: bytes) -> None:
    parser = ReplyParser()
    reply = parser.feed(message)
    assert reply is not None
    assert reply.body == b"hello"
    assert not parser.leaves_open


@pytest.mark.parametrize(
    "message",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        LENGTH.replace(b"Length: 5", b"Length: -5"),
        LENGTH.replace(b"Length: 5", b"Length: 5, 6"),
        LENGTH.replace(b"Content-Length: 5", b"Transfer-Encoding: gzip, chunked"),
        CHUNKED.replace(b"3\r\n", b"+3\r\n"),
        b"x" * 100_000,
    ],
)
def test_what_is_no_http_is_refused(message: bytes) -> None:
    with pytest.raises(ConnectionError):
        ReplyParser().feed(message)


def test_a_reply_without_end_is_refused() -> None:
    parser = ReplyParser()
    parser.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(ConnectionError, match="MiB"):
        parser.feed(b"x" * (MAX_REPLY_BYTES + 1))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_a_reply_or_a_connection_error(data: bytes) -> None:
    for message in (data, LENGTH[:20] + data, CHUNKED[:50] + data):
        with suppress(ConnectionError):
            ReplyParser().feed(message)


CLIENTS = [KeepAliveClient, AiohttpClient]


def with_client(
    make: Callable[[dict[str, str]], HttpClient], work: Callable[[HttpClient], Awaitable[None]]
) -> None:
    async def run() -> None:
        client = make({"Authorization": "Bearer k"})
        try:
            await work(client)
        finally:
            await client.close()

    asyncio.run(run())


@pytest.mark.parametrize("make", CLIENTS)
def test_both_clients_bring_the_same_replies(make: Callable[[dict[str, str]], HttpClient]) -> None:
    body = b'{"model": "tiny", "messages": [{"role": "user", "content": "\xc3\x97"}]}'

    async def work(client: HttpClient) -> None:
        url = f"{server.base_url}/chat/completions"
        assert (await client.send("GET", f"{server.base_url}/models", None, 5)).status == 200
        for _ in range(3):
            reply = await client.send("POST", url, body, 5)
            assert reply.status == 200
            assert reply.headers["content-type"].startswith("application/json")
            assert b"Thought" in reply.body
        assert (await client.send("GET", f"{server.base_url}/nothing", None, 5)).status == 404

    with FaultyServer() as server:
        with_client(make, work)
        assert server.headers[0]["Authorization"] == "Bearer k"


@pytest.mark.parametrize("make", CLIENTS)
def test_both_clients_tell_what_failed(make: Callable[[dict[str, str]], HttpClient]) -> None:
    async def work(client: HttpClient) -> None:
        url, body = (
            f"{server.base_url}/chat/completions",
            b'{"model": "tiny", "messages": [{"role": "user", "content": "x"}]}',
        )
        for fault in ("reset", "dropped"):
            server.plan = lambda _, __, fault=fault: fault
            with pytest.raises(ConnectionError):
                await client.send("POST", url, body, 5)
        server.plan = lambda _, __: "silence"
        with pytest.raises(TimeoutError):
            await client.send("POST", url, body, 0.1)
        with pytest.raises(NoConnection):
            await client.send("GET", "http://127.0.0.1:9/v1/models", None, 5)
        with pytest.raises(NoConnection):
            await client.send("GET", "http://no.such.host.invalid/v1/models", None, 5)

    with FaultyServer() as server:
        with_client(make, work)


def test_a_reply_that_breaks_off_on_an_open_connection_is_not_asked_for_again() -> None:
    body = b'{"model": "tiny", "messages": [{"role": "user", "content": "x"}]}'

    async def work(client: HttpClient) -> None:
        url = f"{server.base_url}/chat/completions"
        await client.send("POST", url, body, 5)  # leaves its connection open
        server.plan = lambda _, __: "dropped"
        with pytest.raises(ConnectionError):
            await client.send("POST", url, body, 5)

    with FaultyServer() as server:
        with_client(KeepAliveClient, work)
        assert len(server.bodies) == 2


@pytest.mark.parametrize("make", CLIENTS)
def test_nobody_is_sent_elsewhere(make: Callable[[dict[str, str]], HttpClient]) -> None:
    class Elsewhere(FaultyServer):
        async def _list_models(self, _: web.Request) -> web.StreamResponse:
            raise web.HTTPFound("/stats")

    async def work(client: HttpClient) -> None:
        assert (await client.send("GET", f"{server.base_url}/models", None, 5)).status == 302

    with Elsewhere() as server:
        with_client(make, work)


def test_an_idle_connection_that_the_server_closed_costs_nothing() -> None:
    connections, ended = 0, asyncio.Semaphore(0)

    async def answer_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(LENGTH)  # it does not say that it closes
        await writer.drain()
        await reader.read(1)  # until the next request comes
        writer.transport.abort()
        ended.release()

    async def run() -> None:
        server = await asyncio.start_server(answer_and_close, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        client = KeepAliveClient({})
        for _ in range(3):
            assert (await client.send("GET", url, None, 5)).body == b"hello"
        await client.close()
        for _ in range(3):
            await ended.acquire()
        server.close()
        await server.wait_closed()

    asyncio.run(run())
    assert connections == 3
