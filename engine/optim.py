"""AdamW, the learning-rate schedule, and clipping: the optimizer step of Table 8, in fp32 master weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from engine.settings import TrainConfig


def make_optimizer(
    model: nn.Module, learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW over the shards; weight decay on matrices only, not on norms and biases."""
    parameters = list(model.parameters())
    # In bf16 an update of 1e-6 relative vanishes in rounding, and so do the second moments.
    assert all(p.dtype == torch.float32 for p in parameters), "master weights must be fp32"
    matrices = [p for p in parameters if p.ndim >= 2]
    vectors = [p for p in parameters if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.999), eps=1e-8, fused=True)


def learning_rate_at(step: int, num_steps: int, config: TrainConfig) -> float:
    """The rate of step 0 … num_steps - 1: up to the peak in a line, then down to zero just after the last step."""
    peak = config.learning_rate
    num_warmup = math.ceil(config.warmup_ratio * num_steps)
    if step < num_warmup:
        return peak * (step + 1) / num_warmup
    progress = (step - num_warmup) / max(1, num_steps - num_warmup)
    if config.schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * progress))
    if config.schedule == "linear":
        return peak * (1 - progress)
    return peak


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """The rate of the coming step, for every group."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def clip_gradients(model: nn.Module, max_norm: float) -> Tensor:
    """Scales gradients down to `max_norm` where their L2 norm over all shards is longer; returns that norm."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()  # the local part alone would be too small by about √ranks
    torch.nn.utils.clip_grads_with_norm_(model.parameters(), max_norm, norm)
    return norm
