"""Examples: a conversation becomes token ids and the border where supervision begins.

    file of records → conversation (objectives.py) → Example(token_ids, num_context)

The ids are built as  context ids ⊕ target ids ⊕ end-of-turn id , never by tokenising the whole and searching for the
answer in it: the context ids are then exactly what inference feeds the model, and the stop token is always supervised
(a model that never saw its stop token as a target never stops). What does not fit is counted and said, never silent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from engine.advice import why
from engine.objectives import (
    OBJECTIVES,
    Conversation,
    Message,
    assistant,
    conversation,
    user,
)
from engine.settings import NoTarget, TooLong

TOKENIZE_AT_ONCE = 1024
"""Conversations per tokenizer call: enough to keep its threads busy, few enough to hold no second copy of the data."""


@dataclass(frozen=True)
class Example:
    """`token_ids` is int32 [L]. Positions >= `num_context` are supervised; the last one is the end of turn."""

    id: str
    token_ids: np.ndarray
    num_context: int

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def num_supervised(self) -> int:
        """Target tokens, the end of turn included."""
        return len(self.token_ids) - self.num_context


@dataclass(frozen=True)
class ExampleSet:
    """The examples that are trained on, in file order, and how many rows each policy touched."""

    examples: tuple[Example, ...]
    num_rows: int
    num_too_long: int
    num_no_target: int
    num_truncated: int

    def counts(self) -> dict[str, int]:
        """The numbers behind `summary`, for the run's files."""
        return {
            "examples": len(self.examples),
            "rows": self.num_rows,
            "too_long": self.num_too_long,
            "truncated": self.num_truncated,
            "no_target": self.num_no_target,
        }

    def summary(self) -> str:
        """One line for the log: nothing is dropped or cut without standing here."""
        parts = [f"{len(self.examples)} of {self.num_rows} rows are trained on"]
        if self.num_too_long:
            parts.append(f"{self.num_too_long} dropped: longer than train.max_length")
        if self.num_truncated:
            parts.append(f"{self.num_truncated} cut to train.max_length")
        if self.num_no_target:
            parts.append(f"{self.num_no_target} dropped: no supervised token")
        return "; ".join(parts)


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of a JSON Lines file. Raises ValueError on a broken line or a repeated id, naming the line."""
    if not path.is_file():
        raise ValueError(f"train.data: there is no file {path}")
    first_line_of: dict[str, int] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}:{number}: not valid JSON ({why(error)})") from None
            if not isinstance(row, dict):
                raise ValueError(f"{path}:{number}: expected a JSON object, one record a line")
            row.setdefault("id", f"line-{number}")
            if row["id"] in first_line_of:
                first = first_line_of[row["id"]]
                raise ValueError(
                    f"{path}:{number}: id {row['id']!r} stands on line {first} already"
                )
            first_line_of[row["id"]] = number
            yield number, row


def load_examples(
    path: Path,
    tokenizer: PreTrainedTokenizerBase,
    objective: str,
    layout: str,
    max_length: int,
    too_long: TooLong = "drop",
    no_target: NoTarget = "drop",
) -> ExampleSet:
    """Every row of `path` as `objective` sees it, tokenised. Lengths are in tokens, end of turn included.

    Raises ValueError where a row lacks a field the objective needs, where a policy says `error`, or where nothing is
    left to train on; the message names the file, the line and the remedy.
    """
    stop_ids = end_of_turn_ids(tokenizer)
    examples: list[Example] = []
    num_rows = num_too_long = num_no_target = num_truncated = 0
    shortest = sys.maxsize
    for batch in batched(read_rows(path), TOKENIZE_AT_ONCE):
        for number, example in encode(path, batch, tokenizer, objective, layout, stop_ids):
            num_rows += 1
            if example is not None and len(example) > max_length:
                if too_long == "error":
                    raise ValueError(
                        f"{path}:{number}: {len(example)} tokens, train.max_length is {max_length}; "
                        "raise it, or set train.too_long to 'drop' or 'truncate'"
                    )
                shortest = min(shortest, len(example))
                if too_long == "drop":
                    num_too_long += 1
                    continue
                example = truncated(example, max_length)
                num_truncated += example is not None
            if example is None:
                if no_target == "error":
                    raise ValueError(
                        f"{path}:{number}: no supervised token; set train.no_target to 'drop' to go without it"
                    )
                num_no_target += 1
                continue
            examples.append(example)
    loaded = ExampleSet(tuple(examples), num_rows, num_too_long, num_no_target, num_truncated)
    if not examples:
        why_not = reasons(loaded, objective, shortest, max_length)
        raise ValueError(f"{path}: nothing to train on: {'; '.join([loaded.summary(), *why_not])}")
    return loaded


def reasons(loaded: ExampleSet, objective: str, shortest: int, max_length: int) -> Iterator[str]:
    """Why no example is left, and what would leave some. `shortest`: tokens of the shortest that is too long."""
    if not loaded.num_rows:
        yield "the file is empty"
    if loaded.num_too_long:
        yield (
            f"the shortest has {shortest} tokens and train.max_length is {max_length}: raise it, or set "
            "train.too_long to 'truncate'"
        )
    if loaded.num_no_target:
        yield (
            f"objective {objective} learns {OBJECTIVES[objective].writes!r}, which is empty there: fill it, or train "
            "another objective"
        )


def encode(
    path: Path,
    rows: Sequence[tuple[int, Mapping[str, Any]]],
    tokenizer: PreTrainedTokenizerBase,
    objective: str,
    layout: str,
    stop_ids: Sequence[int],
) -> Iterator[tuple[int, Example | None]]:
    """(line number, example) of each row; None where the target is empty, so that no token would be supervised."""
    conversations = []
    for number, row in rows:
        try:
            conversations.append(whole(conversation(row, objective, layout)))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
    contexts = token_ids(tokenizer, [render(tokenizer, c.context) for c in conversations])
    targets = token_ids(tokenizer, [c.target for c in conversations])
    for (number, row), context, target in zip(rows, contexts, targets, strict=True):
        ids = np.array([*context, *target, *stop_ids], dtype=np.int32)
        yield number, Example(str(row["id"]), ids, len(context)) if target else None


def whole(told: Conversation) -> Conversation:
    """The conversation as it is. Raises ValueError where a text holds half a character, which no tokenizer takes."""
    for text in (*(message["content"] for message in told.context), told.target):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"half a character (the lone surrogate {text[error.start]!r}) after "
                f"{text[max(0, error.start - 20) : error.start]!r}; take it out or write the whole character"
            ) from None
    return told


def truncated(example: Example, max_length: int) -> Example | None:
    """The first `max_length` tokens; None where that leaves no supervised token. The cut text has no end of turn."""
    if example.num_context >= max_length:
        return None
    return Example(example.id, example.token_ids[:max_length], example.num_context)


def render(tokenizer: PreTrainedTokenizerBase, context: Sequence[Message]) -> str:
    """The context through the student's own chat template, ready for the assistant to speak: what inference renders."""
    return templated(tokenizer, context, add_generation_prompt=True)


def templated(
    tokenizer: PreTrainedTokenizerBase, turns: Sequence[Message], add_generation_prompt: bool
) -> str:
    """The turns as the chat template writes them. ValueError, with the remedy, where there is none or it fails."""
    if not tokenizer.chat_template:
        raise ValueError(
            f"{tokenizer.name_or_path} has no chat template; set student.chat_template to a Jinja file, "
            "or use the instruct version of the model"
        )
    try:
        return str(
            tokenizer.apply_chat_template(
                list(turns), tokenize=False, add_generation_prompt=add_generation_prompt
            )
        )
    except TemplateError as error:
        roles = ", ".join(turn["role"] for turn in turns)
        raise ValueError(
            f"the chat template of {tokenizer.name_or_path} fails for the turns {roles}: {error}; mend it, "
            "or set student.chat_template to a Jinja file that takes them"
        ) from None


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Ids of each text as it stands: the template has written the special tokens, so none are added."""
    return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []


def end_of_turn_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The ids that close an assistant turn in this chat template, read off the template: usually one, the stop token.

    Raises ValueError where the template closes the turn with no special token: a model trained on it could not stop.
    """
    marker = "ANSWER-STANDS-HERE"
    text = templated(tokenizer, [user("x"), assistant(marker)], add_generation_prompt=False)
    require_opening(tokenizer, text.rpartition(marker)[0])
    (closing,) = token_ids(tokenizer, [text.rpartition(marker)[2]])
    special = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    for position, token_id in enumerate(closing):
        if token_id in special:
            return closing[: position + 1]
    if tokenizer.eos_token_id is not None:
        return [*closing, tokenizer.eos_token_id]
    raise ValueError(
        f"the chat template of {tokenizer.name_or_path} ends an assistant turn without a special token and the "
        "tokenizer names no eos_token: a model trained on it would never stop; give one with student.chat_template"
    )


def require_opening(tokenizer: PreTrainedTokenizerBase, before_answer: str) -> None:
    """Raises ValueError where the template ignores add_generation_prompt though it does open an assistant's turn with
    something: asked a question, the model would not be told that its turn has come."""
    asked = [templated(tokenizer, [user("x")], add_generation_prompt=on) for on in (False, True)]
    opening = before_answer.removeprefix(asked[0]).strip()
    if asked[0] == asked[1] and before_answer.startswith(asked[0]) and opening:
        raise ValueError(
            f"the chat template of {tokenizer.name_or_path} has no generation prompt: it opens an assistant's turn "
            f"with {opening!r}, but not where a question waits for its answer; add at its end {{% if "
            f"add_generation_prompt %}}{opening}{{% endif %}}, or set student.chat_template to a Jinja file"
        )


def batched(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` items, the last one shorter."""
    while batch := list(islice(items, size)):
        yield batch
