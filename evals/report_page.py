"""What every page of ours has in common: one file, styles inside, no script, nothing loaded, all text escaped.

    template + values → page_environment → text; visible (hidden characters shown) and escaped on the way

The content policy admits the page's own style sheet by its hash and nothing else, so even a tag that slipped through
the escaping could neither run nor fetch. Templates lie beside this file; `report_style.j2` is the look of them all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evals import plots
from evals.report_cells import number
from evals.report_visible import visible

TEMPLATES = Path(__file__).parent
WORDS = frozenset(
    {"figure", "over", "missing", "verdict", "about it", "lost", "variant", "claim", "measure", ""}
)
"""Columns of words: they stand to the left and may wrap."""

Table = dict[str, Any]


def page_environment(*folders: Path) -> Environment:
    """Templates of these folders and of ours, with the filters that they use."""
    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=as_seen,
    )
    environment.filters |= {"csp_hash": csp_hash, "method_class": plots.method_class}
    environment.filters |= {"number": number}
    return environment


def as_seen(value: Any) -> Any:
    """Every plain text that a template prints, with its hidden characters shown. Markup is ours and stays."""
    return visible(value) if type(value) is str else value


def csp_hash(style: str) -> str:
    """The hash by which the content policy admits the page's own style sheet, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def page_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", words: int = 2
) -> Table | None:
    """A table for a page: figures stand to the right, the first `words` columns and those of WORDS to the left. A first
    cell that is the one above again is not shown a second time, but still told. None without rows."""
    lines = [list(row) for row in rows]
    if not lines:
        return None
    kinds = [
        "words" if name in WORDS else "figure" if place >= words else "name"
        for place, name in enumerate(header)
    ]
    again = [place > 0 and row[0] == lines[place - 1][0] for place, row in enumerate(lines)]
    return {"title": title, "header": header, "rows": lines, "kinds": kinds, "again": again}
