"""Claims: the masked NLL and its gradients are those of full logits in fp64, whatever the chunk or the dtype."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.loss import masked_nll


def inputs(num: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    hidden_SD = torch.randn(num, 8, dtype=dtype, requires_grad=True)
    head_VD = torch.randn(23, 8, dtype=dtype, requires_grad=True)
    return hidden_SD, head_VD, torch.randint(23, (num,)), torch.rand(num)


@pytest.mark.parametrize("chunk", [1, 4, 7, 100])
def test_loss_and_gradients_equal_full_logits(chunk: int) -> None:
    hidden_SD, head_VD, targets_S, weights_S = inputs(11)
    loss, nll_S = masked_nll(hidden_SD, head_VD, targets_S, weights_S, chunk)
    grads = torch.autograd.grad(loss, [hidden_SD, head_VD])
    full_S = F.cross_entropy(hidden_SD @ head_VD.T, targets_S, reduction="none")
    expected = torch.autograd.grad((full_S * weights_S).sum(), [hidden_SD, head_VD])
    torch.testing.assert_close(nll_S, full_S.detach())
    for grad, wanted in zip(grads, expected, strict=True):
        torch.testing.assert_close(grad, wanted)


class Afresh(torch.autograd.Function):
    """The loss computed again for every backward: gradcheck walks one graph many times, ours is walked once."""

    @staticmethod
    def forward(ctx: Any, hidden_SD: Tensor, head_VD: Tensor) -> Tensor:
        ctx.save_for_backward(hidden_SD, head_VD)
        return loss_of_five(hidden_SD, head_VD)

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in ctx.saved_tensors]
            return torch.autograd.grad(loss_of_five(*leaves), leaves, grad_loss)


def loss_of_five(hidden_SD: Tensor, head_VD: Tensor) -> Tensor:
    _, _, targets_S, weights_S = inputs(5)
    return masked_nll(hidden_SD, head_VD, targets_S, weights_S.double(), 2)[0]


def test_gradcheck_in_fp64() -> None:
    hidden_SD, head_VD, _, _ = inputs(5)
    assert torch.autograd.gradcheck(Afresh.apply, (hidden_SD, head_VD))


def test_upstream_gradient_scales_the_result() -> None:
    hidden_SD, head_VD, _, _ = inputs(5)
    once = torch.autograd.grad(loss_of_five(hidden_SD, head_VD), [hidden_SD, head_VD])
    thrice = torch.autograd.grad(3 * loss_of_five(hidden_SD, head_VD), [hidden_SD, head_VD])
    for one, three in zip(once, thrice, strict=True):
        torch.testing.assert_close(three, 3 * one)


def test_second_backward_is_refused_rather_than_wrong() -> None:
    hidden_SD, head_VD, _, _ = inputs(5)
    loss = loss_of_five(hidden_SD, head_VD)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="handed out once"):
        loss.backward()


def test_large_logits_do_not_overflow() -> None:
    hidden_SD, head_VD, targets_S, weights_S = inputs(6, torch.float32)
    loss, nll_S = masked_nll(hidden_SD * 1000, head_VD, targets_S, weights_S)
    full_S = F.cross_entropy(hidden_SD * 1000 @ head_VD.T, targets_S, reduction="none")
    torch.testing.assert_close(nll_S, full_S.detach())
    assert torch.autograd.grad(loss, head_VD)[0].isfinite().all()


def test_no_supervised_position_gives_zero_loss_and_zero_gradients() -> None:
    hidden_SD, head_VD, targets_S, weights_S = inputs(0)
    loss, nll_S = masked_nll(hidden_SD, head_VD, targets_S, weights_S)
    loss.backward()
    assert loss.item() == 0
    assert len(nll_S) == 0
    assert head_VD.grad is not None
    assert not head_VD.grad.any()


def test_bf16_accumulates_in_fp32() -> None:
    hidden_SD, head_VD, targets_S, weights_S = inputs(600, torch.bfloat16)
    loss, nll_S = masked_nll(hidden_SD, head_VD, targets_S, weights_S, 50)
    assert loss.dtype == nll_S.dtype == torch.float32
    exact_hidden = hidden_SD.detach().double().requires_grad_()
    exact_head = head_VD.detach().double().requires_grad_()
    exact, _ = masked_nll(exact_hidden, exact_head, targets_S, weights_S.double())
    assert loss.item() == pytest.approx(exact.item(), rel=2e-3)
    grad, wanted = (
        torch.autograd.grad(value, head)[0].double()
        for value, head in ((loss, head_VD), (exact, exact_head))
    )
    assert (grad - wanted).norm() / wanted.norm() < 5e-3


def test_frozen_head_gets_no_gradient() -> None:
    hidden_SD, head_VD, targets_S, weights_S = inputs(5)
    loss, _ = masked_nll(hidden_SD, head_VD.detach(), targets_S, weights_S)
    loss.backward()
    assert hidden_SD.grad is not None
