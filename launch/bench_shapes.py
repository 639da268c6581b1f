"""What is trained in a benchmark: models of published shapes with random weights, and examples shaped like CGD's.

Speed and memory depend on shapes and lengths alone, so nothing is downloaded and no text is needed.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoConfig, LlamaConfig, PretrainedConfig, Qwen2Config

from engine.examples import Example

SPREAD = 0.4
"""Standard deviation of the logarithm of an example's length."""


def llama(layers: int, width: int, inner: int, heads: int, groups: int, **more: Any) -> LlamaConfig:
    """A Llama of that shape; `groups` key-value heads."""
    return LlamaConfig(
        num_hidden_layers=layers,
        hidden_size=width,
        intermediate_size=inner,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=131_072,
        **more,
    )


def qwen2(layers: int, width: int, inner: int, heads: int, groups: int, **more: Any) -> Qwen2Config:
    """A Qwen2 of that shape."""
    return Qwen2Config(
        num_hidden_layers=layers,
        hidden_size=width,
        intermediate_size=inner,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=32_768,
        **more,
    )


def named_shape(name: str) -> PretrainedConfig:
    """The config of a shape from the table, or of a model folder. Raises ValueError for any other name."""
    tied = {"tie_word_embeddings": True}
    untied = {"tie_word_embeddings": False}
    shapes = {
        "llama-30m": lambda: llama(6, 384, 1024, 6, 6, vocab_size=49_152, **tied),
        "smollm2-135m": lambda: llama(30, 576, 1536, 9, 3, vocab_size=49_152, **tied),
        "qwen2.5-1.5b": lambda: qwen2(28, 1536, 8960, 12, 2, vocab_size=151_936, **tied),
        "llama-3.1-8b": lambda: llama(32, 4096, 14_336, 32, 8, vocab_size=128_256, **untied),
    }
    if name in shapes:
        return shapes[name]()
    if (Path(name) / "config.json").is_file():
        return AutoConfig.from_pretrained(name)
    close = difflib.get_close_matches(name, shapes, n=1)
    raise ValueError(
        f"--model {name} is neither a model folder nor one of {', '.join(shapes)}"
        + (f"; did you mean {close[0]}?" if close else "")
    )


def cgd_shaped(
    count: int, mean_tokens: int, max_tokens: int, supervised: float, vocabulary: int
) -> list[Example]:
    """Examples of log-normal length, `supervised` of each its target, tokens drawn at random; always the same ones."""
    random = np.random.default_rng(0)
    middle = np.log(mean_tokens) - SPREAD**2 / 2
    lengths = random.lognormal(middle, SPREAD, count).round().astype(int).clip(8, max_tokens)
    return [
        Example(
            id=f"example-{number}",
            token_ids=random.integers(3, vocabulary, length, dtype=np.int32),
            num_context=length - max(1, round(length * supervised)),
        )
        for number, length in enumerate(lengths.tolist())
    ]
