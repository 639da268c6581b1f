"""Outputs of an evaluation: what is to be made, the file in progress, and the lines of the result.

    Benchmark → plan → Work → Completion → output_row (appended, flushed) → graded_row

A process may die at any byte, so only the last line can be torn: it is cut off on the next start,
and said. Rows are found again by their `key`, which covers everything the output depends on. Of a
benchmark whose authors ask that it is not published, neither problem nor output is written: the
verdict and the length are taken at once and kept in the output's place, with hashes of both texts.
A row reads from question to verdict: who asked what, what came back, what was found in it, why that is
right or wrong, and only then what it cost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datagen.generators import Completion, Generator, Request, what_matters
from datagen.instructions import complies
from datagen.plan import digest
from evals.benchmark_problem import Benchmark, Problem
from evals.grading import GRADER_VERSION
from evals.judging import FIELDS, judge_withheld
from evals.reasoning_length import reasoning_length
from evals.settings import EvaluateConfig

Row = dict[str, Any]
NEEDED = {"key": str, "output": str, "finish_reason": str, "tokens": int, "prompt_tokens": int}
LENGTHS = ("words", "steps")
WITHHELD = "[withheld: the benchmark's authors ask that it is not published]"


@dataclass(frozen=True)
class Work:
    """One output to make."""

    problem: Problem
    seed: int
    sample: int
    request: Request
    key: str
    compat: bool
    private: bool


def plan(
    benchmark: Benchmark, generator: Generator, config: EvaluateConfig, seed: int
) -> list[Work]:
    """Every output to make, in the order of the result file."""
    how: Row = {
        "generator": what_matters(generator.identity),
        "sampling": asdict(config.sampling()),
    }
    if benchmark.private:  # nothing is kept that could be graded or measured again
        how |= {"grader": GRADER_VERSION, "compat": config.compat, "kept": list(LENGTHS)}
    work = []
    for problem in benchmark.problems:
        messages = ({"role": "user", "content": problem.prompt},)
        graded = [asdict(problem.policy), problem.gold] if benchmark.private else []
        for asked in config.seeds_or(seed):
            for sample in range(config.samples):
                own = int(digest(["evaluate", asked, problem.id, sample])[:8], 16)
                request = Request(problem.id, messages, own, stage="evaluate")
                key = digest([how, problem.id, sample, messages, own, *graded])
                item = (problem, asked, sample, request, key, config.compat, benchmark.private)
                work.append(Work(*item))
    return work


def output_row(item: Work, completion: Completion) -> Row:
    """What the generator gave, before judging."""
    row = {
        "key": item.key,
        "output": completion.text,
        "finish_reason": completion.finish_reason,
        "tokens": completion.completion_tokens,
        "prompt_tokens": completion.prompt_tokens,
        "seconds": completion.seconds,
    }
    if item.private:
        row |= {
            "output": WITHHELD,
            "output_sha256": sha256(completion.text),
            **lengths(completion.text),
            "verdict": judge_withheld(item.problem, completion.text, item.compat),
        }
    return row


def lengths(text: str) -> Row:
    """How long a piece of reasoning is, in words and in steps."""
    measured = reasoning_length(text)
    return {name: getattr(measured, name) for name in LENGTHS}


def graded_row(item: Work, output: Row, verdict: Row) -> Row:
    """A line of BENCHMARK.jsonl. Nulls: `correct` without a gold answer, `complies` without a
    check."""
    problem, text = item.problem, output["output"]
    check = problem.check
    row = {
        "id": problem.id,
        "sample": item.sample,
        "seed": item.seed,
        "prompt_sha256": sha256(problem.prompt),
        "prompt": WITHHELD if item.private else problem.prompt,
        "output": text,
        "finish_reason": output["finish_reason"],
        **{name: verdict[name] for name in ("extracted", "rule")},
        "gold": problem.gold,
        **{name: verdict[name] for name in ("correct", "status", "reason")},
        **verdict,  # and what else the grader says
        "complies": None if check is None else complies(dict(check), text),
        **({name: output[name] for name in LENGTHS} if item.private else lengths(text)),
        "tokens": output["tokens"],
        "prompt_tokens": output["prompt_tokens"],
        "seconds": output["seconds"],
        "key": output["key"],
    }
    return row | {"output_sha256": output["output_sha256"]} if item.private else row


def sha256(text: str) -> str:
    """Of a text in UTF-8; half a surrogate pair counts as it stands."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_outputs(path: Path, say: Callable[[str], None]) -> dict[str, Row]:
    """The whole rows of a file by key; a torn last line is cut off."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        say(f"{path}: the last line was torn; cut off, its output is made again")
        with path.open("r+b") as file:
            file.truncate(whole)
    rows, unreadable = {}, 0
    for line in content[:whole].splitlines():
        row = parse_row(line)
        unreadable += row is None
        if row is not None:
            rows[row["key"]] = with_verdict(row)
    if unreadable:
        say(f"{path}: {unreadable} unreadable lines ignored, their outputs are made again")
    return rows


def with_verdict(row: Row) -> Row:
    """An output that is withheld cannot be judged again: the graded row's own verdict is kept."""
    if "output_sha256" not in row or "verdict" in row:
        return row
    kept = (*FIELDS, "correct_compat")
    return row | {"verdict": {name: row[name] for name in kept if name in row}}


def parse_row(line: bytes) -> Row | None:
    """One row; None when it is no JSON object, or lacks what an output has."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(row, dict) and all(isinstance(row.get(n), k) for n, k in NEEDED.items())
    return row if whole else None
