"""The process that runs the tests: it calls the tested function next door and alone decides the verdict.

    token, program, prompt, test → check(candidate) → {"token", "status", "detail"}

`candidate` is a stand-in that sends its arguments to the other process and returns the plain value that comes back.
So an assertion here compares real values with Python's own `==`; the tested code cannot reach the test, the
built-ins, the assertion or the pipe on which the verdict is written. The test comes from the benchmark and is
confined too, only less: it may end its partner.
"""

from __future__ import annotations

import sys
from typing import Any

from evals.sandbox_lines import EndedError, Lines, TooLateError, TooLongError
from evals.sandbox_values import UnreadableValueError, from_line, to_line

SHOWN_CHARS = 300
TEST_FILE = "<test>"

Finding = tuple[str, str]
"""Status and detail."""


class CandidateError(Exception):
    """The tested function did not return; the finding says how it ended."""

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(detail)
        self.finding: Finding = (status, detail)


class Candidate:
    """The tested function as the test sees it."""

    def __init__(self, lines: Lines, program: str, function: str) -> None:
        self.lines = lines
        self.exchange({"program": program, "function": function})

    def __call__(self, *arguments: object, **keywords: object) -> Any:
        return self.exchange((arguments, keywords))

    def exchange(self, request: object) -> Any:
        """Send one request and take its answer apart; whatever is no value is a `CandidateError`."""
        try:
            self.lines.send(to_line(request))
            reply = from_line(self.lines.receive())
        except TooLateError:
            raise CandidateError("timeout", "no answer within the time limit") from None
        except EndedError:
            raise CandidateError("ended", "the program ended before it answered") from None
        except (TooLongError, UnreadableValueError) as error:
            detail = f"the answer is too large or unreadable ({type(error).__name__})"
            raise CandidateError("error", detail) from None
        if isinstance(reply, dict) and "value" in reply:
            return reply["value"]
        raise CandidateError(*reported(reply))


def reported(reply: object) -> Finding:
    """Status and text of an exception next door; it can be told anything but "passed"."""
    error = reply.get("error") if isinstance(reply, dict) else None
    if isinstance(error, tuple) and len(error) == 2 and error[0] in ("memory", "refused", "error"):
        return error[0], str(error[1])[:SHOWN_CHARS]
    return "error", "the answer is unreadable"


def judge(lines: Lines, job: dict[str, str]) -> Finding:
    """Run the test on the tested function."""
    names: dict[str, Any] = {"__name__": "test"}
    try:
        exec(compile(job["prompt"], "<prompt>", "exec"), names)
        exec(compile(job["test"], TEST_FILE, "exec"), names)
        check = names["check"]
    except Exception as error:
        return "error", f"the benchmark's own test does not load: {error!r}"[:SHOWN_CHARS]
    try:
        names[job["entry_point"]] = candidate = Candidate(lines, job["program"], job["entry_point"])
        check(candidate)
    except CandidateError as error:
        return error.finding
    except MemoryError:
        return "memory", "the test ran out of memory"
    except Exception as error:  # a wrong value fails an assertion, or the test trips over its type
        return "failed", failing_line(error, job["test"])
    return "passed", ""


def failing_line(error: BaseException, test: str) -> str:
    """The line of the test that failed, which says more than "AssertionError"."""
    lines = test.splitlines()
    traceback, line = error.__traceback__, ""
    while traceback is not None:
        number = traceback.tb_lineno
        if traceback.tb_frame.f_code.co_filename == TEST_FILE and 0 < number <= len(lines):
            line = lines[number - 1].strip()
        traceback = traceback.tb_next
    said = "" if isinstance(error, AssertionError) else f" ({type(error).__name__}: {error})"
    return f"{line}{said}"[:SHOWN_CHARS]


def main_judge(job: dict[str, str], lines: Lines) -> Finding:
    """The verdict, whatever the test does."""
    try:
        return judge(lines, job)
    except BaseException as error:
        print(f"{error!r}"[:SHOWN_CHARS], file=sys.stderr)
        return "error", f"the test ended with {type(error).__name__}"
