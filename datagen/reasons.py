"""What an error of another library says, as a part of one of our own sentences."""

from __future__ import annotations


def first_line(error: Exception) -> str:
    """The beginning of the message; the error's kind where it has none."""
    return str(error).strip().partition("\n")[0].rstrip(" :.") or type(error).__name__


def why(error: Exception) -> str:
    """Why bytes are no text, or no JSON; of the wrong encoding it says how to change that."""
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return (
            f"byte {byte:#04x} is no UTF-8: save the file as UTF-8, such as by "
            "iconv -f LATIN1 -t UTF-8 OLD > NEW"
        )
    return str(error)
