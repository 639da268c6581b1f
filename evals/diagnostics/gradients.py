"""Gradient norms with and without the critique, and RGNR: how much of a refinement the critique explains.

    g_base = ∇θ L(ŷ | x, y')      g_cgd = ∇θ L(ŷ | x, y', c)      L: mean NLL of ŷ's tokens, end of turn included
    RGNR = (‖g_base‖ - ‖g_cgd‖) / ‖g_base‖        relative gradient norm reduction, measured before training

The norm is the total L2 norm over all parameters, of one record at a time. The paper does not say how records
are averaged. `rgnr` here is the ratio of means, (mean ‖g_base‖ - mean ‖g_cgd‖) / mean ‖g_base‖, as a reader gets
it from the two means of Table 14; its interval is linearised (delta method, Student's t). The mean of the
records' own ratios is given beside it. The paper's norms are in the thousands, which looks like a loss summed
over tokens; those norms are `summed.*`.

No two gradients live at once: a hook adds a parameter's squares the moment its gradient is complete, and frees
it. Together with recomputed activations that holds an 8B model in bf16 and its longest example on one GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from datagen.records import Record
from engine.examples import Example
from engine.parallel import checkpointed
from evals.diagnostics.diagnosis import Diagnosis, Diagnostic, Result, Row
from evals.diagnostics.model import load_model, load_tokenizer, too_long, training_example
from evals.diagnostics.moments import moments
from evals.intervals import Interval, bootstrap_interval
from evals.statistics_effects import paired_t_test, t_quantile

RECEPTIVE, LITTLE = 0.10, 0.05
"""Appendix G's borders of RGNR."""


class SquaredNorm:
    """The squared L2 norm of all gradients of a backward pass, none of which is kept."""

    def __init__(self, model: nn.Module) -> None:
        device = next(model.parameters()).device
        self._sum = torch.zeros((), dtype=torch.float64, device=device)
        for parameter in model.parameters():
            # Fires once a backward pass, also for tied weights, after every use of the parameter has added its part.
            parameter.register_post_accumulate_grad_hook(self._take)

    def _take(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self._sum += torch.linalg.vector_norm(parameter.grad, dtype=torch.float32).double() ** 2
        parameter.grad = None

    def pop(self) -> float:
        """What has come since the last time."""
        squared = float(self._sum)
        self._sum.zero_()
        return squared


def recompute_activations(model: PreTrainedModel) -> None:
    """Blocks are computed again in backward, so that only their inputs are held. Not transformers' own switch: it
    works in training mode alone, where dropout is on."""
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.forward = checkpointed(module.forward)


def mean_nll(model: PreTrainedModel, example: Example) -> Tensor:
    """-log p of the supervised tokens, averaged; logits exist at their positions alone."""
    ids_T = torch.from_numpy(example.token_ids).long().to(model.device)
    # The logits at position t predict token t + 1.
    predicting_S = torch.arange(example.num_context - 1, len(example) - 1, device=model.device)
    logits_1SV = model(ids_T[None], logits_to_keep=predicting_S, use_cache=False).logits
    return F.cross_entropy(logits_1SV[0].float(), ids_T[example.num_context :])


def measure(task: Diagnosis, records: Sequence[Record]) -> Iterator[Row]:
    """Two backward passes a record."""
    model, tokenizer = load_model(task), load_tokenizer(task)
    recompute_activations(model)
    squared = SquaredNorm(model)
    for record in records:
        shown = training_example(task, tokenizer, record, "cgd")
        if row := too_long(task, shown):
            yield row
            continue
        withheld = training_example(task, tokenizer, record, "cgd_no_critique")
        norms = {}
        for name, example in (("without_critique", withheld), ("with_critique", shown)):
            mean_nll(model, example).backward()
            norms[name] = sqrt(squared.pop())
        yield {"id": record.id, **norms, "target_tokens": shown.num_supervised}


def summarise(task: Diagnosis, rows: Sequence[Row]) -> Result:
    """Both norms, their paired difference, and RGNR with what it is taken to mean."""
    base = np.array([row["without_critique"] for row in rows])
    cgd = np.array([row["with_critique"] for row in rows])
    tokens = np.array([row["target_tokens"] for row in rows])
    figures = moments("without_critique", base) | moments("with_critique", cgd)
    figures |= moments("summed.without_critique", base * tokens)
    figures |= moments("summed.with_critique", cgd * tokens)
    figures |= {"rgnr": 1 - cgd.mean() / base.mean()}
    ratios = 1 - cgd / base
    figures |= {"rgnr_per_record.mean": float(ratios.mean())}
    reach = ""
    if len(rows) > 1:
        test = paired_t_test(base, cgd)
        figures |= {"difference.mean": test.difference, "t": test.t, "p": test.p_value}
        known = ratio_interval(base, cgd)
        figures |= {"rgnr.low": known.low, "rgnr.high": known.high}
        reach = f" (95 % interval {known.low:.1%} to {known.high:.1%})"
        known = bootstrap_interval(ratios, seed=task.seed)
        figures |= {"rgnr_per_record.low": known.low, "rgnr_per_record.high": known.high}
    notes = (
        f"RGNR {figures['rgnr']:.1%}{reach}: {meaning(figures['rgnr'])}.",
        "Appendix G reads RGNR before training; 10 and 5 % are its borders for students as they come.",
        "rgnr is the ratio of the mean norms, rgnr_per_record the mean of the records' ratios.",
        "Norms are of the mean NLL of a target's tokens; summed.* are of the sum.",
    )
    return Result(figures={name: float(value) for name, value in figures.items()}, notes=notes)


def ratio_interval(base: np.ndarray, cgd: np.ndarray) -> Interval:
    """The 95 % interval of 1 - mean(cgd) / mean(base), both being of the same records: linearised in both means."""
    ratio = cgd.mean() / base.mean()
    residuals = (cgd - ratio * base) / base.mean()
    reach = t_quantile(len(base) - 1) * float(residuals.std(ddof=1)) / sqrt(len(base))
    return Interval(float(1 - ratio - reach), float(1 - ratio + reach))


def meaning(rgnr: float) -> str:
    """How Appendix G reads it."""
    if rgnr >= RECEPTIVE:
        return "10 % or more, a student receptive to critiques"
    if rgnr >= LITTLE:
        return "between 5 and 10 %, a student of middling receptiveness"
    return "below 5 %, a student that critiques tell little"


DIAGNOSTIC = Diagnostic(
    definition="Total L2 norm, over all parameters, of the gradient of the mean NLL of the refined answer's tokens, "
    "given prompt and student answer without and with the critique, as training shows them; one record at a time. "
    "RGNR = 1 - mean norm with critique / mean norm without.",
    source="arXiv 2505.11628, Appendix D.1, Table 14; Appendix G, Table 19",
    measure=measure,
    summarise=summarise,
)
