"""What `cgd bench` measures and at which size: its options, apart from the benches so that `--help` needs no torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_benches(bench: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]) -> None:
    """`cgd bench loss`, `train`, `generate` and the rest; all end in `run(options)`, with `options.name` the bench."""
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
    add_client(names.add_parser("client", help="processor time of feeding servers, a request"), run)
    add_fleet(names.add_parser("fleet", help="simulated servers: does a run keep them busy"), run)
    speed = "texts through vLLM beside its own engine: tokens/s, and what its prefix cache saves"
    add_generate(names.add_parser("generate", help=speed), run)
    add_grade(names.add_parser("grade", help="answer matching beside others: agreement, time"), run)
    finding = "benchmark problems among prompts: time, memory, how many of each kind are found"
    add_decontaminate(names.add_parser("decontaminate", help=finding), run)


def add_generate(sub: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]) -> None:
    """Which model, and how much it writes."""
    sub.set_defaults(verb=run)
    sub.add_argument("--model", metavar="MODEL", help="folder or hub id (the packaged student)")
    sub.add_argument("--prompts", type=int, default=64, help="chats in one turn (64)")
    sub.add_argument("--max-tokens", type=int, default=128, help="longest text (128)")
    sub.add_argument("--rounds", type=int, default=3, help="turns of each side (3)")
    longest = "tokens of a chat, prompt and text (what the model was made for)"
    sub.add_argument("--max-model-len", type=int, metavar="L", help=longest)
    sub.add_argument("--json", action="store_true", help="every turn as one JSON object")


def add_decontaminate(
    sub: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]
) -> None:
    """How much, and whose texts."""
    sub.set_defaults(verb=run)
    sub.add_argument("--prompts", type=int, default=100_000, help="looked up (100000)")
    sub.add_argument("--questions", type=int, default=30_000, help="looked for (30000)")
    sub.add_argument("--variants", type=int, default=500, help="prompts of each kind (500)")
    sub.add_argument("--seed", type=int, default=0, help="of the drawn texts (0)")
    folder = "NAME.jsonl of known benchmarks to look for; drawn problems make up the number"
    sub.add_argument("--benchmark-dir", metavar="DIR", help=folder)
    clean = "prompts of your own, taken as clean; drawn problems make up the number"
    sub.add_argument("--clean", nargs="*", default=[], metavar="FILE", help=clean)
    sub.add_argument("--list", action="store_true", help="print clean prompts that were removed")


def add_client(client: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]) -> None:
    """How many requests, and how long the servers take for each."""
    client.set_defaults(verb=run)
    client.add_argument("--rate", type=float, default=100.0, help="requests a second (100)")
    client.add_argument("--servers", type=int, default=8, help="played by one process (8)")
    client.add_argument("--text-seconds", type=float, default=10.0, help="mean for a text (10)")
    client.add_argument("--seconds", type=float, default=20.0, help="measured in each round (20)")
    client.add_argument("--rounds", type=int, default=3, help="in turns; the best counts (3)")


def add_fleet(fleet: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]) -> None:
    """How much work, and for how many."""
    fleet.set_defaults(verb=run)
    fleet.add_argument("--prompts", type=int, default=100_000, help="each is 3 texts (100000)")
    fleet.add_argument("--students", type=int, default=2, help="replicas of the student (2)")
    fleet.add_argument("--teachers", type=int, default=6, help="replicas of the teacher (6)")


def add_grade(grade: argparse.ArgumentParser, run: Callable[[argparse.Namespace], None]) -> None:
    """The file, and what is shown of it."""
    grade.set_defaults(verb=run)
    fields = (
        "JSONL with `pred`, `gold`, where known `label` (true: the prediction is correct), and what "
        "`cgd grade` reads: `choices`, `tolerance`, `error`"
    )
    grade.add_argument("file", metavar="FILE", help=fields)
    grade.add_argument("--peers", action="store_true", help="math-verify too, where installed")
    grade.add_argument("--list", action="store_true", help="print every disagreement")
    limit = "seconds after which a case has failed (10)"
    grade.add_argument("--limit", type=float, default=10.0, metavar="SECONDS", help=limit)
