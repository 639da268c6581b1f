"""What a command of the engine ends with: an exit code that says why, and one message for all ranks.

    0    done
    2    something the user can mend: settings, data, a model folder, a full disk
    3    loss or gradient was not finite; the state before that step lies in non-finite/
    75   told to stop; a checkpoint was left, run the same command again (EX_TEMPFAIL, a job script requeues on it)
    1    anything else, with a traceback

torchrun itself ends with 1 whatever its ranks end with; torchrun.py beside this file passes their code on.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from engine.interruption import EXIT_INTERRUPTED, Interrupted

EXIT_MISTAKE = 2
EXIT_NOT_FINITE = 3

ALONE_AFTER_SECONDS = 5.0
"""How long a rank that may only be a victim waits before it speaks; torchrun ends it sooner where another failed."""


class NotFinite(ValueError):
    """A loss or gradient was infinite or not a number: nothing to mend in a configuration file."""


def exit_code_of(work: Callable[[], object]) -> int:
    """Does the work, says in words what went wrong, and returns the exit code."""
    try:
        work()
    except (ValueError, OSError) as error:
        print_error(error)
        return EXIT_NOT_FINITE if isinstance(error, NotFinite) else EXIT_MISTAKE
    except Interrupted as left:
        if rank() == 0:
            print(left, flush=True)
        return EXIT_INTERRUPTED
    except Exception as error:
        if is_one_of_many():  # often only the loss of a rank that failed by itself
            time.sleep(ALONE_AFTER_SECONDS)
        tell_torchrun(error)
        raise
    return 0


def print_error(error: Exception) -> None:
    """One message for all ranks: torchrun ends the others when rank 0 leaves; who is still here failed alone."""
    if rank() != 0:
        time.sleep(ALONE_AFTER_SECONDS)
    where = f" (rank {rank()})" if rank() != 0 and "(rank " not in str(error) else ""
    notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
    print(f"error: {error}{where}{notes}", file=sys.stderr, flush=True)
    tell_torchrun(error)


def tell_torchrun(error: Exception) -> None:
    """Leaves the message where torchrun looks for it, so that its closing table repeats it in place of `<N/A>`."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path is None:
        return
    text = str(error) or type(error).__name__
    facts = {"py_callstack": text, "timestamp": str(int(time.time()))}
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
