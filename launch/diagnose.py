"""`cgd diagnose`: from a configuration to the diagnostics of one model.

    [student] or --model, [diagnose], [judge] → Diagnosis → evals.diagnostics → RUN/diagnostics/NAME.json

The student's results lie in RUN/diagnostics, those of other models in folders of their own below it. Models are
in memory one at a time.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from datagen.accounts import LOCAL
from datagen.backends import TeacherConfig, make_generator
from datagen.progress_bar import Say, say_line
from datagen.records import read_records
from datagen.workers import worker_from
from engine.model import fetch_folder
from engine.objectives import OBJECTIVES
from evals.diagnostics.diagnosis import Diagnosis
from evals.diagnostics.registry import DIAGNOSTICS
from evals.diagnostics.run import diagnose
from evals.diagnostics.settings import JUDGED, check_names
from launch.config import Config
from launch.pipeline import BASE
from launch.running import Watched
from launch.runs import open_run
from launch.worker_processes import take_own_devices

Found = dict[str, dict[str, Any]]
"""What NAME.json holds, by name."""


def run_diagnose(
    config: Config, only: tuple[str, ...], model: str, worker: str | None, as_json: bool
) -> Found:
    """Runs the named diagnostics, or all that can be run, and prints what came out. One that cannot be measured keeps
    no other from it: the ValueError comes at the end."""
    say = say_aside if as_json else say_line
    mine, named_by = worker_from(worker, os.environ)
    if mine.count > 1:
        say(f"worker {mine.number} of {mine.count}{f', as {named_by} says' if named_by else ''}")
    names = names_to_run(config, only, say)
    if named_by == "torchrun":
        take_own_devices(models_here(config, names))
    found: Found = {}
    failures: list[str] = []
    alone = mine.number == 0
    with open_run(config, workers=mine.count) as folder, Watched(config, folder, alone) as watched:
        task = make_task(config, folder, model, say)
        for number, name in enumerate(names, start=1):
            watched.stage(f"diagnose {name}", number, len(names))
            try:
                result = diagnose(name, DIAGNOSTICS[name], task, config.diagnose.samples, mine)
            except ValueError as error:
                failures.append(str(error))
                result = None
            if result is not None:
                found[name] = result
                for line in () if as_json else in_short(result):
                    say(line)
                say(f"written: {task.folder / f'{name}.json'}")
            release_memory()
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    if failures:
        raise ValueError("\n".join(failures))
    return found


def say_aside(text: str) -> None:
    """Progress where the output proper is JSON."""
    print(text, file=sys.stderr, flush=True)


def names_to_run(config: Config, only: tuple[str, ...], say: Say) -> tuple[str, ...]:
    """The diagnostics that are asked for. Raises ValueError where one of them lacks a judge."""
    check_names(only, "--only")
    unjudged = () if config.judge.named else JUDGED
    for name in (name for name in only if name in unjudged):
        raise ValueError(f"diagnose {name}: needs a judge; set judge.model, .base_url or .script")
    if only:
        return only
    for name in unjudged:
        say(f"diagnose {name}: left out, there is no [judge]")
    return tuple(name for name in DIAGNOSTICS if name not in unjudged)


def make_task(config: Config, run: Path, model: str, say: Say) -> Diagnosis:
    """Model, records and settings, all looked at before anything heavy is loaded."""
    source = config.diagnose.records
    records = Path(source) if source else run / "data" / "refinements.jsonl"
    if not records.is_file():
        remedy = "" if source else "; `cgd generate` first, or set diagnose.records"
        raise ValueError(f"diagnose.records: there is no file {records}{remedy}")
    folder, below = find_model(config, run, model)
    judge = functools.cache(lambda: make_generator(config.judge))
    return Diagnosis(
        model=folder,
        chat_template=config.student.chat_template,
        layout=config.train.layout,
        records=tuple(read_records(records)),
        seed=config.run.seed,
        max_tokens=config.diagnose.max_tokens,
        max_length=config.train.max_length,
        batch_size=config.diagnose.batch_size,
        device=device_of(config.diagnose.device),
        folder=run / "diagnostics" / below,
        judge=judge if config.judge.named else None,
        say=say,
    )


def find_model(config: Config, run: Path, model: str) -> tuple[Path, str]:
    """The model's folder, and the name of its results' folder below diagnostics/."""
    if model == BASE:
        return fetch_folder(config.student), ""
    if model in OBJECTIVES:
        export = run / "train" / model / "export"
        if not export.is_dir():
            raise ValueError(
                f"--model {model}: not trained yet, there is no {export}; `cgd train` first"
            )
        return export, model
    if not (Path(model) / "config.json").is_file():
        raise ValueError(
            f"--model: {model!r} is no model folder, and none of {BASE}, {', '.join(OBJECTIVES)}"
        )
    place = hashlib.sha256(str(Path(model).resolve()).encode()).hexdigest()[:8]
    return Path(model), f"{Path(model).resolve().name}-{place}"


def models_here(config: Config, names: Sequence[str]) -> list[TeacherConfig]:
    """The models that these diagnostics run on this machine: the one that is looked at, and the judge."""
    uses = {one for name in names for one in DIAGNOSTICS[name].uses}
    looked_at = TeacherConfig(
        backend="transformers", model=config.student.model, device=config.diagnose.device
    )
    models = [looked_at] if "model" in uses else []
    return models + ([config.judge] if "judge" in uses and config.judge.runs_on in LOCAL else [])


def device_of(wanted: str | None) -> str:
    """The device, by its full name. Raises ValueError where this process has none of that name."""
    if wanted is None:
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ValueError(f"diagnose.device: {wanted!r} is none of cpu, cuda, cuda:1") from None
    if device.type != "cuda":
        return wanted
    number, gpus = device.index or 0, torch.cuda.device_count()
    if number >= gpus:
        raise ValueError(
            f"diagnose.device: {wanted!r}, and this process sees {gpus} GPUs (each of torchrun's its own alone)"
        )
    return f"cuda:{number}"


def release_memory() -> None:
    """Gives a model's memory back: modules and their hooks know each other and are not freed before."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_short(result: Mapping[str, Any]) -> list[str]:
    """A diagnostic's figures and notes as lines."""
    name, figures = result["name"], result["figures"]
    lines = [f"diagnose {name}: {result['n']:,} records"]
    lines += [f"  {key:<28} {value:.4g}" for key, value in figures.items()]
    return lines + [f"  {note}" for note in result["notes"]]
