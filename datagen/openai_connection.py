"""A small HTTP/1.1 client for `http://` servers: connections stay open, a reply is read as it arrives.

    KeepAliveClient.send -> an idle Connection or a new one -> request bytes -> ReplyParser.feed(bytes) ... -> Reply

It knows what servers of texts do: bodies of a known length, in chunks, or up to the end of the connection. It does not
redirect, unpack or remember cookies, and it reads nothing that it has not asked for: a connection on which anything is
odd is closed. A connection that the server has closed while it was idle costs nothing but a new one.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from urllib.parse import urlsplit

from datagen.openai_http import NoConnection, Reply

MAX_HEAD_BYTES = 64 << 10
MAX_REPLY_BYTES = 64 << 20
"""A longer reply is no text."""
Address = tuple[str, int]
CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")


class ReplyParser:
    """One reply, piece by piece. What does not follow the protocol raises ConnectionError."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self._headers: dict[str, str] | None = None
        self._status = 0
        self._at = 0
        """Everything before it is read."""
        self._length: int | None = None
        """Of the body, where it is known."""
        self._chunked = False
        self._chunks = bytearray()
        self._is_whole = False

    def feed(self, data: bytes) -> Reply | None:
        """The reply, once it is whole."""
        self.buffer += data
        if len(self.buffer) > MAX_REPLY_BYTES:
            raise ConnectionError(f"a reply of more than {MAX_REPLY_BYTES >> 20} MiB")
        if self._headers is None and not self._read_head():
            return None
        if self._chunked:
            return self._reply(bytes(self._chunks)) if self._read_chunks() else None
        if self._length is None or len(self.buffer) < self._at + self._length:
            return None
        start, self._at = self._at, self._at + self._length
        return self._reply(bytes(self.buffer[start : self._at]))

    def end(self) -> Reply:
        """The reply, where the server closed the connection: only a body of unknown length may end like this."""
        if self._headers is None or self._chunked or self._length is not None:
            raise ConnectionError(f"the connection broke off after {len(self.buffer)} bytes")
        return Reply(self._status, self._headers, bytes(self.buffer[self._at :]))

    @property
    def leaves_open(self) -> bool:
        """True where the connection may be used again."""
        closes = "close" in (self._headers or {}).get("connection", "").lower()
        return self._is_whole and not closes and self._at == len(self.buffer)

    def _reply(self, body: bytes) -> Reply:
        assert self._headers is not None
        self._is_whole = True
        return Reply(self._status, self._headers, body)

    def _read_head(self) -> bool:
        while (end := self.buffer.find(b"\r\n\r\n", self._at)) >= 0:
            first, *lines = self.buffer[self._at : end].decode("latin-1").split("\r\n")
            self._at = end + 4
            version, _, rest = first.partition(" ")
            if version not in ("HTTP/1.0", "HTTP/1.1") or not re.match(r"[1-9]\d\d( |$)", rest):
                raise ConnectionError(f"this is no HTTP: {first[:60]!r}")
            self._status = int(rest[:3])
            if self._status >= 200:  # before it, servers may say `100 Continue`
                self._headers = {}
                for line in lines:
                    name, _, value = line.partition(":")
                    self._headers[name.lower()] = value.strip()
                self._measure_body(version)
                return True
        if len(self.buffer) - self._at > MAX_HEAD_BYTES:
            raise ConnectionError("the head of the reply does not end")
        return False

    def _measure_body(self, version: str) -> None:
        assert self._headers is not None
        if version == "HTTP/1.0":
            self._headers.setdefault("connection", "close")
        encoding, length = (self._headers.get(k) for k in ("transfer-encoding", "content-length"))
        if encoding is not None:
            if encoding.lower() != "chunked":
                raise ConnectionError(f"unknown transfer encoding {encoding[:60]!r}")
            self._chunked = True
        elif self._status in (204, 304):
            self._length = 0
        elif length is not None:
            if not (length.isascii() and length.isdigit() and len(length) < 12):
                raise ConnectionError(f"this is no length: {length[:60]!r}")
            self._length = int(length)

    def _read_chunks(self) -> bool:
        while (end := self.buffer.find(b"\r\n", self._at)) >= 0:
            digits = CHUNK_SIZE.match(self.buffer, self._at, end)
            if digits is None:
                raise ConnectionError("a chunk without a size")
            size, start = int(digits[0], 16), end + 2
            if size == 0:
                # Lines may follow the last chunk, then an empty one.
                last = self.buffer.find(b"\r\n\r\n", end)
                if last >= 0:
                    self._at = last + 4
                return last >= 0
            if len(self.buffer) < start + size + 2:
                return False
            self._chunks += self.buffer[start : start + size]
            self._at = start + size + 2
        return False


class Connection(asyncio.Protocol):
    """One connection; at most one request is on its way."""

    def __init__(self) -> None:
        self.is_open = False
        self.answered = False
        """True once a byte of the present reply has come."""
        self._waiting: asyncio.Future[Reply] | None = None
        self._parser = ReplyParser()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.is_open = True

    async def exchange(self, message: bytes) -> Reply:
        """Sends a request and waits for its reply."""
        self._parser, self.answered = ReplyParser(), False
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        try:
            return await self._waiting
        finally:
            self._waiting = None
            if not self._parser.leaves_open:
                self.close()

    def data_received(self, data: bytes) -> None:
        """A piece of the reply."""
        self.answered = True
        if self._waiting is None or self._waiting.done():
            self.close()  # nobody has asked for this
            return
        try:
            reply = self._parser.feed(data)
        except ConnectionError as error:
            self._waiting.set_exception(error)
            return
        if reply is not None:
            self._waiting.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server is gone."""
        self.is_open = False
        if self._waiting is None or self._waiting.done():
            return
        try:
            self._waiting.set_result(self._parser.end())
        except ConnectionError as error:
            self._waiting.set_exception(error)

    def close(self) -> None:
        """At once; what was on its way is lost."""
        self.is_open = False
        self._transport.abort()


class KeepAliveClient:
    """All connections to all `http://` servers."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        fields = {"Content-Type": "application/json", **headers}
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._idle: dict[Address, list[Connection]] = defaultdict(list)
        self._begin = cache(self._begin_request)

    async def send(
        self, method: str, url: str, body: bytes | None, timeout_seconds: float
    ) -> Reply:
        """As in `openai_http.HttpClient`."""
        address, head = self._begin(method, url)
        content = body or b""
        message = b"%bContent-Length: %d\r\n\r\n%b" % (head, len(content), content)
        async with asyncio.timeout(timeout_seconds):
            with suppress(_ClosedWhileIdle):
                return await self._send_on_idle(address, message)
            connection = await self._connect(address)
            return await self._exchange(connection, address, message)

    def _begin_request(self, method: str, url: str) -> tuple[Address, bytes]:
        """Whom to connect to, and all of a request's head but its length."""
        parts = urlsplit(url)
        assert parts.scheme == "http"
        assert parts.hostname
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n{self._fields}"
        return (parts.hostname, parts.port or 80), lines.encode("latin-1")

    async def _send_on_idle(self, address: Address, message: bytes) -> Reply:
        idle = self._idle[address]
        while idle and not idle[-1].is_open:
            idle.pop()
        if not idle:
            raise _ClosedWhileIdle
        connection = idle.pop()
        try:
            return await self._exchange(connection, address, message)
        except ConnectionError:
            # Servers close what is idle, often just when it is needed again: not one byte comes back then.
            if connection.answered:
                raise
            raise _ClosedWhileIdle from None

    async def _connect(self, address: Address) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(Connection, *address)
        except TimeoutError:
            raise
        except UnicodeError as error:  # no name of a host
            raise NoConnection(str(error)) from None
        except OSError as error:
            raise NoConnection(error.strerror or str(error)) from None
        return connection

    async def _exchange(self, connection: Connection, address: Address, message: bytes) -> Reply:
        reply = await connection.exchange(message)
        if connection.is_open:
            self._idle[address].append(connection)
        return reply

    async def close(self) -> None:
        """Closes what is idle; requests close theirs as they are cancelled."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # the loop closes sockets in its next turn


class _ClosedWhileIdle(Exception):
    """There is no open connection."""
