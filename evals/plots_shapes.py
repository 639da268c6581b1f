"""Shapes as inline SVG: how lengths are distributed, and how many records a stage lets through.

Both fill whatever width they get: the drawing's own units are stretched, so a phone and a desk have the same file.
Like all plots they hold numbers only; names and figures stand in the HTML around them.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from evals.plots import method_class


def histogram(counts: Sequence[int], median: float, style: str) -> Markup:
    """Bars side by side as one outline, as high as the fullest; `median` in bins from the left."""
    top = max([1, *counts])
    heights = [100 - 96 * count / top for count in counts]
    steps = "".join(f"V{height:.1f}H{place}" for place, height in enumerate(heights, start=1))
    return Markup(
        f'<svg class="histogram {style}" viewBox="0 0 {len(counts)} 100" '
        f'preserveAspectRatio="none" aria-hidden="true"><path class="area" d="M0 100{steps}V100Z"/>'
        f'<line class="median" x1="{median:.2f}" x2="{median:.2f}" y1="0" y2="100"/></svg>'
    )


def ribbon(into: int, out: int, most: int, right: int | None = None, method: str = "") -> Markup:
    """What goes in at the top and comes out at the bottom, as wide as it is many; what was lost leaves at the side.

    `most` is the count that fills the width; `right` of those that come out are known to be right, and drawn darker.
    """
    wide, narrow, dark = (100 * count / max(1, most) for count in (into, out, right or 0))
    lost = f'<rect class="right" x="0" y="30" width="{dark:.2f}" height="40"/>' if right else ""
    if narrow < wide:
        lost += f'<path class="lost" d="M{wide:.2f} 0L{wide:.2f} 70L{narrow:.2f} 100Z"/>'
    style = f"ribbon {method_class(method)}" if method else "ribbon"
    return Markup(
        f'<svg class="{style}" viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="area" d="M0 0H{wide:.2f}L{narrow:.2f} 100H0Z"/>{lost}</svg>'
    )


def bins(values: Sequence[int], top: int, count: int) -> list[int]:
    """How many values lie in each of `count` equal bins from 0 to `top`; the last holds all that are larger."""
    filled = [0] * count
    for value in values:
        filled[min(count - 1, int(value * count / top))] += 1
    return filled
