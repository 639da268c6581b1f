"""FLOPs: what a model computes in a forward pass, in training and in generation; arithmetic from shapes, never a count.

    causal LM (the meta device is enough) → arithmetic_of → Arithmetic → training(…), recomputed(…), generation(…)

These are *model FLOPs*: what the result needs. Padding and work done twice are not in them; what training recomputes to
save memory is stated by itself. A multiply-add is two. Every token meets every matrix of the blocks (of experts the
active ones), a supervised or sampled token the head as well, and every pair of tokens of one document, in causal order,
costs a score and a weighted sum. Norms, rotations, softmax, the embedding's look-up and the optimizer are left out, as
is usual: they are no matrix products. Attention is taken for full; a sliding window computes less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from engine.settings import ActivationCheckpointing

EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
"""What configurations call the number of a block's experts."""


@dataclass(frozen=True)
class Arithmetic:
    """Multiply-adds of a forward pass."""

    token: float
    """For a token: active weights in the blocks' matrices."""
    pair: int
    """For a pair of tokens that see each other."""
    logits: int
    """For the logits of one position."""
    kept_by_full: float
    """Of `token`: what full recomputation does not repeat."""
    kept_by_selective: float
    """Of `token`: what selective recomputation does not repeat."""

    def forward(self, tokens: float, pairs: float, logits: float) -> float:
        """FLOPs of a forward pass over so much."""
        return 2.0 * (self.token * tokens + self.pair * pairs + self.logits * logits)

    def training(self, lengths: Sequence[int], num_supervised: int) -> float:
        """Forward and backward over documents of these lengths; backward is two products for each of forward's."""
        return 3.0 * self.forward(sum(lengths), pairs_in(lengths), num_supervised)

    def recomputed(self, mode: ActivationCheckpointing, lengths: Sequence[int]) -> float:
        """What `train.activation_checkpointing` computes a second time, in backward (parallel.py says what)."""
        if mode == "none":
            return 0.0
        kept = self.kept_by_full if mode == "full" else self.kept_by_selective
        pairs = pairs_in(lengths) if mode == "full" else 0.0
        return 2.0 * ((self.token - kept) * sum(lengths) + self.pair * pairs)

    def generation(self, prompt: int, completion: int, cached: int = 0) -> float:
        """One text: every token but the last is read, save those of the prompt that were `cached`."""
        read = prompt + completion - 1
        return self.forward(read - cached, (read**2 - cached**2) / 2, completion)


def pairs_in(lengths: Sequence[int]) -> float:
    """Pairs of tokens that see each other: the causal half, document by document."""
    return sum(length * length for length in lengths) / 2


def arithmetic_of(causal_lm: PreTrainedModel) -> Arithmetic:
    """A model's arithmetic, from the shapes of its parameters, sharded or not."""
    config = causal_lm.config.get_text_config(decoder=True)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    weights = weights_in_blocks(causal_lm, config)
    in_attention = {p.shape for name, p, _ in weights if ".self_attn." in name}
    last = sum(size for name, _, size in weights if is_last_product(name, causal_lm))
    attention = sum(size for _, p, size in weights if p.shape in in_attention)
    return Arithmetic(
        token=sum(size for _, _, size in weights),
        pair=2 * config.num_hidden_layers * config.num_attention_heads * head_dim,
        logits=config.hidden_size * config.vocab_size,
        kept_by_full=last,
        kept_by_selective=attention + last,
    )


def weights_in_blocks(
    causal_lm: PreTrainedModel, config: PretrainedConfig
) -> list[tuple[str, nn.Parameter, float]]:
    """(name, matrix, active weights) of all that is neither an embedding nor the head."""
    ends = [module for module in causal_lm.modules() if isinstance(module, nn.Embedding)]
    ends += [head] if (head := causal_lm.get_output_embeddings()) is not None else []
    not_ours = {id(parameter) for module in ends for parameter in module.parameters()}
    total = next((n for key in EXPERTS if (n := getattr(config, key, None))), 1)
    active = (getattr(config, "num_experts_per_tok", None) or 1) / total
    return [
        (name, parameter, parameter.numel() * (active if ".experts." in name else 1))
        for name, parameter in causal_lm.named_parameters()
        if parameter.ndim >= 2 and id(parameter) not in not_ours
    ]


def is_last_product(name: str, causal_lm: PreTrainedModel) -> bool:
    """Whether it is a block's last product and backward does without its result: nothing but a sum comes after it.

    After experts comes their weighting, and in OLMo-2 a norm; backward of both needs what went in.
    """
    block = causal_lm.get_submodule(name.partition(".mlp.")[0]) if ".mlp." in name else None
    return name.endswith(".mlp.down_proj.weight") and not hasattr(
        block, "post_feedforward_layernorm"
    )


def arithmetic_in(folder: Path) -> Arithmetic:
    """The arithmetic of a model folder, of which only the configuration is read.

    Raises ValueError where it names a model that transformers does not know.
    """
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        return arithmetic_of(AutoModelForCausalLM.from_config(config))
