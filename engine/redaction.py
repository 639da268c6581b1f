"""What of a command line or a difference must not be written down: keys, tokens, passwords.

Commands and uncommitted changes are kept with every run. A secret belongs into the environment, whose values are never
written; who has typed one all the same finds `***` in its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

HIDDEN = "***"

SECRET_WORDS = frozenset(
    {"key", "secret", "password", "passwd", "credential", "credentials", "token"}
)
"""As a whole word of a setting's name; `max_tokens` is none."""
VARIABLE_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
"""What `api_key_env` should hold: the name of a variable."""

SHAPES = re.compile(
    r"\b(?:sk-|hf_|ghp_|gho_|github_pat_|glpat-|xox[abp]-|AKIA|Bearer )[A-Za-z0-9_\-]{8,200}"
)
"""How well-known secrets begin."""
IN_ADDRESS = re.compile(r"(://)[^/@\s\"']{1,200}@")
"""A name and password in a URL."""


def redacted(text: str) -> str:
    """The text with whatever looks like a secret taken out."""
    return IN_ADDRESS.sub(rf"\1{HIDDEN}@", SHAPES.sub(HIDDEN, text))


def redacted_command(arguments: Sequence[str]) -> list[str]:
    """A command line with the values of settings hidden whose name says that they are secret."""
    return [redacted_argument(argument) for argument in arguments]


def redacted_argument(argument: str) -> str:
    """One argument; `section.key=value` is looked at by its key."""
    name, is_setting, value = argument.partition("=")
    words = re.split(r"[^a-z]+", name.rpartition(".")[2].lower())
    if not is_setting or not SECRET_WORDS & set(words):
        return redacted(argument)
    names_a_variable = words[-1] == "env" and VARIABLE_NAME.fullmatch(value)
    return argument if names_a_variable or not value else f"{name}={HIDDEN}"
