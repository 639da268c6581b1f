"""The verb `status`: how far runs are, from the files that they leave while they work.

Each verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from launch.verb import Verbs, add

RUNS = Path("runs")

EXAMPLES = """\
examples:
  cgd status                                          every run in the folder runs
  cgd status runs/mine                                stage, rate, time left, losses, disk, checkpoints
  cgd status runs/mine runs/other                     several runs as a table
  cgd status runs/mine --watch 10                     again every 10 seconds, until Ctrl-C
  cgd status runs/mine --json                         the same for programs: one JSON object
"""


def add_status_verb(verbs: Verbs) -> None:
    """Run folders, or folders of runs."""
    sub = add(verbs, "status", status, "how far runs are: stage, rate, time left, losses, disk")
    sub.formatter_class, sub.epilog = argparse.RawDescriptionHelpFormatter, EXAMPLES
    several = "a run folder, a training folder, or a folder of runs (runs)"
    sub.add_argument("runs", nargs="*", type=Path, default=[RUNS], metavar="RUN", help=several)
    sub.add_argument("--json", action="store_true", help="print one JSON object")
    again = "print again every so many seconds, until Ctrl-C"
    sub.add_argument("--watch", type=float, metavar="SECONDS", help=again)


def status(options: argparse.Namespace) -> None:
    """What the runs' files say, once or again and again."""
    from launch.status import show_status

    show_status(options.runs, options.json, options.watch)
