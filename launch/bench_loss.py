"""`cgd bench loss`: the masked NLL beside what people use, forward and backward, in one run.

    for each round, for each variant: a process of its own → seconds, peak memory     (alternating, medians shown)
    then each variant once beside fp64 → error of the loss and of the head's gradient

A row is T positions of which a share is supervised, as in a CGD row. Peak memory is what the computation adds to its
inputs: the allocator's peak on a GPU, the process's resident peak on a CPU.      T positions, D width, V vocabulary.
"""

from __future__ import annotations

import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.loss.loss_utils import ForCausalLMLoss

from engine.loss import masked_nll
from engine.metrics import peak_memory
from launch.bench_process import Figures, in_turns, reset_peak

IGNORE = -100
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(hidden_TD, head_VD, labels_T) → mean NLL over labels that are not IGNORE; a label is the token to come."""


def ours(hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor) -> Tensor:
    """Supervised rows alone, a chunk of logits at a time, gradients computed in the forward pass."""
    supervised_S = (labels_T != IGNORE).nonzero().squeeze(1)
    targets_S = labels_T[supervised_S]
    weights_S = torch.full(targets_S.shape, 1 / len(targets_S), device=targets_S.device)
    return masked_nll(hidden_TD[supervised_S], head_VD, targets_S, weights_S)[0]


def transformers_loss(hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor) -> Tensor:
    """The logits of every position, in fp32, as transformers' models compute their loss."""
    logits_1TV = F.linear(hidden_TD, head_VD)[None]
    return ForCausalLMLoss(logits_1TV, None, head_VD.shape[0], shift_labels=labels_T[None])


def select_then_cross_entropy(hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor) -> Tensor:
    """The logits of supervised positions, all at once."""
    chosen_T = labels_T != IGNORE
    return F.cross_entropy(F.linear(hidden_TD[chosen_T], head_VD).float(), labels_T[chosen_T])


def torch_chunked(hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor) -> Tensor:
    """torch.nn.functional.linear_cross_entropy with its default chunks, over every position."""
    options = torch.nn.LinearCrossEntropyOptions()
    return F.linear_cross_entropy(hidden_TD, head_VD, labels_T, options=options)


def liger(hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor) -> Tensor:
    """Liger's fused linear cross-entropy, over every position."""
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss  # an optional peer

    loss: Tensor = LigerFusedLinearCrossEntropyLoss()(head_VD, hidden_TD, labels_T)
    return loss


def variants(device: str) -> dict[str, Loss]:
    """What can run here; Liger's kernels need a GPU, and torch has its own from 2.13 on."""
    found: dict[str, Loss] = {
        "ours": ours,
        "transformers": transformers_loss,
        "select, cross_entropy": select_then_cross_entropy,
    }
    if hasattr(F, "linear_cross_entropy"):
        found["torch linear_cross_entropy"] = torch_chunked
    if device == "cuda" and find_spec("liger_kernel") is not None:
        found["liger"] = liger
    return found


def make_inputs(options: Namespace) -> tuple[Tensor, Tensor, Tensor]:
    """hidden_TD, head_VD (both want gradients) and labels_T; the supervised share is at the end, as targets are."""
    generator = torch.Generator().manual_seed(0)
    dtype = getattr(torch, options.dtype)
    hidden_TD = torch.randn(options.tokens, options.width, generator=generator)
    head_VD = torch.randn(options.vocabulary, options.width, generator=generator) * 0.02
    labels_T = torch.randint(options.vocabulary, (options.tokens,), generator=generator)
    labels_T[: round(options.tokens * (1 - options.supervised))] = IGNORE
    hidden_TD, head_VD = (
        x.to(options.device, dtype).requires_grad_() for x in (hidden_TD, head_VD)
    )
    return hidden_TD, head_VD, labels_T.to(options.device)


def measure(name: str, options: Namespace) -> Figures:
    """One variant in this process: median seconds of forward and backward after a warm-up, and the peak it adds."""
    device = torch.device(options.device)
    hidden_TD, head_VD, labels_T = make_inputs(options)
    before = reset_peak(device)
    seconds = []
    for _ in range(1 + options.repeats):
        started = time.perf_counter()
        variants(options.device)[name](hidden_TD, head_VD, labels_T).backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
        hidden_TD.grad = head_VD.grad = None
    return {
        "seconds": statistics.median(seconds[1:]),
        "peak_mib": (peak_memory(device) - before) / 2**20,
    }


def errors(options: Namespace) -> dict[str, tuple[float, float]]:
    """Relative error of the loss and of the head's gradient against full logits in fp64, by variant."""
    hidden_TD, head_VD, labels_T = make_inputs(options)
    exact_hidden, exact_head = (x.detach().double().requires_grad_() for x in (hidden_TD, head_VD))
    exact = select_exactly(exact_hidden, exact_head, labels_T)
    (exact_grad,) = torch.autograd.grad(exact, exact_head)
    found = {}
    for name, loss_of in variants(options.device).items():
        loss = loss_of(hidden_TD, head_VD, labels_T)
        (grad,) = torch.autograd.grad(loss, head_VD)
        off = (grad.double() - exact_grad).norm() / exact_grad.norm()
        found[name] = (abs(loss.item() / exact.item() - 1), off.item())
    return found


def select_exactly(hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor) -> Tensor:
    """The definition, in the dtype of its inputs."""
    chosen_T = labels_T != IGNORE
    return F.cross_entropy(hidden_TD[chosen_T] @ head_VD.T, labels_T[chosen_T])


def run_bench(options: Namespace) -> str:
    """All rounds, and the table."""
    names = list(variants(options.device))
    runs = in_turns(names, options.rounds, "launch.bench_loss:measure", options)
    return table(runs, errors(options), options)


def table(
    runs: dict[str, list[Figures]],
    off: dict[str, tuple[float, float]],
    options: Namespace,
) -> str:
    """Medians over rounds with their range, and errors, a line a variant."""
    lines = [
        f"T = {options.tokens}, D = {options.width}, V = {options.vocabulary}, {options.supervised:.0%} supervised, "
        f"{options.dtype}, {options.device}, {torch.get_num_threads()} threads; forward and backward, "
        f"{options.rounds} rounds of {options.repeats}",
        f"{'':28}{'seconds':>10}{'(range)':>18}{'peak MiB':>10}{'loss error':>12}{'grad error':>12}",
    ]
    for name, results in runs.items():
        seconds = sorted(result["seconds"] for result in results)
        peak = statistics.median(result["peak_mib"] for result in results)
        spread = f"{seconds[0]:.3f}-{seconds[-1]:.3f}"
        loss_error, grad_error = off[name]
        lines.append(
            f"{name:28}{statistics.median(seconds):10.3f}{spread:>18}{peak:10.0f}{loss_error:12.1e}{grad_error:12.1e}"
        )
    return "\n".join(lines)
