"""Drawing a figure as one SVG: axes, bars, lines with whiskers, curves with bands, and the paper's points.

Ours are filled, the paper's are hollow. Series differ by colour (safe for the colour-blind), by dash and by mark, so a
black-and-white print keeps them apart. Colours come from a style sheet by class: the page holds it once, a file of its
own carries it inside, and dark mode changes it. Everything that is text is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from markupsafe import escape

from evals.plots import log_ticks, ticks

STYLE = """
.fig { --s0: #c94f00; --s1: #0072b2; --s2: #008a66; --s3: #b0568f; --s4: #b87800; --s5: #6b7280; --s6: #444b57;
  --fink: #1d1f23; --fsoft: #5d636d; --fgrid: #e3e0d8; --fback: #fbfaf7; }
@media (prefers-color-scheme: dark) {
  .fig { --s0: #ff8a4c; --s1: #62b5ea; --s2: #3fc99d; --s3: #e09cc6; --s4: #e8b04a; --s5: #9aa1ab; --s6: #c3c9d1;
    --fink: #e7e5df; --fsoft: #9aa1ab; --fgrid: #31353b; --fback: #15171a; }
}
.fig text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--fsoft); }
.fig text.f-name { fill: var(--fink); }
.f-back { fill: var(--fback); } .f-grid { stroke: var(--fgrid); } .f-axis { stroke: var(--fsoft); }
.f-bar { fill: var(--h); opacity: .8; } .f-band { fill: var(--h); opacity: .16; }
.f-whisker { stroke: var(--fink); stroke-width: 1.5; } .f-own { stroke: var(--h); stroke-width: 1.5; }
.f-line { fill: none; stroke: var(--h); stroke-width: 2; stroke-linejoin: round; }
.f-mark { fill: var(--h); stroke: var(--fback); }
.f-paper { fill: var(--fback); stroke: var(--fink); stroke-width: 1.5; }
.f-paper.f-of { stroke: var(--h); }
.h0 { --h: var(--s0); } .h1 { --h: var(--s1); } .h2 { --h: var(--s2); } .h3 { --h: var(--s3); }
.h4 { --h: var(--s4); } .h5 { --h: var(--s5); } .h6 { --h: var(--s6); }
"""
HUES = {
    "cgd": 0,
    "distilled_sft": 1,
    "cgd_no_critique": 2,
    "cft": 3,
    "sft": 4,
    "base": 5,
    "teacher": 6,
}
"""The report's colours; series of other names take them in turn."""
DASHES = ("", "8 4", "2 4", "10 3 2 3", "18 4", "4 2", "1 3")
MARKS = ("circle", "square", "triangle", "diamond", "down", "wide", "circle")
RADIUS = 4.5


@dataclass(frozen=True)
class Axis:
    """A range of figures and where it lies, in the drawing's units."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a figure lies; one that a logarithm cannot take lies at the start."""
        if self.log:
            if value <= 0:
                return self.start
            share = (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def marks(self) -> list[float]:
        """Round figures on it."""
        if self.log:
            return log_ticks((log10(self.low), log10(self.high)))
        return ticks(self.low, self.high)


def axis_over(
    values: Sequence[float], start: float, end: float, log: bool = False, zero: bool = False
) -> Axis:
    """An axis that holds these figures with a little room at both ends."""
    known = [value for value in values if value > 0] if log else list(values)
    low, high = (min(known), max(known)) if known else (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        return Axis(low / 1.25, high * 1.25, start, end, log=True)
    if zero:
        low, high = min(0.0, low), max(0.0, high)
    room = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
    return Axis(low if zero and low == 0 else low - room, high + room, start, end)


def hue_of(name: str, place: int) -> int:
    """The colour of a method, or of what has no method by its place."""
    return HUES.get(name, place % 7)


def hues_of(methods: Sequence[str]) -> list[int]:
    """Colours of series: those of their methods if these tell all of them apart, else one after the other."""
    own = [HUES.get(method) for method in methods]
    known = [hue for hue in own if hue is not None]
    if len(known) == len(set(known)) == len(methods):
        return known
    return [place % 7 for place in range(len(methods))]


def text(x: float, y: float, what: str, anchor: str = "middle", name: bool = False) -> str:
    """A line of text."""
    own = ' class="f-name"' if name else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{own}>{escape(what)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A straight line."""
    return f'<line class="{style}" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>'


def whisker(x: float, low: float, high: float, style: str) -> str:
    """An upright interval with its ends."""
    ends = (line(x - 3, at, x + 3, at, style) for at in (low, high))
    return line(x, low, x, high, style) + "".join(ends)


def mark(x: float, y: float, shape: str, style: str) -> str:
    """A point in one of MARKS."""
    r = RADIUS
    if shape == "circle":
        return f'<circle class="{style}" cx="{x:g}" cy="{y:g}" r="{r}"/>'
    corners = {
        "square": ((-r, -r), (r, -r), (r, r), (-r, r)),
        "triangle": ((0, -r - 1), (r + 0.5, r), (-r - 0.5, r)),
        "diamond": ((0, -r - 1.5), (r + 1.5, 0), (0, r + 1.5), (-r - 1.5, 0)),
        "down": ((0, r + 1), (r + 0.5, -r), (-r - 0.5, -r)),
        "wide": ((-r - 1, -r / 2), (r + 1, -r / 2), (r + 1, r / 2), (-r - 1, r / 2)),
    }[shape]
    points = " ".join(f"{x + dx:g},{y + dy:g}" for dx, dy in corners)
    return f'<polygon class="{style}" points="{points}"/>'


def path(points: Sequence[tuple[float, float]], hue: int, dash: str) -> str:
    """A line through points."""
    through = " ".join(f"{x:g},{y:g}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline class="f-line h{hue}"{dashed} points="{through}"/>'


def band(
    upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], hue: int
) -> str:
    """The area between two lines."""
    around = " ".join(f"{x:g},{y:g}" for x, y in [*upper, *reversed(lower)])
    return f'<polygon class="f-band h{hue}" points="{around}"/>'


def shown(value: float) -> str:
    """A figure at an axis."""
    return (
        f"{value:g}".replace("-", "−") if 1e-3 <= abs(value) < 1e5 or not value else f"{value:.0e}"
    )


def document(body: str, width: float, height: float, label: str, alone: bool) -> str:
    """The SVG; `alone`: as a file, with its style and background."""
    inside = (
        f'<style>{STYLE}</style><rect class="f-back" width="{width:g}" height="{height:g}"/>'
        if alone
        else ""
    )
    space = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    size = f' width="{width:g}" height="{height:g}"' if alone else ""
    return (
        f'<svg{space} class="fig" viewBox="0 0 {width:g} {height:g}"{size} role="img" '
        f'aria-label="{escape(label)}">{inside}{body}</svg>'
    )
