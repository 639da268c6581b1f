"""HumanEval: the program is found in an output, reference solutions pass, empty ones fail."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evals.benchmark_problem import Program
from evals.humaneval import check_program, program_of
from evals.sandbox import ProgramVerdict

SHARED = Path(os.environ.get("CGD_SHARED", Path(__file__).resolve().parents[2] / "shared"))
DATA = SHARED / "data" / "humaneval.jsonl"
EVERY = 1 if os.environ.get("CGD_ALL_PROGRAMS") else 12
"""One problem in so many is run; CGD_ALL_PROGRAMS=1 runs them all."""

PROMPT = 'import math\n\n\ndef helper(x):\n    return x + 1\n\n\ndef area(r: float) -> float:\n    """The area."""\n'
TESTS = "def check(candidate):\n    assert candidate(1) == 3\n    assert candidate(2) == helper(candidate(2)) - 1\n"
PROBLEM = Program(PROMPT, TESTS, "area")
BODY = "    if r > 0:\n        return 3 * r\n    return 0\n"
FUNCTION = f"def area(r):\n{BODY}"
DEDENTED = "if r > 0:\n    return 3 * r\nreturn 0"

ANSWERS = {
    "code block": [
        f"Here it is:\n```python\n{FUNCTION}```\nIt multiplies.",
        f"First:\n```python\nprint('no')\n```\nthen\n```python\n{FUNCTION}```\n```\narea(1)\n```",
        f"```py\n{FUNCTION}```",
        f"```\nimport os\n\n{FUNCTION}\n```",
        f"```python\ndef area(r):\n    return 7\n```\nBetter:\n```python\n{FUNCTION}```",
        f"```python\n{FUNCTION}",
        f"```python\n{FUNCTION}\nprint(area(1",
        f"```python\n{FUNCTION}\n# Example usage of the fun",
        f"1. So:\n   ```python\n{''.join(f'   {row}' + chr(10) for row in FUNCTION.splitlines())}   ```",
        f"```python\r\n{FUNCTION.replace(chr(10), chr(13) + chr(10))}```",
        f"```python\n{FUNCTION}\nif __name__ == '__main__':\n    raise ValueError\n```",
        "```python\ndef area(r):\n    return helper(3 * r) - 1\n```",
    ],
    "plain code": [
        FUNCTION,
        f"The function is:\n\n{FUNCTION}\nThis function multiplies by three.",
        f"{PROMPT}{BODY}",
        f"{FUNCTION}\nThis is how f(x) = 3x is done.\nHuman: thanks",
        "def area(r):\n    return area.low + THREE * r - THREE\n\nTHREE, four = 3, 4\narea.low = 3\n",
    ],
    "code block as body": [f"```python\n{BODY}```", f"The body:\n```\n{DEDENTED}\n```"],
    "continuation": [
        BODY,
        BODY.lstrip(),
        DEDENTED,
        "return 3 * r",
        f"{BODY}\n\ndef other(x):\n    return (",
        f"{BODY}\n\nprint(area(1",
        f"{BODY}# a comment\nThis is prose",
    ],
}


@pytest.mark.parametrize(
    ("rule", "output"), [(rule, output) for rule, outputs in ANSWERS.items() for output in outputs]
)
def test_the_program_is_found(rule: str, output: str) -> None:
    found = program_of(PROBLEM, output)
    assert found is not None
    program, fired = found
    assert fired == rule
    names: dict[str, object] = {"__name__": "tested"}
    exec(program, names)  # these programs are ours
    check: dict[str, object] = dict(names)
    exec(f"{TESTS}\ncheck(area)", check)


def test_nothing_is_no_program_and_prose_is_a_wrong_one() -> None:
    assert program_of(PROBLEM, " \n\t") is None
    found = program_of(PROBLEM, "I cannot help with that.")
    assert found is not None
    assert check_program(found[0], PROBLEM).status == "error"


def test_the_tests_may_use_the_prompts_helpers() -> None:
    found = program_of(PROBLEM, f"```python\n{FUNCTION}```")
    assert found is not None
    assert check_program(found[0], PROBLEM).status == "passed"
    assert check_program(f"{PROMPT}    return 4\n", PROBLEM).status == "failed"


def problems() -> list[dict[str, str]]:
    if not DATA.exists():
        pytest.skip("the benchmark's file is not beside the project")
    return [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]


def program_with(row: dict[str, str], body: str) -> tuple[str, Program]:
    problem = Program(row["problem"], row["test"], row["entry_point"])
    found = program_of(problem, body)
    return (found[0] if found else row["problem"]), problem


def check_all(pairs: list[tuple[str, Program]]) -> list[ProgramVerdict]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda pair: check_program(*pair), pairs))


@pytest.mark.parametrize("fenced", [False, True])
def test_every_reference_solution_passes(fenced: bool) -> None:
    rows = problems()[::EVERY]
    outputs = [
        f"Sure:\n```python\n{row['problem']}{row['canonical_solution']}```\nDone."
        if fenced
        else row["canonical_solution"]
        for row in rows
    ]
    pairs = [program_with(row, output) for row, output in zip(rows, outputs, strict=True)]
    verdicts = check_all(pairs)
    wrong = [(r["id"], v) for r, v in zip(rows, verdicts, strict=True) if v.status != "passed"]
    assert not wrong


def test_an_empty_body_passes_nowhere() -> None:
    rows = problems()[5::EVERY]
    pairs = [program_with(row, "    pass\n") for row in rows]
    assert {verdict.status for verdict in check_all(pairs)} == {"failed"}
