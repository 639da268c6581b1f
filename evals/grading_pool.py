"""Grading beside generation: a few worker processes, each fed by a thread of this one.

    submit(index, case) → chunks → worker process → results()[index]

Grading then costs the generator no time, and an answer that kills its worker, or holds it longer
than SECONDS_PER_CASE, kills nothing else: workers answer one case at a time and in order, so the
first case without an answer is the suspect. A death may have come from outside, so it is tried once
more on a new worker; one that kills again, or is too slow, is named in its verdict, and the rest of
the chunk goes on. Without workers cases are graded where they are submitted.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from evals.grading_worker import READY, grade_case

CHUNK = 64
SECONDS_PER_CASE = 30.0
"""The grader counts its steps and needs milliseconds; this is for what no one foresaw."""
READ_BYTES = 2**16
ROOT = Path(__file__).resolve().parents[1]
DIED = "grader died"
TOO_SLOW = "grader too slow"
COMMAND = (sys.executable, "-m", "evals.grading_worker")

Case = dict[str, Any]
Chunk = list[tuple[int, Case]]


class GradingPool:
    """Workers that live as long as the `with` block; threads wait for them, not for the grader."""

    def __init__(
        self,
        workers: int,
        seconds_per_case: float = SECONDS_PER_CASE,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._seconds = seconds_per_case
        self._command = command
        self._results: dict[int, dict[str, Any]] = {}
        self._waiting: Chunk = []
        self._chunks: SimpleQueue[Chunk | None] = SimpleQueue()
        self._failures: list[BaseException] = []
        self._left = threading.Event()
        self._threads = [threading.Thread(target=self._feed, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> GradingPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._waiting = []
        if kind is not None:
            self._left.set()
            drop_all(self._chunks)
        self._join()

    def submit(self, index: int, case: Case) -> None:
        """Takes a case; `index` is where its verdict will be found."""
        if not self._threads:
            self._results[index] = grade_case(case)
            return
        self._waiting.append((index, case))
        if len(self._waiting) >= CHUNK:
            self._send()

    def results(self) -> Mapping[int, dict[str, Any]]:
        """All verdicts, once they are there; nothing can be submitted afterwards."""
        self._send()
        self._join()
        if self._failures:
            raise self._failures[0]
        return self._results

    def _send(self) -> None:
        if self._waiting:
            self._chunks.put(self._waiting)
            self._waiting = []

    def _join(self) -> None:
        for _ in self._threads:
            self._chunks.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _feed(self) -> None:
        """One thread: its worker, replaced whenever it is gone."""
        worker: subprocess.Popen[bytes] | None = None
        suspect: int | None = None
        try:
            while (chunk := self._chunks.get()) is not None:
                while chunk and not self._left.is_set():
                    worker = worker or start(self._command)
                    answered = self._grade(worker, chunk)
                    if answered < len(chunk):
                        reason = TOO_SLOW if worker.poll() is None else DIED
                        stop(worker)
                        worker = None
                        index, case = chunk[answered]
                        if reason == TOO_SLOW or index == suspect:
                            self._results[index] = failed(reason, case["compat"])
                            answered += 1
                        suspect = index
                    chunk = chunk[answered:]
        except BaseException as error:  # shown by results(), in the thread that waits for them
            self._failures.append(error)
        finally:
            if worker is not None:
                stop(worker)

    def _grade(self, worker: subprocess.Popen[bytes], chunk: Chunk) -> int:
        """How many of the cases, from the first, the worker has answered."""
        assert worker.stdin is not None
        answered = 0
        try:
            worker.stdin.write(json.dumps([case for _, case in chunk]).encode() + b"\n")
            worker.stdin.flush()
        except BrokenPipeError:
            worker.wait()
            return 0
        for line in lines(worker, self._seconds):
            self._results[chunk[answered][0]] = json.loads(line)
            answered += 1
            if answered == len(chunk):
                break
        return answered


def lines(worker: subprocess.Popen[bytes], seconds: float) -> Iterator[bytes]:
    """What the worker writes, line by line, until it is gone or silent for too long."""
    assert worker.stdout is not None
    poller = select.poll()
    poller.register(worker.stdout, select.POLLIN | select.POLLHUP)
    rest = b""
    while poller.poll(seconds * 1000):
        piece = os.read(worker.stdout.fileno(), READ_BYTES)
        if not piece:
            worker.wait()
            return
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """A fresh worker, which finds the package wherever the caller stands."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert worker.stdout is not None
    if worker.stdout.readline() != READY:
        stop(worker)
        raise RuntimeError(f"the grading process does not start: {' '.join(command)}")
    return worker


def drop_all(chunks: SimpleQueue[Chunk | None]) -> None:
    """Forgets what no worker has begun."""
    while not chunks.empty():
        try:
            chunks.get_nowait()
        except Empty:  # a worker was quicker
            return


def stop(worker: subprocess.Popen[bytes]) -> None:
    """Ends a worker, whatever it is doing."""
    worker.kill()
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):  # what it was never sent
                stream.close()
    worker.wait()


def failed(reason: str, compat: bool) -> dict[str, Any]:
    """The verdict on an answer that its worker did not survive."""
    verdict = {
        "correct": False,
        "extracted": None,
        "rule": reason,
        "reason": f"undecided: {reason} on this answer",
        "status": "undecided",
    }
    return verdict | ({"correct_compat": False} if compat else {})
