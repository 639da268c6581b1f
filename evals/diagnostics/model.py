"""The model that is looked at, and records as it meets them in training.

folder → load_model, load_tokenizer
record → training_example: the ids that training would make of it, by the very functions of the engine
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from datagen.records import Record
from engine import model as engine_model
from engine.examples import Example, encode, end_of_turn_ids
from engine.settings import StudentConfig
from evals.diagnostics.diagnosis import LEFT_OUT, Diagnosis, Row


def load_model(task: Diagnosis, **options: Any) -> PreTrainedModel:
    """The model in evaluation mode on the task's device: fp32 on a CPU, bf16 on a GPU. `options` are those of
    `from_pretrained`, such as `attn_implementation`."""
    device = torch.device(task.device)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    had_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(task.model, dtype=dtype, **options)
    finally:
        if had_bars:
            logging.enable_progress_bar()
    return model.to(device).eval()


def load_tokenizer(task: Diagnosis) -> PreTrainedTokenizerBase:
    """The model's tokenizer, with the chat template that training uses."""
    student = StudentConfig(model=str(task.model), chat_template=task.chat_template)
    return engine_model.load_tokenizer(student, task.model)


def training_example(
    task: Diagnosis, tokenizer: PreTrainedTokenizerBase, record: Record, objective: str
) -> Example:
    """What `objective` makes of a record: conditioning, target and end of turn as token ids."""
    rows = [(1, record.to_json())]
    where = Path(record.id)  # named in errors
    stops = end_of_turn_ids(tokenizer)
    ((_, example),) = encode(where, rows, tokenizer, objective, task.layout, stops)
    assert example is not None, "records of a diagnosis have every text"
    return example


def too_long(task: Diagnosis, example: Example) -> Row | None:
    """The row of a record that training would not take either; None where it fits."""
    if len(example) <= task.max_length:
        return None
    return {"id": example.id, LEFT_OUT: f"longer than train.max_length = {task.max_length} tokens"}
