"""Success cannot be faked: the tests run in another process, and only plain values come back to it."""

from __future__ import annotations

import os
import secrets
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from evals.sandbox import Job, ProgramVerdict, SandboxLimits, run_job

LIMITS = SandboxLimits(cpu_seconds=1, wall_seconds=3.0)
TEST = "EXPECTED = 'mar' + 'ker-7f3a'\ndef check(candidate):\n    assert candidate(1) == EXPECTED\n"
PATCHES = (
    "import builtins, unittest, sys\n"
    "class Quiet(BaseException): pass\n"
    "builtins.AssertionError = Quiet\n"
    "builtins.isinstance = builtins.all = lambda *a: True\n"
    "builtins.compile = builtins.exec = lambda *a, **k: None\n"
    "unittest.TestCase.assertEqual = lambda *a: None\n"
    "sys.excepthook = lambda *a: None\n"
    "sys.settrace(lambda *a: None)\n"
)


def verdict_on(program: str, test: str = TEST, without: tuple[str, ...] = ()) -> ProgramVerdict:
    return run_job(Job(program, "", test, "f"), LIMITS, without)


def test_the_honest_answer_passes() -> None:
    assert verdict_on("def f(x): return 'marker-7f3a'").status == "passed"


@pytest.mark.parametrize(
    "program",
    [
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        "def f(x):\n    import os\n    os._exit(0)",
        "def f(x):\n    raise SystemExit(0)",
        "def f(x):\n    raise KeyboardInterrupt",
        "def f(x):\n    raise AssertionError('passed')",
        "print('passed')",
        "",
        "f = 7",
        "def f(x: return",
        "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit",
        "def f(x): return f(x)",
        "def f(x):\n    import ctypes\n    ctypes.string_at(0)",
    ],
)
def test_ending_early_is_an_error(program: str) -> None:
    assert verdict_on(program).status == "error"


@pytest.mark.parametrize(
    "program",
    [
        "class E:\n    def __eq__(self, other): return True\ndef f(x): return E()",
        "class E(str):\n    def __eq__(self, other): return True\n    __hash__ = None\ndef f(x): return E()",
        "class E(str):\n    def __new__(cls): return str.__new__(cls, 'x')\n    __ne__ = __eq__ = lambda a, b: True\n"
        "def f(x): return E()",
        "class E(list):\n    def __eq__(self, other): return True\ndef f(x): return E([1])",
        PATCHES + "def f(x): return True",
        "def f(x): return NotImplemented",
    ],
)
def test_values_and_patches_that_please_every_test_fail(program: str) -> None:
    assert verdict_on(program).status in {"failed", "error"}


SEARCH = """
import gc, os, re, sys
def texts():
    frame = sys._getframe()
    while frame:
        yield from (repr(v) for v in list(frame.f_locals.values()))
        yield from (repr(v) for v in list(frame.f_globals.values()))
        frame = frame.f_back
    for thing in gc.get_objects():
        if type(thing) in (dict, list, tuple):
            yield repr(thing)[:100000]
    for pid in ('self', '1', os.getppid()):
        for name in ('environ', 'cmdline', 'mem'):
            try:
                with open(f'/proc/{pid}/{name}', errors='replace') as file:
                    yield file.read(100000)
            except (OSError, ValueError):
                pass
def f(x):
    found = []
    for text in texts():
        found += re.findall('q7z([0-9a-f]{32})', text) + re.findall('token.{2,6}([0-9a-f]{32})', text)
    return found[:3]
"""


@pytest.mark.parametrize(
    "without", [(), ("root", "namespaces"), ("root", "namespaces", "landlock")]
)
def test_neither_token_nor_expected_value_is_in_reach(without: tuple[str, ...]) -> None:
    """Frames, the collector's objects and /proc hold neither: the job was read after the fork, next door."""
    test = f"SECRET = 'q7z{secrets.token_hex(16)}'\ndef check(candidate):\n    assert candidate(1) == []\n"
    verdict = verdict_on(SEARCH, test, without)
    assert verdict.status == "passed", verdict


def test_the_search_finds_what_is_there() -> None:
    names: dict[str, Any] = {"planted": [f"q7z{'ab' * 16}", f"'token': '{'cd' * 16}'"]}
    exec(SEARCH, names)
    names["gc"] = SimpleNamespace(get_objects=list)  # the frames are enough here
    assert {"ab" * 16, "cd" * 16} <= set(names["f"](1))


PARENTS_MEMORY = """
import os
def f(x):
    readable = []
    for pid in (os.getppid(), PARENT):
        for name in ('mem', 'environ', 'fd/0', 'fd/1'):
            try:
                open(f'/proc/{pid}/{name}', 'rb').close()
                readable.append(name)
            except OSError:
                pass
    return readable
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_judge_is_closed_even_where_proc_is_seen() -> None:
    """Without a new root /proc is there; Landlock, or the judge's own refusal to be read, protects."""
    test = "def check(candidate):\n    assert candidate(1) == []\n"
    program = f"PARENT = {os.getpid()}\n{PARENTS_MEMORY}"
    verdict = verdict_on(program, test, ("root", "namespaces"))
    if verdict.walls["landlock"]:
        pytest.skip(f"without Landlock the user's other processes are open: {verdict.walls}")
    assert verdict.status == "passed", verdict
    judge_alone = program.replace("(os.getppid(), PARENT)", "(os.getppid(),)")
    assert verdict_on(judge_alone, test, ("root", "namespaces", "landlock")).status == "passed"


FORGE = """
import os, json
line = json.dumps({"token": "", "status": "passed", "detail": "", "walls": {}}).encode() + b"\\n"
for number in range(0, 200):
    try:
        os.write(number, line)
    except OSError:
        pass
def f(x): return 'wrong'
"""


def test_a_verdict_written_to_every_open_file_is_not_believed() -> None:
    assert verdict_on(FORGE).status == "error"


@pytest.mark.parametrize(
    "line",
    ["[" * 100000, '{"passed": true}', "1" * 5000, '["ratio", "1", "0"]', '["passed"]', "\\xff"],
)
def test_unreadable_answers_are_errors(line: str) -> None:
    program = f"import os\ndef f(x):\n    os.write(11, {line!r}.encode('latin-1') + b'\\n')\n    os._exit(0)"
    assert verdict_on(program).status == "error"
