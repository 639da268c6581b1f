"""Which diagnostics there are, by the names that the configuration and the command line use."""

from __future__ import annotations

from evals.diagnostics import (
    attention,
    critique_quality,
    entropy,
    gradients,
    overlap,
    robustness,
)
from evals.diagnostics.diagnosis import Diagnostic

DIAGNOSTICS: dict[str, Diagnostic] = {
    "entropy": entropy.DIAGNOSTIC,
    "gradients": gradients.DIAGNOSTIC,
    "attention": attention.DIAGNOSTIC,
    "overlap": overlap.DIAGNOSTIC,
    "critique_quality": critique_quality.DIAGNOSTIC,
    "robustness": robustness.DIAGNOSTIC,
}
