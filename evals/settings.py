"""The `[evaluate]` section: which benchmarks a model is asked, and how it answers.

Greedy by default, one answer a problem. Figures over seeds, as in Tables 5, 16 and 17 of arXiv
2505.11628, are `samples = 32`, `temperature = 0.6`, `seeds = [0, 1, 2]`: 96 answers a problem.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from datagen.generators import Sampling


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What a model is asked after training, and how it answers."""

    benchmarks: tuple[str, ...] = ("arithmetic", "arithmetic-format")
    """Built-in names, names of known benchmarks, NAME=PATH, or paths of local JSONL files."""
    benchmark_dir: str | None = None
    """A folder with NAME.jsonl of known benchmarks; unset, they come from the hub."""
    limit: int | None = None
    """The first N problems of each benchmark, in file order; all of a file, 300 of a built-in one
    by default."""
    samples: int = 1
    """Answers a problem and seed; more than one needs a temperature."""
    seeds: tuple[int, ...] = ()
    """Each draws `samples` answers a problem; unset, the run's own seed."""
    temperature: float = 0.0
    """0 is greedy decoding."""
    top_p: float = 1.0
    """Share of probability that sampling draws from."""
    max_tokens: int = 1024
    """An answer is cut there; the share of cut answers is reported."""
    wording: str | None = None
    """The template around each problem with an open answer, by name or path; the same as in
    training. Unset, a known benchmark's own, and `plain` for the rest."""
    batch_size: int = 16
    """Prompts that a local model answers at a time."""
    allow_code: bool = False
    """Code that a model wrote may be run, in a sandbox: HumanEval needs it."""
    compat: bool = True
    """Grade a second time as leniently as the grader behind published tables, a tenth of a
    millisecond an answer; reports show both where they differ."""
    grading_workers: int | None = None
    """Processes that grade while the model writes; unset, none for small evaluations."""

    def __post_init__(self) -> None:
        if not self.benchmarks:
            raise ValueError("evaluate.benchmarks must name at least one benchmark")
        for name in ("limit", "samples", "max_tokens", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"evaluate.{name} must be at least 1, got {value}")
        if self.grading_workers is not None and self.grading_workers < 0:
            raise ValueError(
                f"evaluate.grading_workers must be 0 or more, got {self.grading_workers}"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"evaluate.seeds names one twice: {list(self.seeds)}")
        if self.temperature == 0 and max(self.samples, len(self.seeds)) > 1:
            what = "samples" if self.samples > 1 else "seeds"
            value = self.samples if self.samples > 1 else list(self.seeds)
            raise ValueError(
                f"evaluate.{what} = {value} needs evaluate.temperature above 0: "
                "greedy answers are all the same"
            )
        self.sampling()  # its own bounds

    def sampling(self) -> Sampling:
        """How each answer is drawn."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)

    def what_matters(self, seed: int) -> dict[str, Any]:
        """What scores depend on, beside generator and problems."""
        return {
            "sampling": asdict(self.sampling()),
            "samples": self.samples,
            "seeds": list(self.seeds_or(seed)),
            "compat": self.compat,
        }

    def seeds_or(self, seed: int) -> tuple[int, ...]:
        """The seeds to sample with; `seed` is the run's."""
        return self.seeds or (seed,)
