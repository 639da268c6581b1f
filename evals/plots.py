"""Plots as inline SVG: intervals on a common axis, and curves of training.

Widths are percentages and text keeps its size, so one plot serves a phone and a desk. Colours and dashes come
from the style sheet by class (`m-cgd`), so that dark mode changes them; an SVG holds numbers and nothing else,
names stand in the HTML around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, isfinite, log10

from markupsafe import Markup, escape

from evals.report_visible import visible

KNOWN_METHODS = frozenset({"base", "sft", "distilled_sft", "cft", "cgd_no_critique", "cgd"})
RUN_COLOURS = 7
SMALLEST_LOSS = 1e-6
CURVE_POINTS = 120
DASH = 0.02
"""Of the chart's width."""
Line = tuple[str, str, Sequence[float]]
"""A curve: what it is, its style class, its value at each step."""
ROOM = 3.0
"""Between an axis and the border of its drawing, in percent of the width: a point at an end is seen whole."""


def method_class(name: str) -> str:
    """The style class of a method, or of a round of it; unknown ones share one."""
    method = name.partition("-round-")[0]
    return f"m-{method}" if method in KNOWN_METHODS else "m-other"


def run_class(number: int) -> str:
    """The style class of a run among those that are compared; after seven the colours come again."""
    return f"m-run-{number % RUN_COLOURS}"


def interval_strip(figures: Sequence[float], axis: tuple[float, float], style: str) -> Markup:
    """A point and its interval (value, low, high) on a horizontal axis; the axis' ticks and zero are drawn faintly."""
    grid = [f'<line class="grid" x1="{at}%" x2="{at}%" y1="0" y2="100%"/>' for at in ticks_at(axis)]
    if axis[0] < 0 < axis[1]:
        zero = place(0, axis)
        grid.append(f'<line class="zero" x1="{zero}%" x2="{zero}%" y1="0" y2="100%"/>')
    x, start, end = (place(figure, axis) for figure in figures)
    return Markup(
        f'<svg class="strip {style}" aria-hidden="true">{"".join(grid)}'
        f'<line class="whisker" x1="{start}%" x2="{end}%" y1="50%" y2="50%"/>'
        f'<circle class="point" cx="{x}%" cy="50%" r="5.5"/></svg>'
    )


def axis_labels(axis: tuple[float, float], signed: bool = False, room: float = ROOM) -> Markup:
    """The figures under a column of strips, in percent, points or words."""
    labels = []
    for tick in ticks(*axis):
        text = (f"{tick:+.0f}" if signed and tick else f"{tick:,.0f}").replace("-", "−")
        at = place(tick, axis, room)
        anchor = "start" if at < 1 else "end" if at > 99 else "middle"
        labels.append(f'<text x="{at}%" y="13" text-anchor="{anchor}">{text}</text>')
    return Markup(f'<svg class="axis" aria-hidden="true">{"".join(labels)}</svg>')


def place(value: float, axis: tuple[float, float], room: float = ROOM) -> float:
    """Where a figure lies on the axis, in percent of the width, `room` away from both ends."""
    low, high = axis
    share = min(1.0, max(0.0, (value - low) / (high - low)))
    return round(room + (100 - 2 * room) * share, 2)


def ticks_at(axis: tuple[float, float]) -> list[float]:
    """The places of the ticks."""
    return [place(tick, axis) for tick in ticks(*axis)]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round figures within the range, about `count` of them or a few more."""
    rough = (high - low) / count
    magnitude = 10.0 ** floor(log10(rough))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= 0.75 * rough)
    return [k * step for k in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def symmetric_axis(figures: Sequence[float]) -> tuple[float, float]:
    """An axis around zero that holds all figures, in points."""
    reach = max([5.0, *(abs(figure) for figure in figures)])
    reach = 5.0 * ceil(reach / 5)
    return -reach, reach


def curve_chart(what: str, lines: Sequence[Line]) -> Markup:
    """A measure of training over normalised progress; each point is the mean of a slice of steps.

    The vertical axis is logarithmic: objectives start from losses that are tenfold apart.
    """
    means = [(name, style, slice_means(values, CURVE_POINTS)) for name, style, values in lines]
    smooth = [(name, style, points) for name, style, points in means if points]
    everything = [max(value, SMALLEST_LOSS) for *_, points in smooth for _, value in points]
    if not everything:
        return Markup("")
    axis = (log10(min(everything) / 1.1), log10(max(everything) * 1.1))
    drawn = [curve(style, points, axis) for _, style, points in smooth]
    marks = log_ticks(axis)
    rows = [
        f'<line class="grid" x1="0" x2="100%" y1="{height(m, axis)}%" y2="{height(m, axis)}%"/>'
        for m in marks
    ]
    texts = [
        f'<text x="-8" y="{height(mark, axis)}%" dy="4" text-anchor="end">{mark:.4g}</text>'
        for mark in marks
    ]
    ends = "; ".join(
        f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, _, points in smooth
    )
    title = escape(visible(f"{what} from the start to the end of training: {ends}"))
    return Markup(
        f'<svg class="chart" role="img"><title>{title}</title>{"".join(rows)}'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none">{"".join(drawn)}</svg>'
        f"{''.join(texts)}</svg>"
    )


def log_ticks(axis: tuple[float, float]) -> list[float]:
    """1, 2 and 5 of every power of ten within the axis; the powers alone where those are many, and round figures of
    equal distance where there would be fewer than three."""
    powers = range(floor(axis[0]), ceil(axis[1]) + 1)
    steps = (1, 2, 5) if len(powers) <= 4 else (1,)
    marks = [step * 10.0**power for power in powers for step in steps]
    within = [mark for mark in marks if axis[0] <= log10(mark) <= axis[1]]
    return within if len(within) > 2 else ticks(10 ** axis[0], 10 ** axis[1])


def height(loss: float, axis: tuple[float, float]) -> float:
    """Place on the logarithmic axis, in percent from above."""
    share = (log10(max(loss, SMALLEST_LOSS)) - axis[0]) / (axis[1] - axis[0])
    return round(100 - 100 * share, 2)


def curve(style: str, points: Sequence[tuple[float, float]], axis: tuple[float, float]) -> str:
    """One line of the chart; a point that is alone becomes a dash, since a line of one point is not drawn."""
    if len(points) == 1:
        ((place, loss),) = points
        points = [(place - DASH / 2, loss), (place + DASH / 2, loss)]
    path = " ".join(f"{100 * x:.2f},{height(loss, axis):.2f}" for x, loss in points)
    return f'<polyline class="curve {style}" points="{path}"/>'


def slice_means(losses: Sequence[float], slices: int) -> list[tuple[float, float]]:
    """(progress, mean loss) of equal slices of the run, progress being the middle of the slice.

    Losses that are not finite leave a slice the mean of the others, or no point at all.
    """
    slices = max(1, min(slices, len(losses)))
    borders = [round(index * len(losses) / slices) for index in range(slices + 1)]
    points = []
    for start, end in pairwise(borders):
        finite = [loss for loss in losses[start:end] if isfinite(loss)]
        if finite:
            points.append(((start + end) / 2 / len(losses), sum(finite) / len(finite)))
    return points
