"""The loss of each example of a step, under the student as it is before training.

    plan of a step → make_packs → Student.forward → nll of every target → per example, in nats

The rows are the step's own and run one after another in one process, weights sharded over a world of one. The
step's loss is the number that training writes for this step when nothing has been learnt yet: for step 1, its first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import AutoConfig

from engine.balance import StepPlan
from engine.examples import Example
from engine.model import shard_student
from engine.packing import make_packs
from engine.parallel import require_precision, start_world
from engine.settings import TrainConfig
from engine.weights import load_weights


@dataclass(frozen=True)
class ExampleLoss:
    """`nll` is the sum over the example's targets, `loss` their mean, both in nats."""

    id: str
    tokens: int
    supervised_tokens: int
    nll: float
    loss: float


@dataclass(frozen=True)
class StepLosses:
    """Examples by falling loss, and the step's loss as the configured reduction weighs them."""

    step_loss: float
    reduction: str
    examples: tuple[ExampleLoss, ...]


def losses_of_step(
    settings: TrainConfig, source: Path, examples: Sequence[Example], plan: StepPlan
) -> StepLosses:
    """One forward pass over the step's rows. Raises ValueError where the model folder is not sound."""
    alone = replace(settings, shard_size=None, compile=False, activation_checkpointing="none")
    rows = [row for rank in plan.rows for row in rank]
    found: list[ExampleLoss] = []
    step_loss = 0.0
    with start_world() as world, torch.no_grad():
        require_precision(settings.precision, world.device)
        student = shard_student(AutoConfig.from_pretrained(source), alone, world).eval()
        load_weights(student, source)
        packs = make_packs(rows, plan.examples, examples, settings.loss_reduction)
        for row, pack in zip(rows, packs, strict=True):
            loss, nll_S = student(pack.to(world.device))
            step_loss += loss.item()
            held = [examples[i] for i in row]
            parts = nll_S.cpu().split([example.num_supervised for example in held]) if held else ()
            found += [of_example(*pair) for pair in zip(held, parts, strict=True)]
    by_loss = sorted(found, key=lambda example: -example.loss)
    return StepLosses(step_loss, settings.loss_reduction, tuple(by_loss))


def of_example(example: Example, nll_S: torch.Tensor) -> ExampleLoss:
    """The loss of one example from the NLL of its targets."""
    nll = nll_S.double().sum().item()
    return ExampleLoss(example.id, len(example), len(nll_S), nll, nll / len(nll_S))
