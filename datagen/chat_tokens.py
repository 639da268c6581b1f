"""Chats as token ids, for every back end that computes here: one tokenizer, one chat template, the same stop tokens.

    model folder -> load_tokenizer -> tokenise(messages) -> ids         stop_ids: what ends a text

Two engines that run the same model must see the same tokens, or their texts differ for reasons that
nobody finds. So the template is applied here and not by an engine, and engines are told what to stop at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import AutoTokenizer, GenerationConfig

from datagen.generators import Message
from datagen.reasons import first_line
from datagen.text_files import read_text

MARKER = "the assistant's text"
"""Stands for an answer where only what the template puts around it matters."""


def load_tokenizer(folder: Path, model: str, chat_template: str | None) -> Any:
    """The tokenizer of a model folder, with the user's chat template where one is named."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # absent, torn, of an unknown kind: each has errors of its own
        raise ValueError(
            f"the tokenizer of {model} cannot be used ({first_line(error)}); fetch its folder again: {folder}"
        ) from error
    tokenizer.chat_template = template_of(tokenizer, model, chat_template)
    require_opening(tokenizer, model)
    return tokenizer


def template_of(tokenizer: Any, model: str, override: str | None) -> Any:
    """The chat template: the user's own, or the model's."""
    if override is not None:
        path = Path(override).expanduser()
        if not path.is_file():
            raise ValueError(f"chat_template: there is no file {override}")
        return read_text(path)
    if tokenizer.chat_template is None:
        raise ValueError(
            f"the model {model} has no chat template; name one in the config: "
            '[student] chat_template = "file.jinja" ([teacher] for a teacher)'
        )
    return tokenizer.chat_template


def template_sha256(tokenizer: Any) -> str:
    """Tells chat templates apart."""
    return hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()


def tokenise(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """The chat as the model expects it, up to where its own turn begins."""
    # The template writes the start-of-text token itself; the tokenizer must not add a second one,
    # and apply_chat_template sees to that.
    encoded = templated(
        tokenizer, messages, add_generation_prompt=True, tokenize=True, return_dict=True
    )
    return list(encoded["input_ids"])


def templated(tokenizer: Any, messages: Sequence[Message], **options: Any) -> Any:
    """What the chat template makes of a chat. Raises ValueError where it fails."""
    try:
        return tokenizer.apply_chat_template(list(messages), **options)
    except TemplateError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise ValueError(
            f"the chat template of {tokenizer.name_or_path} fails for the turns {roles}: {error}; mend it, or set "
            "chat_template ([student] or [teacher]) to a Jinja file that takes them"
        ) from None


def require_opening(tokenizer: Any, model: str) -> None:
    """Raises ValueError where the template ignores add_generation_prompt though it does open an assistant's turn with
    something: asked a question, the model would not be told that its turn has come."""
    question: list[Message] = [{"role": "user", "content": "x"}]
    answered: list[Message] = [*question, {"role": "assistant", "content": MARKER}]
    without, asked = (
        templated(tokenizer, question, tokenize=False, add_generation_prompt=on)
        for on in (False, True)
    )
    before = templated(tokenizer, answered, tokenize=False).rpartition(MARKER)[0]
    opening = before.removeprefix(without).strip()
    if without == asked and before.startswith(without) and opening:
        raise ValueError(
            f"the chat template of {model} has no generation prompt: it opens an assistant's turn with {opening!r}, "
            "but not where a question waits for its answer; add at its end {% if add_generation_prompt %}"
            f"{opening}{{% endif %}}, or set chat_template ([student] or [teacher]) to a Jinja file"
        )


def stop_ids_of(tokenizer: Any, folder: Path) -> frozenset[int]:
    """Every token that ends a text: the generation config's, the tokenizer's, the template's."""
    ids = {tokenizer.eos_token_id, end_of_turn(tokenizer)}
    if (folder / "generation_config.json").is_file():
        declared = GenerationConfig.from_pretrained(folder).eos_token_id
        ids |= set(declared) if isinstance(declared, list) else {declared}
    return frozenset(token for token in ids if token is not None)


def end_of_turn(tokenizer: Any) -> int | None:
    """The special token that the chat template puts behind an assistant's turn, if it is one."""
    chat: list[Message] = [
        {"role": "user", "content": "a question"},
        {"role": "assistant", "content": MARKER},
    ]
    rendered = templated(tokenizer, chat, tokenize=False)
    behind = tokenizer(rendered.rpartition(MARKER)[2], add_special_tokens=False)["input_ids"]
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    return behind[0] if behind and behind[0] in special else None
