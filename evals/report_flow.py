"""The flow of data: how many rows came in and out of every step, and why the others did not.

    data/selection.json    rows read → prompts: contaminated, duplicates
    data/summary.json      answer → critique → refine → teach: dropped by a gate, failed
    train/*/summary.json   rows → examples: too long, without a target

Runs whose records were made elsewhere have no such accounts; there the lines of the record files are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.report_compute import read_whole
from evals.report_generation import data_folder
from evals.report_marks import Json
from evals.report_training import parts_of

NAMES = {
    "answer": "student answers",
    "critique": "teacher criticises",
    "refine": "teacher refines",
    "teach": "teacher solves alone",
}
JUDGED = {"answer": "student", "refine": "refined", "teach": "teacher"}
"""Stages whose texts are answers, by what the account calls them."""
FILES = {"answers": "answer", "critiques": "critique", "refinements": "refine"}
FILES |= {"teacher_answers": "teach"}


def flow_results(
    run: Path, generation: Mapping[str, Any] | None, trainings: Sequence[Json]
) -> list[Json]:
    """The steps in order; of a run with rounds those of each round, one after the other."""
    steps: list[Json] = []
    counted = data_folder(run)
    for suffix, folder in parts_of(run):
        place = suffix.removeprefix("-").replace("-", " ")
        own = generation if folder / "data" == counted else None
        steps += [dict(step, part=place) for step in data_steps(folder, own)]
    return steps + [
        step(
            f"train {entry['objective']}",
            entry["rows"],
            entry["examples"],
            {"too long": entry["too_long"], "no target": entry["no_target"]},
            method=entry["objective"],
        )
        for entry in trainings
        if entry["rows"] is not None and entry["examples"] is not None
    ]


def data_steps(folder: Path, generation: Mapping[str, Any] | None) -> Iterator[Json]:
    """From rows to records; `generation` where its counts are of this folder."""
    selection = read_whole(folder / "data" / "selection.json")
    if "rows_seen" in selection:
        yield selection_step(selection)
    summary = read_whole(folder / "data" / "summary.json")
    if summary:
        rights = {stage: summary[f"{kind}_correct"] for stage, kind in JUDGED.items()}
        yield from (stage_step(stage, rights.get(stage["stage"])) for stage in summary["stages"])
    elif generation is not None:
        yield from counted_steps(generation["stages"])


def selection_step(selection: Mapping[str, Any]) -> Json:
    """Which rows became prompts. Those beyond the limit are not lost, they were not needed."""
    lost = {
        "like a benchmark's problem": selection["contaminated"],
        "exact duplicate": selection["exact_duplicates"],
        "near duplicate": selection["near_duplicates"],
    }
    rest = selection["rows_seen"] - selection["prompts"] - sum(lost.values())
    lost["beyond the limit"] = max(0, rest)
    return step("rows become prompts", selection["rows_seen"], selection["prompts"], lost)


def stage_step(stage: Mapping[str, Any], right: int | None) -> Json:
    """One stage that wrote texts, and how many of them answer matching found right."""
    lost = {f"dropped: {gate}": count for gate, count in stage["dropped"].items()}
    lost |= {f"failed: {kind}": count for kind, count in stage["failed"].items()}
    facts = [f"{right:,} right"] if right else []
    if stage["retried"]:
        facts.append(
            f"{stage['texts']:,} texts written, {stage['retried']:,} of them further attempts"
        )
    found = [
        f"{gate} {count:,}"
        for gate, count in stage["kept_with"].items()
        if count and gate != "right"
    ]
    if found:
        facts.append(f"kept, though found: {', '.join(found)}")
    name = NAMES.get(stage["stage"], stage["stage"])
    return step(name, stage["into"], stage["out"], lost, "; ".join(facts), right=right)


def counted_steps(stages: Sequence[Mapping[str, Any]]) -> Iterator[Json]:
    """Without an account: the lines of each file beside those of the one before."""
    before = None
    for stage in stages:
        name = NAMES.get(FILES.get(stage["stage"], ""), stage["stage"])
        into = stage["records"] if before is None else before
        yield step(name, into, stage["records"], {"not there": max(0, into - stage["records"])})
        before = stage["records"]


def step(
    name: str,
    into: int,
    out: int,
    lost: Mapping[str, int | None],
    note: str = "",
    right: int | None = None,
    method: str = "",
) -> Json:
    """One step of the flow."""
    reasons = {reason: count for reason, count in lost.items() if count}
    return {
        **{"step": name, "part": "", "into": into, "out": out},
        **{"right": right, "lost": reasons, "note": note, "method": method},
    }


def flow_header() -> list[str]:
    """Of the table in report.md."""
    return ["step", "in", "out", "lost", "about it"]


def flow_rows(flow: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """One row a step."""
    for one in flow:
        name = f"{one['part']}: {one['step']}" if one["part"] else one["step"]
        yield [name, f"{one['into']:,}", f"{one['out']:,}", lost_text(one), one["note"] or "-"]


def lost_text(one: Mapping[str, Any]) -> str:
    """`12: truncated 9, refusal 3`, or a dash."""
    total = sum(one["lost"].values())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in one["lost"].items())
    return f"{total:,} ({reasons})" if total else "-"
