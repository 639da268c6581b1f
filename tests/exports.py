"""Small trainings whose exports the tests look at, and what they look at them with."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from conftest import save_tiny_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.export import export_checkpoint
from engine.settings import RunConfig, StudentConfig, TrainConfig
from engine.toml import to_toml
from engine.train import train

TINY = TrainConfig(
    batch_size=6,
    learning_rate=1e-3,
    warmup_ratio=0.0,
    schedule="constant",
    epochs=2,
    max_length=512,
    precision="fp32",
    save_every=3,
    keep_checkpoints=9,
)


@dataclass(frozen=True)
class Run:
    """A finished training and what it was started with."""

    run: RunConfig
    student: StudentConfig
    config: TrainConfig

    @property
    def folder(self) -> Path:
        return self.run.folder / "train" / self.config.objective

    def export_step(self, step: int | None = None, **more: Any) -> Path:
        return export_checkpoint(self.run, self.student, self.config, step, **more)


def train_tiny(
    folder: Path,
    student: Path,
    rows: list[dict[str, Any]],
    chosen: StudentConfig | None = None,
    **changes: Any,
) -> Run:
    """Seven steps, all three checkpoints kept, unless changed."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "records.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run = RunConfig(name="tiny", dir=str(folder / "run"), seed=3)
    config = replace(TINY, data=str(data), **changes)
    done = Run(run, chosen or StudentConfig(model=str(student)), config)
    train(done.run, done.student, done.config)
    return done


def stored(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted(folder.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def contents(folder: Path, but: str = "README.md") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != but}


def config_file(tmp: Path, of: Run) -> Path:
    path = tmp / "config.toml"
    tables = {"run": of.run, "student": of.student, "train": of.config}
    path.write_text(to_toml(tables), encoding="utf-8")
    return path


QUESTIONS = {
    "What is 1 + 2?": "It is 3, so \\boxed{3}.",
    "What is 12 + 30?": "The answer is \\boxed{42}.",
    "Question: right or wrong?": "Student's answer is wrong.",
}


def train_by_heart(folder: Path) -> Run:
    """A model that knows the answers to QUESTIONS by heart, their end of turn included.

    The student it comes from names only <|endoftext|> as its stop, as some published ones do: an export that left it
    at that would run on. Its heads are as wide as vLLM wants them.
    """
    student = save_tiny_model(folder / "student", head_dim=32)
    for name in ("config.json", "generation_config.json"):
        edit_json(student / name, eos_token_id=0)
    edit_json(student / "tokenizer_config.json", eos_token="<|endoftext|>")
    rows = [{"prompt": question, "answer": answer} for question, answer in QUESTIONS.items()]
    steps = {"batch_size": 3, "epochs": 80, "save_every": 80}
    return train_tiny(folder, student, rows, objective="sft", learning_rate=1e-2, **steps)


def edit_json(path: Path, **changes: Any) -> None:
    """Sets keys; None removes one."""
    found = json.loads(path.read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in found.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


def ask_with_transformers(folder: Path, max_tokens: int = 60) -> list[list[int]]:
    """Greedy answers to QUESTIONS as token ids, with no stop but the folder's own."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    answers = []
    for question in QUESTIONS:
        inputs = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}],
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        output = model.generate(**inputs, max_new_tokens=max_tokens, do_sample=False)
        answers.append(output[0, inputs["input_ids"].shape[1] :].tolist())
    return answers
