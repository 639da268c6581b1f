"""Rows of a benchmark become problems: fields found, options listed, gold answers looked at.

    hub or file → Rows → (question, options, gold) → wording → Problem, and remarks on what is missing

Other people's files name their fields differently, so a row that has none of the expected ones is an
error that lists those it has. A row whose gold answer is empty or cannot be read is kept: it is asked
and counted as not graded. Rows without an id are numbered by their line.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from datagen.plan import digest
from datagen.reasons import first_line
from datagen.records import read_jsonl
from datagen.wordings import Template
from evals.benchmark_problem import Problem, Program, Source
from evals.grading import read_gold

Values = Mapping[str, Any]
MOST_NAMED = 5
"""Ids that a remark lists."""
ENTRY_POINT = "entry_point"


@dataclass(frozen=True)
class Rows:
    """Rows with the place that messages name."""

    where: str
    stem: str
    """What rows without an id are called after."""
    rows: Iterable[tuple[str, int, Values]]
    """(place, number from 1, fields)."""


def rows_of_file(path: Path) -> Rows:
    """The rows of a JSONL file."""
    rows = ((f"{path}:{number}", number, row) for number, row in read_jsonl(path))
    return Rows(str(path), path.stem, rows)


def rows_of_hub(source: Source) -> Rows:
    """The rows of the hub's data set, in its order."""
    label = f"{source.hub}{f' ({source.subset})' if source.subset else ''}, split {source.split}"
    return Rows(label, source.name, _load_from_hub(source, label))


def _load_from_hub(source: Source, label: str) -> Iterator[tuple[str, int, Values]]:
    import datasets  # slow to import, and only here

    try:
        rows = without_pictures(
            datasets.load_dataset(source.hub, source.subset, split=source.split)
        )
    except Exception as error:  # hub, network, gates, parsing: each library has errors of its own
        raise ValueError(
            f"benchmark {source.name!r}: the hub does not give {label}: {first_line(error)}; name a local "
            f"copy with {source.name}=PATH.jsonl, or a folder with evaluate.benchmark_dir"
        ) from error
    for number, row in enumerate(rows, start=1):
        yield f"{label}, row {number}", number, row


def without_pictures(rows: Any) -> Any:
    """The data set less its columns of images: to read one takes a library that nothing else here needs."""
    kinds = getattr(rows, "features", None) or {}
    pictures = [name for name, kind in kinds.items() if type(kind).__name__ == "Image"]
    return rows.remove_columns(pictures) if pictures else rows


def read_problems(
    source: Source, rows: Rows, limit: int | None, template: Template
) -> tuple[tuple[Problem, ...], list[str]]:
    """The first `limit` problems, and remarks. ValueError where no row at all can be graded."""
    problems: list[Problem] = []
    place_of: dict[str, str] = {}
    repeated: list[str] = []
    ungraded: dict[str, str] = {}  # id → why
    for where, number, values in rows.rows:
        if limit is not None and len(problems) >= limit:
            break
        identity = identity_of(source, values, f"{rows.stem}-{number}")
        if identity in place_of:
            repeated.append(
                f"{where}: the id {identity!r} was already used at {place_of[identity]}"
            )
            continue
        place_of[identity] = where
        problem, why = problem_of(source, values, identity, template, where)
        if why is not None:
            ungraded[identity] = why if source.private else f"{where}: {why}"
        problems.append(problem)
    if repeated:
        more = f"; {len(repeated) - 1} more rows repeat an id" if len(repeated) > 1 else ""
        raise ValueError(repeated[0] + more)
    if ungraded and len(ungraded) == len(problems):
        raise ValueError(next(iter(ungraded.values())))
    remarks = [source.remark] if source.remark else []
    if ungraded:
        named = ", ".join(list(ungraded)[:MOST_NAMED])
        more = ", …" if len(ungraded) > MOST_NAMED else ""
        remarks.append(
            f"{len(ungraded)} of {len(problems)} problems have no readable gold answer and are "
            f"not graded ({named}{more}); the first: {next(iter(ungraded.values()))}"
        )
    return tuple(problems), remarks


def problem_of(
    source: Source, values: Values, identity: str, template: Template, where: str
) -> tuple[Problem, str | None]:
    """The problem, and why it cannot be graded, where it cannot."""
    question = text_of(values, source.problem, where)
    if question is None:
        raise ValueError(f"{where}: the {found_field(values, source.problem)!r} is empty")
    if source.kind == "code":
        return code_problem(source, values, identity, question, template, where)
    if source.kind == "choice":
        return choice_problem(source, values, identity, question, template, where)
    gold = text_of(values, source.gold, where)
    why = None
    if gold is None:
        why = f"the gold answer is empty, or no text; found: {fields_found(values)}"
    elif read_gold(gold) is None:
        why = f"no final answer can be read from the gold text {gold[:80]!r}"
    policy, bound = source.policy, values.get(source.absolute_tolerance or "")
    if isinstance(bound, str | int | float) and (tolerance := as_bound(bound)) is not None:
        policy = replace(policy, absolute_tolerance=tolerance)
    return Problem(identity, template.render(problem=question), gold, policy=policy), why


def as_bound(text: str | float) -> float | None:
    """A row's own error bound; OlympiadBench spells it `1e-1`. None for anything but one number."""
    try:
        bound = float(text)
    except ValueError:
        return None
    return bound if 0 < bound < inf else None


def code_problem(
    source: Source, values: Values, identity: str, head: str, template: Template, where: str
) -> tuple[Problem, str | None]:
    """A function to write; its tests are the gold answer."""
    tests = text_of(values, source.gold, where)
    name = text_of(values, (ENTRY_POINT,), where)
    prompt = template.render(problem=head.rstrip("\n"))
    if tests is None or name is None:
        return Problem(identity, prompt, None), "the tests or the entry point are empty"
    # The head is kept as it stands: an answer may be its continuation.
    return Problem(identity, prompt, None, program=Program(head, tests, name)), None


def choice_problem(
    source: Source, values: Values, identity: str, question: str, template: Template, where: str
) -> tuple[Problem, str | None]:
    """A question with lettered options; the gold answer is a letter."""
    options, right = options_of(source, values, where)
    if source.shuffled:
        order = list(range(len(options)))
        random.Random(digest([source.name, "order of options", identity])).shuffle(order)
        options = [options[index] for index in order]
        right = None if right is None else order.index(right)
    listed = "\n".join(
        f"({letter}) {option}" for letter, option in zip(ascii_uppercase, options, strict=False)
    )
    prompt = template.render(problem=f"{question}\n\n{listed}")
    policy = replace(source.policy, choices=len(options))
    gold = None if right is None else ascii_uppercase[right]
    why = None if gold else "the right option is named neither by letter nor by position or text"
    return Problem(identity, prompt, gold, policy=policy), why


def options_of(source: Source, values: Values, where: str) -> tuple[list[str], int | None]:
    """All options, and the position of the right one."""
    if source.wrong_choices and all(name in values for name in source.wrong_choices):
        right = text_of(values, source.gold, where) or ""
        wrong = [str(values[name]).strip() for name in source.wrong_choices]
        return [right.strip(), *wrong], 0 if right else None
    field = found_field(values, source.choices)
    listed = values[field] if field is not None else None
    if not isinstance(listed, list) or not 1 <= len(listed) <= len(ascii_uppercase):
        wanted = " or ".join((*source.choices, *source.wrong_choices))
        raise ValueError(f"{where}: needs options in {wanted}; found: {fields_found(values)}")
    options = [str(option).strip() for option in listed]
    while len(options) > 2 and options[-1] == "N/A":  # MMLU-Pro fills some lists up
        options.pop()
    return options, position_of(values, source.gold, options)


def position_of(values: Values, names: tuple[str, ...], options: list[str]) -> int | None:
    """Which option the gold field means: by position, by letter, or by its text."""
    for name in names:
        value = values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(options):
            return value
        text = value.strip() if isinstance(value, str) else ""
        letter = text.strip("()").upper()
        if len(letter) == 1 and letter in ascii_uppercase[: len(options)]:
            return ascii_uppercase.index(letter)
        if options.count(text) == 1:
            return options.index(text)
    return None


def identity_of(source: Source, values: Values, otherwise: str) -> str:
    """The row's own id, or a number."""
    field = found_field(values, source.id)
    value = None if field is None else values[field]
    return otherwise if value is None or not str(value).strip() else str(value)


def found_field(values: Values, names: tuple[str, ...]) -> str | None:
    """The first of the names that the row has."""
    return next((name for name in names if name in values), None)


def text_of(values: Values, names: tuple[str, ...], where: str) -> str | None:
    """The first named field with text, a number, or a list of them (several answers); None where all
    that are there are empty. ValueError where none is there, or one holds something else."""
    known = [name for name in names if name in values]
    if not known:
        raise ValueError(
            f"{where}: needs one of the fields {', '.join(names)}; found: {fields_found(values)}"
        )
    for name in known:
        value = values[name]
        parts = value if isinstance(value, list) else [value]
        if all(isinstance(part, str | int | float) for part in parts):
            text = ", ".join(str(part) for part in parts)
            if text.strip():
                return text
    return None


def fields_found(values: Values) -> str:
    """The fields of a row with their kinds, never their content."""
    return ", ".join(f"{name} ({type(v).__name__})" for name, v in values.items()) or "none"
