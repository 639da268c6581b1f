"""`cgd diagnose --dry-run`: which diagnostics, of which model, on which records, and what is done already.

    names -> records on disk (counted) + model folder + judge -> Facts

No model is read. A finished diagnostic counts as done, though it is measured anew where its settings have changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from datagen.records import read_records
from engine.settings import StudentConfig
from evals.diagnostics.registry import DIAGNOSTICS
from launch.config import Config, load_config
from launch.diagnose import find_model, names_to_run
from launch.dry_run import about_config
from launch.dry_run_commands import own_command
from launch.dry_run_text import Facts
from launch.pipeline import BASE
from launch.runs import refuse_other_run


def dry_diagnose(options: argparse.Namespace) -> Facts:
    """What the command would measure. Raises ValueError where it would at its start."""
    config = load_config(options.config, options.set)
    only = config.diagnose.names
    if options.only is not None:
        only = tuple(name.strip() for name in options.only.split(","))
    folder = config.run.folder
    notes: list[str] = []
    if folder.is_dir():
        refuse_other_run(folder, config)
    names = names_to_run(config, only, notes.append)
    model, below = model_here(config, folder, options.model)
    target = folder / "diagnostics" / below
    notes.append(f"model: {model}")
    notes.append(records_line(config, folder))
    if any("judge" in DIAGNOSTICS[name].uses for name in names):
        judge = config.judge
        notes.append(f"judge: {judge.model or ', '.join(judge.base_url) or judge.script}")
    notes.append("time is not known before one was measured here")
    stages = list(stages_of(names, target))
    facts = about_config(config, options)
    facts |= {"stages": stages, "left": sum(stage["state"] != "done" for stage in stages)}
    command = {"does": "this command", "line": own_command(options)}
    return facts | {"notes": notes, "commands": [command]}


def model_here(config: Config, folder: Path, wanted: str) -> tuple[str, str]:
    """The model, and the folder of its results; a student that is still on the hub is not fetched."""
    student: StudentConfig = config.student
    if wanted == BASE and not Path(student.model).expanduser().is_dir():
        return f"{student.model}, fetched from the hub", ""
    found, below = find_model(config, folder, wanted)
    return str(found), below


def records_line(config: Config, folder: Path) -> str:
    """How many records are looked at."""
    records = Path(config.diagnose.records or folder / "data" / "refinements.jsonl")
    if not records.is_file():
        if config.diagnose.records:
            raise ValueError(f"diagnose.records: there is no file {records}")
        return f"records: none yet, {records} is written by `cgd generate`"
    count, most = len(read_records(records)), config.diagnose.samples
    chosen = "each diagnostic's own number" if most is None else f"{min(count, most):,}"
    return f"records: {count:,} in {records}, of which {chosen} (diagnose.samples)"


def stages_of(names: tuple[str, ...], target: Path) -> Iterator[Facts]:
    """A stage a diagnostic; a finished one is measured again where settings or records have changed."""
    for name in names:
        file = target / f"{name}.json"
        state = "done" if file.exists() else "left"
        yield {"name": name, "kind": "diagnose", "state": state, "note": "", "file": str(file)}
