"""torchrun that ends with its ranks' own exit code, for job scripts that requeue on 75, and with the real error last.

    python -m engine.torchrun --nproc-per-node N -m engine.train CONFIG        (torchrun's options, all of them)

torchrun ends with 1 whatever its ranks end with, and is killed by SIGUSR1. Here both SIGTERM and SIGUSR1 are passed on
to the ranks, which get time to write a checkpoint, and a rank's meaning (command.py) becomes that of the whole. What
the rank that failed first has said comes last, with its number and host: the others only fail because it is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence

from torch.distributed import DistError, run
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousError

from engine.advice import first_line
from engine.command import EXIT_CRASH, EXIT_CTRL_C, EXIT_MISTAKE, EXIT_NOT_FINITE
from engine.failed_rank import memory_kills, obituary
from engine.interruption import EXIT_INTERRUPTED, SIGNALS
from engine.rank_logs import PLACES

SPOKEN_FOR = (EXIT_INTERRUPTED, EXIT_NOT_FINITE, EXIT_MISTAKE)
"""Codes whose message a rank has already printed."""

HANDLED = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"
SECONDS_TO_SAVE = 600
"""torchrun's own limit of 30 would kill ranks in the middle of a large checkpoint."""


def main(arguments: Sequence[str]) -> int:
    """Runs torchrun and returns the exit code."""
    logging.disable(logging.ERROR)  # the launcher's own lines would bury what a rank has said
    options = [f"--signals-to-handle={HANDLED}", f"--shutdown-timeout={SECONDS_TO_SAVE}"]
    kills_before = memory_kills()
    with tempfile.TemporaryDirectory(prefix="cgd-ranks-") as places:
        os.environ[PLACES] = places
        # a rank that crashes leaves in its log where it stood
        os.environ.setdefault("PYTHONFAULTHANDLER", "1")
        try:
            run_undisturbed_at_the_end(run.parse_args([*options, *arguments]))
        except ChildFailedError as failed:
            codes = {failure.exitcode for failure in failed.failures.values()}
            for code in SPOKEN_FOR:
                if code in codes:
                    return code
            print(obituary(failed.failures, places, kills_before), file=sys.stderr, flush=True)
            return EXIT_CRASH
        except SignalException as told:
            # the same command again is right even where the ranks had just finished
            return EXIT_INTERRUPTED if told.sigval in SIGNALS else EXIT_CTRL_C
        except (DistError, RendezvousError) as error:
            print(f"error: {no_meeting(error)}", file=sys.stderr, flush=True)
            return EXIT_MISTAKE
        finally:
            del os.environ[PLACES]  # the folder goes, too
    return 0


def run_undisturbed_at_the_end(options: Namespace) -> None:
    """Runs torchrun; once its ranks have ended, no signal takes away what they ended with: srun sends SIGTERM to all
    other machines as soon as one of them has left."""
    try:
        run.run(options)
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def no_meeting(error: Exception) -> str:
    """Why the launchers have not found each other, and what to do."""
    if "EADDRINUSE" in str(error):
        return (
            "torchrun: the port is in use, by another training or another program: use --standalone on one machine, "
            "or another --master-port (--rdzv-endpoint HOST:PORT)"
        )
    return (
        f"torchrun: the machines have not met: {first_line(error)}; is the command running on all --nnodes of them, "
        "with the same --rdzv-id and a --rdzv-endpoint HOST:PORT that all can reach?"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
