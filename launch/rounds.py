"""Rounds: answer, critique, refine, train, and all again with the student that has come of it.

    round 1: student -> RUN/rounds/1/data -> RUN/rounds/1/train -> export
    round 2: that export answers the same prompts anew -> RUN/rounds/2/data -> ... -> export

Every round is a run of its own in a folder of its own, so it is resumed, inspected and exported like any
other. Evaluations stand side by side in RUN/evals, for one report.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from launch.config import Config


@dataclass(frozen=True)
class Round:
    """One round: its configuration, where its files go, and what its student is called."""

    number: int
    config: Config
    folder: Path
    objective: str

    @property
    def name(self) -> str:
        """Of what is trained here, among the evaluated models: `cgd-round-2`."""
        return f"{self.objective}-round-{self.number}"

    @property
    def export(self) -> Path:
        """The model that the round ends with."""
        return self.folder / "train" / self.objective / "export"


def rounds_of(config: Config, folder: Path) -> Iterator[Round]:
    """The rounds of a run, in order; each begins with the student that the one before has trained."""
    (objective,) = config.pipeline.objectives  # checked by PipelineConfig
    student = config.student
    for number in range(1, config.pipeline.rounds + 1):
        own = folder / "rounds" / str(number)
        run = replace(config.run, dir=str(own))
        made = Round(number, replace(config, run=run, student=student), own, objective)
        yield made
        student = replace(student, model=str(made.export), revision=None)
