"""What verbs have before they are paid for: `--dry-run` and its size, and the scripts of a cluster.

    --dry-run                       settings, stages, steps, memory, commands; nothing is run or written
    --write-jobs DIR --nodes N …    batch scripts in place of a run; with --dry-run they are only told

A dry run loads torch to count memory, but no weights, asks no hub and no server, and needs no GPU.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

DRY_RUN = (
    "settings, stages with what is left of them, steps, memory, commands; nothing is run or written"
)
SIZED = ("--world-size", "--device")
ON_NODES = ("--nodes", "--gpus-per-node", "--servers", "--time")


def add_dry_run(
    sub: argparse.ArgumentParser, trains: bool = True, jobs: bool = False, has_json: bool = False
) -> argparse._ArgumentGroup:
    """`--dry-run`; of verbs that train also its size, and of those that a cluster may run its scripts."""
    dry = sub.add_argument_group("before it is paid for")
    dry.add_argument("--dry-run", action="store_true", help=DRY_RUN)
    if not has_json:
        dry.add_argument("--json", action="store_true", help="with --dry-run: one JSON object")
    if trains:
        ranks = "with --dry-run: memory and commands for so many devices (1)"
        dry.add_argument("--world-size", type=int, metavar="N", help=ranks)
        device = "with --dry-run: as `cgd plan` names it, H100 or 40GB (this machine's)"
        dry.add_argument("--device", metavar="NAME", help=device)
    if jobs:
        folder = "write Slurm scripts and submit.sh into this folder, and run nothing"
        dry.add_argument("--write-jobs", type=Path, metavar="DIR", help=folder)
        dry.add_argument("--nodes", type=int, metavar="N", help="machines of a training (1)")
        gpus = "GPUs of each of them (8)"
        dry.add_argument("--gpus-per-node", type=int, metavar="N", help=gpus)
        servers = "copies of a vLLM teacher that run as servers (0: each worker has its own)"
        dry.add_argument("--servers", type=int, metavar="N", help=servers)
        limit = "longest time of a job, after which it is queued again (24:00:00)"
        dry.add_argument("--time", metavar="HH:MM:SS", help=limit)
    return dry


def is_dry(options: argparse.Namespace, json_alone: bool = False) -> bool:
    """Whether nothing is to be run. Raises ValueError where options stand without the one that they go with.

    `json_alone`: the verb has JSON of its results, too."""
    if options.dry_run:
        # Libraries read it when they are first imported: a dry run must not fetch anything.
        os.environ["HF_HUB_OFFLINE"] = "1"
        return True
    given = vars(options)
    for option in SIZED:
        if given.get(named(option)) is not None:
            raise ValueError(f"{option} goes with --dry-run, which prints the torchrun command")
    if given.get("json") and not json_alone:
        raise ValueError("--json goes with --dry-run")
    if given.get("write_jobs") is None and any(
        given.get(named(one)) is not None for one in ON_NODES
    ):
        raise ValueError(f"{', '.join(ON_NODES)} go with --write-jobs DIR or --dry-run")
    return False


def named(option: str) -> str:
    """The attribute of an option."""
    return option.removeprefix("--").replace("-", "_")
