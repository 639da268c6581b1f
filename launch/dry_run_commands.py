"""The commands of a run, as they are typed: on this machine, under torchrun, and as batch jobs of a cluster.

    one device        the command itself
    several devices   generate by workers -> torchrun for each training -> the command, which does the rest
    machines          --write-jobs, and submit.sh

Each can be pasted into a shell; `--set` goes along as far as the program reads it.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from launch.cluster.jobs import Cluster, Kind, describe_jobs, write_jobs
from launch.cluster.slurm import shell_line, training_command
from launch.config import PACKAGE, Config
from launch.dry_run_training import GPUS_OF_A_NODE, Size
from launch.verbs_dry_run import ON_NODES, SIZED, named
from launch.worker_processes import models_here

Facts = dict[str, Any]
ENGINE_SECTIONS = ("run.", "student.", "train.")
"""All that `python -m engine.train` reads of a configuration."""
KINDS: dict[str | None, Kind] = {None: "run", "data": "generate", "train": "train"}
DRY_SWITCHES = ("--dry-run", "--json")
DRY_VALUES = (*SIZED, *ON_NODES, "--write-jobs", "--expect", "--tokens-per-second")
"""Options that a dry run has and the command itself has not."""
FOLDER = Path("DIR")
"""Stands for the folder that --write-jobs would name."""


def commands(
    config: Config, options: argparse.Namespace, facts: Facts, size: Size
) -> list[dict[str, str]]:
    """What would be typed to do this on so many devices of a machine."""
    if wants_jobs(options):
        return job_commands(options)
    lines = [{"does": "this command", "line": own_command(options)}]
    if size.ranks == 1 or not facts.get("trainings") or config.pipeline.rounds > 1:
        return lines  # rounds follow one another in one process
    anew = ["--overwrite"] if facts["overwrite"] else []  # once: later commands go on with it
    found = []
    if facts.get("generation"):
        workers = ["--workers", str(size.ranks_per_node)] if models_here(config) else []
        generate = ["cgd", "generate", str(options.config), *settings(options), *workers, *anew]
        by = "records, by a worker on each device" if workers else "records"
        found.append({"does": by, "line": shlex.join(generate)})
        anew = []
    for training in facts["trainings"]:
        line = shell_line((*torchrun(config, options, training, size), *anew))
        found.append({"does": f"training {training['name']}", "line": line})
    rest = "what is left then" if options.verb_name in ("run", "quickstart") else "finds that done"
    own = [word for word in shlex.split(own_command(options)) if word != "--overwrite"]
    return [*found, {"does": rest, "line": shlex.join(own)}]


def job_commands(options: argparse.Namespace) -> list[dict[str, str]]:
    """What would be typed to have a cluster do it."""
    given = vars(options)
    asked = [(one, given.get(named(one))) for one in ON_NODES]
    more = [word for one, value in asked if value is not None for word in (one, str(value))]
    folder = str(options.write_jobs or FOLDER)
    write = shlex.join([*shlex.split(own_command(options)), "--write-jobs", folder, *more])
    submit = shlex.join(["bash", f"{folder}/submit.sh"])
    return [{"does": "the scripts", "line": write}, {"does": "their submission", "line": submit}]


def own_command(options: argparse.Namespace) -> str:
    """The command itself, without its dry run."""
    kept, skip = [], False
    for word in options.arguments:
        name, given, _ = word.partition("=")
        if skip:
            skip = False
        elif name in DRY_VALUES:
            skip = not given
        elif name not in DRY_SWITCHES:
            kept.append(word)
    return shlex.join(["cgd", *kept])


def settings(options: argparse.Namespace) -> Iterator[str]:
    """The overrides as they were typed."""
    for override in options.set:
        yield from ("--set", override)


def torchrun(
    config: Config, options: argparse.Namespace, training: Facts, size: Size
) -> tuple[str, ...]:
    """One training on all ranks. The engine alone knows no packaged student by name."""
    own = [text for text in options.set if text.strip().startswith(ENGINE_SECTIONS)]
    own = [text for text in own if not text.strip().startswith("train.objective")]
    own.append(f"train.objective={training['objective']}")
    if Path(config.student.model).parent == PACKAGE:
        own.append(f"student.model={config.student.model}")
    chosen = [part for text in own for part in ("--set", text)]
    return training_command(size.nodes, size.ranks_per_node, str(options.config), *chosen)


# ---- a cluster --------------------------------------------------------------------------------------


def described_jobs(config: Config, kind: str | None, options: argparse.Namespace) -> list[str]:
    """The scripts that would be written, where the command line asks for machines."""
    if not wants_jobs(options):
        return []
    folder = options.write_jobs or FOLDER
    return describe_jobs(config, cluster(options), folder, KINDS[kind])


def write_batch_jobs(config: Config, kind: str | None, options: argparse.Namespace) -> None:
    """Writes the scripts, and says how they are started."""
    if getattr(options, "overwrite", False):
        raise ValueError(
            "--overwrite goes with a run here: move the folder aside before --write-jobs"
        )
    folder = options.write_jobs
    started_by = write_jobs(config, cluster(options), folder, KINDS[kind])
    print(f"nothing was run; start with: bash {shlex.quote(str(started_by))}")


def wants_jobs(options: argparse.Namespace) -> bool:
    """Whether machines or a folder for scripts are named."""
    given = vars(options)
    return any(given.get(named(one)) is not None for one in (*ON_NODES, "--write-jobs"))


def cluster(options: argparse.Namespace) -> Cluster:
    """What was said of the machines; the rest is the default."""
    given = {named(one): getattr(options, named(one)) for one in ON_NODES}
    said = {name: value for name, value in given.items() if value is not None}
    return Cluster(**{"nodes": 1, "gpus_per_node": GPUS_OF_A_NODE, **said})
