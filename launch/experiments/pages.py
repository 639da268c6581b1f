"""The page of an experiment: one HTML file in the look of a run's report, that loads nothing and runs no script.

    results + tables + figure → page.html.j2, with the style sheet of evals/report_style.j2

Labels come from files that anybody may write, so the template escapes everything; the content policy admits the
page's own style sheet by its hash, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import evals
from evals.report import csp_hash
from launch.experiments.drawing import STYLE
from launch.experiments.figures import draw

FOLDERS = (Path(__file__).parent, Path(evals.__file__).parent)
WORDS = frozenset({"variant", "claim", "verdict", "measure", ""})


def page(
    results: Mapping[str, Any],
    tables: Iterable[tuple[str, Sequence[str], list[list[str]]]],
    notes: Sequence[str],
) -> str:
    """The whole page as text."""
    environment = Environment(
        loader=FileSystemLoader(FOLDERS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["csp_hash"] = csp_hash
    figure = results["figure"]
    return environment.get_template("page.html.j2").render(
        results=results,
        figure_style=Markup(STYLE),
        figure=Markup(draw(figure)) if figure else None,
        tables=[
            {"title": title, "header": header, "rows": rows, "kinds": [kind(n) for n in header]}
            for title, header, rows in tables
        ],
        notes=notes,
    )


def kind(column: str) -> str:
    """Columns of words may wrap, columns of figures stand to the right."""
    own = "words" if column in WORDS else "figure"
    return f"{own} verdict" if column == "verdict" else own
