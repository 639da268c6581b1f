"""A pool of servers of one model: who gets the next request, who is left alone, and for how long.

    choose(now) -> Server ... release(server) + succeeded | failed | asked_to_wait

Least load first. A server that fails several times in a row is set aside and tried again with one request after a
pause, which grows; a first success brings it back. A server that is busy (429) is left alone for as long as it asks,
and gets half as many requests at a time, then more with every success. There is no clock in here: time comes in as an
argument, so that a simulation can drive the very code that real servers are driven by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

FAILURES_IN_A_ROW = 5
"""From here on a server is unwell. At 30 % of failures by chance that is one request in 400."""
FIRST_PROBE_SECONDS = 1.0
LONGEST_PROBE_SECONDS = 30.0
HOME_SLACK = 1 / 8
"""So much fuller than the emptiest, as a share of `concurrency`, may the server be that knows the record's prefix."""
AHEAD = 1 / 8
"""Requests that wait in the client, as a share of those in flight: a place that gets free is filled at once."""


def home_of(record_id: str) -> int:
    """Where a record's prefixes are cached: the same number in every process, to be taken modulo the servers."""
    return crc32(record_id.encode())


@dataclass(eq=False)
class Server:
    """A server as its clients see it."""

    url: str
    limit: int
    """Most requests in flight, for now."""
    in_flight: int = 0
    started: int = 0
    failures: int = 0
    """In a row."""
    asides: int = 0
    """How often in a row it was set aside: above 0 it is unwell."""
    waits: int = 0
    """How often in a row it asked to wait."""
    until: float = float("-inf")
    """Before this moment it gets nothing."""

    @property
    def well(self) -> bool:
        """False while it is set aside, or only asks to wait."""
        return self.asides == 0 and self.waits == 0

    def takes(self, now: float) -> bool:
        """True where it may get a request; of one that is unwell a single one finds out."""
        return now >= self.until and self.in_flight < (1 if self.asides else self.limit)


class Pool:
    """The servers, and what is known of each."""

    def __init__(self, urls: Sequence[str], concurrency: int) -> None:
        self.concurrency = concurrency
        self.servers = [Server(url, concurrency) for url in urls]
        self._unwell_since: float | None = None

    def choose(self, now: float, home: int = 0) -> Server | None:
        """A server with a free place, or None: one that is due to be probed, else the one with the least load. Records
        have a home, where their prefixes are cached; it is preferred as long as that costs no balance. The place is
        taken from here on."""
        ready = [server for server in self.servers if server.takes(now)]
        if not ready:
            return None
        best = min(ready, key=lambda server: (server.asides == 0, server.in_flight, server.started))
        preferred = self.servers[home % len(self.servers)]
        if preferred.well and preferred.takes(now) and best.well:
            slack = HOME_SLACK * self.concurrency
            if preferred.in_flight <= best.in_flight + slack:
                best = preferred
        best.in_flight += 1
        best.started += 1
        return best

    def release(self, server: Server) -> None:
        """The place is free again, whatever came of it."""
        server.in_flight -= 1

    def succeeded(self, server: Server) -> bool:
        """A text came. True where the server was set aside until now."""
        returned = server.asides > 0
        if returned:
            server.until = float("-inf")  # while a pause that a busy server asked for goes on
        server.limit = min(self.concurrency, server.limit + 1)
        server.failures = server.asides = server.waits = 0
        self._unwell_since = None
        return returned

    def failed(self, server: Server, now: float) -> bool:
        """It broke off, or said that something is wrong with it. True where it is set aside from now on."""
        server.failures += 1
        if server.failures < FAILURES_IN_A_ROW or now < server.until:
            return False
        pause = min(LONGEST_PROBE_SECONDS, FIRST_PROBE_SECONDS * 2.0**server.asides)
        server.asides += 1
        server.until = now + pause
        self._look_around(now)
        return server.asides == 1

    def asked_to_wait(self, server: Server, now: float, seconds: float) -> None:
        """It is busy. Requests that were on their way say the same: only the first one halves the limit."""
        if now >= server.until:
            server.limit = max(1, server.limit // 2)
        server.waits += 1
        server.until = max(server.until, now + seconds)
        self._look_around(now)

    def _look_around(self, now: float) -> None:
        if self._unwell_since is None and not any(server.well for server in self.servers):
            self._unwell_since = now

    def unwell_seconds(self, now: float) -> float:
        """Time since the last good sign of any server; 0 while one is well, or at work on something."""
        if self._unwell_since is None or any(server.in_flight for server in self.servers):
            return 0.0
        return now - self._unwell_since

    def capacity(self) -> int:
        """Requests that the servers which are not set aside would like, with those that wait in the client."""
        places = sum(server.limit for server in self.servers if not server.asides)
        return places + math.ceil(AHEAD * places)

    def next_opening(self, now: float) -> float | None:
        """The next moment at which a pause ends."""
        moments = [server.until for server in self.servers if server.until > now]
        return min(moments) if moments else None
