"""All of an export but the weights: configuration, tokenizer, stop ids and card, copied or made from the student's.

What the student came with is copied byte by byte and not written anew: another version of transformers than ours may
have to read it. Only what readers need and the student lacks is added.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from engine.examples import end_of_turn_ids
from engine.model import Student
from engine.model_card import CARD, Trained, model_card

COPIED = (
    "config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "chat_template.*",
)


def write_companions(
    student: Student,
    tokenizer: PreTrainedTokenizerBase,
    source: Path,
    trained: Trained,
    dtype: torch.dtype,
    folder: Path,
) -> None:
    """Everything but the weights."""
    for path in {path for pattern in COPIED for path in source.glob(pattern) if path.is_file()}:
        shutil.copyfile(path, folder / path.name)
    config = read_json(source / "config.json")
    if missing := missing_keys(config, student, dtype):
        write_json(folder / "config.json", config | missing)
    if AutoTokenizer.from_pretrained(folder).chat_template != tokenizer.chat_template:
        # student.chat_template: this file goes before a template in tokenizer_config.json
        (folder / "chat_template.jinja").write_text(tokenizer.chat_template, encoding="utf-8")
    generation = generation_config(source, config, tokenizer)
    write_json(folder / "generation_config.json", generation)
    stops = generation["eos_token_id"]
    card = model_card(
        trained, source, dict(zip(stops, tokenizer.convert_ids_to_tokens(stops), strict=True))
    )
    (folder / CARD).write_text(card, encoding="utf-8")


def missing_keys(config: dict[str, Any], student: Student, dtype: torch.dtype) -> dict[str, Any]:
    """What vLLM wants to read in config.json, where the student's does not say it."""
    known = {
        "architectures": [type(student.causal_lm).__name__],
        "dtype": str(dtype).removeprefix("torch."),
    }
    said = config.keys() | ({"dtype"} if "torch_dtype" in config else set())
    return {key: value for key, value in known.items() if key not in said}


def generation_config(
    source: Path, config: dict[str, Any], tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    """The student's own, with the template's end of turn among its stop ids: without it vLLM would run on.

    Edited as JSON: transformers refuses to write back some published files that it reads.
    """
    path = source / "generation_config.json"
    generation = read_json(path) if path.is_file() else {}
    known = generation.get("eos_token_id", config.get("eos_token_id"))
    stops = [*(known if isinstance(known, list) else [known])]
    stops += [end_of_turn_ids(tokenizer)[-1], tokenizer.eos_token_id]
    generation["eos_token_id"] = list(dict.fromkeys(stop for stop in stops if stop is not None))
    if generation.get("pad_token_id") is None and tokenizer.pad_token_id is not None:
        generation["pad_token_id"] = tokenizer.pad_token_id
    return generation


def stored_dtype(source: Path) -> torch.dtype:
    """The dtype the student's weights come in: as its config says, or else as its first tensor is."""
    named = AutoConfig.from_pretrained(source).dtype
    if isinstance(named, torch.dtype):
        return named
    with safe_open(min(source.glob("*.safetensors")), framework="pt") as tensors:
        name = min(tensors.keys())
        dtype: torch.dtype = tensors.get_tensor(name).dtype
        return dtype


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of the student's."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """The way transformers writes its own."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
