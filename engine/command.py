"""What a command of the engine ends with: an exit code that says why, and one message for all ranks.

    0    done
    2    something the user can mend: settings, data, a model folder, a full disk
    3    loss or gradient was not finite; the state before that step lies in non-finite/
    75   told to stop; a checkpoint was left, run the same command again (EX_TEMPFAIL, a job script requeues on it)
    130  Ctrl-C
    1    anything else, with a traceback

torchrun itself ends with 1 whatever its ranks end with; torchrun.py beside this file passes their code on.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from engine.advice import in_words
from engine.failed_rank import tells_of_lost_peer
from engine.interruption import EXIT_INTERRUPTED, Interrupted
from engine.rank_logs import PLACES

EXIT_MISTAKE = 2
EXIT_NOT_FINITE = 3
EXIT_CRASH = 1
EXIT_CTRL_C = 130

CONTINUES = "\ninterrupted; the same command continues after the newest checkpoint"

ALONE_AFTER_SECONDS = 5.0
"""How long a rank that may only be a victim waits before it speaks; torchrun ends it sooner where another failed."""


class NotFinite(ValueError):
    """A loss or gradient was infinite or not a number: nothing to mend in a configuration file."""


def exit_code_for(error: BaseException | None) -> int:
    """What a command ends with that ends so; a mistake may carry a code of its own."""
    if error is None:
        return 0
    if isinstance(error, Interrupted):
        return EXIT_INTERRUPTED
    if isinstance(error, NotFinite):
        return EXIT_NOT_FINITE
    if isinstance(error, ValueError | OSError):
        return int(getattr(error, "exit_code", EXIT_MISTAKE))
    return EXIT_CTRL_C if isinstance(error, KeyboardInterrupt) else EXIT_CRASH


def exit_code_of(work: Callable[[], object]) -> int:
    """Does the work, says in words what went wrong, and returns the exit code."""
    try:
        work()
    except (ValueError, OSError) as error:
        print_error(error)
        return exit_code_for(error)
    except Interrupted as left:
        if rank() == 0:
            print(left, flush=True)
        return exit_code_for(left)
    except KeyboardInterrupt as stopped:
        if rank() == 0:
            print(CONTINUES, file=sys.stderr, flush=True)
        return exit_code_for(stopped)
    except Exception as error:
        if is_one_of_many() and tells_of_lost_peer(str(error)):
            time.sleep(ALONE_AFTER_SECONDS)
        tell_torchrun(error, "".join(traceback.format_exception(error)))
        if PLACES in os.environ:  # our launcher says it, last
            return EXIT_CRASH
        raise
    return 0


def print_error(error: Exception) -> None:
    """One message for all ranks: torchrun ends the others when rank 0 leaves; who is still here failed alone."""
    if rank() != 0:
        time.sleep(ALONE_AFTER_SECONDS)
    is_named = rank() == 0 or "(rank " in str(error)
    where = "" if is_named else f" (rank {rank()} on {socket.gethostname()})"
    notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
    print(f"error: {in_words(error)}{where}{notes}", file=sys.stderr, flush=True)
    tell_torchrun(error)


def tell_torchrun(error: Exception, trace: str = "") -> None:
    """Leaves the message where torchrun looks for it, so that its closing table repeats it in place of `<N/A>`."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path is None:
        return
    text = in_words(error)
    facts = {"py_callstack": trace or text, "timestamp": str(int(time.time()))}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"message": {"message": text, "extraInfo": facts}}, file)


def rank() -> int:
    """This process among those torchrun started; 0 where there is only one."""
    return int(os.environ.get("RANK", "0"))


def is_one_of_many() -> bool:
    """Whether torchrun started more than one process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def leave(exit_code: int) -> NoReturn:
    """Ends the process. Not by sys.exit: native threads of the collectives can outlive the interpreter's shutdown and
    abort a finished run."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
