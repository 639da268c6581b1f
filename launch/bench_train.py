"""`cgd bench train`: the engine beside transformers' Trainer and TRL's SFTTrainer, in one run.

The same model with random weights, the same CGD-shaped examples, the same device; every trainer in a process of its
own, in turns. Counted are *useful* tokens a second: padding does not count. The first step of each warms up.
"""

from __future__ import annotations

import statistics
import time
from argparse import Namespace
from collections.abc import Sequence
from importlib.util import find_spec

import torch

from engine.balance import plan_step
from engine.examples import Example
from engine.flops import arithmetic_of
from engine.metrics import peak_flops, peak_memory
from engine.model import Student, shard_student
from engine.optim import make_optimizer
from engine.packing import examples_of_step, fixed_shape, make_packs
from engine.parallel import World, start_world
from engine.settings import TrainConfig
from engine.train import train_step
from launch.bench_process import Figures, in_turns, reset_peak
from launch.bench_shapes import cgd_shaped, named_shape

OURS = "ours"


def run_bench(options: Namespace) -> str:
    """All rounds, and the table. Raises ValueError where a variant does not exist or fails."""
    names = chosen(options.only)
    return table(in_turns(names, options.rounds, "launch.bench_train:measure", options), options)


def chosen(only: str | None) -> list[str]:
    """Ours and every peer that is installed, or those whose name contains one of the comma-separated words."""
    names = [OURS]
    if find_spec("accelerate"):
        names += ["Trainer, padded", "Trainer, grouped by length", "Trainer, flattened"]
    if find_spec("trl"):
        names += ["TRL, padded", "TRL, padding-free", "TRL, packed"]
    if only is None:
        return names
    found = [name for name in names if any(word.strip() in name for word in only.split(","))]
    if not found:
        raise ValueError(
            f"--only {only} matches none of: {'; '.join(names)}. The peers come with "
            "`pip install 'critique-guided-distillation[peers]'`"
        )
    return found


def measure(name: str, options: Namespace) -> Figures:
    """One trainer in this process."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    config = named_shape(options.model)
    count = options.batch_size * (options.steps + 1)
    examples = cgd_shaped(
        count, options.mean_tokens, options.row_tokens, options.supervised, config.vocab_size
    )
    reset_peak(device)
    figures: Figures = {}
    if name == OURS:
        seconds, tokens = run_ours(options, examples, figures)
    else:
        from launch.bench_peers import run_peer  # the peers are optional

        seconds, tokens = run_peer(name, options, examples)
    return {"tokens_per_second": tokens / seconds, "peak": peak_memory(device), **figures}


def run_ours(
    options: Namespace, examples: Sequence[Example], figures: Figures
) -> tuple[float, int]:
    """(seconds, tokens) of all steps after the first: plan, packs and optimizer step, as train.py takes them."""
    config = TrainConfig(
        batch_size=options.batch_size,
        max_length=options.row_tokens,
        precision="bf16" if options.dtype == "bfloat16" else "fp32",
        activation_checkpointing=options.activation_checkpointing,
        compile=options.compile,
    )
    lengths = [len(example) for example in examples]
    fixed = fixed_shape(config, options.device)
    with start_world() as world:
        student = random_student(options.model, config, world)
        optimizer = make_optimizer(student, config.learning_rate, config.weight_decay)
        ends, tokens, flops = [], [], []
        for step in range(options.steps + 1):
            batch = examples_of_step(len(examples), config.batch_size, 1.0, 0, step)
            plan = plan_step(batch, lengths, world.size, config.row_tokens)
            packs = make_packs(plan.rows[world.rank], plan.examples, examples, "token", fixed)
            train_step(student, optimizer, packs, config, world)
            if world.device.type == "cuda":
                torch.cuda.synchronize()
            ends.append(time.perf_counter())
            tokens.append(sum(lengths[i] for i in batch))
            flops.append(flops_of(student, [examples[i] for i in batch]))
        seconds = ends[-1] - ends[0]
        if peak := peak_flops(world.device):
            figures["mfu"] = sum(flops[1:]) / seconds / peak
    return seconds, sum(tokens[1:])


def random_student(model: str, config: TrainConfig, world: World) -> Student:
    """The student as the engine trains it, with random weights in place of a file's."""
    student = shard_student(named_shape(model), config, world)
    with torch.no_grad():
        for parameter in student.parameters():
            if parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                parameter.normal_(std=0.02)
    return student


def flops_of(student: Student, examples: Sequence[Example]) -> float:
    """What one step needs, see engine/flops.py."""
    lengths = [len(example) for example in examples]
    num_supervised = sum(example.num_supervised for example in examples)
    return arithmetic_of(student.causal_lm).training(lengths, num_supervised)


def table(runs: dict[str, list[Figures]], options: Namespace) -> str:
    """Medians over rounds with their range, and how many times faster ours is in the same round, a line a trainer."""
    lines = [
        f"{options.model}, {options.dtype}, {options.device}, {torch.get_num_threads()} threads; {options.steps} steps "
        f"of {options.batch_size} examples after one to warm up, {options.mean_tokens} tokens each in the mean, "
        f"{options.supervised:.0%} supervised; rows of {options.row_tokens}, peers' micro-batches of "
        f"{options.micro_batch}; activation checkpointing {options.activation_checkpointing}, "
        f"compile {'on' if options.compile else 'off'}; {options.rounds} rounds",
        f"{'':28}{'tokens/s':>10}{'(range)':>18}{'peak GiB':>10}{'ours is':>9}{'(range)':>14}{'MFU':>8}",
    ]
    for name, results in runs.items():
        rates = [figures["tokens_per_second"] for figures in results]
        peak = statistics.median(figures["peak"] for figures in results) / 2**30
        spread = f"{min(rates):,.0f}-{max(rates):,.0f}"
        line = f"{name:28}{statistics.median(rates):10,.0f}{spread:>18}{peak:10.2f}"
        if OURS in runs and name != OURS:
            ratios = [
                mine["tokens_per_second"] / rate
                for mine, rate in zip(runs[OURS], rates, strict=True)
            ]
            line += f"{statistics.median(ratios):8.2f}×{min(ratios):7.2f}-{max(ratios):5.2f}×"
        elif "mfu" in results[0]:
            line += f"{statistics.median(figures['mfu'] for figures in results):31.1%}"
        lines.append(line)
    return "\n".join(lines)
