"""Words after Tab: what may follow on a command line, taken from the parser that reads it.

    the parsers of all verbs -> Verb(options and arguments, each with its Values) -> completion_shells.py -> a script

A script holds all words, so that pressing Tab starts no Python; it is made anew by `cgd --completion SHELL`. Choices,
files and folders follow from choices and metavars; what names something of the catalogue is listed in NAMED.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from launch.catalogue import items
from launch.config_keys import config_keys
from launch.copies import known_names
from launch.verbs_catalogue import KINDS


@dataclass(frozen=True)
class Values:
    """What an option or an argument takes."""

    words: tuple[str, ...] = ()
    files: str = ""
    """A suffix such as `.toml`, or `*` for any file."""
    folders: bool = False
    joined: str = ""
    """Follows each word at once, as `=` does a key."""


@dataclass(frozen=True)
class Option:
    """`--set SECTION.KEY=VALUE`; `takes` is None for a switch."""

    names: tuple[str, ...]
    about: str
    takes: Values | None
    label: str
    repeated: bool


@dataclass(frozen=True)
class Argument:
    """A word in a place of its own; the last one may come again."""

    label: str
    takes: Values
    repeated: bool


@dataclass(frozen=True)
class Verb:
    """A command, or a bench with its two words."""

    words: tuple[str, ...]
    about: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]


BY_METAVAR = {
    "CONFIG": Values(files=".toml"),
    "FILE": Values(files="*"),
    "DEST": Values(files="*", folders=True),
    "DIR": Values(folders=True),
    "FOLDER": Values(folders=True),
    "RUN": Values(folders=True),
}
DEVICES = ("H200", "H100", "A100-80", "A100-40", "L40S", "4090", "cpu")
"""As engine.plan_shapes knows them, which would load transformers."""
STAGES = ("answer", "critique", "refine", "teach")
SCALES = ("mini", "small", "paper")


def names_of(kind: str) -> tuple[str, ...]:
    """Of the catalogue."""
    return tuple(item.name for item in items(kind))


def models() -> Values:
    """The student before training, and what is trained from it."""
    return Values(words=("base", *names_of("objectives")), folders=True)


NAMED: dict[tuple[str, str], Callable[[], Values]] = {
    ("list", "kinds"): lambda: Values(words=KINDS),
    ("copy", "name"): lambda: Values(words=tuple(known_names())),
    ("reproduce", "names"): lambda: Values(("all", *names_of("experiments")), files=".toml"),
    ("reproduce", "scale"): lambda: Values(words=SCALES),
    ("evaluate", "model"): models,
    ("evaluate", "benchmark"): lambda: Values(words=names_of("benchmarks")),
    ("diagnose", "model"): models,
    ("diagnose", "only"): lambda: Values(words=names_of("diagnostics")),
    ("generate", "expect"): lambda: Values(words=STAGES, joined="="),
    ("inspect", "config"): lambda: Values(files="*"),
}
"""Of (verb, destination): what names something that the package has, or takes other files than its metavar says."""
EVERYWHERE: dict[str, Callable[[], Values]] = {
    "set": lambda: Values(words=tuple(config_keys()), joined="="),
    "objective": lambda: Values(words=names_of("objectives")),
    "device": lambda: Values(words=DEVICES),
}
"""Of a destination, whatever the verb."""


def completion_script(parsers: Mapping[str, argparse.ArgumentParser], shell: str) -> str:
    """The script for a shell."""
    from launch.completion_shells import SCRIPTS

    return SCRIPTS[shell](list(verbs_of(parsers)))


def verbs_of(parsers: Mapping[str, argparse.ArgumentParser]) -> Iterator[Verb]:
    """Every verb, and after one that has commands of its own each of them."""
    for name, parser in parsers.items():
        yield verb_of((name,), parser)
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for inner, own in action.choices.items():
                    yield verb_of((name, inner), own)


def verb_of(words: tuple[str, ...], parser: argparse.ArgumentParser) -> Verb:
    """One verb."""
    options, arguments = [], []
    for action in parser._actions:
        about = (action.help or "") % {"prog": "cgd"}
        repeated = isinstance(action, argparse._AppendAction) or action.nargs in ("*", "+")
        takes = None if action.nargs == 0 else values_of(words[0], action)
        label = str(action.metavar or action.dest).upper()
        if action.option_strings:
            options.append(Option(tuple(action.option_strings), about, takes, label, repeated))
        else:
            arguments.append(Argument(label, takes or Values(), repeated))
    return Verb(words, parser.description or "", tuple(options), tuple(arguments))


def values_of(verb: str, action: argparse.Action) -> Values:
    """What an option or an argument takes; nothing is offered where it is a number or free text."""
    if action.choices is not None:
        return Values(words=tuple(map(str, action.choices)))
    named = NAMED.get((verb, action.dest)) or EVERYWHERE.get(action.dest)
    if named is not None:
        return named()
    return BY_METAVAR.get(str(action.metavar), Values())
