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

from transformers import AutoTokenizer, GenerationConfig

from datagen.generators import Message


def load_tokenizer(folder: Path, model: str, chat_template: str | None) -> Any:
    """The tokenizer of a model folder, with the user's chat template where one is named."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template_of(tokenizer, model, chat_template)
    return tokenizer


def template_of(tokenizer: Any, model: str, override: str | None) -> Any:
    """The chat template: the user's own, or the model's."""
    if override is not None:
        path = Path(override).expanduser()
        if not path.is_file():
            raise ValueError(f"chat_template: there is no file {override}")
        return path.read_text(encoding="utf-8-sig")
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
    encoded = tokenizer.apply_chat_template(
        list(messages), add_generation_prompt=True, tokenize=True, return_dict=True
    )
    return list(encoded["input_ids"])


def stop_ids_of(tokenizer: Any, folder: Path) -> frozenset[int]:
    """Every token that ends a text: the generation config's, the tokenizer's, the template's."""
    ids = {tokenizer.eos_token_id, end_of_turn(tokenizer)}
    if (folder / "generation_config.json").is_file():
        declared = GenerationConfig.from_pretrained(folder).eos_token_id
        ids |= set(declared) if isinstance(declared, list) else {declared}
    return frozenset(token for token in ids if token is not None)


def end_of_turn(tokenizer: Any) -> int | None:
    """The special token that the chat template puts behind an assistant's turn, if it is one."""
    marker = "the assistant's text"
    chat = [{"role": "user", "content": "a question"}, {"role": "assistant", "content": marker}]
    rendered = tokenizer.apply_chat_template(chat, tokenize=False)
    behind = tokenizer(rendered.rpartition(marker)[2], add_special_tokens=False)["input_ids"]
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    return behind[0] if behind and behind[0] in special else None
