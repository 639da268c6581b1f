"""Provenance of a run: the machine and the code, every input file with its hash, every wording, all seeds.

    configuration → run_environment → RUN/environment.json, or environment-K.json of an attempt that differs

Model folders and files on this machine are hashed; a hub's are named by id and revision here, and by their commit in
what is made with them (records, scores, a training's own environment.json).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datagen.plan import plan_stages
from datagen.row_files import find_files
from datagen.wordings import Template, load_template
from engine.provenance import describe_environment, file_facts, model_facts
from launch.code_version import code_digest
from launch.config import Config
from launch.data_step import stages_of

MOST_FILES = 100
"""Of a folder of inputs."""


def run_environment(config: Config, folder: Path) -> dict[str, Any]:
    """What a run begins with, as JSON."""
    about = {
        "code": code_digest(),
        "seeds": {
            "run": config.run.seed,
            "evaluate": list(config.evaluate.seeds_or(config.run.seed)),
        },
        "wordings": wordings_of(config),
        "inputs": dict(inputs_of(config)),
    }
    return describe_environment(folder, about)


def wordings_of(config: Config) -> dict[str, dict[str, str]]:
    """What models are asked with; a benchmark's own wording stands in its scores."""
    nobody: dict[str, Any] = {"student": {}, "teacher": {}}
    plans = plan_stages(stages_of(config), config.generate, nobody, config.run.seed)
    found = {plan.name: plan.template for plan in plans if plan.template is not None}
    found["answer"] = load_template(config.data.wording)
    if config.evaluate.wording is not None:
        found["evaluate"] = load_template(config.evaluate.wording)
    return {name: named(template) for name, template in found.items()}


def named(template: Template) -> dict[str, str]:
    """Its name and hash."""
    return {"name": template.name, "sha256": template.sha256}


def inputs_of(config: Config) -> Iterator[tuple[str, Any]]:
    """Every model and file that the configuration names, by its key."""
    for section in ("student", "teacher", "judge"):
        settings = getattr(config, section)
        if settings.model:
            yield f"{section}.model", of_model(settings.model, settings.revision)
        if settings.chat_template:
            yield f"{section}.chat_template", file_facts(Path(settings.chat_template))
    if files := find_files(config.data.prompts):
        yield "data.prompts", [file_facts(path) for path in files.paths[:MOST_FILES]]
    if config.train.data is not None:
        yield "train.data", file_facts(Path(config.train.data))
    for name in config.evaluate.benchmarks:
        known, _, given = name.rpartition("=")
        if Path(given).is_file():
            yield f"evaluate.benchmarks.{known or Path(given).stem}", file_facts(Path(given))
    if config.evaluate.benchmark_dir is not None:
        files_there = sorted(Path(config.evaluate.benchmark_dir).glob("*.jsonl"))
        yield "evaluate.benchmark_dir", [file_facts(path) for path in files_there[:MOST_FILES]]


def of_model(model: str, revision: str | None) -> dict[str, Any]:
    """A folder's files, or a hub's id."""
    folder = Path(model).expanduser()
    return model_facts(folder) if folder.is_dir() else {"hub": model, "revision": revision}
