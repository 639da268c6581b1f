"""Pages of experiments: HTML files in the look of a run's report, that load nothing and run no script.

    results + tables + figure                → page.html.j2       one experiment
    results of all experiments of a scale    → overview.html.j2   claims, and ours beside the paper's

Labels come from files that anybody may write, so the templates escape everything; the content policy admits the
page's own style sheet by its hash, and nothing else (evals/report_page.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from evals.report_page import Table, page_environment, page_table
from launch.experiments.drawing import STYLE
from launch.experiments.figures import draw

FOLDER = Path(__file__).parent
OURS = "Ours, and the paper's in brackets"
"""The title of the table that an overview shows of each experiment."""

Tables = Iterable[tuple[str, Sequence[str], list[list[str]]]]


def page(results: Mapping[str, Any], tables: Tables, notes: Sequence[str]) -> str:
    """The whole page of one experiment as text."""
    figure = results["figure"]
    template = page_environment(FOLDER).get_template("page.html.j2")
    return template.render(
        results=results,
        figure_style=Markup(STYLE),
        figure=Markup(draw(figure)) if figure else None,
        tables=list(shown(tables)),
        notes=notes,
    )


def shown(tables: Tables) -> Iterable[Table]:
    """The tables as a page shows them."""
    for title, header, rows in tables:
        table = page_table(header, rows, title, words=1)
        if table is not None:
            yield table


def overview_page(
    found: Sequence[tuple[Mapping[str, Any], Tables, str | None]],
    header: Sequence[str],
    claims: Sequence[Sequence[str]],
    counts: Counter[str],
) -> str:
    """All experiments of a scale on one page: every claim, then each figure, its table and where its own page is."""
    experiments = [
        {
            "results": results,
            "figure": Markup(draw(results["figure"])) if results["figure"] else None,
            "table": next((one for one in shown(tables) if one["title"] == OURS), None),
            "page": address,
        }
        for results, tables, address in found
    ]
    template = page_environment(FOLDER).get_template("overview.html.j2")
    return template.render(
        scales=", ".join(dict.fromkeys(results["scale"] for results, *_ in found)),
        figure_style=Markup(STYLE),
        experiments=experiments,
        claims=page_table(header, claims, "Claims", words=3),
        counts=sorted(counts.items(), key=lambda one: (-one[1], one[0])),
    )
