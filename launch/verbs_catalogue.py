"""The verbs `list` and `copy`: what comes with the package, and how to make it one's own.

Each verb imports what it needs when it is called, so that `cgd --help` never waits.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from launch.verb import Verbs, add, add_json

KINDS = (
    "recipes",
    "students",
    "prompts",
    "worlds",
    "scripts",
    "wordings",
    "objectives",
    "benchmarks",
    "diagnostics",
    "experiments",
)
"""What `cgd list` can be asked for, in the order in which a run meets it."""

LIST_EXAMPLES = """\
cgd list                               everything that comes with the package, by kind
cgd list recipes                       configurations to start from
cgd list benchmarks wordings           what can be asked, and in which words
cgd list experiments --json            the same for programs: one JSON object"""

COPY_EXAMPLES = """\
cgd copy single-gpu mine.toml          a recipe; then: cgd run mine.toml
cgd copy critique my-critique.txt      a wording; prints the line of configuration that uses it
cgd copy arithmetic-new                a benchmark as arithmetic-new.jsonl, to edit or to copy the form of
cgd copy table4 my-table4.toml         an experiment; then: cgd reproduce my-table4.toml --dry-run"""


def add_catalogue_verbs(verbs: Verbs) -> None:
    """Which kinds; which thing, and where to."""
    told = add(verbs, "list", show, "what comes with the package, a line each", LIST_EXAMPLES)
    kinds = f"any of {', '.join(KINDS)}; all by default"
    told.add_argument("kinds", nargs="*", metavar="KIND", help=kinds)
    add_json(told)
    about = "a recipe, a wording, a benchmark or an experiment, as a file to edit"
    taken = add(verbs, "copy", copy, about, COPY_EXAMPLES)
    taken.add_argument("name", metavar="NAME", help="as `cgd list` names it")
    place = "the file, or the folder to put it in (the current one); never overwritten"
    taken.add_argument("target", nargs="?", type=Path, metavar="DEST", help=place)
    seed = "of a built-in benchmark: which problems are drawn (0)"
    taken.add_argument("--seed", type=int, default=0, metavar="N", help=seed)
    some = "of a benchmark: its first N problems (300 of a built-in one, else all)"
    taken.add_argument("--limit", type=int, metavar="N", help=some)


def show(options: argparse.Namespace) -> None:
    """A line each."""
    from launch.catalogue import as_facts, as_lines

    kinds = tuple(options.kinds) or KINDS
    if options.json:
        print(json.dumps(as_facts(kinds), indent=2, ensure_ascii=False))
        return
    for line in as_lines(kinds):
        print(line)


def copy(options: argparse.Namespace) -> None:
    """One file, and how it is used."""
    from launch.copies import copy_to

    for line in copy_to(options.name, options.target, options.seed, options.limit):
        print(line)
