"""Rows of other people's data sets: their fields recognised.

    Row(where, number, values) + Fields -> record_of -> Record, its prompt not yet worded; a remark

Data sets agree on what a row holds, not on how it is called. What is recognised: the problem, under
one of PROBLEM_FIELDS, or in a conversation; a solution in full and a short final answer, under one of
theirs. `answer` means the short one where a solution stands beside it, else the text to learn.
Instruction data may split a problem in `instruction` and `input`; where `input` holds a problem with
somebody's solution to be criticised, the problem alone is taken, since that solution is no gold answer.
Two fields that could both be meant and differ are an error: a guess would be silent. All other fields
of a row stay with the record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datagen.records import Record

PROBLEM_FIELDS = ("problem", "question", "prompt", "instruction", "query")
SOLUTION_FIELDS = ("solution", "response", "output", "completion")
FINAL_FIELDS = ("final_answer",)
CONVERSATION_FIELDS = ("messages", "conversations")
STUDENT_TURNS = ("user", "human")
TEACHER_TURNS = ("assistant", "gpt")
LATER_TURNS = "conversations have later turns: only the first question and its answer are used"
SYSTEM_LINES = "conversations have a system line, which is left out"
_CRITICISED = re.compile(
    r"\s*Question:[ \t]*\n(.*?)\n[ \t]*(?:Student's )?Solution:[ \t]*\n", re.DOTALL
)


@dataclass(frozen=True)
class Row:
    """One row as it was found."""

    where: str
    """File and line, for messages."""
    number: int
    """Its position, from 0."""
    values: Mapping[str, Any]
    """Its fields."""


@dataclass(frozen=True)
class Fields:
    """Fields that the user or the table of known data sets names; None: recognise."""

    prompt: str | None = None
    answer: str | None = None
    final_answer: str | None = None


@dataclass(frozen=True)
class Read:
    """What a row says."""

    prompt: Any
    answer: str | None = None
    final_answer: str | None = None
    field: str = ""
    """The one that the prompt was read from."""
    used: frozenset[str] = frozenset()
    """Fields that need not stay with the record."""
    remark: str | None = None
    """What was left out, as `many rows did this`: counted and said."""
    solutions: tuple[str, ...] = SOLUTION_FIELDS
    """Where a solution may stand, if it is not known yet."""


def record_of(
    row: Row, prefix: str, source: str, fields: Fields | None = None
) -> tuple[Record, str | None]:
    """The record of a row, and a remark; its id is its own, or `prefix-number`."""
    found = read(row, fields or Fields())
    own = {"prompt": found.prompt, "answer": found.answer, "final_answer": found.final_answer}
    own["id"] = _text(row, "id") or f"{prefix}-{row.number}"
    own["source"] = _text(row, "source") or source
    others = {name: value for name, value in row.values.items() if name not in found.used}
    try:
        return Record.from_json(others | own), found.remark
    except ValueError as error:
        hint = f"(the prompt is read from `{found.field}`)"
        raise ValueError(f"{row.where}: {error} {hint}") from None


def read(row: Row, fields: Fields) -> Read:
    """Problem and answers of a row, by the named fields or the usual ones."""
    for setting in ("prompt", "answer", "final_answer"):
        name = getattr(fields, setting)
        if name is not None and name not in row.values:
            raise ValueError(
                f"{row.where}: there is no field `{name}`, which data.{setting}_field names; "
                f"there are {_listed(row)}"
            )
    field = fields.prompt or problem_field(row)
    value = row.values[field]
    if field in CONVERSATION_FIELDS or _is_conversation(value):
        found = first_exchange(row, field, value)
    elif field == "instruction" and fields.prompt is None and _text(row, "input"):
        found = with_input(row)
    else:
        found = Read(value, field=field, used=frozenset({field}))
    answer, final_answer, used = answers_of(row, fields, found)
    return replace(found, answer=answer, final_answer=final_answer, used=found.used | used)


def problem_field(row: Row) -> str:
    """The one field that can be meant. Several are fine where they say the same."""
    named = [name for name in PROBLEM_FIELDS if row.values.get(name) is not None]
    talks = [name for name in CONVERSATION_FIELDS if _is_conversation(row.values.get(name))]
    if not named + talks:
        empty = next((name for name in PROBLEM_FIELDS if name in row.values), None)
        if empty is not None:
            return empty
        raise ValueError(
            f"{row.where}: no problem found; one of {', '.join(PROBLEM_FIELDS + CONVERSATION_FIELDS)} "
            f"is expected, and there are {_listed(row)}; data.prompt_field names another one"
        )
    texts = {
        str(
            first_exchange(row, name, row.values[name]).prompt
            if _is_conversation(row.values[name])
            else row.values[name]
        ).strip()
        for name in named + talks
    }
    if len(texts) > 1:
        raise ValueError(
            f"{row.where}: which field is the problem? {' and '.join(named + talks)} differ; "
            "name one with data.prompt_field"
        )
    return (talks + named)[0]  # a conversation has the answer, too


def with_input(row: Row) -> Read:
    """`instruction` and `input` as one problem, or the problem inside a text to be criticised."""
    given = _text(row, "input") or ""
    criticised = _CRITICISED.match(given)
    if criticised:
        others = tuple(name for name in SOLUTION_FIELDS if name != "output")  # that is the critique
        return Read(criticised[1].strip(), field="input", solutions=others)
    instruction = row.values["instruction"]
    used = frozenset({"instruction", "input"})
    return Read(f"{instruction}\n\n{given}", field="instruction", used=used)


def first_exchange(row: Row, field: str, turns: Sequence[Mapping[str, Any]]) -> Read:
    """The user's turns up to the first answer, and that answer."""
    roles = [str(turn.get("role", turn.get("from"))) for turn in turns]
    texts = [turn.get("content", turn.get("value")) for turn in turns]
    answered = next((i for i, role in enumerate(roles) if role in TEACHER_TURNS), len(turns))
    asked = [str(texts[i]) for i in range(answered) if roles[i] in STUDENT_TURNS]
    if not asked:
        found = ", ".join(roles) or "no turns"
        raise ValueError(f"{row.where}: `{field}` must begin with a user's turn; found: {found}")
    if not all(isinstance(text, str) for text in texts[: answered + 1]):
        raise ValueError(f"{row.where}: every turn of `{field}` needs a text as its `content`")
    answer = str(texts[answered]) if answered < len(turns) else None
    remark = LATER_TURNS if answered + 1 < len(turns) else None
    if remark is None and "system" in roles:
        remark = SYSTEM_LINES
    solutions = SOLUTION_FIELDS if answer is None else ()
    used = frozenset({field})
    return Read("\n\n".join(asked), answer, None, field, used, remark, solutions)


def answers_of(
    row: Row, fields: Fields, found: Read
) -> tuple[str | None, str | None, frozenset[str]]:
    """(text to learn, short final answer, names of the fields they stood in)."""
    solutions = [n for n in found.solutions if fields.answer is None and _text(row, n)]
    if len({_text(row, name) for name in solutions}) > 1:
        raise ValueError(
            f"{row.where}: which field is the answer? {' and '.join(solutions)} differ; name one "
            "with data.answer_field"
        )
    solution_field = fields.answer or (solutions[0] if solutions else "")
    final_field = fields.final_answer or next((n for n in FINAL_FIELDS if _text(row, n)), "")
    answer = _text(row, "answer") if solution_field != "answer" else None
    solution, final = _text(row, solution_field), _text(row, final_field)
    if fields.answer is None:
        solution = solution or found.answer
    used = frozenset({"answer", solution_field, final_field})
    if solution is not None:
        return solution, final or answer, used
    return answer, final, used


def _is_conversation(value: Any) -> bool:
    """True for a list of turns."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _listed(row: Row) -> str:
    return ", ".join(row.values) or "no fields"


def _text(row: Row, name: str) -> str | None:
    value = row.values.get(name)
    if isinstance(value, list) and len(value) == 1:  # OlympiadBench lists even a single answer
        value = value[0]
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    kind = type(value).__name__
    raise ValueError(f"{row.where}: the field `{name}` must be a text or a number, not {kind}")
