"""Text files of users' own: UTF-8, with or without a byte order mark, and if not, how to make them so.

Editors and spreadsheets still write other encodings; a guess at one would spoil letters without a word.
"""

from __future__ import annotations

from pathlib import Path

from datagen.reasons import why


def read_text(path: Path) -> str:
    """The text of a file. Raises ValueError where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {why(error)}") from None
