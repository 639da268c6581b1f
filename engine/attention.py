"""Attention that stops at document borders, registered with transformers under the name "packed".

A row holds several documents one after the other. transformers passes the extra keyword arguments of `model.model(...)`
on to every layer of Llama, Qwen2, OLMo-2 and Mixtral, so the borders, built once per row on the host, reach
`packed_attention` as they are and no layer computes or synchronises anything. The name is not in transformers' mask
registry, so no mask is built: causality and borders are the kernel's business.
Shapes: T tokens of a row, N documents, H query heads, G key-value heads (grouped: not repeated), D head width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface

IMPLEMENTATION = "packed"


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
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal self-attention inside each document. Returns ([1, T, H, D], None), as transformers wants it.

    `longest` bounds the documents' lengths; it may be larger than the longest, so that compiled code sees one number.
    """
    assert attention_mask is None, "a mask would attend across documents"
    if query_1HTD.is_cuda:
        return varlen_attention(
            query_1HTD, key_1GTD, value_1GTD, scaling, borders_N1, longest
        ), None
    return per_document_attention(query_1HTD, key_1GTD, value_1GTD, scaling, borders_N1), None


def varlen_attention(
    query_1HTD: Tensor,
    key_1GTD: Tensor,
    value_1GTD: Tensor,
    scaling: float,
    borders_N1: Tensor,
    longest: int,
) -> Tensor:
    """CUDA: one kernel for all documents."""
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
        window_size=(-1, 0),  # everything to the left, nothing to the right: causal
        enable_gqa=query_THD.shape[1] != key_TGD.shape[1],
    )
    return attended_THD.unsqueeze(0)


@torch.compiler.disable  # the loop depends on the borders' values: compiled, every row would be a program of its own
def per_document_attention(
    query_1HTD: Tensor, key_1GTD: Tensor, value_1GTD: Tensor, scaling: float, borders_N1: Tensor
) -> Tensor:
    """CPU: a causal kernel for each document; the quadratic cost is that of the documents, not of the row."""
    lengths = borders_N1.diff().tolist()
    documents = zip(
        *(x.split(lengths, dim=2) for x in (query_1HTD, key_1GTD, value_1GTD)), strict=True
    )
    attended = [
        F.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
        )
        for q, k, v in documents
        if q.shape[2]
    ]
    return torch.cat(attended, dim=2).transpose(1, 2)


AttentionInterface.register(IMPLEMENTATION, packed_attention)
