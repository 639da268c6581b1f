"""The verb `diagnose`: what critiques do to a model, measured on records.

One process measures everything; several share the records:

    cgd diagnose CONFIG --worker K/N                               one of N, wherever the others run
    torchrun --nproc-per-node N -m launch.cli diagnose CONFIG      K and N from torchrun; a GPU each, or a judge's many

The verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse

from launch.verb import Verbs, add, add_config
from launch.verbs_dry_run import add_dry_run, is_dry

EXAMPLES = """\
cgd diagnose launch/configs/quickstart.toml                       all diagnostics, of the student as it is
cgd diagnose launch/configs/quickstart.toml --only entropy,gradients
cgd diagnose launch/configs/quickstart.toml --model cgd           of what was trained with cgd
cgd diagnose launch/configs/quickstart.toml --dry-run             which records, which models; nothing is run"""


def add_diagnose_verb(verbs: Verbs) -> None:
    """Which diagnostics, of which model."""
    about = "entropy, gradients, attention, overlap, judged critiques, robustness: of one model"
    sub = add(verbs, "diagnose", diagnose, about, EXAMPLES)
    add_config(sub)
    only = "these alone, separated by commas (diagnose.names, or all that can be run)"
    sub.add_argument("--only", metavar="NAME,NAME", help=only)
    which = "base (the student as it is), an objective that was trained here, or a model folder"
    sub.add_argument("--model", default="base", metavar="base|OBJECTIVE|PATH", help=which)
    one = "be worker K (from 0) of N; default: torchrun's or a Slurm array's variables, else 0/1"
    sub.add_argument("--worker", metavar="K/N", help=one)
    sub.add_argument("--json", action="store_true", help="print the results as one JSON object")
    add_dry_run(sub, trains=False, has_json=True)


def diagnose(options: argparse.Namespace) -> None:
    """All that is asked for, then a line each."""
    if is_dry(options, json_alone=True):
        from launch.dry_run_diagnose import dry_diagnose
        from launch.dry_run_text import print_facts

        print_facts(dry_diagnose(options), options)
        return
    from launch.config import load_config
    from launch.diagnose import run_diagnose

    config = load_config(options.config, options.set)
    only = config.diagnose.names
    if options.only is not None:
        only = tuple(name.strip() for name in options.only.split(","))
    run_diagnose(config, only, options.model, options.worker, options.json)
