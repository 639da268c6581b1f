"""Which code made a run: a hash of the program's sources, noted in each run folder when it is begun.

    sources of datagen, engine, evals, launch -> code_digest() -> RUN/environment.json -> code_of(RUN)

A version number changes with a release and a commit says nothing of edits; results depend on what the files say. What
only expands, runs and prints experiments is left out: it changes no run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("datagen", "engine", "evals", "launch")
LEFT_OUT = Path("launch/experiments")
SUFFIXES = (".py", ".txt")
"""Code, and the wordings that models are asked with."""
LENGTH = 12


@cache
def code_digest() -> str:
    """Of the code that is installed here."""
    whole = hashlib.sha256()
    for path in sources(ROOT):
        whole.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:LENGTH]


def sources(root: Path) -> Iterator[Path]:
    """The files that count, in order."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in SUFFIXES and LEFT_OUT not in path.relative_to(root).parents:
                yield path


def code_of(run: Path) -> str | None:
    """Of the code that began a run; None where it is not noted."""
    try:
        noted = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    found = noted.get("code") if isinstance(noted, dict) else None
    return found if isinstance(found, str) else None
