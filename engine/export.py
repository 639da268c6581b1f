"""Export: the trained student as the folder `from_pretrained`, vLLM and the evaluator read.

Weights are gathered one tensor at a time and written in files of at most FILE_BYTES, in the dtype the student came in;
the folder appears under its name only when it is whole. Tied weights are written once, under their first name.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor
from transformers import AutoConfig, GenerationConfig, PretrainedConfig, PreTrainedTokenizerBase

from engine.examples import end_of_turn_ids
from engine.model import Student, assert_tied, named_weights
from engine.parallel import World
from engine.weights import stored_tensors

FILE_BYTES = 4 * 1024**3
"""No more than this is held on rank 0 beside its shards."""


def export(
    student: Student,
    tokenizer: PreTrainedTokenizerBase,
    source: Path,
    target: Path,
    world: World,
    file_bytes: int = FILE_BYTES,
) -> None:
    """Writes the folder `target`; `source` is the folder the student came from. Collective: every rank calls it."""
    assert_tied(student)
    partial = target.with_name(target.name + ".partial")
    config = AutoConfig.from_pretrained(
        source
    )  # as it came: the student's own copy names our attention
    if world.is_main:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        config.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        generation_config(source, tokenizer).save_pretrained(partial)
    write_weights(student, stored_dtype(config), partial, world, file_bytes)
    if world.is_main:
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
    world.barrier()


def stored_dtype(config: PretrainedConfig) -> torch.dtype:
    """The dtype the student's files are in, as its config says; fp32 where it says nothing."""
    return config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32


def write_weights(
    student: Student, dtype: torch.dtype, folder: Path, world: World, file_bytes: int
) -> None:
    """Every weight into numbered safetensors files, with the index that names them where there are several."""
    files: list[dict[str, torch.Tensor]] = [{}]
    file_of: dict[str, int] = {}
    held = total = 0
    for name, parameter in named_weights(student).items():
        weight = parameter.detach()
        if isinstance(weight, DTensor):
            weight = weight.full_tensor()  # a collective: every rank takes part, rank 0 keeps it
        if not world.is_main:
            continue
        for stored_name, part in stored_tensors(name, weight, student.causal_lm.config):
            tensor = part.to(dtype=dtype, device="cpu", copy=True).contiguous()
            if files[-1] and held + tensor.nbytes > file_bytes:
                flush(files, folder)
                files.append({})
                held = 0
            files[-1][stored_name] = tensor
            file_of[stored_name] = len(files)
            held += tensor.nbytes
            total += tensor.nbytes
    if world.is_main:
        flush(files, folder)
        name_files(folder, file_of, len(files), total)


def flush(files: list[dict[str, torch.Tensor]], folder: Path) -> None:
    """Writes the newest file and lets go of its tensors."""
    save_file(files[-1], folder / f"part-{len(files)}.safetensors", metadata={"format": "pt"})
    files[-1] = {}


def name_files(folder: Path, file_of: dict[str, int], count: int, total_bytes: int) -> None:
    """The names `from_pretrained` looks for: one file alone, or numbered files with an index."""
    if count == 1:
        os.replace(folder / "part-1.safetensors", folder / "model.safetensors")
        return
    names = {n: f"model-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)}
    for number, name in names.items():
        os.replace(folder / f"part-{number}.safetensors", folder / name)
    index = {
        "metadata": {"total_size": total_bytes},
        "weight_map": {weight: names[number] for weight, number in file_of.items()},
    }
    (folder / "model.safetensors.index.json").write_text(
        json.dumps(index, indent=1), encoding="utf-8"
    )


def generation_config(source: Path, tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
    """The student's own, with the template's end of turn among its stop ids: without it vLLM would run on."""
    has_own = (source / "generation_config.json").is_file()
    config = GenerationConfig.from_pretrained(source) if has_own else GenerationConfig()
    known = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    stops = [*known, end_of_turn_ids(tokenizer)[-1], tokenizer.eos_token_id]
    config.eos_token_id = list(dict.fromkeys(stop for stop in stops if stop is not None))
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    return config
