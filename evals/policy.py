"""What counts as equal, beyond being equal: a benchmark's own rules for its answers.

The default is strict: exact values are compared exactly. A tolerance is a property of a benchmark
whose gold answers are measured figures, never of the grader. What the grader behind published tables
would have said is another question, and another module's: `compat`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """How two answers are compared."""

    relative_tolerance: float | None = None
    """Share of the gold answer by which a number may be off, where one side is inexact: written
    with a decimal point or in scientific notation. Integers and fractions stay exact."""
    absolute_tolerance: float | None = None
    """The error a benchmark states for a problem, as OlympiadBench does."""
    choices: int = 0
    """Options of a multiple-choice problem; 0 when it is none."""
    compat_units: bool = False
    """Whether `compat` leaves units in answers, as its reference does on Minerva-Math alone."""

    def __post_init__(self) -> None:
        for name in ("relative_tolerance", "absolute_tolerance"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be zero or more, got {value}")
        if not 0 <= self.choices <= 26:
            raise ValueError(f"choices must lie between 0 and 26, got {self.choices}")
