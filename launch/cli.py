"""`cgd VERB`: reads the command line, calls one function, and says in words what went wrong.

    arguments → the verb's function → exit code

Exit codes: 0 done, 1 a budget is spent, 2 a mistake to mend, 3 a loss not finite, 4 a plan that does not fit,
75 told to stop, 130 Ctrl-C.

Every verb imports what it needs when it is called, so that `cgd --help` never waits for torch.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from engine.advice import first_sentence, is_out_of_memory
from engine.command import EXIT_MISTAKE, exit_code_for, print_error
from engine.interruption import EXIT_INTERRUPTED as EXIT_TOLD_TO_STOP
from engine.interruption import Interrupted
from launch.bench_options import add_benches
from launch.verb import Parser, add, parse
from launch.verbs_catalogue import add_catalogue_verbs
from launch.verbs_diagnose import add_diagnose_verb
from launch.verbs_doctor import add_doctor_verb
from launch.verbs_grade import add_grade_verb
from launch.verbs_reproduce import add_reproduce_verb
from launch.verbs_run import add_run_verbs
from launch.verbs_status import add_status_verb
from launch.verbs_training import add_training_verbs

EXIT_INTERRUPTED = 130
EXIT_NO_READER = 141
STDOUT = 1
LESS_AT_ONCE = "use a smaller batch_size (or max_tokens) in the section at work, or a smaller model"

GROUPS = {
    "the way": ("quickstart", "run", "generate", "train", "evaluate", "report"),
    "look before you pay, and while it runs": ("doctor", "plan", "inspect", "status"),
    "files": ("list", "copy", "export"),
    "measure": ("reproduce", "diagnose", "grade", "bench"),
}
"""The commands as `cgd --help` shows them."""

EXAMPLES = """\
start here:
  cgd quickstart                              the whole method on the built-in world, on a CPU
  cgd list recipes                            configurations to start from
  cgd copy single-gpu mine.toml               one of them, to be edited
  cgd doctor mine.toml                        what would stop it
  cgd run mine.toml --dry-run                 stages, steps, memory, commands; nothing is run
  cgd run mine.toml                           generate, train, evaluate, report
  cgd run mine.toml --set train.learning_rate=5e-6 --set run.name=faster
  cgd status runs/mine                        how far it is

`cgd COMMAND --help` has more examples of each. One command, again and again: the same command on the same
run folder goes on where it stopped. With CGD_TRACEBACK=1 an error shows where in the code it was raised.
Words after Tab: eval "$(cgd --completion bash)" in ~/.bashrc; zsh and fish likewise.
"""

BENCH_EXAMPLES = """\
cgd bench loss --vocabulary 128256                  the loss beside its peers: time, memory, error
cgd bench train --model smollm2-135m                the engine beside its peers: tokens/s, memory
cgd bench generate --prompts 64                     texts through vLLM beside its own engine: tokens/s
cgd bench grade cases.jsonl --peers --list          answer matching beside math-verify, on labelled cases
cgd bench client --rate 100                         what feeding servers costs, per request
cgd bench fleet --prompts 100000                    how busy a run keeps simulated servers"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code is returned, not raised."""
    try:
        options = parse(parser(), arguments)
        signal.signal(signal.SIGTERM, interrupted)
        code: int = options.verb(options) or 0
        sys.stdout.flush()  # a reader that has gone is noticed here, not while Python ends
        return code
    except (ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError) and reader_has_gone():
            return EXIT_NO_READER
        if os.environ.get("CGD_TRACEBACK"):
            raise
        print_error(error)
        return exit_code_for(error)
    except Interrupted as left:
        print(left, file=sys.stderr)
        return EXIT_TOLD_TO_STOP
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command to continue", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        if os.environ.get("CGD_TRACEBACK") or not is_out_of_memory(error):
            raise
        print_error(ValueError(f"out of memory: {first_sentence(error)}; {LESS_AT_ONCE}"))
        return EXIT_MISTAKE


def reader_has_gone() -> bool:
    """Whether nobody reads standard output any more, as after `cgd list | head`; what is left goes nowhere then."""
    gate = select.poll()
    gate.register(STDOUT, 0)
    gone = any(event & (select.POLLERR | select.POLLHUP) for _, event in gate.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
    return gone


def interrupted(signum: int, frame: object) -> NoReturn:
    """Makes a polite kill end like Ctrl-C: files are closed, and the way on is said."""
    raise KeyboardInterrupt


# ---- the parser -------------------------------------------------------------------------------------


class Command(Parser):
    """`cgd` itself: its help shows the verbs in groups."""

    verbs: argparse._SubParsersAction[Parser]

    def format_help(self) -> str:
        """Usage, the verbs by group, and how to start."""
        lines = [self.format_usage(), self.description or "", ""]
        for title, names in GROUPS.items():
            about = [f"    {name:12}{self.verbs.choices[name].description}" for name in names]
            lines += [f"{title}:", *about, ""]
        return "\n".join([*lines, self.epilog or ""])


class PrintCompletion(argparse.Action):
    """`--completion SHELL`: prints the script and leaves."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, _: object = None
    ) -> NoReturn:
        """The words come from the parser that reads the command line."""
        from launch.completion import completion_script

        assert isinstance(parser, Command)
        print(completion_script(parser.verbs.choices, values))
        parser.exit()


def parser() -> Command:
    """All verbs and their options."""
    top = Command(
        prog="cgd",
        description="Critique-Guided Distillation: generate, train, evaluate, report.",
        epilog=EXAMPLES,
    )
    shells = ("bash", "zsh", "fish")
    script = "print the script that completes words after Tab, for this shell"
    top.add_argument("--completion", action=PrintCompletion, choices=shells, help=script)
    verbs = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    top.verbs = verbs
    add_run_verbs(verbs)
    add_doctor_verb(verbs)
    add_training_verbs(verbs)
    add_status_verb(verbs)
    add_catalogue_verbs(verbs)
    add_reproduce_verb(verbs)
    add_diagnose_verb(verbs)
    add_grade_verb(verbs)
    about = "speed and memory beside peers, in one run"
    add_benches(add(verbs, "bench", bench, about, BENCH_EXAMPLES), bench)
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
