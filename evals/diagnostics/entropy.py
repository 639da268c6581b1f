"""Entropy of the first refined token: how unsure a model is of how to begin, once it has read the critique.

    H = - Σ_v p(v) ln p(v),   p = softmax of the logits at the last position of the conditioning (x, y', c)

The distribution is the one that training's first supervised token is scored with: over the whole vocabulary, at
temperature 1, in nats, computed in fp32 whatever the weights are in. Lower is surer. Two models are compared on
the same records by a paired t-test of their rows (`evals.statistics.paired_t_test`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from datagen.records import Record
from evals.diagnostics.diagnosis import Diagnosis, Diagnostic, Result, Row
from evals.diagnostics.model import load_model, load_tokenizer, too_long, training_example
from evals.diagnostics.moments import moments


def entropy_of(logits_V: Tensor) -> float:
    """In nats, of the distribution that these logits stand for."""
    log_p_V = torch.log_softmax(logits_V.float(), dim=-1)
    return float(torch.special.entr(log_p_V.exp()).sum())


@torch.inference_mode()
def measure(task: Diagnosis, records: Sequence[Record]) -> Iterator[Row]:
    """One forward pass a record."""
    model, tokenizer = load_model(task), load_tokenizer(task)
    for record in records:
        example = training_example(task, tokenizer, record, "cgd")
        if row := too_long(task, example):
            yield row
            continue
        context_T = torch.from_numpy(example.token_ids[: example.num_context]).long()
        # Only the last position reaches the head: a long context times a large vocabulary is gigabytes.
        logits_11V = model(context_T[None].to(model.device), logits_to_keep=1).logits
        yield {"id": record.id, "entropy": entropy_of(logits_11V[0, -1])}


def summarise(task: Diagnosis, rows: Sequence[Row]) -> Result:
    """Mean, spread, standard error."""
    return Result(figures=moments("entropy", [row["entropy"] for row in rows]))


DIAGNOSTIC = Diagnostic(
    definition="Entropy in nats of the model's distribution over the first token of the refined answer, "
    "given prompt, student answer and critique as training shows them; whole vocabulary, temperature 1.",
    source="arXiv 2505.11628, Appendix D.1, Table 15",
    measure=measure,
    summarise=summarise,
)
