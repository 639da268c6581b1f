"""`--dry-run` of quickstart, run, generate, train and evaluate: what the command would do, before it does it.

    config -> refused as the run would be -> stages (done, begun, left)
           -> records to come (estimate.py), trainings (dry_run_training.py), answers -> commands -> Facts

Nothing is run and nothing is written, no weights are read, no hub and no server is asked, and no GPU is needed.
What cannot be known without those is said in its place. The facts are data: `--json` prints them as they are,
dry_run_text.py as lines.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from datagen.generators import Sampling
from datagen.publish import JOURNALS
from datagen.sources import DataConfig
from engine.checkpoint import saved_steps
from engine.settings import RunConfig
from engine.toml import as_dict, flatten
from evals.benchmarks import BUILT_IN, BUILT_IN_SIZE, TABLE, load_benchmark
from evals.lm_eval_bridge import HARNESS
from evals.settings import EvaluateConfig
from launch.config import Config, builtin_config, load_config
from launch.doctor_inputs import input_findings
from launch.dry_run_commands import commands, described_jobs
from launch.dry_run_data import generation
from launch.dry_run_data import is_on_hub as prompts_on_hub
from launch.dry_run_text import Facts, print_facts
from launch.dry_run_training import Size, trainings
from launch.pipeline import is_older, plan, refuse_rounds, steps_about
from launch.running import Step
from launch.runs import REWORKED, as_tables, refuse_other_run


def dry_quickstart(options: argparse.Namespace) -> None:
    """The packaged configuration."""
    options.config = builtin_config("quickstart")
    dry_stages(options)


def dry_stages(
    options: argparse.Namespace, kind: str | None = None, model: str | None = None
) -> None:
    """The stages of a run, those of one kind, or those of one kind about one model."""
    config = load_config(options.config, options.set, needs_student=kind != "data")
    print_facts(facts_of(config, options, kind, model), options)


def facts_of(
    config: Config, options: argparse.Namespace, kind: str | None, model: str | None
) -> Facts:
    """Everything that is known beforehand. Raises ValueError where the command itself would at its start."""
    refuse_rounds(config, kind)
    folder, is_new = config.run.folder, options.overwrite
    if folder.is_dir() and not is_new:
        refuse_other_run(folder, config, REWORKED if getattr(options, "rework", False) else ())
    steps = [step for step in plan(config, folder) if kind in (None, step.kind)]
    if model is not None:
        steps = steps_about(model, steps)
    stages = [stage_of(step, is_new) for step in steps]
    open_steps = [s for s, told in zip(steps, stages, strict=True) if told["state"] != "done"]
    left = {step.kind for step in open_steps}
    refuse_missing(config, left)
    size = Size.of(options)
    facts = about_config(config, options)
    facts |= {"stages": stages, "left": len(open_steps)}
    if "data" in left:
        facts["generation"] = generation(config, options)
    if "train" in left:
        open_folders = [step.marker.parent for step in open_steps]
        facts["trainings"] = trainings(config, folder, open_folders, size, is_new)
    if "evaluate" in left:
        facts["evaluation"] = list(evaluation(config.evaluate, config.run.seed))
    facts["commands"] = commands(config, options, facts, size)
    facts["jobs"] = described_jobs(config, kind, options)
    return facts


# ---- settings ---------------------------------------------------------------------------------------


def about_config(config: Config, options: argparse.Namespace) -> Facts:
    """The run folder and the settings, all of them and those that differ from the defaults."""
    folder = config.run.folder
    usual = flatten(as_tables(Config(run=RunConfig())))
    now = flatten(as_tables(config))
    overwrite = getattr(options, "overwrite", False)
    return {
        "config": str(options.config),
        "run_folder": str(folder),
        "run_folder_exists": folder.is_dir(),
        "overwrite": bool(overwrite and folder.is_dir() and any(folder.iterdir())),
        "changed": {key: value for key, value in now.items() if value != usual.get(key)},
        "settings": as_dict(as_tables(config)),
    }


def refuse_missing(config: Config, left: Collection[str]) -> None:
    """Raises ValueError where files that the stages left would read are not there, or cannot be read."""
    findings = input_findings(without_hub(config), frozenset(left))
    errors = [finding.in_words() for finding in findings if finding.state == "error"]
    if errors:
        raise ValueError("\n".join(errors))


def without_hub(config: Config) -> Config:
    """The configuration, what the hub has left out: `cgd doctor` and the run itself look for that."""
    asked = config.evaluate
    local = tuple(name for name in asked.benchmarks if not is_on_hub(name, asked.benchmark_dir))
    few = replace(asked, benchmarks=local) if local else EvaluateConfig(limit=1)
    data = DataConfig() if prompts_on_hub(config.data) else config.data
    return replace(config, evaluate=few, data=data)


def is_on_hub(name: str, folder: str | None) -> bool:
    """Whether a benchmark would be fetched."""
    return name in TABLE and folder is None


# ---- stages -----------------------------------------------------------------------------------------


def stage_of(step: Step, is_new: bool) -> Facts:
    """One stage: done, begun or left."""
    state, note = ("left", "") if is_new else state_of(step)
    return {
        "name": step.name,
        "kind": step.kind,
        "state": state,
        "note": note,
        "file": str(step.marker),
    }


def state_of(step: Step) -> tuple[str, str]:
    """How far a stage is, and from where it would go on."""
    folder = step.marker.parent
    if step.marker.exists():
        if step.kind == "report" and is_stale(step.marker):
            return "left", "written again: something that it tells of is newer"
        return "done", ""
    if step.kind == "train" and (steps := saved_steps(folder / "checkpoints")):
        return "begun", f"goes on after step {steps[0]:,}"
    if step.name == "records" and any((folder / JOURNALS).glob("*")):
        return "begun", "goes on from its journals"
    if step.kind == "evaluate" and any(folder.glob("*.jsonl*")):
        return "begun", "goes on from the answers that are there"
    return "left", ""


def is_stale(report: Path) -> bool:
    """Whether something that the report tells of is newer."""
    found = [*report.parent.glob("evals/*/scores.json"), *report.parent.glob("**/summary.json")]
    return not all(is_older(source, report) for source in found)


# ---- evaluation -------------------------------------------------------------------------------------


def evaluation(config: EvaluateConfig, seed: int) -> Iterator[Facts]:
    """How many answers each benchmark takes of a model."""
    draws = config.samples * len(config.seeds_or(seed))
    for name in config.benchmarks:
        problems, source = problems_of(name, config, seed)
        answers = None if problems is None else problems * draws
        sampling: Sampling = config.sampling()
        yield {
            "benchmark": name,
            "problems": problems,
            "source": source,
            "answers_of_a_model": answers,
            "max_tokens": sampling.max_tokens,
        }


def problems_of(name: str, config: EvaluateConfig, seed: int) -> tuple[int | None, str]:
    """The number of problems, and where they come from; None where only others know."""
    if name in BUILT_IN:
        return BUILT_IN_SIZE if config.limit is None else config.limit, "built in"
    if name in HARNESS:
        return None, f"lm-evaluation-harness, task {HARNESS[name].task}"
    if is_on_hub(name, config.benchmark_dir):
        size = TABLE[name].size
        return size if config.limit is None else min(config.limit, size), f"hub: {TABLE[name].hub}"
    found = load_benchmark(name, config.limit, seed, config.wording, config.benchmark_dir)
    return len(found.problems), "local file"
