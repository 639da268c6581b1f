"""`cgd reproduce --list`: each experiment, what it shows, what it needs at each scale, and what has been measured.

    experiments x scales -> grids (jobs, models, GPUs, hours) + results/SCALE/NAME.json (measured and kept)

Hours are those that a scale's file expects of a job, summed over the jobs of the experiment alone; experiments share
jobs, so that all together take less than their sum. The last lines say how much.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from launch.experiments.experiment import SCALES, Experiment, ScaleName
from launch.experiments.experiment_files import ALIASES, experiment_names, load_experiment
from launch.experiments.grid import Grid, expand
from launch.experiments.jobs import KINDS, Job, merged
from launch.experiments.reproduce import ALL, RESULTS
from launch.experiments.scale import Choice, Scale, load_scale

NOWHERE = Path("runs/reproduce")
"""Keys do not depend on where the pool lies."""
CHANGED_SINCE = " (the experiment or its scale was changed since)"
Facts = dict[str, Any]


def print_listing(names: Sequence[str], scale: str | None, as_json: bool) -> None:
    """The experiments, all or some, at all scales or one."""
    wanted = experiment_names() if not names or ALL in names else tuple(names)
    experiments = list({one.name: one for one in map(load_experiment, wanted)}.values())
    scales = [load_scale(name) for name in ([scale] if scale else SCALES)]
    grids = {
        one.name: [expand(e, one, NOWHERE / one.name) for e in experiments if one.name in e.scales]
        for one in scales
    }
    if as_json:
        told = [facts_of(one, grids) for one in experiments]
        print(json.dumps({"experiments": told}, indent=2, ensure_ascii=False))
        return
    for experiment in experiments:
        for line in lines_of(experiment, grids):
            print(line)
        print()
    for one in scales:
        print(total_line(one, grids[one.name]))


def lines_of(experiment: Experiment, grids: Mapping[ScaleName, Sequence[Grid]]) -> Iterator[str]:
    """One experiment."""
    others = [alias for alias, own in ALIASES.items() if own == experiment.name]
    also = f", also {', '.join(others)}" if others else ""
    place = f" ({experiment.paper})" if experiment.paper else ""
    yield f"{experiment.name}{also}: {experiment.title}{place}"
    yield f"    shows     {experiment.shows}"
    if experiment.expects:
        yield f"    claims    {experiment.expects}"
    for scale in grids:
        grid = next((g for g in grids[scale] if g.name == experiment.name), None)
        if grid is None:
            yield f"    {scale:9} not here"
            continue
        needs = needs_of(grid)
        kinds = ", ".join(f"{count} {kind}" for kind, count in needs["kinds"].items())
        yield f"    {scale:9} {needs['jobs']} jobs ({kinds}), {where(needs)}"
        yield from (f"              {line}" for line in needs["models"])
        yield f"              measured: {measured(grid)}"


def facts_of(experiment: Experiment, grids: Mapping[ScaleName, Sequence[Grid]]) -> Facts:
    """The same as data."""
    found = {
        scale: needs_of(grid) | {"measured": measured(grid)}
        for scale, every in grids.items()
        for grid in every
        if grid.name == experiment.name
    }
    about = ("name", "paper", "title", "shows", "expects")
    return {key: getattr(experiment, key) for key in about} | {"scales": found}


# ---- what it needs ----------------------------------------------------------------------------------


def needs_of(grid: Grid) -> Facts:
    """Jobs, models, GPUs and hours."""
    counted = Counter(job.kind for job in grid.jobs)
    return {
        "jobs": len(grid.jobs),
        "kinds": {kind: counted[kind] for kind in KINDS if counted[kind]},
        "seeds": list(grid.seeds),
        "models": list(models_of(grid)),
        "gpus": max((job.gpus for job in grid.jobs), default=0),
        "device": grid.scale.device if grid.scale.gpus else "CPU",
        "hours": hours_of(grid.jobs),
        "hours_source": grid.scale.hours.source,
    }


def where(needs: Facts) -> str:
    """On what, and for how long."""
    on = f"{needs['gpus']} × {needs['device']}" if needs["gpus"] else str(needs["device"])
    unit = "GPU-hours" if needs["gpus"] else "hours"
    hours = "hours not known" if needs["hours"] is None else f"{needs['hours']:,.1f} {unit}"
    return f"{len(needs['seeds'])} seeds, {on}, {hours}"


def models_of(grid: Grid) -> Iterator[str]:
    """Students and teachers, as the scale calls them."""
    for kind in ("student", "teacher"):
        known = getattr(grid.scale, f"{kind}s")
        names = dict.fromkeys(
            getattr(v, kind) for v in grid.variants if kind == "student" or v.is_trained
        )
        if labels := dict.fromkeys(called(name, known[name]) for name in names):
            yield f"{kind}{'s' * (len(labels) > 1)}: {' | '.join(labels)}"


def called(name: str, choice: Choice) -> str:
    """`plain student (for S1.1-3B)`."""
    label = choice.label or name
    return f"{label} (for {choice.paper})" if choice.paper not in ("", label) else label


def hours_of(jobs: Sequence[Job]) -> float | None:
    """Of those jobs that cost any; None where one of them is not known."""
    asked = [job.hours for job in jobs if job.kind not in ("mixture", "export")]
    return None if None in asked else round(sum(hours or 0.0 for hours in asked), 1)


def total_line(scale: Scale, grids: Sequence[Grid]) -> str:
    """All of them together."""
    jobs = merged(job for grid in grids for job in grid.jobs)
    apart = sum(len(grid.jobs) for grid in grids)
    hours = hours_of(jobs)
    unit = "GPU-hours" if scale.gpus else "hours on one core"
    time = "hours not known" if hours is None else f"{hours:,.1f} {unit}"
    source = f" ({scale.hours.source})" if scale.hours.source else ""
    together = f"{len(jobs):,} jobs, each once ({apart:,} if none were shared)"
    title = f" ({scale.title})" if scale.title else ""
    return f"{scale.name}{title}: {len(grids)} experiments, {together}, {time}{source}"


# ---- what was measured ------------------------------------------------------------------------------


def measured(grid: Grid) -> str:
    """The headline of the results that are kept beside the experiment, and whether they are still of what it says."""
    path = RESULTS / grid.scale.name / f"{grid.name}.json"
    if not path.is_file():
        return "not yet"
    from launch.experiments.results import config_digest  # loads what compares

    found = json.loads(path.read_text(encoding="utf-8"))
    is_current = found.get("config_digest") == config_digest(grid)
    return headline(found) + ("" if is_current else CHANGED_SINCE)


def headline(found: Facts) -> str:
    """The first claim with its difference, or else the first number."""
    claims = [claim for claim in found["claims"] if claim.get("difference")]
    if claims:
        first, difference = claims[0], claims[0]["difference"]
        what = f"{first['first']} − {first['second']} on {first['measure']}"
        others = len(claims) - 1
        more = f"; {others} more claim{'s' * (others > 1)}" if others else ""
        return f"{what} {spread(difference)}, {n_of(difference)}: {first['verdict']}{more}"
    row = next((row for row in found["rows"] if row["value"] is not None), None)
    if row is None:
        return "nothing came of it"
    return f"{row['variant']}: {row['measure']} {spread(row)}, {n_of(row)}"


def spread(found: Facts) -> str:
    """A value with its interval."""
    low, high = found["interval"] or (None, None)
    return f"{found['value']:.2f}" + ("" if low is None else f" [{low:.2f}, {high:.2f}]")


def n_of(found: Facts) -> str:
    """How much it rests on."""
    problems = f"{found['problems']:,} problems, " if found.get("problems") else ""
    return f"{problems}{found['seeds']} seeds"
