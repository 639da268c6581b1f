"""HTTP for servers that write texts: one request, one reply, connections kept open.

    HttpClient.send(method, url, body, timeout_seconds) -> Reply(status, headers, body)

Two clients with one face. `http://` goes through a small client of our own (`openai_connection.py`): it takes half
of the processor time of a full one, which counts where one core feeds many servers. `https://` goes through aiohttp:
providers stand behind proxies of every kind, and answer slower than that matters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class NoConnection(ConnectionError):
    """Nobody is there: no such host, nobody listening, or no TLS."""


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class HttpClient(Protocol):
    """Sends requests, many at a time, within one event loop."""

    async def send(
        self, method: str, url: str, body: bytes | None, timeout_seconds: float
    ) -> Reply:
        """The reply. Raises TimeoutError, NoConnection, or ConnectionError where the connection breaks off."""
        ...

    async def close(self) -> None:
        """Closes all connections."""
        ...


class AiohttpClient:
    """Any server, `https://` in particular, through aiohttp; made within a running event loop."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        # Loaded here, where it is used: a run against local servers never needs it.
        import aiohttp

        self._aiohttp = aiohttp
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", **headers},
        )

    async def send(
        self, method: str, url: str, body: bytes | None, timeout_seconds: float
    ) -> Reply:
        """As in `HttpClient`."""
        timeout = self._aiohttp.ClientTimeout(total=timeout_seconds)
        try:
            # A redirected POST would be sent again as a GET: whoever is sent elsewhere shall say so in the config.
            async with self._session.request(
                method, url, data=body, timeout=timeout, allow_redirects=False
            ) as response:
                content = await response.read()
        except TimeoutError:
            raise
        except self._aiohttp.ClientConnectorError as error:
            raise NoConnection(str(error)) from None
        except (self._aiohttp.ClientError, OSError, ValueError) as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, headers, content)

    async def close(self) -> None:
        """Closes all connections."""
        await self._session.close()
        await asyncio.sleep(0)  # the loop closes sockets in its next turn
