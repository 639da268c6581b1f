"""Reinforcement learning from an export: TRL's GRPO trainer, rewarded by this project's own answer matching.

    EXPORT + PROMPTS (records: `prompt`, `final_answer` or `answer`) -> OUT, a model folder like EXPORT

    pip install -e .[peers]
    python -m launch.grpo_from_export RUN/train/cgd/export RUN/data/prompts.jsonl OUT --steps 100

Distillation is a warm start for this: a group of answers to a prompt teaches something only where some are right and
some are wrong, so a student that is never right would learn nothing here. A right answer earns 1 and a wrong one 0;
one that nobody can judge stays out of its group. Weights stay in fp32, as in our own engine: an update of 1e-6 would
vanish in bf16.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datagen.records import Record, read_records
from engine.command import exit_code_of, leave
from launch.judging import AnswerJudge


def reward(
    completions: Sequence[Sequence[dict[str, str]]], gold: Sequence[str], **_: Any
) -> list[float | None]:
    """Of every answer, the last turn of its conversation: 1.0, 0.0, or None where nobody can tell."""
    judge = AnswerJudge()
    verdicts = [
        judge.is_correct(turns[-1]["content"], expected)
        for turns, expected in zip(completions, gold, strict=True)
    ]
    return [None if verdict is None else float(verdict) for verdict in verdicts]


def as_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """What TRL asks, as a chat, and the gold answer for the reward; prompts without one are left out."""
    return [
        {"prompt": [{"role": "user", "content": record.prompt}], "gold": gold}
        for record in records
        if (gold := record.final_answer or record.answer)
    ]


def train(options: argparse.Namespace) -> dict[str, float]:
    """All steps; returns the last one's figures under TRL's names. Raises ValueError where TRL or a gold is missing."""
    import torch
    from datasets import Dataset

    try:
        from trl import GRPOConfig, GRPOTrainer
    except ImportError as error:
        raise ValueError(f"{error}: pip install -e .[peers]") from error

    records = read_records(options.prompts)
    rows = as_rows(records)
    if not rows:
        raise ValueError(f"{options.prompts} has no prompt with a gold answer to reward")
    print(f"{len(rows):,} of {len(records):,} prompts have a gold answer", flush=True)
    has_gpu = torch.cuda.is_available()
    config = GRPOConfig(
        output_dir=str(options.out),
        max_steps=options.steps,
        learning_rate=options.learning_rate,
        per_device_train_batch_size=options.prompts_per_step * options.answers,
        num_generations=options.answers,
        max_completion_length=options.max_tokens,
        model_init_kwargs={"dtype": "float32"},
        use_cpu=not has_gpu,
        bf16=has_gpu,
        gradient_checkpointing=has_gpu,
        seed=options.seed,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
    )
    trainer = GRPOTrainer(
        str(options.model), reward_funcs=reward, args=config, train_dataset=Dataset.from_list(rows)
    )
    trainer.train()
    trainer.model.config.use_cache = True  # off while training; the result is there to write
    trainer.save_model()
    (options.out / "training_args.bin").unlink(missing_ok=True)  # a pickle that nothing here reads
    last = [line for line in trainer.state.log_history if "reward" in line][-1]
    return {name: float(last[name]) for name in ("reward", "loss", "grad_norm")}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m launch.grpo_from_export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="the export that it starts from")
    parser.add_argument("prompts", type=Path, help="records, for example RUN/data/prompts.jsonl")
    parser.add_argument("out", type=Path, help="the folder of the result")
    whole: dict[str, Any] = {"type": int, "metavar": "N"}
    parser.add_argument("--steps", **whole, default=100, help="optimizer steps (100)")
    parser.add_argument("--answers", **whole, default=8, help="a prompt, compared in a group (8)")
    parser.add_argument("--prompts-per-step", **whole, default=4, help="(4)")
    parser.add_argument("--max-tokens", **whole, default=1024, help="of an answer (1024)")
    parser.add_argument("--learning-rate", type=float, default=1e-6, metavar="X", help="(1e-6)")
    parser.add_argument("--seed", **whole, default=0, help="(0)")
    options = parser.parse_args(arguments)

    def work() -> None:
        told = ", ".join(f"{name} {value:.3g}" for name, value in train(options).items())
        print(f"{options.out}: after {options.steps} steps {told}")

    return exit_code_of(work)


if __name__ == "__main__":
    leave(main())
