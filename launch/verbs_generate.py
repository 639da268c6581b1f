"""`cgd generate`: the data stages alone, by one process or by many.

    --workers N            N processes on this machine, each with its share of the records (and of the GPUs)
    --worker K/N           one of N, wherever the others run: they share nothing but the run folder
    torchrun, Slurm array  the same, K and N from their variables

The last worker to finish writes the files. A restart may have another number of workers. `--dry-run` says
what all this would take, and does nothing.
"""

from __future__ import annotations

import argparse
import os

from launch.verb import Verbs, add, add_config
from launch.verbs_dry_run import add_dry_run, is_dry

OVERWRITE = "start anew; the old run folder is kept aside"
REWORK = "go on with other settings: what still fits is taken over, the rest is written again"

EXAMPLES = """\
cgd generate launch/configs/quickstart.toml                prompts, answers, critiques, refinements
cgd generate mine.toml --dry-run --tokens-per-second 2000  tokens, hours and money beforehand
cgd generate mine.toml --workers 8                         a worker on each of 8 GPUs
cgd generate mine.toml --rework --set generate.critique.max_tokens=2048"""


def add_generate_verb(verbs: Verbs) -> argparse.ArgumentParser:
    """Which run, and how many share the work."""
    sub = add(verbs, "generate", generate, "student answers, critiques, refinements", EXAMPLES)
    add_config(sub)
    sub.add_argument("--overwrite", action="store_true", help=OVERWRITE)
    sub.add_argument("--rework", action="store_true", help=REWORK)
    share = sub.add_mutually_exclusive_group()
    many = "so many processes on this machine; a GPU each where there are GPUs"
    share.add_argument("--workers", type=int, metavar="N", help=many)
    one = "be worker K (from 0) of N; default: torchrun's or a Slurm array's variables, else 0/1"
    share.add_argument("--worker", metavar="K/N", help=one)
    dry = add_dry_run(sub, trains=False, jobs=True)
    length = "with --dry-run: mean tokens of a stage's texts, as critique=400 (repeatable)"
    dry.add_argument("--expect", action="append", default=[], metavar="STAGE=N", help=length)
    rate = "with --dry-run: a rate for stages that were not measured yet"
    dry.add_argument("--tokens-per-second", type=float, metavar="N", help=rate)
    return sub


def generate(options: argparse.Namespace) -> None:
    """All that is due, by this process or by others."""
    if is_dry(options):
        from launch.dry_run import dry_stages

        dry_stages(options, "data")
        return
    from datagen.workers import worker_from
    from launch.config import load_config
    from launch.pipeline import run_pipeline
    from launch.worker_processes import models_here, run_workers, take_own_devices

    config = load_config(options.config, options.set, needs_student=False)
    if options.write_jobs is not None:
        from launch.dry_run_commands import write_batch_jobs

        write_batch_jobs(config, "data", options)
        return
    if options.workers is not None:
        run_workers(config, options)
        return
    worker, named_by = worker_from(options.worker, os.environ)
    if worker.count > 1:
        if options.overwrite or options.rework:
            raise ValueError(
                "--overwrite and --rework go with a run as a whole, not with one worker"
            )
        how = "" if named_by == "--worker" else f", as {named_by} says; --worker 0/1 does all alone"
        print(f"worker {worker.number} of {worker.count}{how}", flush=True)
    if named_by == "torchrun":
        take_own_devices(models_here(config))
    run_pipeline(config, options.overwrite, "data", worker=worker, rework=options.rework)
