"""Attention that stops at document borders, registered with transformers under the name "packed".

A row holds several documents one after the other. transformers passes the extra keyword arguments of `model.model(...)`
on to every layer of Llama, Qwen2, OLMo-2 and Mixtral, so the borders, built once per row on the host, reach
`packed_attention` as they are and no layer computes or synchronises anything. The name is not in transformers' mask
registry, so no mask is built: causality, borders and the sliding window of models that have one are the kernel's
business. One kernel for all documents exists on CUDA for 16-bit numbers; everything else, fp32 on a GPU included, takes
the documents one by one, which is as exact and slower.
Shapes: T tokens of a row, N documents, H query heads, G key-value heads (grouped: not repeated), D head width.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface

IMPLEMENTATION = "packed"

ATTENTION_OPS = (
    torch.ops.torch_attn._varlen_attn.default,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
    torch.ops.aten._scaled_dot_product_efficient_attention.default,
    torch.ops.aten._scaled_dot_product_flash_attention.default,
    torch.ops.aten._scaled_dot_product_cudnn_attention.default,
)
"""What a document's or a row's attention comes down to, for selective recomputation."""

# torch 2.11's kernel takes grouped heads as they come; later ones want to be told.
SAYS_GROUPED = "enable_gqa" in inspect.signature(varlen_attn).parameters


def has_kernel(on_cuda: bool, dtype: torch.dtype, head_width: int) -> bool:
    """Whether one kernel does all documents of a row: flash attention on CUDA, in 16 bits, heads up to 256 wide."""
    is_16_bit = dtype in (torch.bfloat16, torch.float16)
    return on_cuda and is_16_bit and head_width <= 256 and head_width % 8 == 0


def packed_attention(
    module: nn.Module,
    query_1HTD: Tensor,
    key_1GTD: Tensor,
    value_1GTD: Tensor,
    attention_mask: None,
    *,
    scaling: float,
    borders_N1: Tensor,
    longest: int,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal self-attention inside each document. Returns ([1, T, H, D], None), as transformers wants it.

    `longest` bounds the documents' lengths; it may be larger than the longest, so that compiled code sees one number.
    With a sliding window a token sees itself and the `sliding_window - 1` before it.
    """
    assert attention_mask is None, "a mask would attend across documents"
    heads = query_1HTD, key_1GTD, value_1GTD
    if has_kernel(query_1HTD.is_cuda, query_1HTD.dtype, query_1HTD.shape[-1]):
        return varlen_attention(*heads, scaling, borders_N1, longest, sliding_window), None
    return per_document_attention(*heads, scaling, borders_N1, sliding_window), None


def varlen_attention(
    query_1HTD: Tensor,
    key_1GTD: Tensor,
    value_1GTD: Tensor,
    scaling: float,
    borders_N1: Tensor,
    longest: int,
    sliding_window: int | None,
) -> Tensor:
    """One kernel for all documents; borders may repeat, which is a document of no tokens."""
    query_THD, key_TGD, value_TGD = (
        x.squeeze(0).transpose(0, 1) for x in (query_1HTD, key_1GTD, value_1GTD)
    )
    attended_THD = varlen_attn(
        query_THD,
        key_TGD,
        value_TGD,
        borders_N1,
        borders_N1,
        longest,
        longest,
        scale=scaling,
        # how far to the left (-1: all the way) and to the right (nothing: causal), the token itself not counted
        window_size=(-1 if sliding_window is None else sliding_window - 1, 0),
        **({"enable_gqa": query_THD.shape[1] != key_TGD.shape[1]} if SAYS_GROUPED else {}),
    )
    return attended_THD.unsqueeze(0)


# A break in compiled blocks: the loop depends on the borders' values, and every row would be a program of its own.
@torch.compiler.disable
def per_document_attention(
    query_1HTD: Tensor,
    key_1GTD: Tensor,
    value_1GTD: Tensor,
    scaling: float,
    borders_N1: Tensor,
    sliding_window: int | None = None,
) -> Tensor:
    """A causal kernel for each document; the quadratic cost is that of the documents, not of the row.

    On a GPU reading the borders is a host sync a layer.
    """
    lengths = borders_N1.diff().tolist()
    documents = zip(
        *(x.split(lengths, dim=2) for x in (query_1HTD, key_1GTD, value_1GTD)), strict=True
    )
    attended = []
    for q, k, v in documents:
        if (length := q.shape[2]) == 0:
            continue
        window = length if sliding_window is None else min(sliding_window, length)
        is_cut = window < length
        one = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=band(length, window, q.device) if is_cut else None,
            is_causal=not is_cut,
            scale=scaling,
            enable_gqa=q.shape[1] != k.shape[1],
        )
        attended.append(one)
    return torch.cat(attended, dim=2).transpose(1, 2)


def band(length: int, window: int, device: torch.device) -> Tensor:
    """bool [T, T]: whether a token (row) sees another (column): itself and the `window - 1` before it."""
    sees = torch.ones(length, length, dtype=torch.bool, device=device)
    return sees.tril().triu(1 - window)


AttentionInterface.register(IMPLEMENTATION, packed_attention)
