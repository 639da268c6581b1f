"""What `cgd bench` measures and at which size: its options, apart from the benches so that `--help` needs no torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_benches(bench: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]) -> None:
    """`cgd bench loss`, `train` and `grade`; all end in `run(options)`, with `options.name` the bench."""
    names = bench.add_subparsers(title="benches", metavar="NAME", required=True, dest="name")
    loss = names.add_parser("loss", help="the masked NLL beside other losses: time, memory, error")
    train = names.add_parser("train", help="the engine beside other trainers: speed, memory, MFU")
    for sub in (loss, train):
        sub.set_defaults(verb=run)
        sub.add_argument("--supervised", type=float, default=0.35, help="share of tokens (0.35)")
        sub.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
        sub.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
        sub.add_argument("--rounds", type=int, default=3, help="processes per variant (3)")
    loss.add_argument("--tokens", type=int, default=4096, help="positions of the row (4096)")
    loss.add_argument("--width", type=int, default=576, help="of the model (576)")
    loss.add_argument("--vocabulary", type=int, default=49152, help="of the head (49152)")
    loss.add_argument("--repeats", type=int, default=3, help="timed repetitions in each (3)")
    train.add_argument(
        "--model",
        default="llama-30m",
        help="llama-30m, smollm2-135m, a shape that `cgd plan` knows, or a model folder (llama-30m)",
    )
    train.add_argument("--steps", type=int, default=3, help="timed, after one to warm up (3)")
    train.add_argument("--batch-size", type=int, default=8, help="examples of a step (8)")
    train.add_argument("--mean-tokens", type=int, default=521, help="length of an example (521)")
    train.add_argument("--row-tokens", type=int, default=2048, help="of a packed row (2048)")
    train.add_argument(
        "--micro-batch", type=int, default=1, help="the peers' examples a micro-batch (1)"
    )
    train.add_argument(
        "--activation-checkpointing",
        choices=["none", "selective", "full"],
        default="none",
        help="the peers know none and full (none)",
    )
    train.add_argument("--compile", action="store_true", help="compile the blocks, or the peer")
    train.add_argument("--only", metavar="WORDS", help="trainers whose name has one: ours,packed")
    add_grade(names.add_parser("grade", help="answer matching beside a peer: agreement, time"), run)


def add_grade(grade: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]) -> None:
    """The file, and what is shown of it."""
    grade.set_defaults(verb=run)
    fields = "JSONL with `pred`, `gold`, and where known `label` (true: the prediction is correct)"
    grade.add_argument("file", metavar="FILE", help=fields)
    grade.add_argument("--peers", action="store_true", help="math-verify too, where installed")
    grade.add_argument("--list", action="store_true", help="print every disagreement")
    limit = "seconds after which a case has failed (10)"
    grade.add_argument("--limit", type=float, default=10.0, metavar="SECONDS", help=limit)
