"""What the verbs of the command line share: how one is added, and the options that many of them have.

    add(verbs, name, function, help, examples)  ->  a parser, bound to its function, whose help ends with examples
    Parser                                      ->  argparse's, but a mistyped word is answered with the nearest one

Nothing here, and nothing that adds a verb, imports more than argparse: help and completion never wait for torch.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

Verbs = argparse._SubParsersAction
"""The collection that a verb is added to."""

SETTING = "override one key of the configuration (repeatable); an empty VALUE restores the default"
AS_JSON = "print one JSON object, and nothing else"

_REFUSED = re.compile(r"invalid choice: '(?P<word>.*?)' \(choose from (?P<choices>.*)\)")


class Parser(argparse.ArgumentParser):
    """A parser that names the word which a mistyped one was probably meant to be."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with usage, what is wrong, and the nearest choice or all of them."""
        if refused := _REFUSED.search(message):
            word, choices = refused["word"], re.findall(r"[^\s',]+", refused["choices"])
            near = f"; did you mean: cgd run {word}?" if word.endswith(".toml") else ""
            near = near or nearest(word, choices) or f"; there are {', '.join(choices)}"
            message = f"{message[: refused.start()]}{word!r} does not exist{near}"
        super().error(message)


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of a command line. Ends the program on a mistake, which is the verb's own to explain."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options, unknown = parser.parse_known_args(arguments)
    options.arguments = arguments
    if unknown:
        own: argparse.ArgumentParser = options.parser
        words = [word for word in unknown if word.startswith("-")] or unknown
        known = list(option_names(own))
        told = [f"{word}{nearest(word.partition('=')[0], known)}" for word in words]
        own.error(f"unknown: {', '.join(told)}")
    return options


def option_names(parser: argparse.ArgumentParser) -> Iterator[str]:
    """`--set`, `--json`, … of a verb, and of the commands that it has itself."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from option_names(inner)


def nearest(word: str, choices: Collection[str]) -> str:
    """`; did you mean X?`, where something is close."""
    close = get_close_matches(word, choices, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def add(
    verbs: Verbs,
    name: str,
    verb: Callable[[argparse.Namespace], int | None],
    help: str,
    examples: str = "",
) -> argparse.ArgumentParser:
    """One verb, bound to its function. `examples`: commands a line each, and after an empty line what else is to be
    said, told at the end of its help."""
    sub: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=help,
        description=help,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if examples:
        commands, _, rest = examples.partition("\n\n")
        sub.epilog = "examples:\n" + "\n".join(f"  {line}" for line in commands.splitlines())
        sub.epilog += f"\n\n{rest}" if rest else ""
    sub.set_defaults(verb=verb, verb_name=name, parser=sub)
    return sub


def add_set(sub: argparse.ArgumentParser) -> None:
    """`--set`."""
    sub.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help=SETTING
    )


def add_config(sub: argparse.ArgumentParser) -> None:
    """CONFIG and `--set`."""
    sub.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
    add_set(sub)


def add_json(sub: argparse.ArgumentParser) -> None:
    """`--json`."""
    sub.add_argument("--json", action="store_true", help=AS_JSON)
