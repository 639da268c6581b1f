"""Text files of users' own: UTF-8, with or without a byte order mark, and if not, how to make them so.

Editors and spreadsheets still write other encodings; a guess at one would spoil letters without a word.
"""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path) -> str:
    """The text of a file. Raises ValueError where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {why(error)}") from None


def why(error: Exception) -> str:
    """Why bytes are no text, or no JSON; of the wrong encoding it says how to change that."""
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return (
            f"byte {byte:#04x} is no UTF-8: save the file as UTF-8, such as by "
            "iconv -f LATIN1 -t UTF-8 OLD > NEW"
        )
    return str(error)
