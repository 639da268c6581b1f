"""What a benchmark is made of: problems, and where their rows come from.

    Source (a line of the table: hub id, fields, wording, policy) → rows → Problem → Benchmark

A problem is judged in one of three ways: its answer is compared with `gold` under `policy`, its
form is looked at by `check`, or its code is run against the tests of `program`. Data only; the
table is evals.benchmarks, rows are read by evals.benchmark_rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evals.policy import Policy


@dataclass(frozen=True)
class Program:
    """What an answer that is code is run with."""

    prompt: str
    """The head of the function: imports, signature and docstring."""
    tests: str
    """Python that defines `check(candidate)`."""
    entry_point: str
    """The name of the function that is asked for."""


@dataclass(frozen=True)
class Problem:
    """One question. Without `gold`, `check` and `program` it is asked, and counted as not graded."""

    id: str
    prompt: str
    """The user message, wording included."""
    gold: str | None
    """A short answer, an option's letter, or a reference solution that marks its answer."""
    check: Mapping[str, Any] | None = None
    """A format check, see datagen.instructions.complies."""
    policy: Policy = field(default_factory=Policy)
    """How leniently the answer is compared."""
    program: Program | None = None


@dataclass(frozen=True)
class Benchmark:
    """A name, which is also the name of its result file, and problems with unique ids."""

    name: str
    problems: tuple[Problem, ...]
    wording: str = "plain"
    """The template around each problem, by name or path."""
    wording_sha256: str = ""
    """Of the template's text."""
    private: bool = False
    """Its authors ask that no problem is published in clear: result files hold ids, letters and
    hashes."""
    remarks: tuple[str, ...] = ()
    """What a reader of its scores should know: problems without a readable gold answer, and so on."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One line of the table of benchmarks. Of several field names the first that a row has counts:
    the hub's own first, then those of common local copies."""

    name: str
    hub: str
    """The hub's id, public or gated."""
    subset: str | None = None
    """The hub's name for the configuration."""
    split: str = "test"
    size: int = 0
    """Problems on the hub."""
    problem: tuple[str, ...] = ("problem", "question")
    gold: tuple[str, ...] = ("answer", "solution")
    id: tuple[str, ...] = ("id",)
    kind: Literal["answer", "choice", "code"] = "answer"
    choices: tuple[str, ...] = ()
    """The field that lists all options; `gold` is then a letter, a position or one of the texts."""
    wrong_choices: tuple[str, ...] = ()
    """Fields of one wrong option each; `gold` is then the right option's text."""
    shuffled: bool = False
    """Options are put in an order drawn for each problem from its id, the same for every model."""
    absolute_tolerance: str | None = None
    """The field that holds an error bound of this very problem."""
    wording: str = "boxed"
    policy: Policy = field(default_factory=Policy)
    private: bool = False
    licence: str
    remark: str = ""
