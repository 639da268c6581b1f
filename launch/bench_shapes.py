"""What is trained in a benchmark: models of published shapes with random weights, and examples shaped like CGD's.

Speed and memory depend on shapes and lengths alone, so nothing is downloaded and no text is needed.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoConfig, PretrainedConfig

from engine.examples import Example
from engine.plan_shapes import SHAPES

SPREAD = 0.4
"""Standard deviation of the logarithm of an example's length."""


LONGEST = 131_072
"""Positions a model is built for: rows of a benchmark may be long."""

BENCHED: dict[str, dict[str, Any]] = {
    "llama-30m": {
        "model_type": "llama",
        "hidden_size": 384,
        "intermediate_size": 1024,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    },
    "smollm2-135m": {
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    },
    **SHAPES,
}
"""Two that a CPU can train, and those that `cgd plan` knows."""


def named_shape(name: str) -> PretrainedConfig:
    """The config of a shape from the table, or of a model folder. Raises ValueError for any other name."""
    if name in BENCHED:
        return AutoConfig.for_model(**BENCHED[name], max_position_embeddings=LONGEST)
    if (Path(name) / "config.json").is_file():
        return AutoConfig.from_pretrained(name)
    close = difflib.get_close_matches(name, BENCHED, n=1)
    raise ValueError(
        f"--model {name} is neither a model folder nor one of {', '.join(BENCHED)}"
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
