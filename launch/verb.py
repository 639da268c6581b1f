"""What the verbs of the command line share: how one is added, and the options of those that read a config."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

Verbs = argparse._SubParsersAction
"""The collection that a verb is added to."""

SETTING = "override one key of the configuration (repeatable); an empty VALUE restores the default"


def add(
    verbs: Verbs, name: str, verb: Callable[[argparse.Namespace], int | None], help: str
) -> argparse.ArgumentParser:
    """One verb, bound to its function."""
    sub: argparse.ArgumentParser = verbs.add_parser(name, help=help, description=help)
    sub.set_defaults(verb=verb)
    return sub


def add_config(sub: argparse.ArgumentParser) -> None:
    """CONFIG and `--set`."""
    sub.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
    sub.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help=SETTING
    )
