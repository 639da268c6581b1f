"""`cgd reproduce`: the paper's tables and figures, by name.

The verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from launch.verb import AS_JSON, Verbs, add

EXAMPLES = """\
cgd reproduce --list                                  all of them: what each needs, what was measured
cgd reproduce table1                                  in the built-in world, on a CPU
cgd reproduce table1 figure3 --dry-run                jobs and commands, memory and time; nothing is run
cgd reproduce all --scale paper --dry-run --write-jobs jobs
cgd copy table4 my-table4.toml && cgd reproduce my-table4.toml"""

SETTING = "override one configuration key of all jobs (repeatable); the table goes into a folder of its own"


def add_reproduce_verb(verbs: Verbs) -> None:
    """Which experiments, at which scale, and what of them."""
    sub = add(
        verbs, "reproduce", reproduce, "the paper's tables and figures, at three scales", EXAMPLES
    )
    named = "an experiment, such as table1 or figure3; `all` for every one (--list shows them); or your own FILE.toml"
    sub.add_argument("names", nargs="*", metavar="NAME", help=named)
    sub.add_argument(
        "--scale", default=None, metavar="SCALE", help="mini (default), small or paper"
    )
    sub.add_argument(
        "--list", action="store_true", help="what there is, what it needs, what was measured"
    )
    place = "where the pool of runs and the tables go (runs/reproduce)"
    sub.add_argument("--dir", type=Path, default=Path("runs/reproduce"), metavar="DIR", help=place)
    many = "jobs at a time (as many as there are cores or GPUs for)"
    sub.add_argument("--at-once", type=int, metavar="N", help=many)
    sub.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help=SETTING
    )
    some = "run this variant alone (repeatable); the others stay as they are"
    sub.add_argument("--only", action="append", default=[], metavar="VARIANT", help=some)
    sub.add_argument("--seeds", metavar="0,1,…", help="these seeds in place of the experiment's")
    kept = "keep the results beside the experiment's file, for --list and the README"
    sub.add_argument("--keep", action="store_true", help=kept)
    sub.add_argument("--json", action="store_true", help=f"{AS_JSON}; progress goes to stderr")
    dry = sub.add_argument_group("before it is paid for")
    told = "the jobs, their commands, and memory and time of the trainings; nothing is run"
    dry.add_argument("--dry-run", action="store_true", help=told)
    scripts = "with --dry-run: write configurations and scripts (shell, or Slurm) into this folder"
    dry.add_argument("--write-jobs", type=Path, metavar="DIR", help=scripts)


def reproduce(options: argparse.Namespace) -> int:
    """Runs experiments, or says what they are or would be."""
    if options.list:
        from launch.experiments.listing import print_listing

        print_listing(tuple(options.names), options.scale, options.json)
        return 0
    if not options.names:
        raise ValueError("name an experiment, or `all`; `cgd reproduce --list` shows what there is")
    if options.at_once is not None and options.at_once < 1:
        raise ValueError(f"--at-once must be 1 or more, got {options.at_once}")
    if options.write_jobs is not None and not options.dry_run:
        raise ValueError("--write-jobs goes with --dry-run")
    if options.keep and any(name.endswith(".toml") for name in options.names):
        raise ValueError("--keep is for experiments of the package; yours keep theirs in --dir")
    from launch.experiments.grid import Wanted
    from launch.experiments.reproduce import Command
    from launch.experiments.reproduce import reproduce as run

    wanted = Wanted(
        overrides=tuple(options.set), only=tuple(options.only), seeds=read_seeds(options.seeds)
    )
    command = Command(
        names=tuple(options.names),
        scale=options.scale or "mini",
        folder=options.dir,
        at_once=options.at_once,
        wanted=wanted,
        keep=options.keep,
        as_json=options.json,
    )
    if options.dry_run:
        from launch.experiments.dry_run import dry_run

        dry_run(command, options.write_jobs)
        return 0
    return run(command)


def read_seeds(text: str | None) -> tuple[int, ...]:
    """`0,1,2`."""
    if text is None:
        return ()
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0:
        raise ValueError(f"--seeds {text}: expected numbers such as 0,1,2")
    return seeds
