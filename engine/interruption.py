"""Leaving in good order: SIGTERM and SIGUSR1 (a cluster's warning of the time limit) ask for a checkpoint and an end.

The handler only notes the wish. The ranks add their wishes up in the step's own reduction, so that all of them leave
after the same step, whichever of them was told, and none waits for another in a collective that never comes.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
EXIT_INTERRUPTED = 75
"""EX_TEMPFAIL: nothing is wrong, run the same command again. A job script requeues on it."""


class Interrupted(Exception):
    """Training has left after a checkpoint, because it was asked to."""


class Interruption:
    """Listens for the length of a `with` block; `requested` says whether a signal came."""

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Interruption:
        # Python delivers signals to the main thread only, and lets no other one listen
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        else:
            self._before = {}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
