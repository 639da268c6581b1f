"""Mean, standard deviation and standard error of measurements, under the names that figures have."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np


def moments(name: str, values: Sequence[float]) -> dict[str, float]:
    """`name.mean`, and `name.sd` (ddof 1) and `name.se` where there are two values or more."""
    figures = {f"{name}.mean": float(np.mean(values))}
    if len(values) > 1:
        spread = float(np.std(values, ddof=1))
        figures |= {f"{name}.sd": spread, f"{name}.se": spread / sqrt(len(values))}
    return figures
