"""Benchmarks: named lists of problems, built in or read from a local JSONL file.

    `arithmetic`          the built-in world's test problems: answers are compared
    `arithmetic-format`   instructions that a program can check: does the model still do as told?
    PATH.jsonl            rows with problem | question | prompt and final_answer | answer | solution

A problem's `prompt` is byte for byte the user message the model gets: the wording template has
been applied. Instructions bring their own wording, so none is put around them. With a limit, the
first N problems are taken, in file order: the same N for every model and every run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from datagen.arithmetic import problems as arithmetic_problems
from datagen.instructions import instructions
from datagen.records import read_jsonl
from datagen.wordings import load_template
from evals.grading import read_gold

BUILT_IN = ("arithmetic", "arithmetic-format")
BUILT_IN_SIZE = 300
"""Problems of a built-in benchmark without a limit."""

PROMPT_FIELDS = ("problem", "question", "prompt")
GOLD_FIELDS = ("final_answer", "answer", "solution")


@dataclass(frozen=True)
class Problem:
    """One question; at least one of `gold` and `check` is set."""

    id: str
    prompt: str
    """The user message, wording included."""
    gold: str | None
    """A short answer or a reference solution that marks its answer."""
    check: Mapping[str, Any] | None = None
    """A format check, see datagen.instructions.complies."""


@dataclass(frozen=True)
class Benchmark:
    """A name, which is also the name of its result file, and problems with unique ids."""

    name: str
    problems: tuple[Problem, ...]


def load_benchmark(
    name_or_path: str, limit: int | None = None, seed: int = 0, wording: str = "plain"
) -> Benchmark:
    """A built-in benchmark by name, or a local file. `seed` varies the built-in ones only."""
    if name_or_path in BUILT_IN:
        count = BUILT_IN_SIZE if limit is None else limit
        problems = built_in_problems(name_or_path, count, seed, wording)
        return Benchmark(name_or_path, tuple(problems))
    path = Path(name_or_path)
    if not path.is_file():
        raise ValueError(f"benchmark {name_or_path!r}: {unknown_benchmark(name_or_path)}")
    problems = read_problems(path, limit, wording)
    if not problems:
        raise ValueError(f"{path}: a benchmark needs at least one problem")
    return Benchmark(path.stem, tuple(problems))


def load_benchmarks(
    names: Iterable[str], limit: int | None, seed: int, wording: str
) -> list[Benchmark]:
    """Several benchmarks; two of one name would share a result file, so that is an error."""
    benchmarks: dict[str, Benchmark] = {}
    for name in names:
        benchmark = load_benchmark(name, limit, seed, wording)
        if benchmark.name in benchmarks:
            raise ValueError(
                f"two benchmarks are called {benchmark.name!r}; rename one of the files"
            )
        benchmarks[benchmark.name] = benchmark
    return list(benchmarks.values())


def unknown_benchmark(name: str) -> str:
    """What to do about a name that is neither built in nor a file."""
    if name.endswith((".jsonl", ".json")) or "/" in name:
        return "there is no such file"
    nearest = get_close_matches(name, BUILT_IN, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"{hint}it is neither built in ({', '.join(BUILT_IN)}) nor a local .jsonl file"


def built_in_problems(name: str, count: int, seed: int, wording: str) -> list[Problem]:
    """The built-in world's held-out side."""
    if name == "arithmetic-format":
        tasks = instructions("test", count, seed)
        return [Problem(task.id, task.prompt, None, task.check) for task in tasks]
    template = load_template(wording)
    records = [problem.record() for problem in arithmetic_problems("test", count, seed)]
    return [
        Problem(
            record.id, template.render(problem=record.prompt), record.final_answer or record.answer
        )
        for record in records
    ]


def read_problems(path: Path, limit: int | None, wording: str) -> list[Problem]:
    """The first `limit` problems of a file. Rows without an id are numbered by line."""
    template = load_template(wording)
    problems: list[Problem] = []
    line_of: dict[str, int] = {}
    for number, row in read_jsonl(path):
        if limit is not None and len(problems) >= limit:
            break
        where = f"{path}:{number}"
        identity = str(row.get("id", f"{path.stem}-{number}"))
        if identity in line_of:
            raise ValueError(
                f"{where}: the id {identity!r} was already used in line {line_of[identity]}"
            )
        line_of[identity] = number
        prompt = template.render(problem=text_field(row, PROMPT_FIELDS, where))
        problems.append(Problem(identity, prompt, gold_of(row, where)))
    return problems


def gold_of(row: Mapping[str, Any], where: str) -> str:
    """The gold answer; one that cannot be read is an error of the file, found before anything is
    generated."""
    gold = text_field(row, GOLD_FIELDS, where)
    if read_gold(gold) is None:
        raise ValueError(f"{where}: no final answer can be read from the gold text {gold[:80]!r}")
    return gold


def text_field(row: Mapping[str, Any], names: tuple[str, ...], where: str) -> str:
    """The first of the named fields that holds text or a number."""
    for name in names:
        value = row.get(name)
        if (
            isinstance(value, str | int | float)
            and not isinstance(value, bool)
            and str(value).strip()
        ):
            return str(value)
    found = ", ".join(f"{name} ({type(value).__name__})" for name, value in row.items()) or "none"
    raise ValueError(f"{where}: needs one of the fields {', '.join(names)}; found: {found}")
