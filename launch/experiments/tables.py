"""The table of an experiment as text, and all of its files.

    results.json → report.md (what `cgd reproduce` prints), report.html, figure.svg

First the claims with their verdicts, then the paper's table with ours in it, then every number in full, and below
what is matched, what stands for what, and the command that makes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import floor, log10
from pathlib import Path
from typing import Any

from datagen.records import write_whole
from evals.benchmarks import BUILT_IN
from evals.report_cells import plain, table
from launch.experiments.figures import draw
from launch.experiments.grid import Grid
from launch.experiments.measures import NO_COLUMN
from launch.experiments.pages import OURS, page
from launch.experiments.results import collect_results

Json = Mapping[str, Any]
STATISTICS_NOTE = (
    "A value is the mean over seeds. Its 95 % interval is the wider of Student's t over seeds (three or more) and the "
    "interval over problems (Wilson's for shares, by the effective number of problems; else a bootstrap). Δ is paired: "
    "the same problems under the same seed. Its p is the larger of the paired t over seeds and the exact test over "
    "problems, corrected by Holm's method for all differences of the table; claims are corrected among themselves. "
    "“Not resolved” says nothing against a difference: so many problems and seeds do not show it."
)
FULL_HEADER = (
    "variant",
    "measure",
    "paper",
    "ours [95 %]",
    "Δ paper",
    "Δ ours [95 %]",
    "n / seeds",
    "verdict",
)
WITHOUT_REFERENCE = ("variant", "measure", "paper", "ours [95 %]", "n / seeds")
CLAIM_HEADER = ("claim", "measure", "difference [95 %]", "p", "verdict")
TRAINED_HEADER = (
    "variant",
    "seeds",
    "examples",
    "steps",
    "tokens",
    "supervised tokens",
    "learning rate",
)


def write_tables(grid: Grid, folder: Path) -> Path:
    """Writes report.md, report.html, figure.svg where there is one, and results.json last; returns the page's path."""
    results = collect_results(grid)
    content = json.dumps(results, indent=1, ensure_ascii=False).encode() + b"\n"
    drawing = folder / "figure.svg"
    if results["figure"]:
        write_whole(drawing, draw(results["figure"], alone=True).encode())
    else:
        drawing.unlink(missing_ok=True)
    write_whole(folder / "report.md", markdown(results).encode())
    write_whole(folder / "report.html", page(results, sections(results), notes(results)).encode())
    write_whole(folder / "results.json", content)
    return folder / "report.html"


def markdown(results: Json) -> str:
    """report.md."""
    parts = [f"# {plain(results['name'])} · {plain(results['title'])}", lede(results)]
    parts += [plain(results["shows"])]
    if results["expects"]:
        whose = "The paper" if results["paper"] else "Expected"
        parts.append(f"{whose}: {plain(results['expects'])}")
    for title, header, rows in sections(results):
        parts += [f"## {title}", table(header, rows)]
    if results["figure"]:
        parts += [f"![{plain(results['figure']['title'])}](figure.svg)"]
    parts += ["## Notes", "\n".join(f"- {plain(note)}" for note in notes(results))]
    parts.append(f"```\n{results['command']}\n```")
    return "\n\n".join(parts) + "\n"


def lede(results: Json) -> str:
    """Where it stands in the paper, and how it was run."""
    where = results["paper"] or "not in the paper"
    return (
        f"{where} ({results['source']}) · scale {results['scale']} · {seeds_text(results['seeds'])}"
    )


def seeds_text(seeds: Sequence[int]) -> str:
    """5 seeds (0, 1, 2, 3, 4)."""
    names = ", ".join(map(str, seeds))
    return f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'} ({names})"


def notes(results: Json) -> list[str]:
    """All of them."""
    absent = absent_measures(results) if results["rows"] else []
    without = [f"Nothing stands for {', '.join(absent)} at this scale."] if absent else []
    return [*results["notes"], *without, STATISTICS_NOTE]


def sections(results: Json) -> Iterator[tuple[str, Sequence[str], list[list[str]]]]:
    """(title, header, rows) of every table that has rows."""
    labels = {variant["name"]: variant["label"] for variant in results["variants"]}
    units = {measure["name"]: measure["unit"] for measure in results["measures"]}
    if results["claims"]:
        rows = [claim_line(claim, labels, titles_of(results), units) for claim in results["claims"]]
        yield "Claims", CLAIM_HEADER, rows
    absent = absent_measures(results)
    names = [name for name in units if name not in absent]
    rows_here = [row for row in results["rows"] if row["measure"] not in absent]
    if rows_here:
        titles = titles_of(results)
        header = ("", *(heading(titles[name], units[name]) for name in names))
        yield OURS, header, list(overview_lines(results, names))
        full = [full_line(row, labels, titles, units[row["measure"]]) for row in rows_here]
        shown = FULL_HEADER if results["reference"] else WITHOUT_REFERENCE
        kept = [FULL_HEADER.index(name) for name in shown]
        yield "In full", shown, [[line[place] for place in kept] for line in full]
    trained = [variant for variant in results["variants"] if variant["training"]]
    if trained:
        yield "Trained on", TRAINED_HEADER, [trained_line(variant) for variant in trained]


def titles_of(results: Json) -> dict[str, str]:
    """What the columns are called: where a problem set of the built-in world stands for a benchmark, that is said."""
    titles = {}
    for measure in results["measures"]:
        ours = ", ".join(name for name in measure["benchmarks"] if name in BUILT_IN)
        alone = ours and not measure["of"]
        titles[measure["name"]] = f"{measure['name']} ({ours})" if alone else measure["name"]
    return titles


def heading(name: str, unit: str) -> str:
    """A column with its unit."""
    return f"{name}, {unit}" if unit in ("%", "hours", "s") else name


def absent_measures(results: Json) -> list[str]:
    """Columns of the paper for which nothing stands at this scale, in any row."""
    there = {row["measure"] for row in results["rows"] if row["state"] != NO_COLUMN}
    return [measure["name"] for measure in results["measures"] if measure["name"] not in there]


def overview_lines(results: Json, names: Sequence[str]) -> Iterator[list[str]]:
    """A line a variant, a column a measure: `41.3 ± 3.4 (46.9)`."""
    units = {measure["name"]: measure["unit"] for measure in results["measures"]}
    by_place = {(row["variant"], row["measure"]): row for row in results["rows"]}
    for variant in results["variants"]:
        cells = [variant["label"]]
        for name in names:
            row, unit = by_place[variant["name"], name], units[name]
            paper = f" ({number(row['paper']['value'], unit)})" if row["paper"] else ""
            cells.append(with_reach(row, unit) + paper)
        yield cells


def with_reach(row: Json, unit: str) -> str:
    """`41.3 ± 3.4`: the longer side of the interval; in full it is given with both ends."""
    if row["state"] != "measured":
        return str(row["state"])
    if not row["interval"]:
        return number(row["value"], unit)
    low, high = row["interval"]
    reach = max(row["value"] - low, high - row["value"])
    return f"{number(row['value'], unit)} ± {number(reach, unit, like=row['value'])}"


def full_line(
    row: Json, labels: Mapping[str, str], titles: Mapping[str, str], unit: str
) -> list[str]:
    """Everything about one variant and measure."""
    paper, difference = row["paper"], row.get("difference")
    cells = [labels[row["variant"]], titles[row["measure"]], paper_text(paper, unit)]
    if row["state"] != "measured":
        cells += [row["state"], signed(row["paper_difference"], unit), "–", "–"]
        return [*cells, row["state"]]
    cells.append(with_ends(row["value"], row["interval"], unit))
    cells.append(signed(row["paper_difference"], unit))
    cells.append(signed_with_ends(difference, unit) if difference else "–")
    cells.append(size_text(row))
    if difference is None:
        return [*cells, "" if row["reference"] else "reference"]
    return [*cells, difference["verdict"]]


def paper_text(paper: Json | None, unit: str) -> str:
    """The paper's number, with its deviation where it prints one."""
    if paper is None:
        return "–"
    std = paper["std"]
    spread = "" if std is None else f" ± {number(std, unit, like=paper['value'])}"
    return number(paper["value"], unit) + spread


def size_text(row: Json) -> str:
    """`1,500 / 5`: problems, if there are any, and seeds; and of how many seeds where some are missing."""
    seeds = f"{row['seeds']}"
    if row["seeds_missing"]:
        seeds += f" of {row['seeds'] + row['seeds_missing']}"
    return f"{row['problems']:,} / {seeds}" if row["problems"] else f"– / {seeds}"


def claim_line(
    claim: Json, labels: Mapping[str, str], titles: Mapping[str, str], units: Mapping[str, str]
) -> list[str]:
    """One claim with its verdict."""
    first, second = (labels.get(claim[end], claim[end]) for end in ("first", "second"))
    measure = titles.get(claim["measure"], claim["measure"])
    cells = [f"{first} {claim['relation']} {second}", measure]
    difference = claim.get("difference")
    if difference is None:
        return [*cells, "–", "–", claim["verdict"]]
    p = difference["p"]
    corrected = "–" if p is None else short_p(difference["p_holm"])
    shown = signed_with_ends(difference, units[claim["measure"]])
    return [*cells, shown, corrected, claim["verdict"]]


def short_p(p_value: float) -> str:
    """p in a column of its own."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def trained_line(variant: Json) -> list[str]:
    """What one variant was trained on, in the mean over seeds."""
    facts = variant["training"]
    rate = facts["learning_rate"]
    counts = [
        f"{facts[name]:,.0f}" for name in ("examples", "steps", "tokens", "supervised_tokens")
    ]
    return [variant["label"], str(facts["seeds"]), *counts, "–" if rate is None else f"{rate:g}"]


def number(value: float, unit: str, like: float | None = None) -> str:
    """A figure in its unit: percent to a tenth, all else to three digits, or as many decimals as `like` has then."""
    if unit == "%":
        return f"{value:.1f}".replace("-", "−")
    size = abs(value if like is None else like)
    if 0 < size < 1e-4 or size >= 1e9:
        return f"{value:.2e}".replace("-", "−")
    decimals = max(0, 2 - floor(log10(size))) if size else 2
    return f"{value:,.{decimals}f}".replace("-", "−")


def signed(value: float | None, unit: str, like: float | None = None) -> str:
    """The same with its sign."""
    if value is None:
        return "–"
    shown = number(value, unit, like)
    return shown if value <= 0 else f"+{shown}"


def with_ends(value: float, interval: Sequence[float] | None, unit: str) -> str:
    """`41.3 [38.0, 44.9]`."""
    if not interval:
        return number(value, unit)
    low, high = (number(end, unit, like=value) for end in interval)
    return f"{number(value, unit)} [{low}, {high}]"


def signed_with_ends(difference: Json, unit: str) -> str:
    """`+4.2 [−1.0, +9.4]`; where nothing differs between problems and seeds there is no interval."""
    value, interval = difference["value"], difference["interval"]
    if not interval or interval[0] == interval[1]:
        return signed(value, unit)
    widest = max(abs(value), *map(abs, interval))
    low, high = (signed(end, unit, like=widest) for end in interval)
    return f"{signed(value, unit, like=widest)} [{low}, {high}]"
