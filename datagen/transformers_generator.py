"""The transformers generator: any causal language model of that library, on a CPU or a GPU.

    Requests -> tokenised by the model's own chat template -> batches -> `decoding.write_batch`

The plan of batches is a function of all requests: longest prompt first, so that neighbours are of
one length and a lack of memory shows at once. A batch is written whole or not at all; a resumed run
skips those that are done and forms the others as they would have been. The weights are loaded with
the first batch, because often there is nothing left to write.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging

from datagen.decoding import Written, write_batch
from datagen.generators import Completion, Message, Request, Sampling, Session
from datagen.model_folder import find_model, fingerprint
from datagen.sessions import BatchSession


class TransformersGenerator:
    """A model folder or hub id that answers chats; its weights stay loaded as long as it lives."""

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        chat_template: str | None = None,
        batch_size: int = 16,
        device: str | None = None,
    ) -> None:
        self._folder = find_model(model, revision)
        self._batch_size = batch_size
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._tokenizer = AutoTokenizer.from_pretrained(self._folder)
        self._tokenizer.chat_template = template_of(self._tokenizer, model, chat_template)
        template_sha256 = hashlib.sha256(str(self._tokenizer.chat_template).encode()).hexdigest()
        self._identity = {
            "backend": "transformers",
            "model": model,
            "revision": revision or "",
            "fingerprint": fingerprint(self._folder),
            "chat_template_sha256": template_sha256,
        }

    @property
    def identity(self) -> dict[str, str]:
        """The name as given, and hashes of the model's files and of its chat template."""
        return self._identity

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        done: AbstractSet[int] = frozenset(),
    ) -> Iterator[tuple[int, Completion]]:
        """Writes the batches that are not done, one after the other."""
        prompts = [tokenise(self._tokenizer, request.messages) for request in requests]
        check_lengths(requests, prompts, sampling, self._max_positions)
        for batch in plan_batches([len(prompt) for prompt in prompts], self._batch_size):
            missing = [index for index in batch if index not in done]
            if not missing:
                continue
            started = time.perf_counter()
            texts = write_batch(
                self._model,
                [prompts[index] for index in batch],
                [requests[index].seed for index in batch],
                sampling,
                self.stop_ids,
            )
            seconds = (time.perf_counter() - started) / len(batch)
            written = dict(zip(batch, texts, strict=True))
            for index in missing:
                yield index, self._completion(written[index], len(prompts[index]), seconds)

    def open(self) -> Session:
        """Waves of batches."""
        return BatchSession(self)

    def _completion(self, written: Written, prompt_tokens: int, seconds: float) -> Completion:
        text = self._tokenizer.decode(
            written.token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        reason = written.finish_reason
        return Completion(text, reason, prompt_tokens, written.num_computed, round(seconds, 6))

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Every token that ends a text: the generation config's, the tokenizer's, the template's."""
        ids = {self._tokenizer.eos_token_id, end_of_turn(self._tokenizer)}
        if (self._folder / "generation_config.json").is_file():
            declared = GenerationConfig.from_pretrained(self._folder).eos_token_id
            ids |= set(declared) if isinstance(declared, list) else {declared}
        return frozenset(token for token in ids if token is not None)

    @cached_property
    def _max_positions(self) -> int | None:
        config = AutoConfig.from_pretrained(self._folder).get_text_config(decoder=True)
        return getattr(config, "max_position_embeddings", None)

    @cached_property
    def _model(self) -> Any:
        dtype = torch.float32 if self._device.type == "cpu" else torch.bfloat16
        had_bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            model = AutoModelForCausalLM.from_pretrained(self._folder, dtype=dtype)
        finally:
            if had_bars:
                logging.enable_progress_bar()
        return model.to(self._device).eval()


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


def tokenise(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """The chat as the model expects it, up to where its own turn begins."""
    # The template writes the start-of-text token itself; the tokenizer must not add a second one,
    # and apply_chat_template sees to that.
    encoded = tokenizer.apply_chat_template(
        list(messages), add_generation_prompt=True, tokenize=True, return_dict=True
    )
    return list(encoded["input_ids"])


def end_of_turn(tokenizer: Any) -> int | None:
    """The special token that the chat template puts behind an assistant's turn, if it is one."""
    marker = "the assistant's text"
    chat = [{"role": "user", "content": "a question"}, {"role": "assistant", "content": marker}]
    rendered = tokenizer.apply_chat_template(chat, tokenize=False)
    behind = tokenizer(rendered.rpartition(marker)[2], add_special_tokens=False)["input_ids"]
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    return behind[0] if behind and behind[0] in special else None


def plan_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Indices by batch, longest prompt first; ties in the order of the requests."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def check_lengths(
    requests: Sequence[Request],
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    max_positions: int | None,
) -> None:
    """Refuses, before anything is written, what the model has no positions for."""
    room = max_positions - sampling.max_tokens if max_positions else None
    too_long = [i for i, prompt in enumerate(prompts) if room is not None and len(prompt) > room]
    if too_long:
        worst = max(too_long, key=lambda index: len(prompts[index]))
        raise ValueError(
            f"{len(too_long)} of {len(prompts)} prompts do not fit the model with max_tokens = "
            f"{sampling.max_tokens}: it has {max_positions} positions, and the longest prompt "
            f"(record {requests[worst].id}) takes {len(prompts[worst])} tokens; "
            "lower max_tokens, or leave such records out"
        )
