"""The checkpoint that an epoch ended with: known for certain only when the training is finished.

training's summary and checkpoints -> the kept step nearest to the epoch's end; before that, the step as planned
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from engine.settings import TrainConfig

MOST_OFF = 0.05
"""Share of the training that a checkpoint may lie beside the end of its epoch."""


@dataclass(frozen=True)
class EpochEnd:
    """The end of an epoch, of a training of so many."""

    epoch: int
    epochs: float
    planned: int | None
    """The step, as far as settings say how many records there will be."""

    def step(self, training: Path) -> int | None:
        """The step to export; of a training that is not finished the planned one. Raises ValueError where no
        checkpoint near it was kept."""
        summary = training / "summary.json"
        if not summary.exists():
            return self.planned
        steps = json.loads(summary.read_text(encoding="utf-8"))["steps"]
        end = max(1, round(steps * self.epoch / self.epochs))
        names = [path.name.removeprefix("step-") for path in training.glob("checkpoints/step-*")]
        kept = sorted(int(name) for name in names if name.isdigit())
        nearest = min(kept, key=lambda step: abs(step - end), default=0)
        if abs(nearest - end) > MOST_OFF * steps:
            listed = ", ".join(map(str, kept)) or "none"
            raise ValueError(
                f"{training}: epoch {self.epoch} ends with step {end}, and the checkpoints kept are {listed}; let "
                "train.save_every and train.keep_checkpoints keep one near it"
            )
        return nearest


def planned_steps(settings: TrainConfig, records: int) -> int:
    """Steps of a training on so many records."""
    steps = -(-round(records * settings.epochs) // settings.batch_size)
    return steps if settings.max_steps is None else min(steps, settings.max_steps)
