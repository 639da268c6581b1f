"""Shared fixtures: tiny random models with a real tokenizer and chat template, made on the spot."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MixtralConfig,
    Olmo2Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from launch import cli

Run = Callable[..., tuple[int, str]]
"""Arguments of `cgd` -> (exit code, everything it printed)."""

CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CORPUS = [
    "What is 12 + 30? The answer is \\boxed{42}.",
    "Question: Student's Initial Answer: Critique: right wrong",
]
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}
CONFIGS: dict[str, Callable[..., Any]] = {
    "llama": lambda **kw: LlamaConfig(**SHAPE, tie_word_embeddings=False, **kw),
    "qwen2": lambda **kw: Qwen2Config(**SHAPE, tie_word_embeddings=True, **kw),
    "olmo2": lambda **kw: Olmo2Config(**SHAPE, tie_word_embeddings=False, **kw),
    "mixtral": lambda **kw: MixtralConfig(
        **SHAPE, tie_word_embeddings=False, num_local_experts=4, num_experts_per_tok=2, **kw
    ),
}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of a few hundred tokens with ChatML turns."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
    )


def save_tiny_model(folder: Path, family: str = "llama", seed: int = 0, **changes: Any) -> Path:
    """A random model of `family` with its tokenizer, as an ordinary model folder in fp32."""
    tokenizer = make_tokenizer()
    config = CONFIGS[family](
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **changes,
    )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama."""
    return save_tiny_model(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tiny random model of each family the engine claims to train."""
    root = tmp_path_factory.mktemp("models")
    return {family: save_tiny_model(root / family, family) for family in CONFIGS}


def make_records(count: int) -> list[dict[str, Any]]:
    """Records with every field of the method, of varied lengths."""
    return [
        {
            "id": f"r{i}",
            "prompt": f"What is {i} + {i * 3}?",
            "answer": f"It is \\boxed{{{4 * i}}}.",
            "source": "test",
            "student_answer": "I think " + "so " * (i % 7) + f"it is {i}.",
            "critique": "The sum is off. " * (1 + i % 3) + "Conclusion: wrong",
            "refined_answer": f"{i} + {i * 3} = {4 * i}. " * (1 + i % 4) + f"\\boxed{{{4 * i}}}",
            "teacher_answer": f"Adding gives \\boxed{{{4 * i}}}.",
        }
        for i in range(count)
    ]


@pytest.fixture
def records_file(tmp_path: Path) -> Path:
    """Twenty such records on disk."""
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in make_records(20)), encoding="utf-8")
    return path


@pytest.fixture
def cgd(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process: (exit code, everything it printed)."""

    def run(*arguments: object) -> tuple[int, str]:
        before = signal.getsignal(signal.SIGTERM)
        try:
            code = cli.main([str(argument) for argument in arguments])
        finally:
            signal.signal(signal.SIGTERM, before)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes, where this machine lets us have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here; mishaps.py limits file sizes instead")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Rehearsals take minutes, or start services of the system: they run on request alone."""
    if os.environ.get("CGD_SLOW") != "1":
        for item in items:
            if item.get_closest_marker("rehearsal"):
                item.add_marker(pytest.mark.skip(reason="slow: set CGD_SLOW=1"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--runs` and `--seed` of the fault test."""
    parser.addoption("--runs", type=int, help="trainings that test_fault.py kills over and over")
    parser.addoption("--seed", type=int, default=0, help="of the moments at which it kills them")
