"""The masked negative log-likelihood: -log S(target | conditioning), on supervised positions only.

    loss = Σ_s weight_s · ( logsumexp(W h_s) - (W h_s)[target_s] )

The hidden states that come in are already those of supervised positions: prompts, student answers and critiques are
most of a row, and their logits are never computed. Logits exist one chunk at a time, never as [S, V]. The gradient of
a chunk is known the moment its softmax is, so the forward pass computes it there and backward only scales it: each
chunk's logits are computed once, not twice.      S supervised positions, C of a chunk, D model width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_POSITIONS = 512
"""Positions whose logits live at a time: 512 × 128,256 × 4 bytes = 250 MiB for Llama-3's vocabulary."""


class MaskedNLL(torch.autograd.Function):
    """(hidden_SD, head_VD, targets_S, weights_S) → (weighted sum, nll_S). First derivatives only."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_SD: Tensor,
        head_VD: Tensor,
        targets_S: Tensor,
        weights_S: Tensor,
        chunk: int,
    ) -> tuple[Tensor, Tensor]:
        # fp32 whatever the model's dtype (fp64 stays fp64, for gradcheck): a bf16 accumulator would lose
        # small contributions chunk after chunk.
        exact = torch.promote_types(hidden_SD.dtype, torch.float32)
        nll_S = torch.empty(len(targets_S), dtype=exact, device=hidden_SD.device)
        wants_hidden, wants_head = ctx.needs_input_grad[:2]
        grad_hidden_SD = torch.empty_like(hidden_SD) if wants_hidden else None
        grad_head_VD = torch.zeros_like(head_VD, dtype=exact) if wants_head else None
        for start in range(0, len(targets_S), chunk):
            rows = slice(start, start + chunk)
            hidden_CD, target_C1 = hidden_SD[rows], targets_S[rows, None]
            logits_CV = (hidden_CD @ head_VD.T).to(exact)
            log_norm_C1 = logits_CV.logsumexp(dim=1, keepdim=True)
            nll_S[rows] = (log_norm_C1 - logits_CV.gather(1, target_C1)).squeeze(1)
            if not (wants_hidden or wants_head):
                continue
            # d loss / d logits = weight · (softmax - onehot), written over the logits
            error_CV = logits_CV.sub_(log_norm_C1).exp_()
            error_CV.scatter_add_(1, target_C1, torch.full_like(log_norm_C1, -1.0))
            error_CV.mul_(weights_S[rows, None])
            error_CV = error_CV.to(hidden_SD.dtype)
            if grad_hidden_SD is not None:
                grad_hidden_SD[rows] = error_CV @ head_VD
            if grad_head_VD is not None:
                add_product(grad_head_VD, error_CV.T, hidden_CD)
        ctx.save_for_backward(grad_hidden_SD, grad_head_VD)
        ctx.head_dtype = head_VD.dtype
        ctx.mark_non_differentiable(nll_S)
        return (weights_S * nll_S).sum(), nll_S

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden_SD, grad_head_VD = ctx.saved_tensors
        if grad_hidden_SD is not None:
            grad_hidden_SD = grad_hidden_SD * grad_loss.to(grad_hidden_SD.dtype)
        if grad_head_VD is not None:
            grad_head_VD = (grad_head_VD * grad_loss).to(ctx.head_dtype)
        return grad_hidden_SD, grad_head_VD, None, None, None


def add_product(sum_MN: Tensor, a_MK: Tensor, b_KN: Tensor) -> None:
    """sum += a @ b, in place and in the sum's dtype."""
    if a_MK.dtype == sum_MN.dtype:
        sum_MN.addmm_(a_MK, b_KN)
    else:
        sum_MN += a_MK @ b_KN


def masked_nll(
    hidden_SD: Tensor,
    head_VD: Tensor,
    targets_S: Tensor,
    weights_S: Tensor,
    chunk: int = CHUNK_POSITIONS,
) -> tuple[Tensor, Tensor]:
    """(loss, nll_S): the weighted sum that is trained on, and each target's own NLL in nats, detached.

    Gradients reach `hidden_SD` and `head_VD`. With no supervised position the loss is 0 and so are the gradients.
    """
    return MaskedNLL.apply(hidden_SD, head_VD, targets_S, weights_S, chunk)
