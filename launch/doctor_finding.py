"""What a check has found, and how findings are shown: a table for 80 columns, or JSON.

    check() → Findings → in_order: what is well, then warnings, then errors → table

Order matters because a terminal shows the end of a text: what has to be mended stands there, with the command to type.
A check that itself fails is a finding as well, so that one odd machine does not hide what the other checks have found.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from engine.advice import first_line, in_words
from engine.marking import escaped

State = Literal["ok", "warn", "error"]
STATES: tuple[State, ...] = ("ok", "warn", "error")
MARKS: dict[State, str] = {"ok": "ok", "warn": "warn", "error": "ERROR"}

GIB = 2**30
WIDTH = 80
COMMANDS = ("--set ", "cgd ", "docker ", "env ", "export ", "hf ", "pip ", "torchrun ", "ulimit ")
INDENT = 27
"""Columns before the detail: mark and name."""


@dataclass(frozen=True)
class Finding:
    """One line of the table. `remedy` says what to do, and with which command."""

    what: str
    state: State
    detail: str
    remedy: str = ""

    def in_words(self) -> str:
        """For one message: `what: detail; remedy`."""
        remedy = ", ".join(self.remedy.splitlines()).replace(":, ", ": ")
        return f"{self.what}: {self.detail}{'; ' if remedy else ''}{remedy}"


def ok(what: str, detail: str) -> Finding:
    """All is well."""
    return Finding(what, "ok", detail)


def warn(what: str, detail: str, remedy: str = "") -> Finding:
    """It runs, but perhaps not as wished."""
    return Finding(what, "warn", detail, remedy)


def error(what: str, detail: str, remedy: str = "") -> Finding:
    """It would stop a run."""
    return Finding(what, "error", detail, remedy)


Check = Callable[[], Finding | Iterable[Finding]]


def findings_of(what: str, check: Check, remedy: str = "") -> list[Finding]:
    """What a check finds. What it raises is an error where a user can mend it, for which `remedy` is given; else it is
    a warning, since nothing is known then."""
    found: list[Finding] = []
    try:
        made = check()
        for one in [made] if isinstance(made, Finding) else made:
            found.append(one)  # kept where a later one fails
    except (ValueError, OSError) as mistake:
        found.append(error(what, in_words(mistake).removeprefix(f"{what}: "), remedy))
    except Exception as failure:
        reason = first_line(failure)
        found.append(warn(what, f"could not be checked: {type(failure).__name__}: {reason}"))
    return found


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """What is well first, errors last; within each the order in which they were found."""
    return sorted(findings, key=lambda finding: STATES.index(finding.state))


def num_of(findings: Iterable[Finding], state: State) -> int:
    """How many are in a state."""
    return sum(finding.state == state for finding in findings)


def table(findings: Sequence[Finding], width: int = WIDTH) -> str:
    """All findings in order, and a closing line."""
    lines = [line for finding in in_order(findings) for line in lines_of(finding, width)]
    return "\n".join([*lines, "", verdict(findings)])


def lines_of(finding: Finding, width: int) -> Iterator[str]:
    """The name and the detail beside it; below, what to do."""
    head = f"{MARKS[finding.state]:5}  {escaped(finding.what)}"
    details = wrapped(finding.detail, width - INDENT)
    if len(head) >= INDENT:
        yield head
        head = ""
    for line in details:
        yield f"{head:{INDENT}}{line}".rstrip()
        head = ""
    todo = [
        line
        for part in finding.remedy.splitlines()
        # a command can only be copied where it stands on one line
        for line in ([part] if part.startswith(COMMANDS) else wrapped(part, width - INDENT - 2))
    ]
    for number, line in enumerate(todo):
        yield f"{'':{INDENT}}{'→ ' if number == 0 else '  '}{line}"


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width`; a command or a path is never cut. Each of the text's own lines begins a new one."""
    return [
        line
        for paragraph in text.splitlines()
        for line in textwrap.wrap(
            escaped(paragraph), width, break_long_words=False, break_on_hyphens=False
        )
    ]


def verdict(findings: Sequence[Finding]) -> str:
    """`2 errors, 1 warning, 14 checks passed.`"""
    errors, warnings = num_of(findings, "error"), num_of(findings, "warn")
    passed = f"{plural(num_of(findings, 'ok'), 'check')} passed"
    if not errors and not warnings:
        return f"All {passed}."
    parts = [plural(errors, "error")] if errors else []
    parts += [plural(warnings, "warning")] if warnings else []
    return f"{', '.join([*parts, passed])}."


def size(num_bytes: float) -> str:
    """Bytes in words."""
    return (
        f"{num_bytes / GIB:,.1f} GiB" if num_bytes >= GIB / 10 else f"{num_bytes / 2**20:,.0f} MiB"
    )


def plural(count: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def as_json(findings: Sequence[Finding], about: str | None) -> str:
    """One JSON object: the worst state, and every finding."""
    worst = max((f.state for f in findings), key=STATES.index, default="ok")
    found = [asdict(finding) for finding in in_order(findings)]
    return json.dumps({"config": about, "state": worst, "findings": found}, indent=2)
