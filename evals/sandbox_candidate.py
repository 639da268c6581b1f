"""The process that runs the tested code: load the program, then answer calls of its function.

    {"program", "function"} → "ready" · {"call": arguments} → {"value"} or {"error": (kind, text)}

Nothing in this process is worth stealing or faking: it has no test, no expected value and no token, its only open
files are the null device and the two pipes to its judge, and all that it can say is what a call returned.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from evals.sandbox_lines import EndedError, Lines, TooLateError, TooLongError
from evals.sandbox_values import UnreadableValueError, from_line, to_line

SHOWN_CHARS = 300
REFUSALS = {
    *(errno.EPERM, errno.EACCES, errno.EROFS, errno.ENETUNREACH),
    *(errno.ENOSPC, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.EDQUOT, errno.EAGAIN),
}
"""What the walls and limits of the sandbox answer with."""
MODULE_NAME = "tested"
"""Not `__main__`: examples below `if __name__ == "__main__"` are not what is tested."""


def serve(read_end: int, write_end: int, wall_seconds: float) -> None:
    """Load the program and answer until the judge hangs up."""
    lines = Lines(read_end, write_end, time.monotonic() + wall_seconds)
    try:
        request = from_line(lines.receive())
        program = partial(load, request["program"], request["function"])
        function = answer(lines, program, hide=True)
        while function is not None:
            arguments, keywords = from_line(lines.receive())
            answer(lines, partial(function, *arguments, **keywords), hide=False)
    except (EndedError, TooLateError, TooLongError, UnreadableValueError):
        return


def load(program: str, function: str) -> Callable[..., Any]:
    """Run the program's top level and take the function from what it defined."""
    names: dict[str, Any] = {"__name__": MODULE_NAME}
    exec(compile(program, "<program>", "exec"), names)
    if not callable(names.get(function)):
        raise NameError(f"the program does not define {function}")
    return names[function]


def answer(lines: Lines, work: Callable[[], Any], hide: bool) -> Any:
    """Do the work and report its result (or only that it is done), or how it ended."""
    try:
        result = work()
        line = to_line({"value": None if hide else result})
    except BaseException as error:
        line = to_line({"error": (kind_of(error), describe(error))})
        result = None
    lines.send(line)
    return result


def kind_of(error: BaseException) -> str:
    """Which of the verdicts an exception of the tested code amounts to."""
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError) and error.errno in REFUSALS:
        return "refused"
    return "error"


def describe(error: BaseException) -> str:
    """Type and message, shortened."""
    try:
        return f"{type(error).__name__}: {error}"[:SHOWN_CHARS]
    except BaseException:  # its own __str__ can do anything
        return type(error).__name__[:SHOWN_CHARS]
