"""Everything that a configuration names besides models: problems, wordings, programs, benchmarks, training data.

Each is looked for by the code that will use it, so that a message here is the one that the stage would give, hours
later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from datagen.backends import make_generator
from datagen.hub_rows import HubRows
from datagen.sources import Rows, find_source
from datagen.wordings import load_template
from engine.examples import read_rows
from engine.objectives import conversation
from evals.benchmarks import BUILT_IN
from evals.run import load_asked
from launch.config import Config
from launch.doctor_finding import Finding, error, findings_of, ok, warn
from launch.doctor_hub import data_set_on_hub
from launch.doctor_machine import existing_parent


def input_findings(config: Config, kinds: Collection[str]) -> list[Finding]:
    """What stages of these kinds read. One finding for every mistake, not only for the first."""
    return [
        found
        for what, check, remedy in input_checks(config, kinds)
        for found in findings_of(what, partial(check, config), remedy)
    ]


def input_checks(
    config: Config, kinds: Collection[str]
) -> Iterator[tuple[str, Callable[[Config], Iterable[Finding]], str]]:
    """(name, check, what to do where it fails) of all that is read."""
    yield "run.dir", run_folder, ""
    yield "pipeline.rounds", rounds, ""
    if "data" in kinds:
        yield "data.prompts", prompts, "--set data.prompts=FILE"
        yield "wordings", wordings, ""
        if config.teacher.runs_on == "scripted":
            yield "teacher.script", script, ""
    if "train" in kinds and config.train.data is not None:
        yield "train.data", training_data, ""
    if {"data", "evaluate"} & set(kinds):
        yield "evaluate.benchmarks", benchmarks, ""


def run_folder(config: Config) -> Iterable[Finding]:
    """Where everything will be written."""
    place = existing_parent(config.run.folder)
    if not place.is_dir():
        yield error("run.dir", f"{place} is a file", "name another folder: --set run.dir=…")
    elif not os.access(place, os.W_OK | os.X_OK):
        yield error("run.dir", f"{place} cannot be written to", "--set run.dir=/a/folder/of/yours")
    else:
        state = "continued" if (config.run.folder / "config.toml").exists() else "new"
        yield ok("run.dir", f"{config.run.folder} ({state})")


def rounds(config: Config) -> Iterable[Finding]:
    """What goes with several rounds and what does not."""
    if config.pipeline.rounds > 1 and config.train.data is not None:
        raise ValueError("pipeline.rounds: every round makes its own data; leave train.data out")
    if config.pipeline.rounds > 1 and config.inference.base_url:
        raise ValueError(
            "pipeline.rounds: from the second round on the student is one that was trained here, which "
            "the server in inference.base_url does not have; leave it out"
        )
    return ()


def prompts(config: Config) -> Iterable[Finding]:
    """The problems that data are made of: the file, and its first row. The first stage fetches those of the hub."""
    source = find_source(config.data, config.run.seed)
    if isinstance(source, Rows) and isinstance(source.rows, HubRows):
        return
    first = next(iter(source.candidates([0])), None)
    if first is None:
        yield error("data.prompts", f"{config.data.prompts} holds no rows", "name another file")
    elif "sft" in config.pipeline.objectives and not first.record.answer:
        yield warn(
            "data.prompts",
            f"the objective sft learns gold answers, and {first.where} has none",
            "name their field with data.answer_field, or leave sft out of pipeline.objectives",
        )
    else:
        yield ok("data.prompts", config.data.prompts)


def hub_prompts(config: Config) -> Iterable[Finding]:
    """Whether the hub would give its set of problems, where one is named."""
    try:
        source = find_source(config.data, config.run.seed)
    except ValueError:  # said by `prompts`
        return
    if not (isinstance(source, Rows) and isinstance(source.rows, HubRows)):
        return
    from datasets.config import HF_DATASETS_CACHE  # slow to import, and only here

    name = source.rows.hub
    cached = [letters(path.name) for path in Path(HF_DATASETS_CACHE).glob("*___*")]
    if letters(name) in cached:
        yield ok("data.prompts", f"{name}, in the cache of datasets")
    else:
        yield data_set_on_hub("data.prompts", name)


def letters(name: str) -> str:
    """What is the same in a data set's name and in that of its folder in the cache, which is spelt with underscores."""
    return "".join(char for char in name.lower() if char.isalnum())


def wordings(config: Config) -> Iterable[Finding]:
    """Templates that are named; those that come with the package are there."""
    load_template(config.data.wording)
    for name in ("critique", "refine", "teach"):
        stage = config.generate.of(name)
        if stage.template is not None:
            load_template(stage.template, stands_alone=stage.layout == "fresh")
    return ()


def script(config: Config) -> Iterable[Finding]:
    """The program in place of a teacher."""
    make_generator(config.teacher)
    yield ok("teacher.script", config.teacher.script)


def training_data(config: Config) -> Iterable[Finding]:
    """The file, and its first row as every objective sees it."""
    path = Path(config.train.data or "")
    first = list(islice(read_rows(path), 1))
    if not first:
        raise ValueError(f"train.data: {path} holds no rows")
    number, row = first[0]
    for objective in config.pipeline.objectives:
        try:
            conversation(row, objective, config.train.layout)
        except ValueError as mistake:
            yield error("train.data", f"{path}:{number}: {mistake}")
            return
    yield ok("train.data", str(path))


def benchmarks(config: Config) -> Iterable[Finding]:
    """Their files and wordings, leave to run code, and the harness where one needs it; each by itself."""
    name_of: dict[str, str] = {}
    failed = False
    for name in config.evaluate.benchmarks:
        asked = replace(config.evaluate, benchmarks=(name,))
        if name in BUILT_IN:
            asked = replace(asked, limit=1)  # it is made, not read
        try:
            for benchmark in load_asked(asked, config.run.seed):
                if (first := name_of.setdefault(benchmark.name, name)) != name:
                    raise ValueError(
                        f"{first} and {name} are both called {benchmark.name}; rename one"
                    )
        except ValueError as mistake:
            failed = True
            missing = "no such file" in str(mistake)
            remedy = "--set 'evaluate.benchmarks=[\"FILE\"]'" if missing else ""
            yield error("evaluate.benchmarks", str(mistake), remedy)
    if not failed:
        yield ok("evaluate.benchmarks", ", ".join(config.evaluate.benchmarks))
