"""The verbs that work on a run folder: quickstart, run, train, evaluate, report.

Each verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from launch.verb import SETTING, Verbs, add, add_config
from launch.verbs_generate import OVERWRITE, add_generate_verb


def add_run_verbs(verbs: Verbs) -> None:
    """The whole loop, and its stages one by one."""
    quick = add(verbs, "quickstart", quickstart, "the whole loop on the built-in world, on a CPU")
    quick.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help=SETTING
    )
    whole = add(verbs, "run", run, "generate, train, evaluate, report; finished stages are skipped")
    add_generate_verb(verbs)
    training = add(verbs, "train", train, "train every objective on the records")
    scores = add(verbs, "evaluate", evaluate, "evaluate the student and what was trained from it")
    for sub in (whole, training, scores):
        add_config(sub)
    for sub in (quick, whole):
        sub.add_argument("--overwrite", action="store_true", help=OVERWRITE)
    for sub in (training, scores):
        sub.set_defaults(overwrite=False)
    one = "this model alone: base (the student as it is), or an objective that was trained"
    scores.add_argument("--model", metavar="NAME", help=one)
    shown = "print the first prompt of each benchmark as the model sees it, and evaluate nothing"
    scores.add_argument("--show-prompt", action="store_true", help=shown)
    named = "with --show-prompt: of this one alone; the config need not name it"
    scores.add_argument("--benchmark", metavar="NAME", help=named)
    told = add(verbs, "report", report, "results.json, report.md and report.html of finished runs")
    told.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder")


def quickstart(options: argparse.Namespace) -> None:
    """The packaged configuration, and a closing table."""
    from launch.quickstart import run_quickstart

    run_quickstart(options.set, options.overwrite)


def run(options: argparse.Namespace) -> None:
    """All stages."""
    run_stages(options)


def train(options: argparse.Namespace) -> None:
    """The training stages alone."""
    run_stages(options, "train")


def evaluate(options: argparse.Namespace) -> None:
    """The evaluation stages alone, or what they would ask."""
    if options.benchmark and not options.show_prompt:
        raise ValueError("--benchmark goes with --show-prompt; else set evaluate.benchmarks")
    if not options.show_prompt:
        run_stages(options, "evaluate", options.model)
        return
    from evals.prompt_preview import show_prompts
    from launch.config import load_config

    config = load_config(options.config, options.set)
    show_prompts(config.evaluate, config.student, config.run.seed, options.benchmark)


def run_stages(
    options: argparse.Namespace, kind: str | None = None, model: str | None = None
) -> None:
    """The stages of one kind, or all of them."""
    from launch.config import load_config
    from launch.pipeline import run_pipeline

    run_pipeline(load_config(options.config, options.set), options.overwrite, kind, model)


def report(options: argparse.Namespace) -> None:
    """Reports of runs, from their files alone."""
    from evals.report import write_report

    for folder in options.runs:
        if not folder.is_dir():
            raise ValueError(f"there is no run folder {folder}")
        print(write_report(folder))
