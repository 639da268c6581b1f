"""`cgd VERB`: reads the command line, calls one function, and says in words what went wrong.

    arguments → the verb's function → exit code

Exit codes: 0 done, 1 a budget is spent, 2 a mistake to mend, 3 a loss not finite, 4 a plan that does not fit,
75 told to stop, 130 Ctrl-C.

Every verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from engine.command import EXIT_MISTAKE, EXIT_NOT_FINITE, NotFinite
from engine.interruption import EXIT_INTERRUPTED as EXIT_TOLD_TO_STOP
from engine.interruption import Interrupted
from launch.bench_options import add_benches
from launch.verb import add
from launch.verbs_diagnose import add_diagnose_verb
from launch.verbs_grade import add_grade_verb
from launch.verbs_reproduce import add_reproduce_verb
from launch.verbs_run import add_run_verbs
from launch.verbs_training import add_training_verbs

EXIT_INTERRUPTED = 130

EXAMPLES = """\
examples:
  cgd quickstart                                      the whole method on the built-in world
  cgd run launch/configs/smollm2-gsm8k.toml           the same on a real model and real problems
  cgd run CONFIG --set train.learning_rate=5e-6 --set run.name=faster
  cgd generate CONFIG && cgd train CONFIG && cgd evaluate CONFIG
  cgd generate CONFIG --dry-run                       tokens, hours and money before anything is paid for
  cgd inspect runs/mine/data/refinements.jsonl        records, answer, critique and refinement side by side
  cgd inspect CONFIG --world-size 8 --losses          what is trained on: mask, plan of a step, losses
  cgd diagnose CONFIG --only entropy,gradients        what critiques do to the student, or --model cgd
  cgd report runs/quickstart
  cgd reproduce table1                                a table of the paper, in the built-in world, on a CPU
  cgd reproduce --list                                all tables and figures: what each needs, what was measured
  cgd reproduce all --scale paper --dry-run           the jobs and commands at the paper's size, nothing run
  cgd grade outputs.jsonl --out graded.jsonl          rows with `pred` and `gold`
  cgd export CONFIG --step 300                        that checkpoint as a model folder
  cgd export CONFIG --records my-data                 the records as a data set for other tools
  cgd plan CONFIG --world-size 8 --device H100        memory and time, without a GPU; 4 if it does not fit
  cgd bench loss --vocabulary 128256                  the loss beside its peers: time, memory, error
  cgd bench train --model smollm2-135m                the engine beside its peers: tokens/s, memory
  cgd bench generate --model FOLDER                   texts through vLLM beside its own engine: tokens/s
  cgd bench grade cases.jsonl --peers --list          answer matching beside math-verify, on labelled cases
  cgd bench client --rate 100                         what feeding servers costs, per request
  cgd bench fleet --prompts 100000                    how busy a run keeps simulated servers

One command, again and again: the same command on the same run folder continues where it stopped.
On several devices: torchrun --nproc-per-node N -m engine.train CONFIG
With CGD_TRACEBACK=1 an error shows where in the code it was raised.
"""


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
        if isinstance(error, NotFinite):
            return EXIT_NOT_FINITE
        return int(getattr(error, "exit_code", EXIT_MISTAKE))
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
    add_run_verbs(verbs)
    add_training_verbs(verbs)
    add_diagnose_verb(verbs)
    add_grade_verb(verbs)
    add_reproduce_verb(verbs)
    add_benches(add(verbs, "bench", bench, "speed and memory beside peers, in one run"), bench)
    return top


def bench(options: argparse.Namespace) -> None:
    """One comparison."""
    if options.name == "loss":
        from launch.bench_loss import run_bench
    elif options.name == "grade":
        from launch.bench_grade import run_bench
    elif options.name == "decontaminate":
        from launch.bench_decontaminate import run_bench
    elif options.name == "client":
        from launch.bench_client import run_bench
    elif options.name == "fleet":
        from launch.bench_fleet import run_bench
    elif options.name == "generate":
        from launch.bench_generate import run_bench
    else:
        from launch.bench_train import run_bench
    print(run_bench(options))


if __name__ == "__main__":
    sys.exit(main())
