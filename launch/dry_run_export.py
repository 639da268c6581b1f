"""`cgd export --dry-run`: which checkpoint or which records would be exported, and where to.

    RUN/train/OBJECTIVE/checkpoints -> the step, its folder, about how large
    RUN/data/*.jsonl                -> the records, and the objectives that have conversations

Checksums are left to the export itself: they take as long as reading the checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from datagen.records import read_records
from engine.attempt import training_file
from engine.checkpoint import saved_steps
from engine.export import refuse_other_training, refuse_stranger
from engine.objectives import OBJECTIVES
from launch.config import Config, load_config
from launch.dry_run import about_config
from launch.dry_run_commands import own_command
from launch.dry_run_text import Facts
from launch.export_records import can_be_learnt

GIB = 2**30


def dry_export(options: argparse.Namespace) -> Facts:
    """What would be written. Raises ValueError where the command would before it writes."""
    config = load_config(options.config, options.set)
    told = checkpoint_notes if options.records is None else record_notes
    command = {"does": "this command", "line": own_command(options)}
    facts = about_config(config, options)
    return facts | {"notes": told(config, options), "commands": [command]}


def checkpoint_notes(config: Config, options: argparse.Namespace) -> list[str]:
    """The step and the folder."""
    folder = config.run.folder / "train" / config.train.objective
    kept = folder / ("non-finite" if options.non_finite else "checkpoints")
    steps = saved_steps(kept)
    if not steps:
        raise ValueError(f"{kept} has no checkpoint; `cgd train` first")
    if options.step is not None and options.step not in steps:
        there_are = ", ".join(map(str, sorted(steps)))
        raise ValueError(f"there is no checkpoint of step {options.step}: {kept} has {there_are}")
    step = steps[0] if options.step is None else options.step
    target = options.out or folder / f"export-{'non-finite-' * options.non_finite}step-{step}"
    source = Path(config.student.model).expanduser()
    notes = [f"checkpoint: {kept / f'step-{step}'} (its checksums are compared by the export)"]
    if source.is_dir():
        settings = {"run": config.run, "student": config.student, "train": config.train}
        refuse_other_training(folder, settings, source)
        refuse_stranger(target, source)
        size = sum(file.stat().st_size for file in source.glob("*.safetensors"))
        notes.append(f"written: {target}, about {size / GIB:.2f} GiB, as large as the student")
    else:
        notes.append(f"written: {target}, as large as the student {config.student.model}")
    if target.exists():
        notes.append(f"the export that is in {target} is replaced")
    return notes


def record_notes(config: Config, options: argparse.Namespace) -> list[str]:
    """The records and the files."""
    source = training_file(config.train.data, config.run.folder)
    records = read_records(source)
    notes = [f"records: {len(records):,} of {source}", f"written: {options.records}/README.md"]
    notes.append(f"written: {options.records}/records.{options.format}")
    for name in options.objective or OBJECTIVES:
        count = sum(can_be_learnt(record, name) for record in records)
        if count:
            notes.append(
                f"written: {options.records}/{name}.{options.format}, {count:,} conversations"
            )
    return notes
