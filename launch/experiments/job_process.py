"""One job in a process of its own, forked from one that has loaded the libraries already.

    forkserver (imports once) -> fork -> own session, own log, own GPUs -> the command

`cgd ...` and the modules below are called where they stand, which saves seconds of imports a job; any other command
is a program, started and waited for. A job dies with the process that has ordered it, however that one ends.
"""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

PRELOADED = (
    "launch.pipeline",
    "launch.mixture",
    "launch.diagnose",
    "datagen.scripted",
    "datagen.transformers_generator",
    "transformers.models.llama.modeling_llama",
)
"""What jobs would import otherwise, each for itself."""
CALLED_HERE = ("launch.mixture",)
"""Modules whose `main` is called; `python -m` of any other one is a program."""
SECONDS_TO_LEAVE = 60.0
"""For a program whose ranks write a checkpoint when they are told to leave."""


def run_job(command: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
    """Runs one command to its end, and ends this process with its exit code."""
    os.setsid()  # Ctrl-C is for the process that orders; it passes the wish on
    os.environ.update(variables)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    print(f"$ {' '.join(command)}", flush=True)
    sys.exit(execute(command))


def execute(command: Sequence[str]) -> int:
    """The exit code of a command, called here or started as a program."""
    if command[0] == "cgd":
        from launch.cli import main

        die_with_parent(kill_all)
        sys.argv = list(command)
        return main(command[1:])
    if tuple(command[:2]) == ("python", "-m") and command[2] in CALLED_HERE:
        die_with_parent(kill_all)
        sys.argv = list(command[2:])
        return int(importlib.import_module(command[2]).main(command[3:]))
    return run_program([sys.executable, *command[1:]] if command[0] == "python" else command)


def run_program(command: Sequence[str]) -> int:
    """Starts a program, waits for it, and passes a wish to leave on to it."""
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def leave(number: int, frame: FrameType | None) -> None:
        program.terminate()

    def end() -> None:
        program.terminate()
        try:
            program.wait(SECONDS_TO_LEAVE)
        finally:
            kill_all()

    signal.signal(signal.SIGTERM, leave)
    die_with_parent(end)
    return program.wait()


def die_with_parent(end: Callable[[], None]) -> None:
    """Calls `end` when the process that has ordered this job is gone, be it killed: it cannot tell us then."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a job is started by a scheduler"

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        end()

    threading.Thread(target=watch, daemon=True).start()


def kill_all() -> None:
    """Ends this process and all that it has started, at once: what is half done is done again."""
    os.killpg(0, signal.SIGKILL)
