"""The verb `doctor`: what on this machine, and in this configuration, would stop a run.

Each verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from launch.verb import Verbs, add, add_json, add_set

EXAMPLES = """\
cgd doctor                                          this machine: versions, GPUs, memory, disk
cgd doctor CONFIG                                   and every model, file and server that CONFIG names
cgd doctor CONFIG --set train.precision=bf16 --world-size 8
cgd doctor CONFIG --json                            the same for programs: one JSON object
torchrun --nproc-per-node 2 -m launch.doctor        how fast the devices add up, and all of the above

The exit code is 0 where a run can start, and 2 where something would stop it."""


def add_doctor_verb(verbs: Verbs) -> None:
    """CONFIG or none."""
    about = "check this machine, and all that a configuration names"
    add_options(add(verbs, "doctor", doctor, about, EXAMPLES))


def add_options(parser: argparse.ArgumentParser) -> None:
    """The same for the verb and for `python -m launch.doctor`."""
    parser.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a TOML file")
    add_set(parser)
    ranks = "as if trained on so many devices (those that are here, or 1)"
    parser.add_argument("--world-size", type=int, metavar="N", help=ranks)
    add_json(parser)


def doctor(options: argparse.Namespace) -> int:
    """All findings; the exit code says whether one of them is an error."""
    from launch.doctor import run_doctor

    return run_doctor(options.config, options.set, options.world_size, options.json)
