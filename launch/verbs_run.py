"""The verbs that work on a run folder: quickstart, run, train, evaluate, report.

Each verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from launch.verb import Verbs, add, add_config, add_json, add_set
from launch.verbs_dry_run import add_dry_run, is_dry
from launch.verbs_generate import OVERWRITE, add_generate_verb

QUICKSTART = """\
cgd quickstart                                             minutes on two cores; a table and a report
cgd quickstart --set data.limit=100 --set run.name=small   a shorter one, in runs/small
cgd quickstart --dry-run                                   what it would do, and how far it is"""

RUN = """\
cgd run launch/configs/quickstart.toml                     generate, train, evaluate, report
cgd run mine.toml --set train.learning_rate=5e-6 --set run.name=faster
cgd run mine.toml --dry-run --world-size 8 --device H100   stages, steps, memory, commands
cgd run mine.toml --write-jobs jobs --nodes 2              Slurm scripts and jobs/submit.sh"""

TRAIN = """\
cgd train launch/configs/quickstart.toml                   every objective of the run, in this process
cgd train mine.toml --set pipeline.objectives='["cgd","cft"]'
cgd train mine.toml --dry-run --world-size 8 --device H100   the torchrun command for 8 devices, memory
python -m engine.torchrun --nproc-per-node 8 -m engine.train mine.toml"""

EVALUATE = """\
cgd evaluate launch/configs/quickstart.toml                the student and all that was trained from it
cgd evaluate launch/configs/quickstart.toml --model base   the student alone
cgd evaluate mine.toml --set evaluate.benchmarks='["my_test.jsonl"]' --dry-run
cgd evaluate launch/configs/quickstart.toml --show-prompt  what the model really sees"""

REPORT = """\
cgd report runs/quickstart                                 results.json, report.md and report.html in it
cgd report runs/mine runs/theirs --out both.html           each alone, and one page that compares them
cgd report runs/quickstart --json                          their paths and the headline figures"""


def add_run_verbs(verbs: Verbs) -> None:
    """The whole loop, and its stages one by one."""
    about = "the whole loop on the built-in world, on a CPU"
    quick = add(verbs, "quickstart", quickstart, about, QUICKSTART)
    add_set(quick)
    about = "generate, train, evaluate, report; finished stages are skipped"
    whole = add(verbs, "run", run, about, RUN)
    add_generate_verb(verbs)
    training = add(verbs, "train", train, "train every objective on the records", TRAIN)
    about = "evaluate the student and what was trained from it"
    scores = add(verbs, "evaluate", evaluate, about, EVALUATE)
    for sub in (whole, training, scores):
        add_config(sub)
    for sub in (quick, whole):
        sub.add_argument("--overwrite", action="store_true", help=OVERWRITE)
    for sub in (training, scores):
        sub.set_defaults(overwrite=False)
    add_evaluate_options(scores)
    add_dry_run(quick)
    for sub in (whole, training):
        add_dry_run(sub, jobs=True)
    about = "results.json, report.md and report.html of finished runs"
    told = add(verbs, "report", report, about, REPORT)
    named = "a run folder; several are also compared; or a folder of `cgd reproduce`, alone"
    told.add_argument("runs", nargs="+", type=Path, metavar="RUN", help=named)
    aside = "of several runs: the page that compares them (default: comparison.html)"
    told.add_argument("--out", type=Path, metavar="FILE.html", help=aside)
    add_json(told)


def add_evaluate_options(sub: argparse.ArgumentParser) -> None:
    """Which model, or only what it would be asked."""
    one = "this model alone: base (the student as it is), or an objective that was trained"
    sub.add_argument("--model", metavar="NAME", help=one)
    shown = "print the first prompt of each benchmark as the model sees it, and evaluate nothing"
    sub.add_argument("--show-prompt", action="store_true", help=shown)
    named = "with --show-prompt: of this one alone; the config need not name it"
    sub.add_argument("--benchmark", metavar="NAME", help=named)
    add_dry_run(sub, trains=False)


def quickstart(options: argparse.Namespace) -> None:
    """The packaged configuration, and a closing table."""
    if is_dry(options):
        from launch.dry_run import dry_quickstart

        dry_quickstart(options)
        return
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
    """The stages of one kind, or all of them; or what they would be."""
    if is_dry(options):
        from launch.dry_run import dry_stages

        dry_stages(options, kind, model)
        return
    from launch.config import load_config

    config = load_config(options.config, options.set)
    if getattr(options, "write_jobs", None) is not None:
        from launch.dry_run_commands import write_batch_jobs

        write_batch_jobs(config, kind, options)
        return
    from launch.pipeline import run_pipeline

    folder = run_pipeline(config, options.overwrite, kind, model)
    if kind is None:
        from launch.quickstart import print_outcome

        print_outcome(folder)


def report(options: argparse.Namespace) -> None:
    """Reports of runs, from their files alone."""
    from launch.reporting import report_runs

    report_runs(options.runs, options.out, options.json)
