"""Attention by region, computed chunk by chunk: what a long text pays attention to, without a T×T matrix.

    context and text → one pass → in every layer, for a chunk of queries: softmax(q·k) → output
                                                                        ↘ summed by region, mean of heads

Registered with transformers under IMPLEMENTATION, for models that let their attention be replaced. The output is
computed from the very weights that are summed, so what is measured is what the model does: grouped heads, soft caps and
windows included. The mask arrives as a rule (which query sees which key), registered for the same name, and is worked
out for a chunk of queries at a time. Of the weights only N × regions numbers a layer are kept.
Shapes: T tokens, C queries of a chunk, N rows that are measured (the last ones), H query heads, G key-value heads,
D head width, R regions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface

IMPLEMENTATION = "shares_by_region"

CHUNK = 128
"""Queries at a time: 32 heads over 11 000 tokens are 180 MB of weights in fp32."""


@dataclass(frozen=True)
class Visibility:
    """A mask as a rule over (batch, head, query, key) indices, as transformers composes it."""

    rule: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

    def of_queries(self, begin: int, end: int, num_keys: int, device: torch.device) -> Tensor:
        """bool [C, T]: which keys the queries from `begin` to `end` see."""
        nought = torch.zeros((), dtype=torch.long, device=device)
        queries_C1 = torch.arange(begin, end, device=device)[:, None]
        keys_1T = torch.arange(num_keys, device=device)[None]
        return self.rule(nought, nought, queries_C1, keys_1T).expand(end - begin, num_keys)


def visibility(
    *, mask_function: Any, attention_mask: Any = None, use_vmap: bool = False, **_: Any
) -> Visibility:
    """What transformers gets in place of a mask."""
    if attention_mask is not None or use_vmap:
        raise ValueError("attention by region: this model's masks are not rules over positions")
    return Visibility(mask_function)


@dataclass
class RegionShares:
    """Collects, layer by layer, how much of their attention the last `num_rows` queries pay to each region."""

    regions_TR: Tensor
    """One-hot, fp32."""
    num_rows: int
    chunk: int = CHUNK
    by_layer: dict[int, Tensor] = field(default_factory=dict)
    """[N, R] of each layer; a row sums to 1."""

    def add(self, layer: int, begin: int, weights_HCT: Tensor) -> None:
        """Weights of the queries from `begin` on; those before the measured rows are passed over."""
        first = len(self.regions_TR) - self.num_rows
        skipped = max(0, first - begin)
        if skipped >= weights_HCT.shape[1]:
            return
        shares_CR = (weights_HCT[:, skipped:] @ self.regions_TR).mean(dim=0)
        if layer not in self.by_layer:
            self.by_layer[layer] = shares_CR.new_zeros(self.num_rows, self.regions_TR.shape[1])
        place = begin + skipped - first
        self.by_layer[layer][place : place + len(shares_CR)] = shares_CR


def streaming_attention(
    module: nn.Module,
    query_1HTD: Tensor,
    key_1GTD: Tensor,
    value_1GTD: Tensor,
    attention_mask: Any,
    *,
    region_shares: RegionShares | None = None,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention, chunk of queries by chunk. Returns ([1, T, H, D], None), as transformers wants it."""
    if s_aux is not None or position_bias is not None:
        raise ValueError(
            "attention by region: attention sinks and position biases are not computed"
        )
    if not isinstance(attention_mask, Visibility):
        raise ValueError("attention by region: this model makes masks of its own")
    query_HTD, key_GTD, value_GTD = query_1HTD[0], key_1GTD[0], value_1GTD[0]
    scale = query_HTD.shape[-1] ** -0.5 if scaling is None else scaling
    num_queries, num_keys = query_HTD.shape[1], key_GTD.shape[1]
    chunk = CHUNK if region_shares is None else region_shares.chunk
    attended = []
    for begin in range(0, num_queries, chunk):
        end = min(begin + chunk, num_queries)
        sees_CT = attention_mask.of_queries(begin, end, num_keys, query_HTD.device)
        weights_HCT = attention_weights(query_HTD[:, begin:end], key_GTD, sees_CT, scale, softcap)
        attended.append(weighted_values(weights_HCT, value_GTD))
        if region_shares is not None:
            region_shares.add(int(module.layer_idx), begin, weights_HCT)
    return torch.cat(attended, dim=1).transpose(0, 1)[None], None


def attention_weights(
    query_HCD: Tensor, key_GTD: Tensor, sees_CT: Tensor, scale: float, softcap: float | None
) -> Tensor:
    """fp32 [H, C, T]. The queries of a group stand below each other, so that no key is repeated."""
    num_heads, num_queries, width = query_HCD.shape
    grouped = query_HCD.reshape(len(key_GTD), -1, width)
    scores_HCT = (grouped @ key_GTD.transpose(1, 2)).reshape(num_heads, num_queries, -1) * scale
    if softcap is not None:
        scores_HCT = torch.tanh(scores_HCT / softcap) * softcap
    return scores_HCT.masked_fill(~sees_CT, -torch.inf).softmax(dim=-1, dtype=torch.float32)


def weighted_values(weights_HCT: Tensor, value_GTD: Tensor) -> Tensor:
    """[H, C, D], in the values' precision."""
    num_heads, num_queries, num_keys = weights_HCT.shape
    grouped = weights_HCT.to(value_GTD.dtype).reshape(len(value_GTD), -1, num_keys)
    return (grouped @ value_GTD).reshape(num_heads, num_queries, -1)


@torch.inference_mode()
def shares_by_layer(
    model: PreTrainedModel,
    token_ids: list[int],
    regions_T: Tensor,
    num_regions: int,
    num_rows: int,
    chunk: int = CHUNK,
) -> Tensor:
    """fp32 [layers, N, R], on the CPU: shares of the last `num_rows` positions, mean of heads. Raises ValueError
    where some layer's attention is not transformers' own."""
    regions_TR = nn.functional.one_hot(regions_T, num_regions).float().to(model.device)
    shares = RegionShares(regions_TR, num_rows, chunk)
    before = model.config._attn_implementation
    model.set_attn_implementation(IMPLEMENTATION)
    try:
        # without its head: logits of every position would be larger than anything else here
        model.base_model(
            input_ids=torch.tensor([token_ids], device=model.device),
            use_cache=False,
            region_shares=shares,
        )
    finally:
        model.set_attn_implementation(before)
    num_layers = model.config.get_text_config(decoder=True).num_hidden_layers
    if sorted(shares.by_layer) != list(range(num_layers)):
        raise ValueError(
            f"attention by region: {len(shares.by_layer)} of {num_layers} layers of {type(model).__name__} let their "
            "attention be replaced; all must (Llama, Qwen, Mistral, OLMo, Gemma and their like do)"
        )
    return torch.stack([shares.by_layer[layer] for layer in range(num_layers)]).cpu()


AttentionInterface.register(IMPLEMENTATION, streaming_attention)
AttentionMaskInterface.register(IMPLEMENTATION, visibility)
