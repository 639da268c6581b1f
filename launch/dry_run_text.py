"""A dry run as lines for a terminal, or as one JSON object: the same facts.

    Facts -> settings, stages, records, trainings, answers, commands, jobs

A part that has nothing to tell is left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from datagen.progress_bar import clock
from engine.plan_shapes import GIB
from engine.toml import show

Facts = dict[str, Any]
NOTHING_DONE = "Nothing was run or written."


def print_facts(facts: Facts, options: argparse.Namespace) -> None:
    """On stdout, as the command line asks."""
    if options.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False, default=str))
        return
    for line in lines_of(facts):
        print(line)


def lines_of(facts: Facts) -> Iterator[str]:
    """The parts that there are, an empty line between them."""
    yield from folder_lines(facts)
    parts: dict[str, Callable[[Any], Iterator[str]]] = {
        "changed": setting_lines,
        "stages": stage_lines,
        "generation": generation_lines,
        "trainings": training_lines,
        "evaluation": evaluation_lines,
        "notes": note_lines,
        "commands": command_lines,
        "jobs": job_lines,
    }
    for name, lines in parts.items():
        if facts.get(name):
            yield ""
            yield from lines(facts[name])
    yield ""
    yield f"{NOTHING_DONE} --json has all settings.{more_devices(facts)}"


def more_devices(facts: Facts) -> str:
    """How the commands and the memory of more devices are asked for."""
    alone = any(one["world_size"] == 1 for one in facts.get("trainings", ()))
    return " --world-size N --device NAME tells the same for N devices." if alone else ""


def folder_lines(facts: Facts) -> Iterator[str]:
    """Where the files go."""
    state = "goes on in it" if facts["run_folder_exists"] else "not there yet"
    if facts["overwrite"]:
        state = "what is there would be kept aside"
    yield f"run folder: {facts['run_folder']} ({state})"


def setting_lines(changed: Mapping[str, Any]) -> Iterator[str]:
    """Settings that differ from the defaults, by section."""
    yield "settings that differ from the defaults:"
    width = max(map(len, changed))
    for key, value in sorted(changed.items(), key=lambda pair: pair[0].split(".")[0]):
        yield f"  {key:{width}} = {show(value)}"


def stage_lines(stages: Sequence[Facts]) -> Iterator[str]:
    """Every stage, and how far it is."""
    left = sum(stage["state"] != "done" for stage in stages)
    yield f"stages: {left} of {len(stages)} left" if left else "stages: nothing is left to do"
    for number, stage in enumerate(stages, start=1):
        note = f": {stage['note']}" if stage["note"] else ""
        yield f"  {number:2}. {stage['name']:28} {stage['state']}{note}"


def generation_lines(found: Facts) -> Iterator[str]:
    """What the data stages take."""
    if "unknown" in found:
        most = "" if found["prompts"] is None else f" (at most {found['prompts']:,} prompts)"
        yield f"records: not known beforehand: {found['unknown']}{most}"
        return
    yield "records:"
    yield from (f"  {line}" for line in (*found["remarks"], *found["table"]))


def training_lines(found: Sequence[Facts]) -> Iterator[str]:
    """Trainings that are alike share their lines."""
    yield "trainings:"
    apart = ("name", "objective", "folder")

    def same(training: Facts) -> str:
        return str({key: value for key, value in training.items() if key not in apart})

    for _, group in groupby(found, same):
        alike = list(group)
        yield f"  {', '.join(training['name'] for training in alike)}: {steps_line(alike[0])}"
        each = "each " if len(alike) > 1 else ""
        yield from (f"    {each}{line}" for line in plan_lines(alike[0]))


def steps_line(training: Facts) -> str:
    """Examples and steps."""
    if training["steps"] is None:
        return "steps are not known before there are records"
    most = "at most " if training["assumed"] else ""
    examples = f", of {training['examples']:,} examples" if training["examples"] else ""
    yet = ", there are no records yet" if training["assumed"] else ""
    return f"{most}{training['steps']:,} steps{examples}{yet}"


def plan_lines(training: Facts) -> Iterator[str]:
    """Memory and time."""
    if "unknown" in training:
        yield f"memory is not known here: {training['unknown']}"
        return
    where = f"{training['world_size']} × {training['device']}"
    verdict = "fits" if training["fits"] else "DOES NOT FIT"
    full = ", as if all rows were full" if training["assumed"] else ""
    memory, usable = training["memory_of_a_rank"] / GIB, training["usable"] / GIB
    yield f"{memory:.1f} of {usable:.1f} GiB on each of {where}: {verdict}{full}"
    if training["change"]:
        yield f"to change, in this order until it fits: {'; '.join(training['change'])}"
    if training["seconds"]:
        share = f"{training['utilisation']:.0%} of the peak FLOP/s assumed"
        share += ", copies to and from the host not counted" if training["cpu_offload"] else ""
        yield f"about {clock(training['seconds'])} ({share})"
    else:
        yield "time is not known before a step was measured here"


def evaluation_lines(found: Sequence[Facts]) -> Iterator[str]:
    """Answers of each benchmark."""
    yield "answers of each model:"
    for one in found:
        count = (
            "as many as it asks" if one["problems"] is None else f"{one['answers_of_a_model']:,}"
        )
        yield f"  {one['benchmark']:28} {count} ({one['source']}), of at most {one['max_tokens']:,} tokens"


def note_lines(notes: Sequence[str]) -> Iterator[str]:
    """What else is known."""
    yield from notes


def command_lines(found: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """What is typed, and what for."""
    yield "commands:"
    for command in found:
        yield f"  # {command['does']}"
        yield f"  {command['line']}"


def job_lines(lines: Sequence[str]) -> Iterator[str]:
    """The scripts of a cluster."""
    yield "for Slurm (--write-jobs DIR writes them):"
    yield from lines
