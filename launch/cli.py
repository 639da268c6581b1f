"""`cgd VERB`: reads the command line, calls one function, and says in words what went wrong.

    arguments → the verb's function → exit code

Exit codes: 0 done, 2 a mistake to mend, 3 a loss not finite, 4 a plan that does not fit, 75 told to stop, 130 Ctrl-C.

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

from engine.command import EXIT_MISTAKE, EXIT_NOT_FINITE, NotFinite
from engine.interruption import EXIT_INTERRUPTED as EXIT_TOLD_TO_STOP
from engine.interruption import Interrupted
from launch.bench_options import add_benches

EXIT_DOES_NOT_FIT = 4
EXIT_INTERRUPTED = 130

EXAMPLES = """\
examples:
  cgd quickstart                                      the whole method on the built-in world
  cgd run launch/configs/smollm2-gsm8k.toml           the same on a real model and real problems
  cgd run CONFIG --set train.learning_rate=5e-6 --set run.name=faster
  cgd generate CONFIG && cgd train CONFIG && cgd evaluate CONFIG
  cgd inspect CONFIG --world-size 8 --losses          what is trained on: mask, plan of a step, losses
  cgd report runs/quickstart
  cgd grade outputs.jsonl --out graded.jsonl          rows with `pred` and `gold`
  cgd export CONFIG --step 300                        that checkpoint as a model folder
  cgd plan CONFIG --world-size 8 --device H100        memory and time, without a GPU; 4 if it does not fit
  cgd bench loss --vocabulary 128256                  the loss beside its peers: time, memory, error
  cgd bench train --model smollm2-135m                the engine beside its peers: tokens/s, memory
  cgd bench grade cases.jsonl --peers --list          answer matching beside math-verify, on labelled cases

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
        return options.verb(options) or 0
    except (ValueError, OSError) as error:
        if os.environ.get("CGD_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        return EXIT_NOT_FINITE if isinstance(error, NotFinite) else EXIT_MISTAKE
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
    one = "this model alone: base (the student as it is), or an objective that was trained"
    scores.add_argument("--model", metavar="NAME", help=one)
    shown = "print the first prompt of each benchmark as the model sees it, and evaluate nothing"
    scores.add_argument("--show-prompt", action="store_true", help=shown)
    named = "with --show-prompt: of this one alone; the config need not name it"
    scores.add_argument("--benchmark", metavar="NAME", help=named)
    add_inspect_options(add(verbs, "inspect", inspect, "show what is trained on"))
    described = add(
        verbs, "report", report, "results.json, report.md and report.html of finished runs"
    )
    described.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder")
    graded = add(verbs, "grade", grade, "match answers in a JSONL file with `pred` and `gold`")
    graded.add_argument("file", type=Path, metavar="FILE", help="JSONL; other fields pass through")
    graded.add_argument("--out", type=Path, required=True, metavar="FILE", help="the graded JSONL")
    add_plan_options(
        add(verbs, "plan", plan, "memory and time of a training, before paying for it")
    )
    add_export_options(add(verbs, "export", export, "a checkpoint as a Hugging Face model folder"))
    add_benches(add(verbs, "bench", bench, "speed and memory beside peers, in one run"), bench)
    return top


def add_inspect_options(sub: argparse.ArgumentParser) -> None:
    """Which example and which step are looked at."""
    sub.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
    sub.add_argument("--example", metavar="ID", help="this one token by token (the first)")
    sub.add_argument("--step", type=int, default=1, metavar="N", help="this step's plan (1)")
    sub.add_argument("--world-size", type=int, default=1, metavar="N", help="on so many ranks (1)")
    sub.add_argument("--losses", action="store_true", help="the student's loss on each example")
    sub.add_argument("--json", action="store_true", help="the same as JSON")
    sub.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help=SETTING
    )


def add_plan_options(sub: argparse.ArgumentParser) -> None:
    """Where it would run, and what is assumed where there are no data."""
    sub.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file")
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
    sub.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help=SETTING
    )


def add_export_options(sub: argparse.ArgumentParser) -> None:
    """Which checkpoint, and where to."""
    sub.add_argument("config", type=Path, metavar="CONFIG", help="that of the training")
    sub.add_argument("--step", type=int, metavar="N", help="the checkpoint of this step (newest)")
    sub.add_argument("--out", type=Path, metavar="DIR", help="the folder (beside the checkpoints)")
    kept = "a state kept before a step whose loss was not finite"
    sub.add_argument("--non-finite", action="store_true", help=kept)
    sub.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help=SETTING
    )


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


def inspect(options: argparse.Namespace) -> None:
    """What the trainer would consume, shown."""
    from launch.config import load_config
    from launch.inspection import Question, inspect_training
    from launch.inspection_text import print_inspection

    config = load_config(options.config, options.set)
    question = Question(
        step=options.step,
        example=options.example,
        world_size=options.world_size,
        losses=options.losses,
    )
    print_inspection(inspect_training(config, question), options.json, sys.stdout)


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
    """One checkpoint of one training."""
    from engine.export import export_checkpoint
    from launch.config import load_config

    config = load_config(options.config, options.set)
    which = (options.step, options.out, options.non_finite)
    export_checkpoint(config.run, config.student, config.train, *which)


def bench(options: argparse.Namespace) -> None:
    """One comparison."""
    if options.name == "loss":
        from launch.bench_loss import run_bench
    elif options.name == "grade":
        from launch.bench_grade import run_bench
    else:
        from launch.bench_train import run_bench
    print(run_bench(options))


if __name__ == "__main__":
    sys.exit(main())
