"""Attention by region: where a model looks while it writes its refined answer.

    records → contexts (x, y', c) → greedy texts, in batches → one pass over context and text → shares → row

A step is one generated token, the end of the turn included, and is measured at the position that writes it: the one
before it, whose attention decides on the token. So the first step looks from the last token of the context, where
nothing is generated yet. The weights of a position sum to 1 over all that it sees, itself included; they are summed
by region and averaged over heads. Five regions: problem, student answer, critique, template (all else of the
context: labels, turns, a system message) and self (what was generated). Much of the weight lies on the template,
mostly on its first token, so shares among the three texts alone are given as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from datagen.chat_tokens import stop_ids_of
from datagen.decoding import Written, write_batch
from datagen.generators import Sampling
from datagen.records import Record
from datagen.transformers_generator import plan_batches, room_for_prompts
from evals.diagnostics.attention_curves import THREE, Cell, cells, curves_of, profile
from evals.diagnostics.attention_regions import REGIONS, SELF, Context, context_of
from evals.diagnostics.attention_streaming import shares_by_layer
from evals.diagnostics.diagnosis import LEFT_OUT, Diagnosis, Diagnostic, Result, Row
from evals.diagnostics.model import load_model, load_tokenizer


def measure(task: Diagnosis, records: Sequence[Record]) -> Iterator[Row]:
    """Writes a batch of texts, then looks at each of them."""
    model, tokenizer = load_model(task), load_tokenizer(task)
    stop_ids = stop_ids_of(tokenizer, task.model)
    sampling = Sampling(max_tokens=task.max_tokens, temperature=0.0)
    config = model.config.get_text_config(decoder=True)
    positions = getattr(config, "max_position_embeddings", None)
    room = room_for_prompts(sampling, positions)
    fitting: list[tuple[str, Context]] = []
    for record in records:
        context = context_of(tokenizer, record.to_json(), task.layout)
        if len(context.token_ids) > room:
            reason = f"with diagnose.max_tokens = {task.max_tokens} longer than the model's {positions} positions"
            yield {"id": record.id, LEFT_OUT: reason}
        else:
            fitting.append((record.id, context))
    for places in plan_batches([len(c.token_ids) for _, c in fitting], task.batch_size):
        batch = [fitting[place] for place in places]
        prompts = [context.token_ids for _, context in batch]
        texts = write_batch(model, prompts, [0] * len(batch), sampling, stop_ids)
        for (record_id, context), written in zip(batch, texts, strict=True):
            yield {"id": record_id} | looked_at(model, context, written)


def looked_at(model: PreTrainedModel, context: Context, written: Written) -> Row:
    """The row of one text, its id left out."""
    steps = written.num_computed
    seen = written.token_ids[: steps - 1]  # nobody looks from the last token, or at it
    regions = np.concatenate([context.region_T, np.full(len(seen), SELF)])
    shares_LNR = shares_by_layer(
        model, context.token_ids + seen, torch.from_numpy(regions), len(REGIONS), steps
    )
    counts = np.bincount(context.region_T, minlength=len(REGIONS))[:SELF].tolist()
    return {
        "steps": steps,
        "ended_by": written.finish_reason,
        "tokens": dict(zip(REGIONS, counts, strict=False)),
    } | profile(shares_LNR)


def summarise(task: Diagnosis, rows: Sequence[Row]) -> Result:
    """Shares overall, among all regions and among the three texts, with curves."""
    overall = [row["share"] for row in rows]
    lengths = [[row["tokens"][region] for region in THREE] for row in rows]
    figures: dict[str, float] = {}
    for prefix, found in (
        ("", cells(overall, REGIONS)),
        ("of_three.", cells(overall, THREE)),
        ("tokens_of_three.", cells(lengths, THREE)),
    ):
        for region, cell in found.items():
            figures |= named(f"{prefix}{region}", cell)
    figures["steps.mean"] = float(np.mean([row["steps"] for row in rows]))
    cut = sum(row["ended_by"] == "length" for row in rows)
    notes = [
        "of_three: shares among problem, student answer and critique alone. tokens_of_three: their shares of the "
        "tokens, which is what attention without preference would give.",
        "Layers, steps and heads weigh the same; intervals are Student's t over texts. Phases are thirds of a text.",
    ]
    if cut:
        notes.append(f"{cut} of {len(rows)} texts were cut at {task.max_tokens} tokens.")
    return Result(figures=figures, curves=curves_of(rows), notes=tuple(notes))


def named(name: str, cell: Cell) -> dict[str, float]:
    """The parts of a cell that there are, as figures."""
    keys = (name, f"{name}.low", f"{name}.high")
    return {key: value for key, value in zip(keys, cell, strict=True) if value is not None}


DIAGNOSTIC = Diagnostic(
    definition="Softmax attention weights of the position that writes each token of a greedily generated answer, "
    "given prompt, student answer and critique as training shows them; summed over the tokens of problem, student "
    "answer, critique, template and the text so far; mean of heads, layers and steps.",
    source="arXiv 2505.11628, Appendix D.3, Figures 8 to 10",
    measure=measure,
    summarise=summarise,
    uses=("model", "max_tokens"),
    samples=50,
)
