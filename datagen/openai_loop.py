"""The event loop of a session, in a thread of its own. It lets events gather: it wakes less often, and does more then.

At a hundred replies a second most of a client's processor time is spent on waking up: every reply comes alone. A text
takes seconds to write, and a hundredth more does not matter to it: so long the loop waits after the first event, and
takes with it what has come meanwhile.
"""

from __future__ import annotations

import asyncio
import resource
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

LONGEST_GATHER_SECONDS = 0.1
GATHER_SHARE = 0.01
"""Of the time that a request takes."""
OTHER_FILES = 100
"""What a process has open besides connections."""
T = TypeVar("T")


class GatheringSelector(selectors.DefaultSelector):
    """Waits for input as the standard one does, and then a moment more."""

    gather_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready."""
        ready = super().select(timeout)
        if not ready or self.gather_seconds == 0 or (timeout is not None and timeout <= 0):
            return ready
        time.sleep(self.gather_seconds)
        return super().select(0)

    def adapt(self, request_seconds: float) -> None:
        """Follows what requests take."""
        wanted = min(LONGEST_GATHER_SECONDS, GATHER_SHARE * request_seconds)
        self.gather_seconds += 0.1 * (wanted - self.gather_seconds)


class LoopThread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.selector = GatheringSelector()
        self._loop = asyncio.SelectorEventLoop(self.selector)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Until it is stopped."""
        return self._thread.is_alive()

    def call(self, work: Callable[[], None]) -> None:
        """Has something done soon."""
        self._loop.call_soon_threadsafe(work)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Has something done, and waits for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """Ends the thread."""
        self.run(self._loop.shutdown_default_executor())  # it looks up hosts
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def allow_connections(count: int) -> None:
    """Lets the process have so many connections. ValueError where the machine does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ValueError(
            f"{count} connections (concurrency × servers) are more than a process may have open here ({hard} files); "
            "lower concurrency, or raise the limit: ulimit -n"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
