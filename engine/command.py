"""What a command of the engine ends with: an exit code that says why, and one message for all ranks.

0 done, 2 something the user can mend, 75 told to stop and left a checkpoint.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from engine.interruption import EXIT_INTERRUPTED, Interrupted

EXIT_MISTAKE = 2

ALONE_AFTER_SECONDS = 5.0
"""How long another rank waits for rank 0 to report the same error."""


def exit_code_of(work: Callable[[], object]) -> int:
    """Does the work, says in words what went wrong, and returns the exit code."""
    try:
        work()
    except ValueError as error:
        print_error(error)
        return EXIT_MISTAKE
    except Interrupted as left:
        if os.environ.get("RANK", "0") == "0":
            print(left, flush=True)
        return EXIT_INTERRUPTED
    return 0


def print_error(error: Exception) -> None:
    """One message for all ranks: torchrun ends the others when rank 0 leaves; who is still here failed alone."""
    rank = os.environ.get("RANK", "0")
    if rank != "0":
        time.sleep(ALONE_AFTER_SECONDS)
    where = "" if rank == "0" else f" (rank {rank})"
    print(f"error: {error}{where}", file=sys.stderr, flush=True)


def leave(exit_code: int) -> NoReturn:
    """Ends the process. Not by sys.exit: native threads of the collectives can outlive the interpreter's shutdown and
    abort a finished run."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
