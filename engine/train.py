"""Training, the page to read first: records, objective, examples, plan, step, checkpoint, export.

    python -m engine.train CONFIG                               one process: the debug mode, CPU or one GPU
    torchrun --nproc-per-node N -m engine.train CONFIG          N ranks, the same result

A step is exactly `batch_size` examples chosen by the seed; packing, accumulation and sharding change its speed and
nothing else. Killed and started again, a run continues after its newest checkpoint and ends with the same weights.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch

from engine.advice import memory_explained
from engine.agreement import from_main, on_every_rank
from engine.attempt import (
    claim_folder,
    described,
    finish,
    finished,
    require_same_on_all_ranks,
    sole_user,
    training_file,
)
from engine.attempt_log import Attempt
from engine.balance import plan_step
from engine.begin import begin
from engine.checkpoint import load_newest
from engine.command import NotFinite, exit_code_of, leave
from engine.config import read_config
from engine.examples import Example, load_examples
from engine.export import export
from engine.flops import arithmetic_of
from engine.interruption import Interrupted, Interruption
from engine.marking import encodable, first_example
from engine.metrics import MetricsLog, Steps, measure_step
from engine.model import Student, fetch_folder, load_config, load_tokenizer, shard_student
from engine.model_card import Trained
from engine.optim import clip_gradients, learning_rate_at, make_optimizer, set_learning_rate
from engine.packing import Pack, examples_of_step, fixed_shape, make_packs, num_steps
from engine.parallel import World, require_precision, start_world
from engine.progress import tokens_before
from engine.saving import Saver
from engine.settings import (
    OTHER_SECTIONS,
    RunConfig,
    StudentConfig,
    TrainConfig,
    named,
    require_model,
)
from engine.status_file import Watch
from engine.trackers import require_trackers
from engine.weights import load_weights


def train(
    run: RunConfig,
    student: StudentConfig,
    config: TrainConfig,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> Path:
    """Trains, or continues to train, and returns the export folder. A finished run returns at once, saying so.

    `watch` hears how far it is.

    Raises ValueError, on every rank, for whatever a user can mend: data, model folder, or a run folder made with other
    settings; Interrupted, after a checkpoint, where a signal asked to leave.
    """
    folder = run.folder / "train" / config.objective
    with (
        start_world(config.shard_size, config.replicate_size) as world,
        Interruption() as interruption,
    ):
        on_every_rank(lambda: require_precision(config.precision, world.device))
        on_every_rank(lambda: require_trackers(config.report_to))
        source = on_every_rank(lambda: fetch_folder(student))
        data = on_every_rank(lambda: training_file(config.data, run.folder))
        settings = {"run": run, "student": student, "train": config}
        description = on_every_rank(lambda: described(settings, source, data))
        require_same_on_all_ranks(description)
        if from_main(lambda: finished(folder, description)) and not overwrite:
            world.say(f"{folder}: training is finished, nothing left to do")
            return folder / "export"
        with sole_user(folder, world):
            from_main(lambda: claim_folder(folder, description, overwrite))
            with (
                begin(folder, settings, source, data, world, watch) as attempt,
                memory_explained(config, world.size),
            ):
                train_and_export(
                    attempt, run.seed, student, config, source, data, world, interruption
                )
    return folder / "export"


def train_and_export(
    attempt: Attempt,
    seed: int,
    student: StudentConfig,
    config: TrainConfig,
    source: Path,
    data: Path,
    world: World,
    interruption: Interruption,
) -> None:
    """The training in a folder that is its own, from its newest checkpoint or the student's files to the export."""
    folder = attempt.folder
    tokenizer = on_every_rank(lambda: load_tokenizer(student, source))
    task = (config.objective, config.layout, config.max_length, config.too_long, config.no_target)
    loaded = on_every_rank(lambda: load_examples(data, tokenizer, *task))
    model_config = on_every_rank(lambda: load_config(source))
    model = shard_student(model_config, config, world)
    optimizer = make_optimizer(model, config.learning_rate, config.weight_decay)
    first_step = load_newest(folder / "checkpoints", model, optimizer, world)
    if first_step == 0:
        on_every_rank(lambda: load_weights(model, source))
    world.say(f"{config.objective}: {loaded.summary()}")
    first = "\n".join(first_example(loaded.examples, tokenizer))
    world.say(f"{config.objective}: {encodable(first, sys.stdout.encoding)}")
    with Saver(model, optimizer, world, config.keep_checkpoints, config.async_save) as saver:
        job = Job(attempt, config, seed, loaded.examples, model, optimizer, world, saver)
        run_steps(job, first_step, interruption)
    trained = Trained(folder, student, loaded.counts(), world.size, world.device.type)
    export(model, tokenizer, source, trained, folder / "export", world)
    on_every_rank(lambda: finish(folder, loaded.counts(), world))


@dataclass(frozen=True)
class Job:
    """What the steps of one training work on."""

    attempt: Attempt
    config: TrainConfig
    seed: int
    examples: Sequence[Example]
    model: Student
    optimizer: torch.optim.Optimizer
    world: World
    saver: Saver

    @property
    def folder(self) -> Path:
        """The training's."""
        return self.attempt.folder


def run_steps(job: Job, first_step: int, interruption: Interruption) -> None:
    """All optimizer steps from `first_step` on, with a checkpoint every `save_every`.

    Raises Interrupted, after a checkpoint, where a signal asked to leave; NotFinite where loss or gradient is not.
    """
    config, world = job.config, job.world
    lengths = [len(example) for example in job.examples]
    total = num_steps(len(lengths), config.batch_size, config.epochs, config.max_steps)
    fixed = fixed_shape(config, world.device.type)
    arithmetic, mode = arithmetic_of(job.model.causal_lm), config.activation_checkpointing
    shown = (lengths, config.batch_size, config.epochs, job.seed)
    tokens_done, tokens = tokens_before(first_step, *shown), tokens_before(total, *shown)
    steps = Steps(config.objective, first_step, total, tokens_done, tokens)
    with MetricsLog(job.attempt, steps, config.report_to, world.is_main) as log:
        for step in range(first_step, total):
            started = time.perf_counter()
            torch.manual_seed(job.seed * 1_000_003 + step)  # a model with dropout resumes exactly
            batch = examples_of_step(len(lengths), config.batch_size, config.epochs, job.seed, step)
            plan = plan_step(batch, lengths, world.size, config.row_tokens)
            set_learning_rate(job.optimizer, rate := learning_rate_at(step, total, config))
            rows, reduction = plan.rows[world.rank], config.loss_reduction
            packs = make_packs(rows, plan.examples, job.examples, reduction, fixed)
            done = train_step(
                job.model, job.optimizer, packs, config, world, interruption.requested
            )
            of_step = [job.examples[i] for i in batch]
            if not done.is_finite:
                stop_at(job, step, done, of_step)
            seconds = time.perf_counter() - started
            efficiency = plan.efficiency(lengths, fixed)
            figures = (done.loss, rate, done.grad_norm, efficiency, seconds)
            log.write(measure_step(step + 1, *figures, of_step, arithmetic, mode, world))
            if done.leaves or (step + 1) % config.save_every == 0 or step + 1 == total:
                job.saver.save(job.folder / "checkpoints", step + 1)
            if done.leaves and step + 1 < total:
                job.saver.wait()
                raise Interrupted(
                    f"{config.objective}: told to stop, left after step {step + 1} of {total} with a checkpoint; "
                    "run the same command to continue"
                )


@dataclass(frozen=True)
class StepOutcome:
    """The same on every rank. `leaves`: some rank was told to stop."""

    loss: float
    grad_norm: float
    leaves: bool

    @property
    def is_finite(self) -> bool:
        """Whether the optimizer step was taken."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


def train_step(
    model: Student,
    optimizer: torch.optim.Optimizer,
    packs: Sequence[Pack],
    config: TrainConfig,
    world: World,
    wants_to_leave: bool = False,
) -> StepOutcome:
    """One optimizer step on this rank's rows.

    The weights of all targets of the step, over all rows and ranks, sum to one, so losses and gradients only need to
    be added up: a token weighs the same however it was packed, accumulated or sharded. Where loss or gradient is not
    finite, the weights are left alone.
    """
    loss = torch.zeros((), device=world.device)
    for pack in packs:
        row_loss, _ = model(pack.to(world.device))
        row_loss.backward()  # fsdp reduce-scatters every row's gradients, so that they stay sharded
        loss += row_loss.detach()
    grad_norm = clip_gradients(model, config.max_grad_norm)
    sums = world.sum(torch.stack([loss, torch.full_like(loss, float(wants_to_leave))]))
    loss_sum, leave_votes, norm = torch.stack(
        [*sums, grad_norm.to(world.device)]
    ).tolist()  # the step's one host sync
    outcome = StepOutcome(loss_sum, norm, leave_votes > 0)
    if outcome.is_finite:
        optimizer.step()
    optimizer.zero_grad()
    return outcome


def stop_at(job: Job, step: int, outcome: StepOutcome, examples: Sequence[Example]) -> NoReturn:
    """Ends a run whose loss or gradient is not finite, with the state before the step kept to look at."""
    job.saver.save(job.folder / "non-finite", step)
    job.saver.wait()
    raise NotFinite(
        f"step {step + 1}: loss {outcome.loss}, gradient norm {outcome.grad_norm}; the weights were not changed by it "
        f"and lie in {job.folder / 'non-finite'}. Its examples: {', '.join(e.id for e in examples)}. Take a lower "
        "train.learning_rate (or mend these examples) and another run.name, or --overwrite"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine.train", description=__doc__)
    parser.add_argument("config", type=Path, help="TOML with [run], [student] and [train]")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="section.key=value"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="start anew; the old attempt is kept aside"
    )
    options = parser.parse_args(arguments)

    def work() -> None:
        sections = {"run": RunConfig, "student": StudentConfig, "train": TrainConfig}
        settings = read_config(options.config, sections, options.overrides, OTHER_SECTIONS)
        require_model(settings["student"], options.config)
        run = named(settings["run"], options.config)
        train(run, settings["student"], settings["train"], options.overwrite)

    return exit_code_of(work)


if __name__ == "__main__":
    leave(main())
