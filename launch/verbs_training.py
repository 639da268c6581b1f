"""The verbs about one training and its data: inspect, plan, export.

Each verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from launch.verb import Verbs, add, add_config
from launch.verbs_dry_run import add_dry_run, is_dry

EXIT_DOES_NOT_FIT = 4

INSPECT = """\
cgd inspect launch/configs/quickstart.toml                 an example, its mask, the plan of a step
cgd inspect launch/configs/quickstart.toml --step 3 --world-size 8
cgd inspect launch/configs/quickstart.toml --losses --json     the loss of each example
cgd inspect runs/quickstart/data/refinements.jsonl         records, their texts side by side"""

PLAN = """\
cgd plan mine.toml --world-size 8 --device H100            memory of a rank by kind, and time
cgd plan mine.toml --set student.model=llama-3.1-8b        a shape that it knows; nothing is fetched
cgd plan launch/configs/quickstart.toml --device cpu --json"""

EXPORT = """\
cgd export launch/configs/quickstart.toml                  the newest checkpoint as a model folder
cgd export mine.toml --step 300 --out my-model             that of a step, in a folder of your own
cgd export mine.toml --records my-data --format jsonl      the records as a data set
cgd export mine.toml --step 300 --dry-run                  which checkpoint, where to, how large"""


def add_training_verbs(verbs: Verbs) -> None:
    """What is trained on, what it costs, what comes of it."""
    add_inspect_options(add(verbs, "inspect", inspect, "show what is trained on", INSPECT))
    about = "memory and time of a training, before paying for it"
    add_plan_options(add(verbs, "plan", plan, about, PLAN))
    about = "a checkpoint as a model folder, or the records as a data set"
    add_export_options(add(verbs, "export", export, about, EXPORT))


def add_inspect_options(sub: argparse.ArgumentParser) -> None:
    """Which example and which step are looked at."""
    add_config(sub)
    sub.add_argument("--example", metavar="ID", help="this one token by token (the first)")
    sub.add_argument("--step", type=int, default=1, metavar="N", help="this step's plan (1)")
    sub.add_argument("--world-size", type=int, default=1, metavar="N", help="on so many ranks (1)")
    sub.add_argument("--losses", action="store_true", help="the student's loss on each example")
    sub.add_argument("--objective", metavar="NAME", help="as this objective sees the records")
    sub.add_argument(
        "--tokens", action="store_true", help="a line a token: position, id, mask, text"
    )
    sub.add_argument("--html", type=Path, metavar="FILE", help="write it as one offline page")
    sub.add_argument("--json", action="store_true", help="the same as JSON")
    paged = sub.add_argument_group("records", "in place of CONFIG, a JSONL file of records")
    paged.add_argument("--page", type=int, default=1, metavar="N", help="this page (1)")
    paged.add_argument("--per-page", type=int, default=3, metavar="N", help="so many at a time (3)")
    known = "only records whose student answer is known to be so"
    paged.add_argument("--student", choices=("right", "wrong"), help=known)


def add_plan_options(sub: argparse.ArgumentParser) -> None:
    """Where it would run, and what is assumed where there are no data."""
    add_config(sub)
    sub.add_argument("--world-size", type=int, default=1, metavar="N", help="ranks (1)")
    sub.add_argument("--shard-size", type=int, metavar="M", help="sets train.shard_size")
    devices = "H200, H100, A100-80, A100-40, L40S, 4090, cpu, or a size such as 40GB (H200)"
    sub.add_argument("--device", default="H200", metavar="NAME", help=devices)
    share = "share of the device's peak FLOP/s that is reached (0.4)"
    sub.add_argument("--mfu", type=float, default=0.4, metavar="SHARE", help=share)
    sub.add_argument("--examples", type=int, default=100_000, help="assumed without data (100000)")
    length = "tokens of an example, assumed without data (train.max_length)"
    sub.add_argument("--tokens-per-example", type=int, metavar="L", help=length)
    targets = "share of them that is supervised, likewise (0.35)"
    sub.add_argument("--supervised", type=float, default=0.35, metavar="SHARE", help=targets)
    sub.add_argument("--json", action="store_true", help="print one JSON object")


def add_export_options(sub: argparse.ArgumentParser) -> None:
    """Which checkpoint, or the records, and where to."""
    add_config(sub)
    sub.add_argument("--step", type=int, metavar="N", help="the checkpoint of this step (newest)")
    sub.add_argument("--out", type=Path, metavar="DIR", help="the folder (beside the checkpoints)")
    kept = "a state kept before a step whose loss was not finite"
    sub.add_argument("--non-finite", action="store_true", help=kept)
    data = sub.add_argument_group("records", "in place of a checkpoint, the data of the run")
    folder = "write records, conversations of each objective and a data card into this folder"
    data.add_argument("--records", type=Path, metavar="FOLDER", help=folder)
    some = "conversations of this objective alone (repeatable; all that have targets)"
    data.add_argument("--objective", action="append", default=[], metavar="NAME", help=some)
    forms = ("prompt_completion", "messages")
    data.add_argument("--form", choices=forms, default=forms[0], help="of a conversation")
    files = ("parquet", "jsonl")
    data.add_argument("--format", choices=files, default=files[0], help="of the files")
    add_dry_run(sub, trains=False)


def inspect(options: argparse.Namespace) -> None:
    """What the trainer would consume, shown; or the records of a file."""
    if options.config.suffix == ".jsonl":
        print_records(options)
        return
    from launch.config import load_config
    from launch.inspection import Question, inspect_training
    from launch.inspection_text import print_inspection

    if options.objective is not None:
        options.set.append(f"train.objective={options.objective}")
    config = load_config(options.config, options.set)
    question = Question(
        step=options.step,
        example=options.example,
        world_size=options.world_size,
        losses=options.losses,
    )
    inspection = inspect_training(config, question)
    if options.html is not None:
        from launch.inspection_page import write_page

        write_page(inspection, options.html, options.tokens)
    if options.json or options.html is None:
        print_inspection(inspection, options.json, sys.stdout, options.tokens)
    else:
        print(f"page: {options.html}")


def print_records(options: argparse.Namespace) -> None:
    """A page of records, as wide as the terminal."""
    from launch.records_view import View, records_json, show_records

    about_a_training = ("html", "tokens", "losses", "objective")
    if given := [f"--{option}" for option in about_a_training if getattr(options, option)]:
        raise ValueError(
            f"{', '.join(given)}: about a training, but {options.config} is a file of records; give a CONFIG, "
            f"with --set train.data={options.config} to look at these records"
        )
    view = View(
        page=options.page,
        per_page=options.per_page,
        example=options.example,
        student=options.student,
        width=shutil.get_terminal_size((120, 40)).columns,
    )
    if options.json:
        print(records_json(options.config, view))
        return
    for line in show_records(options.config, view):
        print(line)


def plan(options: argparse.Namespace) -> int:
    """One plan; the exit code says whether it fits."""
    from engine.plan import make_plan
    from engine.plan_rows import Assumptions
    from engine.plan_text import as_json, as_text
    from launch.config import load_config

    if options.shard_size is not None:
        options.set.append(f"train.shard_size={options.shard_size}")
    config = load_config(options.config, options.set)
    assumed = Assumptions(
        num_examples=options.examples,
        tokens_per_example=options.tokens_per_example,
        supervised=options.supervised,
    )
    where = (options.world_size, options.device, options.mfu, assumed)
    made = make_plan(config.run, config.student, config.train, *where)
    print(as_json(made) if options.json else as_text(made))
    return 0 if made.memory.fits else EXIT_DOES_NOT_FIT


def export(options: argparse.Namespace) -> None:
    """One checkpoint of one training, or the records of the run."""
    if is_dry(options):
        from launch.dry_run_export import dry_export
        from launch.dry_run_text import print_facts

        print_facts(dry_export(options), options)
        return
    from engine.export import export_checkpoint
    from launch.config import load_config

    config = load_config(options.config, options.set)
    if options.records is None:
        which = (options.step, options.out, options.non_finite)
        export_checkpoint(config.run, config.student, config.train, *which)
        return
    from launch.export_records import Wanted, export_run_records

    wanted = Wanted(
        folder=options.records,
        objectives=tuple(options.objective),
        layout=config.train.layout,
        form=options.form,
        format=options.format,
    )
    title = f"{config.run.name}: records"
    print(export_run_records(config.train.data, config.run.folder, title, wanted))
