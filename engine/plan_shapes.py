"""What a plan has to know of the outside: a model's shape, without its weights, and a device's memory and speed.

`student.model` may be a folder of which only config.json is needed, a hub id, or one of the names in SHAPES: with these
a plan for a gated model needs neither a connection nor a login.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from engine.metrics import PEAK_FLOPS
from engine.settings import StudentConfig

GIB = 2**30

SHAPES: dict[str, dict[str, Any]] = {
    "llama-3.1-8b": {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "tie_word_embeddings": False,
    },
    "qwen2.5-1.5b": {
        "model_type": "qwen2",
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
    "qwen2.5-7b": {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
    },
    "mixtral-8x7b": {
        "model_type": "mixtral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "vocab_size": 32000,
        "tie_word_embeddings": False,
    },
    "olmo-2-7b": {
        "model_type": "olmo2",
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 100352,
        "tie_word_embeddings": False,
    },
}
"""Published shapes. Positions and rotary bases are left out: they take no memory."""

USABLE_GIB = {
    "H200": 139.7,
    "H100": 79.1,
    "A100-80": 79.1,
    "A100-40": 39.4,
    "L40S": 44.4,
    "4090": 23.5,
}
"""What a process finds on an empty device: less than the number on the box."""

USABLE_SHARE = 0.985
"""Of the memory of a device that is given by its size alone."""


@dataclass(frozen=True)
class Device:
    """One rank's device. `peak_flops`: dense bf16 FLOP/s by the data sheet, None where that is not known."""

    name: str
    type: str
    usable_bytes: int
    peak_flops: float | None


def find_device(name: str, world_size: int) -> Device:
    """The device of that name, of that size ("40GB"), or `cpu`: this machine, shared by all ranks."""
    if name.lower() == "cpu":
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return Device("CPU", "cpu", memory // world_size, None)
    by_name = {known.lower(): known for known in USABLE_GIB}
    if known := by_name.get(name.lower()):
        peak = next(flops for key, flops in PEAK_FLOPS.items() if known.startswith(key))
        return Device(known, "cuda", round(USABLE_GIB[known] * GIB), peak)
    if size := re.fullmatch(r"(\d+(?:\.\d+)?) ?Gi?B?", name, re.IGNORECASE):
        return Device(
            f"{size[1]} GB", "cuda", round(float(size[1]) * USABLE_SHARE * GIB), peak_flops=None
        )
    known_names = ", ".join(USABLE_GIB)
    raise ValueError(f"--device {name}: expected one of {known_names}, cpu, or a size such as 40GB")


def model_shape(student: StudentConfig) -> tuple[PretrainedConfig, str]:
    """The model's configuration, and where it comes from."""
    folder = Path(student.model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ValueError(
                f"student.model: {folder} has no config.json, so it is not a model folder"
            )
        return AutoConfig.from_pretrained(folder), str(folder)
    name = re.sub(r"^.*/|-instruct.*$", "", student.model.lower())
    if name in SHAPES:
        return AutoConfig.for_model(**SHAPES[name]), f"built-in shape {name}"
    if student.model.startswith((".", "/", "~")) or student.model.count("/") != 1:
        names = ", ".join(SHAPES)
        raise ValueError(
            f"student.model: there is no folder {folder}, that is no hub id (owner/name), and none of the built-in "
            f"shapes {names}"
        )
    try:
        config = AutoConfig.from_pretrained(student.model, revision=student.revision)
    except OSError as error:
        names = ", ".join(SHAPES)
        raise ValueError(
            f"student.model: the config.json of {student.model} could not be fetched: {error}\n"
            f"a folder with a config.json is enough for a plan, and so is a built-in shape: {names}"
        ) from None
    return config, student.model
