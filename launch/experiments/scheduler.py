"""Jobs, several at a time: each starts when all that it reads from are done, those with most to follow first.

    jobs -> ready ones, longest chain first -> processes (job_process.py) -> finished | failed, dependants left out

A job that fails takes only those with it that need its result. Killed at any moment, the same command continues:
what is done is known by the files that are written last, and what was being done is resumed by its own command.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess

from launch.experiments.job_process import PRELOADED, SECONDS_TO_LEAVE, run_job
from launch.experiments.jobs import Job, chain_lengths
from launch.experiments.progress import Reporter

TAIL_LINES = 12
"""Of a failed job's log."""
LOOK_EVERY_SECONDS = 1.0
"""At what is running, to say so."""
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Resources:
    """What jobs may take."""

    at_once: int
    threads: int = 1
    gpus: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What became of the jobs."""

    finished: list[Job] = field(default_factory=list)
    failed: list[Job] = field(default_factory=list)
    left_out: list[Job] = field(default_factory=list)
    """Those that need the result of a failed one."""


@dataclass
class Running:
    """A job in its process."""

    job: Job
    process: ForkServerProcess
    gpus: tuple[str, ...]
    started: float

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self.started


class Scheduler:
    """Runs jobs within the resources."""

    def __init__(
        self,
        jobs: Sequence[Job],
        resources: Resources,
        reporter: Reporter,
        on_finish: Callable[[Job], None] = lambda job: None,
        preloaded: Sequence[str] = PRELOADED,
    ) -> None:
        most = max((job.gpus for job in jobs), default=0)
        if most > len(resources.gpus):
            raise ValueError(f"a job needs {most} GPUs, and there are {len(resources.gpus)} here")
        lengths = chain_lengths(jobs)
        places = {job.id: place for place, job in enumerate(jobs)}
        self._waiting = sorted(jobs, key=lambda job: (-lengths[job.id], places[job.id]))
        self._running: list[Running] = []
        self._free = list(resources.gpus)
        self._resources, self._reporter, self._on_finish = resources, reporter, on_finish
        self._outcome = Outcome()
        # The server's variables are those of the moment it starts, and torch reads them when it is imported.
        threads = str(resources.threads)
        os.environ.update(OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preloaded))

    def run(self) -> Outcome:
        """All jobs, as far as they can be done."""
        try:
            while self._waiting or self._running:
                self._start_ready()
                self._await_one()
        except BaseException:
            self._stop()
            raise
        return self._outcome

    # ---- starting ---------------------------------------------------------------------------------------

    def _start_ready(self) -> None:
        """Starts what can be started. A job that waits for GPUs is not overtaken by others that want some."""
        unfinished = {job.id for job in self._waiting} | {one.job.id for one in self._running}
        held_back = False
        for job in list(self._waiting):
            if len(self._running) >= self._resources.at_once:
                return
            is_lost = job not in self._waiting  # by the failure of one that was just to be started
            waits = any(before in unfinished for before in job.after)
            if is_lost or waits or (held_back and job.gpus):
                continue
            if job.gpus > len(self._free):
                held_back = True
                continue
            self._waiting.remove(job)
            self._start(job)

    def _start(self, job: Job) -> None:
        try:
            command = job.argv
        except ValueError as error:  # what it reads from is not as it was planned
            job.log.write_text(f"{error}\n", encoding="utf-8")
            self._fail(job, 1)
            return
        gpus = tuple(self._free[: job.gpus])
        del self._free[: job.gpus]
        variables = {VISIBLE: ",".join(gpus)}
        process = self._context.Process(target=run_job, args=(command, job.log, variables))
        process.start()
        self._running.append(Running(job, process, gpus, time.monotonic()))

    # ---- ending -----------------------------------------------------------------------------------------

    def _await_one(self) -> None:
        """Waits until a job has ended, and takes in all that have."""
        while self._running:
            ended = wait([one.process.sentinel for one in self._running], LOOK_EVERY_SECONDS)
            if ended:
                break
            self._reporter.running([(one.job, one.seconds) for one in self._running])
        for one in [one for one in self._running if not one.process.is_alive()]:
            one.process.join()
            self._running.remove(one)
            self._free += one.gpus
            code = one.process.exitcode or 0
            if code == 0 and one.job.is_done:
                self._outcome.finished.append(one.job)
                running = [(other.job, other.seconds) for other in self._running]
                self._reporter.finished(one.job, one.seconds, self._waiting, running)
                self._on_finish(one.job)
            else:
                self._fail(one.job, code)

    def _fail(self, job: Job, code: int) -> None:
        """Notes a failed job, and takes out those that need its result."""
        self._outcome.failed.append(job)
        self._reporter.failed(job, code, tail_of(job))
        lost = {job.id}
        for other in list(self._waiting):  # each stands after those that it reads from
            if lost & {*other.after}:
                lost.add(other.id)
                self._outcome.left_out.append(other)
                self._waiting.remove(other)

    def _stop(self) -> None:
        """Tells all running jobs to leave, and waits for it; told again, ends them at once."""
        for one in self._running:
            one.process.terminate()
        names = ", ".join(one.job.label for one in self._running)
        if names:
            self._reporter.say(f"leaving; being put away: {names} (Ctrl-C again: at once)")
        try:
            wait_for_all(self._running, SECONDS_TO_LEAVE)
        finally:
            for one in self._running:
                if one.process.is_alive() and one.process.pid is not None:
                    end_session(one.process.pid)
                    one.process.join()


def wait_for_all(running: Sequence[Running], seconds: float) -> None:
    """Until all processes have ended, but no longer."""
    until = time.monotonic() + seconds
    for one in running:
        one.process.join(max(0.0, until - time.monotonic()))


def end_session(pid: int) -> None:
    """Kills a job with all that it has started."""
    for kill in (os.killpg, os.kill):  # a session of its own is the first thing it makes
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def tail_of(job: Job) -> list[str]:
    """The last lines of a job's log."""
    try:
        with job.log.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, TAIL_LINES)]
    except OSError:
        return ["(it has said nothing)"]
