"""The method on one page: what the student sees, and what it must write.

An objective maps a record to a conditioning and a target; the negative log-likelihood of the target's tokens is the
whole loss. All objectives share records, batches, steps and hyper-parameters, so a comparison compares only this table:

    sft              -log S(y  | x)          gold answer
    distilled_sft    -log S(t  | x)          the teacher's answer to the prompt alone
    cft              -log S(c  | x, y')      critique fine-tuning: learn to write the critique
    cgd              -log S(ŷ  | x, y', c)   critique-guided distillation (arXiv 2505.11628): learn to use it
    cgd_no_critique  -log S(ŷ  | x, y')      the ablation of its Fig. 3: same targets, critique withheld

The paper names the parts it shows to the student but not their wording; the two layouts below are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Message = dict[str, str]
"""One chat turn: {"role": "user" | "assistant" | "system", "content": text}."""


@dataclass(frozen=True)
class Objective:
    """Names of record fields: what conditions the student, and the only text it is supervised on."""

    sees: tuple[str, ...]
    writes: str


OBJECTIVES = {
    "sft": Objective(sees=("prompt",), writes="answer"),
    "distilled_sft": Objective(sees=("prompt",), writes="teacher_answer"),
    "cft": Objective(sees=("prompt", "student_answer"), writes="critique"),
    "cgd": Objective(sees=("prompt", "student_answer", "critique"), writes="refined_answer"),
    "cgd_no_critique": Objective(sees=("prompt", "student_answer"), writes="refined_answer"),
}

LABELS = {
    "prompt": "Question",
    "student_answer": "Student's Initial Answer",
    "critique": "Critique",
}

FOLLOW_UP = {
    "critique": "Please review the answer above.",
    "refined_answer": "Please answer the question again.",
}
"""What the user says after y' in the multi-turn layout where no critique is shown; turns must alternate."""


@dataclass(frozen=True)
class Conversation:
    """A training example as text: chat turns that are only read, and the assistant turn that is learnt."""

    context: tuple[Message, ...]
    target: str


def single_turn(shown: Mapping[str, str], writes: str) -> tuple[Message, ...]:
    """One user message. A prompt alone is shown byte for byte as at inference; more than that gets labels."""
    if shown.keys() == {"prompt"}:
        return (user(shown["prompt"]),)
    return (user("\n\n".join(f"{LABELS[field]}: {text}" for field, text in shown.items())),)


def multi_turn(shown: Mapping[str, str], writes: str) -> tuple[Message, ...]:
    """x and y' as the turns they were, the critique as the user's reply; only the last turn is learnt."""
    if shown.keys() == {"prompt"}:
        return (user(shown["prompt"]),)
    reply = shown.get("critique", FOLLOW_UP[writes])
    return (user(shown["prompt"]), assistant(shown["student_answer"]), user(reply))


LAYOUTS = {"single_turn": single_turn, "multi_turn": multi_turn}


def conversation(record: Mapping[str, Any], objective: str, layout: str) -> Conversation:
    """The record as `objective` sees it. A target that is null or absent comes back empty, for the caller to count.

    Rows of plain chat data are accepted under `sft`: `messages`, whose last assistant turn is learnt, or
    `prompt` with `completion`. Raises ValueError where the row lacks a field the objective conditions on.
    """
    if objective == "sft" and "messages" in record:
        return last_turn(record["messages"])
    if objective == "sft" and "completion" in record:
        return Conversation((user(text_of(record, "prompt")),), record["completion"] or "")
    wanted = OBJECTIVES[objective]
    if wanted.writes not in record:
        raise ValueError(
            f"objective {objective} learns to write {wanted.writes!r}, which this row lacks; add the field, or train "
            "another objective"
        )
    shown = {field: text_of(record, field) for field in wanted.sees}
    target = record[wanted.writes]
    if not isinstance(target, str | None):
        raise ValueError(f"field {wanted.writes!r} must be text, got {type(target).__name__}")
    return Conversation(LAYOUTS[layout](shown, wanted.writes), target or "")


def last_turn(messages: Any) -> Conversation:
    """Plain chat data: everything before the last assistant turn is context. Raises ValueError on other shapes."""
    well_formed = isinstance(messages, list) and all(
        isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
        for m in messages
    )
    if not well_formed or not messages or messages[-1]["role"] != "assistant":
        raise ValueError(
            "'messages' must be a list of {role, content} texts that ends with an assistant turn"
        )
    context = tuple(
        {"role": message["role"], "content": message["content"]} for message in messages[:-1]
    )
    return Conversation(context, messages[-1]["content"])


def text_of(record: Mapping[str, Any], field: str) -> str:
    """The field's text, which may be empty but not absent: a missing y' or c would silently be another objective."""
    text = record.get(field)
    if not isinstance(text, str):
        raise ValueError(
            f"field {field!r} must be text, got {'nothing' if text is None else type(text).__name__}"
        )
    return text


def user(content: str) -> Message:
    """A user turn."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    """An assistant turn."""
    return {"role": "assistant", "content": content}
