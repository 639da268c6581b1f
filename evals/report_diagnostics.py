"""Diagnostics on the page: every figure that `cgd diagnose` left, side by side for all models it looked at.

    diagnostics/NAME.json (the student), diagnostics/MODEL/NAME.json → figures by name, intervals drawn

A figure is a flat name; what ends in .low and .high is its interval, in .sd and .se its spread, in .p its p. They are
folded into one cell. The figures that answer a diagnostic's question are drawn as well, on one axis for all models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.report_cells import p_value
from evals.report_marks import BASE, Json
from evals.report_training import places

RECORDS = "records"
"""Stands for the model where a diagnostic looks at none."""
FOLDED = (".low", ".high", ".sd", ".se", ".p")
STUDENT = BASE
"""What lies in RUN/diagnostics itself was measured on the student."""


@dataclass(frozen=True)
class Drawn:
    """Figures of one diagnostic that share an axis."""

    title: str
    axis: tuple[float, float]
    figures: Mapping[str, str]
    """Name → what it is called beside the drawing."""
    factor: float = 100.0
    """Shares are drawn in percent."""


DRAWN = {
    "robustness": [
        Drawn(
            "right answers by what the student is shown, %",
            (0, 100),
            {
                "factual.accuracy": "its own critique",
                "irrelevant.accuracy": "one of another problem",
                "misleading.accuracy": "a false one",
                "none.accuracy": "no critique",
                "prompt.accuracy": "the prompt alone",
            },
        )
    ],
    "attention": [
        Drawn(
            "attention among problem, student answer and critique, %",
            (0, 100),
            {
                "of_three.problem": "problem",
                "of_three.student_answer": "student answer",
                "of_three.critique": "critique",
            },
        )
    ],
    "overlap": [
        Drawn(
            "words of the refinement that the critique has, too, %",
            (0, 100),
            {"token": "single words", "bigram": "pairs of words"},
        )
    ],
    "critique_quality": [
        Drawn(
            f"{trait}, 1 to 5",
            (1, 5),
            {
                f"control.{kind}.{trait}": f"{kind} critiques"
                for kind in ("real", "generic", "unrelated")
            },
            factor=1.0,
        )
        for trait in ("informativeness", "specificity")
    ],
    "gradients": [
        Drawn(
            "gradient norm that the critique takes away (RGNR), %",
            (-100, 100),
            {"rgnr": "ratio of means", "rgnr_per_record": "mean of ratios"},
        )
    ],
}


def diagnostic_results(run: Path, order: tuple[str, ...]) -> dict[str, Json]:
    """By diagnostic: its definition, and figures of every model; curves are left where they are."""
    root = run / "diagnostics"
    paths = [(STUDENT, path) for path in sorted(root.glob("*.json"))]
    paths += [(path.parent.name, path) for path in sorted(root.glob("*/*.json"))]
    place = places(order)
    paths.sort(key=lambda one: (place.get(one[0], len(place)), one[0]))
    found: dict[str, Json] = {}
    for model, path in paths:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict) or not {"definition", "figures", "n"} <= told.keys():
            continue
        entry = found.setdefault(
            path.stem, {key: told.get(key) for key in ("definition", "source")} | {"models": {}}
        )
        own = {key: told.get(key) for key in ("n", "figures", "notes")}
        name = RECORDS if told.get("model") is None else model
        if entry["models"].get(name, own) != own:
            name = f"{RECORDS}, beside {model}"  # others than those looked at before
        entry["models"][name] = own
    return dict(sorted(found.items()))


def diagnostic_header(entry: Mapping[str, Any]) -> list[str]:
    """Of the table of one diagnostic."""
    counts = {name: told["n"] for name, told in entry["models"].items()}
    return ["figure", *(f"{name} (n = {count:,})" for name, count in counts.items())]


def diagnostic_rows(entry: Mapping[str, Any]) -> Iterator[list[str]]:
    """One row a figure, with its interval, spread or p in the same cell."""
    models = [told["figures"] for told in entry["models"].values()]
    for name in dict.fromkeys(name for figures in models for name in stems(figures)):
        yield [name, *(cell(figures, name) for figures in models)]


def stems(figures: Mapping[str, float]) -> list[str]:
    """The names that stand for themselves. One whose stem is no figure (`difference.p`) does, too."""
    return [
        name
        for name in figures
        if not any(
            name.endswith(end) and stem_of(name.removesuffix(end), figures) is not None
            for end in FOLDED
        )
    ]


def stem_of(name: str, figures: Mapping[str, float]) -> str | None:
    """The figure that a spread belongs to: of `a.sd` that is `a` or `a.mean`."""
    return next((known for known in (name, f"{name}.mean") if known in figures), None)


def cell(figures: Mapping[str, float], name: str) -> str:
    """0.69 [0.648, 0.729], p < 0.001; or 1.33 ± 0.377, se 0.0168; or a dash. An end that is not defined is a dash."""
    if name not in figures:
        return "-"
    stem = name.removesuffix(".mean")
    low, high, sd, se, p = (figures.get(name + end, figures.get(stem + end)) for end in FOLDED)
    told = shown(figures[name])
    if sd is not None:
        told += f" ± {shown(sd)}"
    if low is not None or high is not None:
        told += f" [{shown(low)}, {shown(high)}]"
    if se is not None:
        told += f", se {shown(se)}"
    return told if p is None else f"{told}, p {p_value(p)}"


def shown(value: float | None) -> str:
    """Three digits; a dash for nothing."""
    if value is None:
        return "-"
    return f"{value:.3g}".replace("-", "−") if abs(value) < 1000 else f"{value:,.0f}"


def drawn_figures(name: str, entry: Mapping[str, Any]) -> Iterator[Json]:
    """What is drawn of one diagnostic: rows of (what, model, value, low, high) on an axis."""
    for drawing in DRAWN.get(name, ()):
        rows = [
            {"what": label, "model": model, "values": values, "text": in_words(values)}
            for key, label in drawing.figures.items()
            for model, told in entry["models"].items()
            if (values := with_interval(told["figures"], key, drawing.factor)) is not None
        ]
        if rows:
            yield {"title": drawing.title, "axis": within(drawing.axis, rows), "rows": rows}


def in_words(values: tuple[float, float, float]) -> str:
    """65.0 [52.4, 75.8], in the unit of the axis."""
    value, low, high = (f"{figure:.1f}".replace("-", "−") for figure in values)
    return value if low == high == value else f"{value} [{low}, {high}]"


def with_interval(
    figures: Mapping[str, float], key: str, factor: float
) -> tuple[float, float, float] | None:
    """A figure and its interval; a figure without one is a point."""
    value = figures.get(key, figures.get(f"{key}.mean"))
    if value is None:
        return None
    ends = (figures.get(f"{key}.{end}", value) for end in ("low", "high"))
    low, high = ends
    return factor * value, factor * low, factor * high


def within(axis: tuple[float, float], rows: Sequence[Json]) -> tuple[float, float]:
    """An axis around zero shrinks to what it must hold, in tens."""
    if axis[0] >= 0:
        return axis
    reach = max(abs(figure) for row in rows for figure in row["values"])
    reach = max(10.0, 10.0 * -(-reach // 10))
    return -reach, reach
