"""torchrun that ends with its ranks' own exit code, for job scripts that requeue on 75.

    python -m engine.torchrun --nproc-per-node N -m engine.train CONFIG        (torchrun's options, all of them)

torchrun ends with 1 whatever its ranks end with, and is killed by SIGUSR1. Here both SIGTERM and SIGUSR1 are passed on
to the ranks, which get time to write a checkpoint, and a rank's meaning (command.py) becomes that of the whole.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from torch.distributed import run
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from engine.command import EXIT_MISTAKE, EXIT_NOT_FINITE
from engine.interruption import EXIT_INTERRUPTED, SIGNALS

SPOKEN_FOR = (EXIT_INTERRUPTED, EXIT_NOT_FINITE, EXIT_MISTAKE)
"""Codes whose message a rank has already printed."""

HANDLED = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"
SECONDS_TO_SAVE = 600
"""torchrun's own limit of 30 would kill ranks in the middle of a large checkpoint."""


def main(arguments: Sequence[str]) -> int:
    """Runs torchrun and returns the exit code."""
    logging.disable(logging.ERROR)  # the launcher's own lines would bury what a rank has said
    options = [f"--signals-to-handle={HANDLED}", f"--shutdown-timeout={SECONDS_TO_SAVE}"]
    try:
        run.run(run.parse_args([*options, *arguments]))
    except ChildFailedError as failed:
        codes = {failure.exitcode for failure in failed.failures.values()}
        for code in SPOKEN_FOR:
            if code in codes:
                return code
        raise
    except SignalException as told:
        if told.sigval not in SIGNALS:
            raise
        return EXIT_INTERRUPTED  # the same command again is right even where the ranks had just finished
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
