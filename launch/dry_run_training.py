"""The trainings in a dry run: examples, steps, memory and time of each, by what `cgd plan` computes.

    what is left to train -> data that are there, or records to come -> make_plan -> Facts

Where the student's shape is not known on this machine, steps are still counted. Trainings that differ in their
objective alone have one plan as long as there are no data.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from engine.attempt import training_file
from engine.packing import num_steps
from engine.plan import Plan, make_plan
from engine.plan_rows import Assumptions
from engine.plan_shapes import USABLE_GIB
from engine.settings import RunConfig, StudentConfig, TrainConfig
from launch.config import Config
from launch.dry_run_data import expected_records
from launch.experiments.dry_run import shape_is_known
from launch.rounds import rounds_of

Facts = dict[str, Any]
GPUS_OF_A_NODE = 8
TO_COME = "records to come"
"""A run folder that is not there: what lies in the real one will not be used."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """On how many devices, and which."""

    nodes: int
    ranks_per_node: int
    device: str

    @property
    def ranks(self) -> int:
        """Of all machines."""
        return self.nodes * self.ranks_per_node

    @classmethod
    def of(cls, options: argparse.Namespace) -> Size:
        """As the command line says: so many of this machine's, or machines of a cluster."""
        given = vars(options)
        nodes, gpus = given.get("nodes"), given.get("gpus_per_node")
        device = given.get("device") or device_here()
        if nodes is not None or gpus is not None:
            if given.get("world_size") is not None:
                raise ValueError("--world-size is --nodes times --gpus-per-node: give one of them")
            ranks = GPUS_OF_A_NODE if gpus is None else max(1, gpus)
            return cls(nodes=nodes or 1, ranks_per_node=ranks, device=device)
        ranks = given.get("world_size")
        if ranks is not None and ranks < 1:
            raise ValueError(f"--world-size must be positive, got {ranks}")
        return cls(nodes=1, ranks_per_node=ranks or 1, device=device)


def device_here() -> str:
    """This machine's GPU as a plan knows it, by name or by size; `cpu` where there is none."""
    if not torch.cuda.is_available():
        return "cpu"
    name = torch.cuda.get_device_name()
    total = torch.cuda.get_device_properties(0).total_memory / 2**30
    near = [key for key in USABLE_GIB if key.split("-")[0] in name]
    known = [key for key in near if abs(USABLE_GIB[key] - total) < 2]
    return known[0] if known else f"{total:.0f}GB"


@dataclass(frozen=True)
class Training:
    """One training of a run: what it is called, its settings, and its folder."""

    name: str
    run: RunConfig
    student: StudentConfig
    train: TrainConfig
    folder: Path


def trainings_of(config: Config, folder: Path) -> Iterator[Training]:
    """Those of a run, in order; of several rounds, those of each."""
    if config.pipeline.rounds > 1:
        for one in rounds_of(config, folder):
            settings = replace(one.config.train, objective=cast(Any, one.objective))
            own = one.folder / "train" / one.objective
            yield Training(one.name, one.config.run, one.config.student, settings, own)
        return
    for name in config.pipeline.objectives:
        settings = replace(config.train, objective=cast(Any, name))
        yield Training(name, config.run, config.student, settings, folder / "train" / name)


def trainings(
    config: Config, folder: Path, open_folders: Collection[Path], size: Size, is_new: bool
) -> list[Facts]:
    """What each of those would take whose folder is named; `is_new`: data that are there will not be used."""
    found: list[Facts] = []
    planned: dict[TrainConfig, Facts] = {}
    for one in trainings_of(config, folder):
        if one.folder not in open_folders:
            continue
        has_data = not (is_new and one.train.data is None) and has_records(one)
        alike = one.train if has_data else replace(one.train, objective="cgd")
        if alike not in planned:
            planned[alike] = plan_of(config, one, has_data, size)
        about = {"name": one.name, "objective": one.train.objective, "folder": str(one.folder)}
        found.append(about | planned[alike])
    return found


def has_records(training: Training) -> bool:
    """Whether there is a file to train on already."""
    try:
        training_file(training.train.data, training.run.folder)
    except ValueError:
        return False
    return True


def plan_of(config: Config, training: Training, has_data: bool, size: Size) -> Facts:
    """Steps, memory and time, as far as they can be told here."""
    count = expected_records(config)
    assumed = Assumptions(num_examples=count or Assumptions.num_examples)
    run = training.run if has_data else replace(training.run, dir=TO_COME)
    # The students of later rounds are not there yet, but have the shape of the first.
    student = config.student
    facts: Facts = {"examples": None, "steps": None, "world_size": size.ranks}
    if not has_data:
        train = training.train
        steps = count and num_steps(count, train.batch_size, train.epochs, train.max_steps)
        facts |= {"examples": count, "steps": steps, "assumed": True}
    if not shape_is_known(student):
        device = size.device if size.device != "cpu" else "H100"
        fetches = f"`cgd plan CONFIG --world-size {size.ranks} --device {device}` fetches its shape"
        return facts | {"unknown": f"{student.model} is not on this machine; {fetches}"}
    made = make_plan(run, student, training.train, size.ranks, size.device, assumed=assumed)
    return facts | told(made, has_data, count)


def told(made: Plan, has_data: bool, count: int | None) -> Facts:
    """A plan's figures; memory in bytes, time in seconds."""
    seconds = made.duration.seconds_per_step
    steps = made.workload.num_steps if has_data or count else None
    return {
        "examples": len(made.workload.examples) if has_data else count,
        "steps": steps,
        "assumed": not has_data,
        "source": made.workload.source,
        "device": made.device.name,
        "memory_of_a_rank": made.memory.total,
        "usable": made.memory.usable,
        "fits": made.memory.fits,
        "tokens_per_step": made.tokens_per_step,
        "seconds": seconds and steps and seconds * steps,
        "utilisation": made.duration.utilisation,
        "cpu_offload": made.config.cpu_offload,
        "change": [knob.change for knob in made.knobs],
    }
