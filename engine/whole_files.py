"""Small files that are there whole or not at all: written aside, then renamed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replaces the file's content; several processes may write it at once, and one of them wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    except OSError as error:
        error.filename = str(path)  # what the system raises about a full disk names no file
        with suppress(OSError):
            aside.unlink()  # half a file would only fill the disk
        raise
