"""Decoding: a batch of tokenised prompts is continued, token by token, until every text has ended.

    prefill (all prompts at once, padded on the left) -> step, step, ... -> Written for each prompt

A loop of our own, short because it does one thing: transformers' `generate` spends more time on its
options than a small model on its arithmetic, and goes on computing rows that have ended. Here a row
leaves the batch when its text ends. Each row draws from random numbers of its own, made from its
seed before the first step, so its text does not depend on its neighbours.

Shapes: B rows still being written, T tokens so far (padding included), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from datagen.generators import Sampling


@dataclass(frozen=True)
class Written:
    """The continuation of one prompt."""

    token_ids: list[int]
    """Its tokens, the stop token left out."""
    finish_reason: Literal["stop", "length"]
    """`stop` where the model ended it, `length` where max_tokens did."""

    @property
    def num_computed(self) -> int:
        """Tokens that the model had to write, the stop token included."""
        return len(self.token_ids) + (self.finish_reason == "stop")


@torch.inference_mode()
def write_batch(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    sampling: Sampling,
    stop_ids: AbstractSet[int],
) -> list[Written]:
    """Continues every prompt; the results are in the order of the prompts."""
    input_ids_BT, mask_BT = pad_left(prompts, model.device)
    draws = draws_of(seeds, sampling, model.device)
    cache = DynamicCache(config=model.config)
    texts: list[list[int]] = [[] for _ in prompts]
    stopped: set[int] = set()
    rows = list(range(len(prompts)))  # which prompts the rows of the batch belong to
    for step in range(sampling.max_tokens):
        logits_BV = forward(model, input_ids_BT, mask_BT, cache)
        chosen_B = choose(logits_BV, sampling, None if draws is None else draws[:, step])
        going_on = []
        for place, (row, token) in enumerate(zip(rows, chosen_B.tolist(), strict=True)):
            if token in stop_ids:
                stopped.add(row)
            else:
                texts[row].append(token)
                going_on.append(place)
        if not going_on:
            break
        if len(going_on) < len(rows):
            rows = [rows[place] for place in going_on]
            kept_B = torch.tensor(going_on, device=model.device)
            chosen_B, mask_BT = chosen_B[kept_B], mask_BT[kept_B]
            draws = None if draws is None else draws[kept_B]
            cache.batch_select_indices(kept_B)
        input_ids_BT = chosen_B[:, None]
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(rows), 1)], dim=1)
    return [Written(ids, "stop" if i in stopped else "length") for i, ids in enumerate(texts)]


def pad_left(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """(token ids, mask), both [B, T]: the prompts end together, so that writing starts together."""
    longest = max(len(prompt) for prompt in prompts)
    ids = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def forward(
    model: PreTrainedModel, input_ids_BT: Tensor, mask_BT: Tensor, cache: DynamicCache
) -> Tensor:
    """The next token's logits [B, V] in fp32; the cache grows by the tokens that go in."""
    # Positions count real tokens: padding on the left must not move a prompt.
    positions_BT = (mask_BT.cumsum(dim=1) - 1).clamp(min=0)[:, -input_ids_BT.shape[1] :]
    output = model(
        input_ids=input_ids_BT,
        attention_mask=mask_BT,
        position_ids=positions_BT,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1].float()


def draws_of(seeds: Sequence[int], sampling: Sampling, device: torch.device) -> Tensor | None:
    """One number in [0, 1) for every row and step, [B, max_tokens]; None where nothing is drawn."""
    if sampling.temperature == 0:
        return None
    rows = [
        torch.rand(
            sampling.max_tokens, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        for seed in seeds
    ]
    return torch.stack(rows).to(device)


def choose(logits_BV: Tensor, sampling: Sampling, draws_B: Tensor | None) -> Tensor:
    """The next token of every row [B]: the most probable one, or where the row's draw falls."""
    if draws_B is None:
        return logits_BV.argmax(dim=-1)
    probabilities_BV = torch.softmax(logits_BV.double() / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        probabilities_BV = keep_top(probabilities_BV, sampling.top_p)
    # Tokens stand side by side on a line, in the order of the vocabulary and as wide as they are
    # probable; the draw is a point on it. (An order by probability would swap near-equals with the
    # last bit of a logit, and the text would then depend on the batch.)
    ends_BV = probabilities_BV.cumsum(dim=-1)
    points_B1 = draws_B[:, None] * ends_BV[:, -1:]
    return torch.searchsorted(ends_BV, points_B1, right=True).clamp(max=ends_BV.shape[1] - 1)[:, 0]


def keep_top(probabilities_BV: Tensor, top_p: float) -> Tensor:
    """Zero for all but the most probable tokens that together reach `top_p`."""
    sorted_BV = probabilities_BV.sort(dim=-1, descending=True).values
    before_BV = sorted_BV.cumsum(dim=-1) - sorted_BV
    # The least probable token that is kept: the one with which the sum reaches top_p.
    last_B1 = (before_BV < top_p).sum(dim=-1, keepdim=True) - 1
    return probabilities_BV * (probabilities_BV >= sorted_BV.gather(-1, last_B1))
