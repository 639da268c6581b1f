"""The state of the source code's git checkout: revision, and what was changed since then and not committed.

    git_state(root)  →  GitState(revision, changed files, the difference as text)  →  PATCHES/DIGEST.patch

The difference is kept beside the runs that it made, once however many they are: by its hash. It has no secrets in it
(redaction.py) and is kept only up to a size; its hash is noted in any case. New files that git does not know yet are
named, with their hashes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from engine.redaction import redacted
from engine.whole_files import write_whole

ROOT = Path(__file__).resolve().parent.parent
PATCHES = "patches"
MOST_PATCH_BYTES = 256 * 1024
MOST_NEW_FILES = 50
"""So many new files are named."""
GIT_SECONDS = 20.0


@dataclass(frozen=True)
class GitState:
    """A checkout. `difference` is what `git diff HEAD` says, secrets taken out."""

    revision: str
    is_changed: bool = False
    difference: str = ""
    new_files: Mapping[str, str] = field(default_factory=dict)
    """Their sha256, by path."""

    @property
    def name(self) -> str:
        """The commit, with `+changes` where files differ from it."""
        return self.revision + ("+changes" if self.is_changed else "")

    @property
    def sha256(self) -> str | None:
        """Of the difference; None where there is none."""
        return hashlib.sha256(self.difference.encode()).hexdigest() if self.difference else None


@cache
def git_state(root: Path = ROOT) -> GitState | None:
    """The checkout that the code lies in; None where it lies in none, or git is missing."""
    if not (root / ".git").exists():
        return None
    try:
        commit = git(root, "rev-parse", "HEAD").strip()
        status = git(root, "status", "--porcelain", "--untracked-files=all").splitlines()
        if not status:
            return GitState(commit)
        new = [line[3:] for line in status if line.startswith("?? ")]
        difference = redacted(git(root, "diff", "HEAD", "--no-ext-diff", "--no-color"))
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    hashes = {name: hash_of(root / name) for name in new[:MOST_NEW_FILES]}
    return GitState(commit, True, difference, hashes)


def hash_of(path: Path) -> str:
    """The sha256 of a file; empty where it cannot be read, or is large enough to be data."""
    try:
        if path.stat().st_size > 16 * MOST_PATCH_BYTES:
            return ""
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def git(root: Path, *arguments: str) -> str:
    """What a git command prints. It takes no lock: many runs may start at once."""
    done = subprocess.run(
        ["git", "-C", str(root), *arguments],
        capture_output=True,
        check=True,
        timeout=GIT_SECONDS,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )
    return done.stdout.decode("utf-8", errors="replace")


def git_facts(run: Path, state: GitState | None) -> dict[str, Any]:
    """What environment.json says of the checkout; keeps the difference in the run folder."""
    if state is None or not state.is_changed:
        return {}
    facts: dict[str, Any] = {"diff_sha256": state.sha256, "new_files": dict(state.new_files)}
    size = len(state.difference.encode())
    if state.sha256 is not None and size <= MOST_PATCH_BYTES:
        path = run / PATCHES / f"{state.sha256[:12]}.patch"
        facts["diff"] = f"{PATCHES}/{path.name}"
        if not path.exists():
            write_whole(path, state.difference)
    elif size:
        facts["diff"] = f"not kept: {size:,} bytes"
    return facts
