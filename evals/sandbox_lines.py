"""Lines over pipes, with a deadline and a longest line: neither side can make the other wait or grow for ever."""

from __future__ import annotations

import os
import select
import time

MAX_LINE_BYTES = 4 << 20
CHUNK = 1 << 16


class TooLateError(Exception):
    """The deadline passed before the line was whole."""


class EndedError(Exception):
    """The other side closed its end: it is no more."""


class TooLongError(Exception):
    """More bytes than a line may have."""


class Lines:
    """Two ends of pipes: one to read from, one to write to."""

    def __init__(self, read_end: int, write_end: int, deadline: float) -> None:
        self.read_end, self.write_end, self.deadline = read_end, write_end, deadline
        self.buffer = b""
        os.set_blocking(read_end, False)
        os.set_blocking(write_end, False)

    def wait(self, end: int, event: int) -> None:
        """Until the pipe is ready, or `TooLateError`."""
        poll = select.poll()
        poll.register(end, event)
        left = self.deadline - time.monotonic()
        if left <= 0 or not poll.poll(min(left, 1e6) * 1000):
            raise TooLateError

    def send(self, line: bytes) -> None:
        """Write a line."""
        rest = memoryview(line + b"\n")
        while rest:
            self.wait(self.write_end, select.POLLOUT)
            try:
                rest = rest[os.write(self.write_end, rest[:CHUNK]) :]
            except BrokenPipeError:
                raise EndedError from None
            except BlockingIOError:
                continue

    def receive(self) -> bytes:
        """Read a line, without its end."""
        pieces = [self.buffer]
        num_bytes = len(self.buffer)
        while b"\n" not in pieces[-1]:
            if num_bytes > MAX_LINE_BYTES:
                raise TooLongError
            self.wait(self.read_end, select.POLLIN)
            try:
                piece = os.read(self.read_end, CHUNK)
            except BlockingIOError:
                continue
            if not piece:
                raise EndedError
            pieces.append(piece)
            num_bytes += len(piece)
        line, _, self.buffer = b"".join(pieces).partition(b"\n")
        return line
