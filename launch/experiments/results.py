"""Everything that an experiment's table says, as one dictionary: the content of results.json.

    Grid + artifacts of its cells + paper.json → collect_results → results.json → table, page and figure

Values are in the measure's printed unit: shares in percent, their differences in percentage points. Nothing in it
depends on where or when it was made, so the same artifacts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from datagen.plan import digest
from launch.experiments.curves import figure_data
from launch.experiments.experiment import Measure, Variant
from launch.experiments.grid import Cell, Grid
from launch.experiments.matched import (
    TrainingFacts,
    code_note,
    codes_of,
    matched_notes,
    training_facts,
)
from launch.experiments.measures import NOT_RUN, Gap, Reading, read_measure
from launch.experiments.paper_numbers import source
from launch.experiments.rows import (
    Differences,
    Gaps,
    Json,
    Key,
    claims_of,
    differences_of,
    reference_of,
    row_of,
)

Cells = Mapping[str, Sequence[Cell]]
"""By variant."""
LIBRARIES = ("torch", "transformers", "numpy", "vllm")
TOY_NOTE = (
    "The built-in world is a toy, and its benchmarks only stand for the paper's: its figures say what happens "
    "in it, not how the methods rank on real models."
)

WORDS = {"paper", "title", "shows", "expects", "figure"}
"""Of an experiment: what changes no number."""
NOT_DRAWN = "The figure is not drawn: nothing of what it shows has been run."


def collect_results(grid: Grid) -> Json:
    """The table, the claims and the figure's numbers."""
    experiment, variants, measures = grid.experiment, grid.variants, grid.measures
    cells = {v.name: [cell for cell in grid.cells if cell.variant.name == v.name] for v in variants}
    read, gaps = read_all(grid, cells, measures)
    differences = differences_of(experiment.reference, variants, measures, read)
    rows = [
        row_of(variant, measure, against, read, gaps, differences)
        for variant in variants
        for against in [reference_of(variant, experiment.reference, variants)]
        for measure in measures
    ]
    drawn = figure_data(grid, cells, measures, rows)
    facts = {name: found for name, own in cells.items() if (found := training_facts(own))}
    claims = claims_of(experiment.claims, read, gaps, {m.name: m for m in measures})
    codes = codes_of(grid.cells)
    return {
        "name": experiment.name,
        "paper": experiment.paper,
        "title": experiment.title,
        "shows": experiment.shows,
        "expects": experiment.expects,
        "scale": grid.scale.name,
        "source": source(),
        "command": grid.cells[0].command if grid.cells else "",
        "seeds": list(grid.seeds),
        "reference": experiment.reference,
        "config_digest": config_digest(grid),
        "versions": versions(),
        "code": codes,
        "variants": [about_variant(variant, facts) for variant in variants],
        "measures": [about_measure(measure, grid) for measure in measures],
        "rows": rows,
        "claims": claims,
        "figure": drawn,
        "notes": [
            *notes_of(grid, cells, facts, measures, gaps, differences),
            *code_note(codes),
            *([NOT_DRAWN] if experiment.figure and drawn is None else []),
        ],
    }


def read_all(
    grid: Grid, cells: Cells, measures: Sequence[Measure]
) -> tuple[dict[Key, dict[int, Reading]], dict[Key, list[Gap]]]:
    """Readings by (variant, measure) and seed, and the gaps among them."""
    read: dict[Key, dict[int, Reading]] = {}
    gaps: dict[Key, list[Gap]] = {}
    for name, own in cells.items():
        for measure in measures:
            for cell in own:
                found = read_measure(cell, measure, grid.scale)
                if isinstance(found, Reading):
                    read.setdefault((name, measure.name), {})[cell.seed] = found
                else:
                    gaps.setdefault((name, measure.name), []).append(found)
    return read, gaps


def about_variant(variant: Variant, facts: Mapping[str, TrainingFacts]) -> Json:
    """What the row is, and what it was trained on."""
    found = facts.get(variant.name)
    return {
        "name": variant.name,
        "label": variant.title,
        "objective": variant.objective,
        "training": asdict(found) if found else None,
    }


def about_measure(measure: Measure, grid: Grid) -> Json:
    """What the column is, and what stands for it at this scale."""
    columns = grid.scale.averages.get(measure.name, ()) if measure.kind == "average" else ()
    asked = [measure.benchmark] if measure.benchmark else list(columns)
    benchmarks = [grid.scale.columns[name] for name in asked if name in grid.scale.columns]
    return {
        "name": measure.name,
        "kind": measure.kind,
        "unit": measure.unit,
        "benchmarks": benchmarks,
        "of": list(columns),
    }


def notes_of(
    grid: Grid,
    cells: Cells,
    facts: Mapping[str, TrainingFacts],
    measures: Sequence[Measure],
    gaps: Gaps,
    differences: Differences,
) -> list[str]:
    """What a reader must know: what is matched, what stands for what, what is missing."""
    notes = [TOY_NOTE] if grid.scale.name == "mini" else []
    notes += matched_notes(cells, facts)
    stands = {
        column: grid.scale.columns[column]
        for measure in measures
        for column in (measure.benchmark, *grid.scale.averages.get(measure.name, ()))
        if column in grid.scale.columns
    }
    if stands:
        told = ", ".join(f"{column} is {name}" for column, name in sorted(stands.items()))
        notes.append(f"Benchmarks at this scale: {told}.")
    for measure in measures:
        if measure.kind == "average" and (of := grid.scale.averages.get(measure.name)):
            notes.append(f"{measure.name} is the mean of {', '.join(of)}.")
    missing = sum(gap.state == NOT_RUN for found in gaps.values() for gap in found)
    if missing:
        notes.append(f"{missing} of the table's cells, counting every seed, are not run.")
    notes += dict.fromkeys(f"{gap.why}." for own in gaps.values() for gap in own if gap.why)
    left_out = sum(difference.left_out for difference, _ in differences.values())
    if left_out:
        notes.append(
            f"{left_out} answers had no counterpart with the same prompt and are not paired."
        )
    return notes


def config_digest(grid: Grid) -> str:
    """Of all that the table's numbers depend on: the experiment but for its words, and the pool's folders, which are
    named by what is in them."""
    told = {key: value for key, value in asdict(grid.experiment).items() if key not in WORDS}
    paths = [
        path
        for cell in grid.cells
        for path in (*cell.evaluations.values(), cell.training, cell.data, cell.diagnostics)
    ]
    return digest([told, [within_pool(path) for path in paths if path]])[:16]


def within_pool(path: Path) -> str:
    """The part of a path that says what is there, and not where."""
    parts = path.parts
    start = len(parts) - parts[::-1].index("pool") if "pool" in parts else -3
    return "/".join(parts[start:])


def versions() -> dict[str, str]:
    """Of the libraries that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
