"""Builds the base student of the built-in world from nothing: `python -m launch.base_student OUT`.

    curriculum texts -> tokenizer -> random Llama -> one engine run for each phase -> OUT-plain, OUT

Each phase is plain supervised fine-tuning with the project's own engine and goes on from the export of the one before.
OUT-plain is the student before the last phase, in which it meets criticism for the first time. Killed and started again
with the same OUT, the command goes on where it stopped.

The repository keeps `launch/student/` and `launch/student-plain/`. They were not made in one go: only the last two
phases were trained for them, going on from the student kept before, which had learnt the first three in the same way.
How long stories are drawn has changed a little since. So the command now draws other problems of the same kinds, and
what it makes is a student of the same schooling with other weights.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from datagen.curriculum import PHASES, Phase, Text
from datagen.word_problems import MAX_VALUE
from engine.settings import RunConfig, Schedule, StudentConfig, TrainConfig
from engine.train import train

VOCABULARY = 768
PADDING, TURN_START, TURN_END = "<|padding|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# A number of up to three digits is one piece, without the blank before it, so that it looks the same
# wherever it stands. Every number of the world becomes a token of its own: figure by figure, a model
# of this size makes slips in nearly every sum.
PIECES = Regex(r" [-+*/=] (?=[0-9])| ?\p{L}+|[0-9]{1,3}| ?[^\s\p{L}0-9]+|\s+")
NUMBERS = " ".join(str(number) for number in range(MAX_VALUE + 1))

SHAPE = {
    "hidden_size": 160,
    "intermediate_size": 432,
    "num_hidden_layers": 4,
    "num_attention_heads": 5,
    "num_key_value_heads": 5,
    "max_position_embeddings": 1024,
    "initializer_range": 0.05,
}


@dataclass(frozen=True)
class PhaseSettings:
    """How a phase is trained."""

    batch_size: int
    learning_rate: float
    warmup_ratio: float
    schedule: Schedule


SETTINGS = {
    "foundations": PhaseSettings(
        batch_size=16, learning_rate=2e-3, warmup_ratio=0.1, schedule="constant"
    ),
    "short": PhaseSettings(
        batch_size=12, learning_rate=1.5e-3, warmup_ratio=0.05, schedule="constant"
    ),
    "full": PhaseSettings(
        batch_size=12, learning_rate=1.5e-3, warmup_ratio=0.05, schedule="cosine"
    ),
    "wider": PhaseSettings(
        batch_size=12, learning_rate=1.5e-3, warmup_ratio=0.05, schedule="cosine"
    ),
    "dialogues": PhaseSettings(
        batch_size=12, learning_rate=1e-3, warmup_ratio=0.05, schedule="cosine"
    ),
}
TOKENIZER_UNTIL = "full"
"""The last phase that the tokenizer is learnt from: later words are spelt in its pieces."""
PLAIN_UNTIL = "wider"
"""The last phase of the plain student."""


def build_base_student(out: Path, steps_scale: float = 1.0, seed: int = 0) -> Path:
    """Trains the base student and puts it at `out`, and at `out`-plain what it was before the last phase.

    `steps_scale` makes every phase shorter."""
    plain = out.with_name(out.name + "-plain")
    work = out.with_name(out.name + ".work")
    for made in (out, plain):
        # a plain student beside a half-done work folder is this build's own
        if made.exists() and not (made == plain and work.exists()):
            raise ValueError(f"{made} exists already; remove it or name another folder")
    if steps_scale <= 0:
        raise ValueError(f"--steps-scale must be positive, got {steps_scale}")
    work.mkdir(parents=True, exist_ok=True)
    texts = {phase.name: list(phase.texts(seed, steps_scale)) for phase in PHASES}
    names = [phase.name for phase in PHASES]
    first = names[: names.index(TOKENIZER_UNTIL) + 1]
    student = _newborn(work / "newborn", [t for name in first for t in texts[name]], seed)
    for phase in PHASES:
        data = _write_texts(work / f"{phase.name}.jsonl", texts[phase.name])
        student = train(*_settings(phase, work, student, data, seed))
        if phase.name == PLAIN_UNTIL:
            _put(student, plain)
    _put(student, out)
    shutil.rmtree(work)
    return out


def _put(student: Path, out: Path) -> None:
    """A copy of the folder, whole or not at all."""
    if out.exists():
        return
    partial = out.with_name(out.name + ".partial")
    shutil.copytree(student, partial, dirs_exist_ok=True)
    os.replace(partial, out)


def _settings(
    phase: Phase, work: Path, student: Path, data: Path, seed: int
) -> tuple[RunConfig, StudentConfig, TrainConfig]:
    """The engine run of one phase."""
    settings = SETTINGS[phase.name]
    config = TrainConfig(
        data=str(data),
        objective="sft",
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        warmup_ratio=settings.warmup_ratio,
        schedule=settings.schedule,
        weight_decay=0.01,
        max_length=1024,
        too_long="error",
        precision="fp32",
        save_every=500,
        keep_checkpoints=1,
    )
    run = RunConfig(name=phase.name, seed=seed, dir=str(work / phase.name))
    return run, StudentConfig(model=str(student)), config


def _newborn(folder: Path, texts: Sequence[Text], seed: int) -> Path:
    """A folder with tokenizer and random weights; made once."""
    if folder.is_dir():
        return folder
    partial = folder.with_name(folder.name + ".partial")
    tokenizer = _chat_tokenizer(f"{text.prompt}\n{text.completion}" for text in texts)
    tokenizer.save_pretrained(partial)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **SHAPE,
    )
    torch.manual_seed(seed)
    LlamaForCausalLM(config).save_pretrained(partial)
    GenerationConfig(
        eos_token_id=[tokenizer.eos_token_id], pad_token_id=tokenizer.pad_token_id
    ).save_pretrained(partial)
    os.replace(partial, folder)
    return folder


def _chat_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte-level byte-pair encoding learnt from the texts: every text can be written in it."""
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(PIECES, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    pieces.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PADDING, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pieces.train_from_iterator(chain(texts, repeat(NUMBERS, 3000)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        eos_token=TURN_END,
        pad_token=PADDING,
        additional_special_tokens=[TURN_START],
        model_max_length=SHAPE["max_position_embeddings"],
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
    )


def _write_texts(path: Path, texts: Sequence[Text]) -> Path:
    """The phase as chat data for the engine."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps(text.row(), ensure_ascii=False) + "\n")
    os.replace(partial, path)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 done, 2 something the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m launch.base_student", description=__doc__)
    parser.add_argument("out", type=Path, help="the folder to make")
    parser.add_argument("--steps-scale", type=float, default=1.0, help="share of the usual steps")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        build_base_student(options.out, options.steps_scale, options.seed)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
