"""`cgd VERB`: reads the command line, calls one function, and says in words what went wrong.

    arguments → the verb's function → exit code: 0 done, 2 the user's mistake, 75 told to stop, 130 interrupted

Every verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from engine.interruption import EXIT_INTERRUPTED as EXIT_TOLD_TO_STOP
from engine.interruption import Interrupted

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130

EXAMPLES = """\
examples:
  cgd quickstart                                      the whole method on the built-in world
  cgd run launch/configs/smollm2-gsm8k.toml           the same on a real model and real problems
  cgd run CONFIG --set train.learning_rate=5e-6 --set run.name=faster
  cgd generate CONFIG && cgd train CONFIG && cgd evaluate CONFIG
  cgd report runs/quickstart
  cgd grade outputs.jsonl --out graded.jsonl          rows with `pred` and `gold`
  cgd bench loss --vocabulary 128256                  the loss beside its peers: time, memory, error

One command, again and again: the same command on the same run folder continues where it stopped.
On several devices: torchrun --nproc-per-node N -m engine.train CONFIG
With CGD_TRACEBACK=1 an error shows where in the code it was raised.
"""

SETTING = "override one key of the configuration (repeatable); an empty VALUE restores the default"
OVERWRITE = "start anew; the old run folder is kept aside"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code is returned, not raised."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, interrupted)
    try:
        options.verb(options)
        return 0
    except (ValueError, OSError) as error:
        if os.environ.get("CGD_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    except Interrupted as left:
        print(left, file=sys.stderr)
        return EXIT_TOLD_TO_STOP
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command to continue", file=sys.stderr)
        return EXIT_INTERRUPTED


def interrupted(signum: int, frame: object) -> NoReturn:
    """Makes a polite kill end like Ctrl-C: files are closed, and the way on is said."""
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    top = argparse.ArgumentParser(
        prog="cgd",
        description="Critique-Guided Distillation: generate, train, evaluate, report.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    quick = add(verbs, "quickstart", quickstart, "the whole loop on the built-in world, on a CPU")
    whole = add(verbs, "run", run, "generate, train, evaluate, report; finished stages are skipped")
    data = add(verbs, "generate", generate, "student answers, critiques, refinements")
    training = add(verbs, "train", train, "train every objective on the records")
    scores = add(verbs, "evaluate", evaluate, "evaluate the student and what was trained from it")
    for sub in (whole, data, training, scores):
        sub.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
    for sub in (quick, whole, data, training, scores):
        sub.add_argument("--set", action="append", metavar="SECTION.KEY=VALUE", help=SETTING)
        sub.set_defaults(set=[], overwrite=False)
    for sub in (quick, whole, data):
        sub.add_argument("--overwrite", action="store_true", help=OVERWRITE)
    described = add(
        verbs, "report", report, "results.json, report.md and report.html of finished runs"
    )
    described.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder")
    graded = add(verbs, "grade", grade, "match answers in a JSONL file with `pred` and `gold`")
    graded.add_argument("file", type=Path, metavar="FILE", help="JSONL; other fields pass through")
    graded.add_argument("--out", type=Path, required=True, metavar="FILE", help="the graded JSONL")
    add_bench_options(add(verbs, "bench", bench, "speed and memory beside peers, in one run"))
    return top


def add_bench_options(sub: argparse.ArgumentParser) -> None:
    """What is measured, and at which size."""
    sub.add_argument("name", choices=["loss"], help="the masked NLL beside other losses")
    sub.add_argument("--tokens", type=int, default=4096, help="positions of the row (4096)")
    sub.add_argument("--width", type=int, default=576, help="of the model (576)")
    sub.add_argument("--vocabulary", type=int, default=49152, help="of the head (49152)")
    sub.add_argument("--supervised", type=float, default=0.35, help="share of positions (0.35)")
    sub.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    sub.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    sub.add_argument("--rounds", type=int, default=3, help="processes per variant (3)")
    sub.add_argument("--repeats", type=int, default=3, help="timed repetitions in each (3)")


def add(
    verbs: argparse._SubParsersAction, name: str, verb: object, help: str
) -> argparse.ArgumentParser:
    """One verb, bound to its function."""
    sub: argparse.ArgumentParser = verbs.add_parser(name, help=help, description=help)
    sub.set_defaults(verb=verb)
    return sub


# ---- the verbs; imports are inside because they are slow ----------------------------------------


def quickstart(options: argparse.Namespace) -> None:
    """The packaged configuration, and a closing table."""
    from launch.quickstart import run_quickstart

    run_quickstart(options.set, options.overwrite)


def run(options: argparse.Namespace) -> None:
    """All stages."""
    run_stages(options)


def generate(options: argparse.Namespace) -> None:
    """The data stages alone."""
    run_stages(options, "data")


def train(options: argparse.Namespace) -> None:
    """The training stages alone."""
    run_stages(options, "train")


def evaluate(options: argparse.Namespace) -> None:
    """The evaluation stages alone."""
    run_stages(options, "evaluate")


def run_stages(options: argparse.Namespace, kind: str | None = None) -> None:
    """The stages of one kind, or all of them."""
    from launch.config import load_config
    from launch.pipeline import run_pipeline

    run_pipeline(load_config(options.config, options.set), options.overwrite, kind)


def report(options: argparse.Namespace) -> None:
    """Reports of runs, from their files alone."""
    from evals.report import write_report

    for folder in options.runs:
        if not folder.is_dir():
            raise ValueError(f"there is no run folder {folder}")
        print(write_report(folder))


def grade(options: argparse.Namespace) -> None:
    """Answer matching on a file."""
    from evals.grading import grade_file

    print(grade_file(options.file, options.out))


def bench(options: argparse.Namespace) -> None:
    """One comparison."""
    from launch.bench_loss import run_bench

    print(run_bench(options))


if __name__ == "__main__":
    sys.exit(main())
