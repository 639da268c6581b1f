"""`cgd quickstart`: the packaged configuration; and the table that ends every whole run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from evals.report import summary_table
from launch.config import builtin_config, load_config
from launch.pipeline import run_pipeline

TOY = """\
This is a toy that shows the pipeline: a very small student, made-up word problems and a scripted teacher
that really checks. What follows was measured in this run, whatever the order of the methods; it says
nothing about models of a useful size.
"""


def run_quickstart(overrides: Sequence[str] = (), overwrite: bool = False) -> Path:
    """The whole loop on the built-in world; its last lines are the table and the report's path."""
    print(TOY, flush=True)
    folder = run_pipeline(load_config(builtin_config("quickstart"), overrides), overwrite)
    print_outcome(folder)
    return folder


def print_outcome(folder: Path) -> None:
    """The closing lines of a whole run: what every model reached, and where the report is."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    print(f"\n{summary_table(results)}\n\nreport: {(folder / 'report.html').resolve()}")
