"""The peers of `cgd bench train`: transformers' Trainer and TRL's SFTTrainer, each set up by a user who wants speed.

All of them get the same examples, the same random model, fused AdamW, no dropout, no checkpointing of activations
unless it is asked for, no logging, and as many examples a micro-batch as fill a row of ours. Useful tokens are counted
where they enter the model; padding is not useful.
"""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    DataCollatorForSeq2Seq,
    DataCollatorWithFlattening,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from engine.examples import Example
from launch.bench_shapes import named_shape

IGNORE = -100

TRANSFORMERS = {
    "Trainer, padded": {},
    "Trainer, grouped by length": {"train_sampling_strategy": "group_by_length"},
    "Trainer, flattened": {},
}
TRL: dict[str, dict[str, Any]] = {
    "TRL, padded": {},
    "TRL, padding-free": {"padding_free": True, "max_length": None},
    "TRL, packed": {"packing": True},
}


class StepClock(TrainerCallback):
    """When each optimizer step ended, and how many useful tokens had entered the model by then."""

    def __init__(self, model: nn.Module) -> None:
        self.tokens = 0
        self.ends: list[tuple[float, int]] = []
        model.register_forward_pre_hook(self.count, with_kwargs=True)

    def count(self, model: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        """The tokens of one micro-batch, without padding."""
        mask = kwargs.get("attention_mask")
        self.tokens += int(mask.sum()) if mask is not None else kwargs["input_ids"].numel()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Notes the time; a GPU has finished its work by then."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append((time.perf_counter(), self.tokens))


def run_peer(name: str, options: Namespace, examples: Sequence[Example]) -> tuple[float, int]:
    """(seconds, useful tokens) of all steps after the first, which warms up."""
    model = random_model(options)
    clock = StepClock(model)
    rows = Dataset.from_list([as_row(example) for example in examples])
    with tempfile.TemporaryDirectory() as folder:
        make = make_trl if name in TRL else make_transformers
        make(name, model, rows, options, folder, clock).train()
    (first, tokens_then), (last, tokens_now) = clock.ends[0], clock.ends[-1]
    return last - first, tokens_now - tokens_then


def as_row(example: Example) -> dict[str, list[int]]:
    """What both libraries call a tokenised example."""
    ids = example.token_ids.tolist()
    labels = [IGNORE] * example.num_context + ids[example.num_context :]
    return {"input_ids": ids, "labels": labels}


def random_model(options: Namespace) -> nn.Module:
    """The shape with random weights, in the dtype a user would train it in: fp32 masters, bf16 by autocast."""
    config = named_shape(options.model)
    config.use_cache = False  # with a cache, packed documents would see each other
    with torch.device(options.device):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def common_arguments(options: Namespace, folder: str) -> dict[str, Any]:
    """Settings of both libraries; `micro_batch` examples at a time, `batch_size` a step."""
    return {
        "output_dir": folder,
        "max_steps": options.steps + 1,
        "per_device_train_batch_size": options.micro_batch,
        "gradient_accumulation_steps": max(1, options.batch_size // options.micro_batch),
        "learning_rate": 1e-5,
        "optim": "adamw_torch_fused",
        "bf16": options.dtype == "bfloat16",
        "use_cpu": options.device == "cpu",
        "gradient_checkpointing": options.activation_checkpointing == "full",
        "torch_compile": options.compile,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": options.device == "cuda",
    }


def make_transformers(
    name: str, model: nn.Module, rows: Dataset, options: Namespace, folder: str, clock: StepClock
) -> Trainer:
    """transformers' Trainer, padding each micro-batch, or laying it out as one row."""
    collator = (
        DataCollatorWithFlattening()
        if name.endswith("flattened")
        else DataCollatorForSeq2Seq(empty_tokenizer(), padding=True)
    )
    arguments = TrainingArguments(**common_arguments(options, folder), **TRANSFORMERS[name])
    return Trainer(
        model=model, args=arguments, train_dataset=rows, data_collator=collator, callbacks=[clock]
    )


def make_trl(
    name: str, model: nn.Module, rows: Dataset, options: Namespace, folder: str, clock: StepClock
) -> Trainer:
    """TRL's SFTTrainer; packed rows hold `row_tokens`, and a step has as many of them as hold its examples."""
    from trl import SFTConfig, SFTTrainer  # an optional peer

    settings = {"max_length": options.row_tokens, **common_arguments(options, folder), **TRL[name]}
    if name == "TRL, packed":
        tokens = sum(map(len, rows["input_ids"])) / len(rows) * options.batch_size
        settings["per_device_train_batch_size"] = 1
        settings["gradient_accumulation_steps"] = max(1, round(tokens / options.row_tokens))
    return SFTTrainer(
        model=model,
        args=SFTConfig(**settings),
        train_dataset=rows,
        processing_class=empty_tokenizer(),
        callbacks=[clock],
    )


def empty_tokenizer() -> PreTrainedTokenizerFast:
    """The examples are tokenised already; both libraries want to know how to pad."""
    vocabulary = {"<pad>": 0, "<s>": 1, "</s>": 2}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="</s>")),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
    )
