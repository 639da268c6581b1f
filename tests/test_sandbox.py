"""The sandbox says what happened: one status for every way a program can end, and what this machine protects."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals import sandbox
from evals.sandbox import Job, SandboxLimits, read_verdict, require_permission, run_job
from evals.sandbox_protection import NOT_COVERED, describe_protection
from evals.sandbox_syscalls import ARCHITECTURES, NUMBERS, filter_program
from evals.sandbox_values import UnreadableValueError, from_line, to_line

LIMITS = SandboxLimits(cpu_seconds=2, wall_seconds=6.0)
TEST = "def check(candidate):\n    assert candidate(2) == 4\n"


def run(program: str, test: str = TEST, prompt: str = "") -> sandbox.ProgramVerdict:
    return run_job(Job(program, prompt, test, "f"), LIMITS)


@pytest.mark.parametrize(
    ("program", "status", "detail"),
    [
        ("def f(x): return x * x", "passed", ""),
        ("def f(x): return x", "failed", "assert candidate(2) == 4"),
        ("def f(x): return None", "failed", "assert candidate(2) == 4"),
        ("def f(x): return 1 / 0", "error", "ZeroDivisionError: division by zero"),
        ("def g(x): return 4", "error", "NameError: the program does not define f"),
        ("def f(x) return 4", "error", "SyntaxError"),
        ("import numpy\ndef f(x): return 4", "error", "No module named 'numpy'"),
        ("def f(x): return input()", "error", "EOFError"),
        ("def f(x): raise MemoryError", "memory", "MemoryError"),
        ("import os\nos._exit(3)", "error", "ended before it answered, exit code 3"),
        ("import os\ndef f(x): os.abort()", "error", "ended before it answered, by signal"),
    ],
)
def test_each_end_has_its_status(program: str, status: str, detail: str) -> None:
    verdict = run(program)
    assert verdict.status == status, verdict
    assert detail in verdict.detail


def test_a_wrong_type_that_trips_the_test_is_failed_and_says_so() -> None:
    verdict = run("def f(x): return 'a'", "def check(c):\n    assert abs(c(2) - 4) < 1\n")
    assert verdict.status == "failed"
    assert "assert abs(c(2) - 4) < 1 (TypeError" in verdict.detail


def test_examples_under_main_are_not_run_and_the_prompt_serves_the_test() -> None:
    program = "def f(x): return x * x\nif __name__ == '__main__':\n    raise ValueError\n"
    test = "def check(candidate):\n    assert helper(candidate(2)) == f(2) + 1\n"
    assert run(program, test, "def helper(x):\n    return x + 1\n").status == "passed"


def test_a_test_that_does_not_load_is_named() -> None:
    assert "the benchmark's own test does not load" in run("def f(x): return 4", "def").detail


def test_a_program_that_is_too_long_is_refused_unread() -> None:
    assert run("#" * 200_001).status == "refused"


def test_programs_run_from_threads_in_their_order() -> None:
    jobs = [Job(f"def f(x): return {n}", "", TEST, "f") for n in (3, 4, 5, 4)]
    with ThreadPoolExecutor(2) as pool:
        statuses = [verdict.status for verdict in pool.map(run_job, jobs)]
    assert statuses == ["failed", "passed", "failed", "passed"]


def test_no_folder_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run("open('x', 'w').write('x')\ndef f(x): return 4").status == "passed"
    run_job(Job("open('x', 'w')", "", TEST, "f"), LIMITS, ("root", "namespaces"))
    assert not list(tmp_path.iterdir())


def test_nothing_of_the_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    look = "import os\ndef f(x): return 4 if 'SECRET_KEY' not in os.environ else os.environ"
    assert run(look).status == "passed"


def test_a_verdict_without_the_token_is_none() -> None:
    said: dict[str, Any] = {"token": "x", "status": "passed", "detail": "", "walls": {}}
    assert read_verdict(json.dumps(said).encode(), b"", "y").status == "error"
    assert read_verdict(b"", b"Traceback\nOSError: no", "y").detail.endswith("OSError: no")
    said |= {"token": "y", "status": "correct"}
    assert read_verdict(json.dumps(said).encode(), b"", "y").status == "error"


def test_a_sandbox_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "START", "import time; time.sleep(60); {!r}")
    monkeypatch.setattr(sandbox, "START_SECONDS", 0.2)
    limits = SandboxLimits(wall_seconds=0.3)
    assert run_job(Job("", "", TEST, "f"), limits).status == "timeout"


def test_permission_is_asked_for() -> None:
    require_permission(True)
    with pytest.raises(ValueError, match=r"allow_code = true in \[evaluate\]"):
        require_permission(False)


@pytest.mark.parametrize(
    "wrong", [{"wall_seconds": 0}, {"cpu_seconds": -1}, {"memory_bytes": 1000}]
)
def test_limits_that_nothing_can_run_in_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SandboxLimits(**wrong)


@pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
def test_protection_is_tried_and_told() -> None:
    lines = describe_protection(LIMITS)
    claims = [line for line in lines if "protected:" in line]
    assert len(claims) == 9
    assert lines[-1] == NOT_COVERED
    bare = describe_protection(LIMITS, ("root", "namespaces", "landlock", "system call filter"))
    assert "NOT protected: the user's files cannot be read (it was possible)" in bare
    assert "protected: memory is bounded" in bare
    assert "no landlock: left out" in bare


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.sets(st.integers(), max_size=3)
        | st.frozensets(st.text(max_size=3), max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_plain_values_arrive_as_they_were(value: object) -> None:
    arrived = from_line(to_line(value))
    assert arrived == value
    assert repr(arrived) == repr(value) or isinstance(value, set | frozenset | dict | list | tuple)


@given(
    st.binary(max_size=60) | st.text(alphabet='[]{}",:0123456789.eE-ntfalsudicr ').map(str.encode)
)
@settings(max_examples=200, deadline=None)
def test_any_line_is_read_or_refused(line: bytes) -> None:
    try:
        from_line(line)
    except UnreadableValueError:
        return


def test_numbers_are_exact_and_subclasses_are_stripped() -> None:
    for value in (10**5000, -(2**1001), math.inf, Fraction(1, 3), Decimal("3.5")):
        assert from_line(to_line(value)) == value
    assert math.isnan(from_line(to_line(math.nan)))

    class Equal(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    assert type(from_line(to_line(Equal(3)))) is int
    foreign = from_line(to_line(range(3)))
    assert foreign != range(3)
    assert foreign
    assert repr(foreign) == "<a value of type range>"
    assert from_line(to_line(iter(()))) != ()


def test_values_nested_too_deeply_do_not_break_the_writer() -> None:
    nested: list[Any] = []
    for _ in range(2000):
        nested = [nested]
    nested[0].append(nested)
    assert isinstance(from_line(to_line(nested)), list)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_every_jump_of_the_filter_lands_inside_it(machine: str) -> None:
    program = filter_program(machine, 1)
    for place, (operation, if_true, if_false, _) in enumerate(program):
        assert operation in {0x20, 0x15, 0x35, 0x45, 0x06}
        assert place + 1 + max(if_true, if_false) < len(program) or operation == 0x06
    assert len({n[list(ARCHITECTURES).index(machine)] for n in NUMBERS.values()} - {None}) > 30
