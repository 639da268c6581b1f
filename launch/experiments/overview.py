"""All experiments of a scale in one table: what the paper claims, what came out here, and how sure that is.

DIR/SCALE/NAME/results.json of every experiment (or results/SCALE/NAME.json, the kept ones) → overview.md, overview.html

python -m launch.experiments.overview runs/reproduce/mini
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datagen.records import write_whole
from evals.report_cells import plain, table
from launch.experiments.experiment_files import experiment_names
from launch.experiments.measures import NOT_RUN
from launch.experiments.pages import overview_page
from launch.experiments.tables import CLAIM_HEADER, claim_line, sections, titles_of

Json = Mapping[str, Any]
HEADER = ("experiment", *CLAIM_HEADER)
NO_CLAIM = "no claim to test"
NEEDED = {"title", "scale", "variants", "measures", "rows", "claims"}
"""Of a file of results; one without them is of something else."""


def write_overview(folder: Path) -> Path:
    """Writes overview.md and overview.html into a scale's folder and returns the path of the first."""
    found = read_results(folder)
    if not found:
        raise ValueError(
            f"{folder}: there are no results of experiments; run `cgd reproduce` first"
        )
    path = folder / "overview.md"
    write_whole(path, overview(found).encode())
    claims = [line for results in found for line in lines_of(results)]
    told = [(results, sections(results), page_of(folder, results)) for results in found]
    page = overview_page(told, HEADER, claims, verdict_counts(found))
    write_whole(folder / "overview.html", page.encode())
    return path


def page_of(folder: Path, results: Json) -> str | None:
    """Where the experiment's own page lies, as seen from the overview."""
    page = f"./{results['name']}/report.html"
    return page if (folder / page).exists() else None


def read_results(folder: Path) -> list[Json]:
    """The results of every experiment as it stands, in the order of the paper. Those made with --set or other seeds
    have other folders' names, and are not among them."""
    paths = [*folder.glob("*/results.json"), *folder.glob("*.json")]
    found: dict[str, Json] = {}
    for path in paths:
        results = json.loads(path.read_text(encoding="utf-8"))
        name = path.parent.name if path.name == "results.json" else path.stem
        if isinstance(results, dict) and results.get("name") == name and results.keys() >= NEEDED:
            found[name] = results
    order = {name: place for place, name in enumerate(experiment_names())}
    return sorted(found.values(), key=lambda one: (order.get(one["name"], len(order)), one["name"]))


def overview(found: Sequence[Json]) -> str:
    """The table and a count of the verdicts."""
    rows = [line for results in found for line in lines_of(results)]
    counts = verdict_counts(found)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    scales = ", ".join(dict.fromkeys(results["scale"] for results in found))
    total = sum(counts.values())
    return (
        f"# {len(found)} experiments at scale {plain(scales)}\n\n"
        f"{total} claims: {told or 'none'}. Differences are paired, with 95 % intervals; p is corrected for the claims "
        f"of the experiment (Holm).\n\n{table(HEADER, rows)}\n"
    )


def verdict_counts(found: Sequence[Json]) -> Counter[str]:
    """How many claims came out how."""
    return Counter(kind_of(c["verdict"]) for results in found for c in results["claims"])


def kind_of(verdict: str) -> str:
    """A verdict without its figures."""
    return "not resolved" if verdict.startswith("not resolved") else verdict.partition(":")[0]


def lines_of(results: Json) -> Iterator[list[str]]:
    """A line a claim; one line of an experiment without any."""
    labels = {variant["name"]: variant["label"] for variant in results["variants"]}
    units = {measure["name"]: measure["unit"] for measure in results["measures"]}
    name = f"{results['name']}: {results['title']}"
    for claim in results["claims"]:
        yield [name, *claim_line(claim, labels, titles_of(results), units)]
    if not results["claims"]:
        states = {row["state"] for row in results["rows"]}
        run = NOT_RUN if states == {NOT_RUN} else NO_CLAIM
        yield [name, "–", "–", "–", "–", run]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m launch.experiments.overview", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("folder", type=Path, help="DIR/SCALE, or a folder of kept results")
    print(write_overview(parser.parse_args(arguments).folder))


if __name__ == "__main__":
    main()
