"""The transformers generator: any causal language model of that library, on a CPU or a GPU.

    Requests -> tokenised by the model's own chat template -> batches -> `decoding.write_batch`

The plan of batches is a function of all requests: longest prompt first, so that neighbours are of
one length and a lack of memory shows at once. A batch is written whole or not at all; a resumed run
skips those that are done and forms the others as they would have been. The weights are loaded with
the first batch, because often there is nothing left to write.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any

import torch
from transformers import AutoConfig

from datagen.chat_tokens import load_tokenizer, stop_ids_of, template_sha256, tokenise
from datagen.decoding import Written, write_batch
from datagen.generators import Completion, Failure, Outcome, Request, Sampling, Session
from datagen.model_folder import find_model, fingerprint
from datagen.model_loading import device_of, enough_memory, load_model
from datagen.sessions import BatchSession

LESS_AT_ONCE = (
    "a lower batch_size (generate.batch_size for the student's answers, teacher.batch_size, evaluate.batch_size) "
    'or max_tokens, or backend = "vllm"'
)


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
        self._device = device_of(device)
        self._tokenizer = load_tokenizer(self._folder, model, chat_template)
        self._identity = {
            "backend": "transformers",
            "model": model,
            "revision": revision or "",
            "fingerprint": fingerprint(self._folder),
            "chat_template_sha256": template_sha256(self._tokenizer),
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
        """Writes the batches that are not done, one after the other; refuses all where one does not fit."""
        prompts = self._tokenise(requests)
        check_lengths(requests, prompts, sampling, self._max_positions)
        yield from self._write(requests, prompts, range(len(prompts)), sampling, done)

    def write_what_fits(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        done: AbstractSet[int] = frozenset(),
    ) -> Iterator[tuple[int, Outcome]]:
        """The same for a session: a request that does not fit is a failure of its own."""
        prompts = self._tokenise(requests)
        room = room_for_prompts(sampling, self._max_positions)
        fitting = [index for index, prompt in enumerate(prompts) if len(prompt) <= room]
        for index in sorted(set(range(len(prompts))) - set(fitting) - done):
            yield index, Failure("too long", too_long(len(prompts[index]), sampling, room))
        yield from self._write(requests, prompts, fitting, sampling, done)

    def _tokenise(self, requests: Sequence[Request]) -> list[list[int]]:
        return [tokenise(self._tokenizer, request.messages) for request in requests]

    def _write(
        self,
        requests: Sequence[Request],
        prompts: Sequence[list[int]],
        chosen: Sequence[int],
        sampling: Sampling,
        done: AbstractSet[int],
    ) -> Iterator[tuple[int, Completion]]:
        """The batches of the chosen requests."""
        for places in plan_batches([len(prompts[index]) for index in chosen], self._batch_size):
            batch = [chosen[place] for place in places]
            missing = [index for index in batch if index not in done]
            if not missing:
                continue
            model = self._model  # read before the clock starts: loading is no text's time
            started = time.perf_counter()
            with enough_memory(all_of(batch, prompts, sampling), LESS_AT_ONCE):
                texts = write_batch(
                    model,
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
        """Waves of batches; the weights go with the session."""
        return BatchSession(self.write_what_fits, self._free)

    def _free(self) -> None:
        if self.__dict__.pop("_model", None) is not None:
            gc.collect()  # modules that know each other are not freed before
            torch.cuda.empty_cache()

    def _completion(self, written: Written, prompt_tokens: int, seconds: float) -> Completion:
        text = self._tokenizer.decode(
            written.token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        reason = written.finish_reason
        return Completion(text, reason, prompt_tokens, written.num_computed, round(seconds, 6))

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Every token that ends a text: the generation config's, the tokenizer's, the template's."""
        return stop_ids_of(self._tokenizer, self._folder)

    @cached_property
    def _max_positions(self) -> int | None:
        config = AutoConfig.from_pretrained(self._folder).get_text_config(decoder=True)
        return getattr(config, "max_position_embeddings", None)

    @cached_property
    def _model(self) -> Any:
        return load_model(self._folder, self._device)


def all_of(batch: Sequence[int], prompts: Sequence[list[int]], sampling: Sampling) -> str:
    """A batch in words."""
    longest = max(len(prompts[index]) for index in batch)
    return (
        f"{len(batch)} texts at a time with prompts of up to {longest} tokens and max_tokens = "
        f"{sampling.max_tokens}"
    )


def plan_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Indices by batch, longest prompt first; ties in the order of the requests."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def room_for_prompts(sampling: Sampling, max_positions: int | None) -> float:
    """The longest prompt that leaves room for the text."""
    return max_positions - sampling.max_tokens if max_positions else float("inf")


def too_long(length: int, sampling: Sampling, room: float) -> str:
    """Why a prompt does not fit."""
    return (
        f"the prompt takes {length} tokens and max_tokens is {sampling.max_tokens}, but the model has "
        f"{room + sampling.max_tokens:g} positions; lower max_tokens, or leave such records out"
    )


def check_lengths(
    requests: Sequence[Request],
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    max_positions: int | None,
) -> None:
    """Refuses, before anything is written, what the model has no positions for."""
    room = room_for_prompts(sampling, max_positions)
    longer = [index for index, prompt in enumerate(prompts) if len(prompt) > room]
    if longer:
        worst = max(longer, key=lambda index: len(prompts[index]))
        raise ValueError(
            f"{len(longer)} of {len(prompts)} prompts do not fit the model with max_tokens = "
            f"{sampling.max_tokens}: it has {max_positions} positions, and the longest prompt "
            f"(record {requests[worst].id}) takes {len(prompts[worst])} tokens; "
            "lower max_tokens, or leave such records out"
        )
