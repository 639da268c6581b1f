"""The figures of an experiment, drawn from the numbers that results.json keeps.

    {"kind": "bars", …}                    a bar a variant, its interval, the paper's number as a hollow mark
    {"kind": "lines", "attention_phases"}  points with intervals, joined; a variant without an x is a level line
    {"kind": "loss_curves", "attention_…"} curves with bands, a panel a variant where there are several

Bars begin at zero. Losses have a logarithmic axis: objectives start from losses that are tenfold apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from launch.experiments.drawing import (
    DASHES,
    MARKS,
    Axis,
    axis_over,
    band,
    document,
    hue_of,
    hues_of,
    line,
    mark,
    path,
    shown,
    text,
    whisker,
)

Json = Mapping[str, Any]
WIDTH = 720.0
LABELS = 210.0
"""Room for the names of bars."""
ROW = 34.0
PANEL = 300.0
LEGEND_ROW = 20.0
LETTER = 6.6
"""About the width of a letter."""
FOOT = 46.0
LEVEL = "1 4"
"""The dash of a line without an x."""
SHIFT = 5.0
MOST_TICKS = 8
CURVES = ("loss_curves", "attention_layers", "attention_steps")


def draw(figure: Json, alone: bool = False) -> str:
    """The figure as SVG, for a page or (alone) as a file of its own."""
    body, height = bars(figure) if figure["kind"] == "bars" else panels(figure)
    label = f"{figure['title']}: {figure['y']}"
    return document(body, WIDTH, height, label, alone)


def bars(figure: Json) -> tuple[str, float]:
    """A row a variant."""
    points = [point for series in figure["panels"][0]["series"] for point in series["points"]]
    bottom = 8 + ROW * len(points)
    axis = axis_over(list(values_of(points)), LABELS, WIDTH - 20, zero=True)
    body = upright_grid(axis, 8, bottom)
    for place, point in enumerate(points):
        middle = 8 + ROW * (place + 0.5)
        zero, end = axis.place(0), axis.place(point["y"])
        hue = hue_of(point.get("method", ""), place)
        body.append(text(LABELS - 10, middle + 4, fitted(point["label"], LABELS - 16), "end", True))
        body.append(
            f'<rect class="f-bar h{hue}" x="{min(zero, end):g}" y="{middle - 9:g}" '
            f'width="{abs(end - zero):g}" height="18"/>'
        )
        if point["low"] is not None:
            low, high = axis.place(point["low"]), axis.place(point["high"])
            body.append(line(low, middle, high, middle, "f-whisker"))
            body += [line(at, middle - 4, at, middle + 4, "f-whisker") for at in (low, high)]
        if point["paper"] is not None:
            body.append(mark(axis.place(point["paper"]), middle, "diamond", "f-paper"))
    body.append(text((LABELS + WIDTH - 20) / 2, bottom + 34, figure["y"]))
    key = paper_key(points, LABELS, bottom + 56)
    return "".join([*body, *key]), bottom + FOOT + (LEGEND_ROW if key else 0)


def fitted(label: str, width: float) -> str:
    """As much of a name as there is room for."""
    room = int(width / LETTER)
    return label if len(label) <= room else label[: room - 1] + "…"


def values_of(points: Sequence[Json]) -> Iterator[float]:
    """Every figure that an axis must hold."""
    for point in points:
        yield from (point[k] for k in ("y", "low", "high", "paper") if point[k] is not None)


def upright_grid(axis: Axis, top: float, bottom: float) -> list[str]:
    """Ticks of a horizontal axis."""
    lines = [line(axis.place(m), top, axis.place(m), bottom, "f-grid") for m in axis.marks]
    return lines + [text(axis.place(m), bottom + 16, shown(m)) for m in axis.marks]


def paper_key(points: Sequence[Json], x: float, y: float) -> list[str]:
    """What the hollow marks are, where there are any."""
    if all(point["paper"] is None for point in points):
        return []
    said = "the paper's number, of its own models and benchmarks"
    return [mark(x + 5, y - 4, "diamond", "f-paper"), text(x + 18, y, said, "start")]


@dataclass(frozen=True)
class Look:
    """How one series is told from the others."""

    name: str
    hue: int
    dash: str
    mark: str
    shift: float
    """Points of several series at one x stand beside each other."""


def panels(figure: Json) -> tuple[str, float]:
    """One panel over the whole width, or two side by side; the legend is shared."""
    looks = looks_of(figure)
    across = 1 if len(figure["panels"]) == 1 else 2
    width = WIDTH / across
    every = [p for panel in figure["panels"] for s in panel["series"] for p in s["points"]]
    body, bottom = legend(list(looks.values()), figure)
    is_loss = figure["kind"] == "loss_curves"
    for place, panel in enumerate(figure["panels"]):
        left = width * (place % across)
        top = bottom + PANEL * (place // across)
        y = axis_over(list(values_of(every)), top + PANEL - FOOT - 8, top + 24, log=is_loss)
        x = x_axis(figure, every, left + 52, left + width - 16)
        title = f"{panel['title']}: {figure['y']}" if panel["title"] else figure["y"]
        body += frame(figure, fitted(title, width - 60), every, x, y)
        for series in panel["series"]:
            body += drawn(figure, series, looks[series["name"]], x, y)
    height = bottom + PANEL * -(-len(figure["panels"]) // across)
    key = paper_key(every, 52, height + 8)
    return "".join(body + key), height + (22 if key else 0)


def looks_of(figure: Json) -> dict[str, Look]:
    """A colour, a dash and a mark for each name."""
    series = {s["name"]: s for panel in figure["panels"] for s in panel["series"]}
    hues = hues_of([s.get("method", name) for name, s in series.items()])
    spread = SHIFT * (figure["kind"] not in CURVES)
    return {
        name: Look(
            name=name,
            hue=hues[place],
            dash=LEVEL if is_level(s) else DASHES[place % len(DASHES)],
            mark=MARKS[place % len(MARKS)],
            shift=spread * (place - (len(series) - 1) / 2),
        )
        for place, (name, s) in enumerate(series.items())
    }


def is_level(series: Json) -> bool:
    """Whether it has no place on the x axis."""
    return all(point["x"] is None for point in series["points"])


def x_axis(figure: Json, points: Sequence[Json], start: float, end: float) -> Axis:
    """By names, by progress from 0 to 1, or over the points."""
    if figure.get("names"):
        return Axis(-0.4, len(figure["names"]) - 0.6, start, end)
    if figure["kind"] == "loss_curves":
        return Axis(0.0, 1.0, start, end)
    known = [point["x"] for point in points if point["x"] is not None]
    return axis_over(known, start, end, log=bool(figure.get("log_x")))


def frame(figure: Json, title: str, points: Sequence[Json], x: Axis, y: Axis) -> list[str]:
    """Grid, ticks and what the axes say. A few places where points are get ticks of their own."""
    body = [line(x.start, y.place(m), x.end, y.place(m), "f-grid") for m in y.marks]
    body += [text(x.start - 7, y.place(m) + 4, shown(m), "end") for m in y.marks]
    body.append(line(x.start, y.start, x.end, y.start, "f-axis"))
    named: dict[float, str] = dict(enumerate(figure.get("names") or ()))
    places = sorted({point["x"] for point in points if point["x"] is not None})
    few = places if len(places) <= MOST_TICKS else x.marks
    for tick in named or few:
        body.append(text(x.place(tick), y.start + 17, named.get(tick) or shown(tick)))
    body.append(text((x.start + x.end) / 2, y.start + 34, figure["x"]))
    body.append(text(x.start, y.end - 8, title, "start", name=True))
    return body


def drawn(figure: Json, series: Json, look: Look, x: Axis, y: Axis) -> list[str]:
    """One series: a curve with its band, or points with their intervals."""
    points = [point for point in series["points"] if point["y"] is not None]
    levels = [y.place(point["y"]) for point in points if point["x"] is None]
    body = [path([(x.start, level), (x.end, level)], look.hue, LEVEL) for level in levels]
    placed = [point for point in points if point["x"] is not None]
    at = [(x.place(point["x"]) + look.shift, y.place(point["y"])) for point in placed]
    if len(at) > 1:
        body.append(path(at, look.hue, look.dash))
    if figure["kind"] in CURVES:
        known = [point for point in placed if point["low"] is not None]
        upper = [(x.place(point["x"]), y.place(point["high"])) for point in known]
        lower = [(x.place(point["x"]), y.place(point["low"])) for point in known]
        return [band(upper, lower, look.hue), *body] if len(known) > 1 else body
    for point, (px, py) in zip(placed, at, strict=True):
        if point["low"] is not None:
            low, high = y.place(point["low"]), y.place(point["high"])
            body.append(whisker(px, low, high, f"f-own h{look.hue}"))
        if point["paper"] is not None:
            body.append(mark(px, y.place(point["paper"]), look.mark, f"f-paper f-of h{look.hue}"))
        body.append(mark(px, py, look.mark, f"f-mark h{look.hue}"))
    return body


def legend(looks: Sequence[Look], figure: Json) -> tuple[list[str], float]:
    """The series by name, in as many rows as they need; and where the drawing may begin."""
    if len(looks) < 2:
        return [], 0.0
    body: list[str] = []
    at, row = 10.0, 18.0
    for look in looks:
        width = 46 + LETTER * len(look.name)
        if at + width > WIDTH and at > 10:
            at, row = 10.0, row + LEGEND_ROW
        body.append(path([(at, row - 4), (at + 26, row - 4)], look.hue, look.dash))
        if figure["kind"] not in CURVES and look.dash != LEVEL:
            body.append(mark(at + 13, row - 4, look.mark, f"f-mark h{look.hue}"))
        body.append(text(at + 32, row, look.name, "start", name=True))
        at += width + 14
    return body, row + 10
