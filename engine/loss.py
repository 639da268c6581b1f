"""The masked negative log-likelihood: -log S(target | conditioning), on supervised positions only.

    loss = Σ_s weight_s · ( log Σ_v exp (W h_s)_v - (W h_s)[target_s] )

The hidden states that come in are already those of supervised positions: prompts, student answers and critiques are
most of a row, and their logits are never computed. Logits exist one chunk at a time, never as [S, V]. The gradient of
a chunk is known the moment its softmax is, so the forward pass computes it there and backward only scales it: each
chunk's logits are computed once, not twice.

    d loss / d logits = weight · (softmax - onehot)

The softmax's many small terms go through matrix products; the one-hot's few large ones are added after them, by row.
In one product the large terms would swallow the small ones: the head's gradient is ten times as exact this way.
S supervised positions, C of a chunk, D model width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_POSITIONS = {"cpu": 128, "cuda": 2048}
"""Positions whose logits live at a time. On a GPU every chunk reads and writes the whole fp32 sum of the head's
gradient, so chunks are large there: 2048 × 128,256 × 4 bytes = 1 GiB for Llama-3's vocabulary."""


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
            hidden_CD, target_C1, weight_C1 = (
                hidden_SD[rows],
                targets_S[rows, None],
                weights_S[rows, None],
            )
            # From here on one block of memory: logits, then exponentials, then weighted probabilities.
            block_CV = product(hidden_CD, head_VD.T, exact)
            largest_C1 = block_CV.amax(dim=1, keepdim=True)
            target_logit_C1 = block_CV.gather(1, target_C1) - largest_C1
            norm_C1 = block_CV.sub_(largest_C1).exp_().sum(dim=1, keepdim=True)
            nll_S[rows] = (norm_C1.log() - target_logit_C1).squeeze(1)
            if not (wants_hidden or wants_head):
                continue
            softmax_CV = block_CV.mul_(weight_C1 / norm_C1).to(hidden_SD.dtype)
            if grad_hidden_SD is not None:
                onehot_CD = weight_C1 * head_VD[target_C1.squeeze(1)]
                grad_hidden_SD[rows] = product(softmax_CV, head_VD, exact) - onehot_CD
            if grad_head_VD is not None:
                add_product(grad_head_VD, softmax_CV.T, hidden_CD)
        if grad_head_VD is not None:
            for start in range(0, len(targets_S), chunk):
                rows = slice(start, start + chunk)
                onehot_CD = weights_S[rows, None] * hidden_SD[rows]
                # not index_add_, which on CUDA adds in no fixed order
                grad_head_VD.index_put_((targets_S[rows],), -onehot_CD.to(exact), accumulate=True)
        ctx.gradients = grad_hidden_SD, grad_head_VD
        ctx.head_dtype = head_VD.dtype
        ctx.mark_non_differentiable(nll_S)
        return (weights_S * nll_S).sum(), nll_S

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        # Scaled where they lie and given away: a copy of the head's gradient would be the largest tensor of the step.
        if ctx.gradients is None:
            raise RuntimeError(
                "the gradients of masked_nll are handed out once; compute it again for a second backward"
            )
        (grad_hidden_SD, grad_head_VD), ctx.gradients = ctx.gradients, None
        if grad_hidden_SD is not None:
            grad_hidden_SD.mul_(grad_loss)
        if grad_head_VD is not None:
            grad_head_VD = grad_head_VD.mul_(grad_loss).to(ctx.head_dtype)
        return grad_hidden_SD, grad_head_VD, None, None, None


def product(a_MK: Tensor, b_KN: Tensor, dtype: torch.dtype) -> Tensor:
    """a @ b in `dtype`; on a GPU bf16 factors give fp32 without rounding to bf16 in between."""
    if a_MK.is_cuda and a_MK.dtype != dtype:
        return torch.mm(a_MK, b_KN, out_dtype=dtype)
    return (a_MK @ b_KN).to(dtype)


def add_product(sum_MN: Tensor, a_MK: Tensor, b_KN: Tensor) -> None:
    """sum += a @ b, in place and in the sum's dtype."""
    if a_MK.dtype == sum_MN.dtype:
        sum_MN.addmm_(a_MK, b_KN)
    elif a_MK.is_cuda:
        torch.addmm(sum_MN, a_MK, b_KN, out_dtype=sum_MN.dtype, out=sum_MN)
    else:
        sum_MN += a_MK @ b_KN


def masked_nll(
    hidden_SD: Tensor,
    head_VD: Tensor,
    targets_S: Tensor,
    weights_S: Tensor,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(loss, nll_S): the weighted sum that is trained on, and each target's own NLL in nats, detached.

    Gradients reach `hidden_SD` and `head_VD`, once: a second backward through the same loss raises RuntimeError.
    With no supervised position the loss is 0 and so are the gradients.
    """
    chunk = chunk or CHUNK_POSITIONS[hidden_SD.device.type]
    return MaskedNLL.apply(hidden_SD, head_VD, targets_S, weights_S, chunk)
