"""`cgd bench grade`: our answer matching beside others, on one file of predictions and gold answers.

    rows {pred, gold, label?, choices?, …} → each grader in a process of its own, case by case, under a time limit
                                           → agreement with the labels, both errors, times, slow and failed cases

`compat` is our account of the grader behind published tables (`evals.compat`), math-verify a peer. Every grader
extracts the answer itself; only `compat` is given a row with `"form": "bare"` as an answer, since its reference takes
the last number of a text without a box. A process that does not answer in time is killed and the case counts as failed;
the next case gets a fresh one, so a grader that hangs is measured to the end. A failed case agrees with no label. Rows
that say `contested: true` are graded and timed, but their labels do not count.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import statistics
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SLOW_SECONDS = 1.0
START_SECONDS = 120.0
"""For a worker to import its grader."""

Case = dict[str, Any]
Grader = Callable[[Case], tuple[bool, str]]
"""A row → whether its prediction is correct, and what the grader says of it."""


@dataclass(frozen=True)
class Graded:
    """What one grader did with one row."""

    correct: bool | None
    """None where it failed: no answer in time, or an exception."""
    said: str
    seconds: float


def ours() -> Grader:
    """Extraction and comparison of this project, by the row's own policy."""
    from evals.grading import grade
    from evals.grading_files import policy_of

    def grade_row(case: Case) -> tuple[bool, str]:
        verdict = grade(case["pred"], case["gold"], policy_of(case))
        return verdict.correct, verdict.status

    return grade_row


def compat() -> Grader:
    """The leniency of published tables."""
    from evals.compat import leniently_correct, leniently_equal
    from evals.compat_spelling import respelt
    from evals.grading_files import policy_of

    strict = ours()

    def grade_row(case: Case) -> tuple[bool, str]:
        choices = policy_of(case).choices
        if case.get("form") == "bare" and not choices:
            correct = leniently_equal(respelt(case["pred"]), respelt(case["gold"]))
        else:
            correct = leniently_correct(case["pred"], case["gold"], choices)
        if correct is None:
            return strict(case)[0], "left to ours"
        return correct, "correct" if correct else "wrong"

    return grade_row


def math_verify() -> Grader:
    """math-verify with its defaults; LaTeX that stands alone gets the dollar signs without which it is not found."""
    from evals.extract_values import has_prose

    logging.disable(logging.CRITICAL)  # it logs every timeout with the whole text
    peer = import_module("math_verify")  # by name: it is no part of the environment

    def read(text: str) -> Any:
        delimited = any(mark in text for mark in ("$", "\\(", "\\[", "\\boxed"))
        bare = not delimited and not has_prose(text)
        return (not bare and peer.parse(text)) or peer.parse(f"${text}$")

    def grade_row(case: Case) -> tuple[bool, str]:
        expected, found = read(case["gold"]), read(case["pred"])
        if not expected:
            return False, "unparsable gold"
        correct = bool(peer.verify(expected, found))
        return correct, "correct" if correct else "wrong" if found else "no answer found"

    return grade_row


OWN = ("ours", "compat")
GRADERS: dict[str, Callable[[], Grader]] = {
    "ours": ours,
    "compat": compat,
    "math-verify": math_verify,
}


def work(name: str, channel: Connection) -> None:
    """A worker: says when it is ready, then answers every row it receives."""
    grade_row = GRADERS[name]()
    grade_row({"pred": "\\boxed{1}", "gold": "1"})  # imports and caches are no case's time
    channel.send("ready")
    while True:
        case = channel.recv()
        started = time.perf_counter()
        try:
            correct, said = grade_row(case)
            graded = Graded(correct, said, time.perf_counter() - started)
        except Exception as error:
            said = f"raised {type(error).__name__}"
            graded = Graded(None, said, time.perf_counter() - started)
        channel.send(graded)


class Worker:
    """A process that grades with one grader, and is replaced when it hangs or dies."""

    def __init__(self, name: str, limit_seconds: float) -> None:
        self.name = name
        self.limit_seconds = limit_seconds
        self.start()

    def start(self) -> None:
        """Starts the process and waits until the grader is loaded."""
        context = multiprocessing.get_context("spawn")
        self.channel, far_end = context.Pipe()
        self.process = context.Process(target=work, args=(self.name, far_end), daemon=True)
        self.process.start()
        far_end.close()
        try:
            ready = self.channel.poll(START_SECONDS) and self.channel.recv() == "ready"
        except EOFError:
            ready = False
        if not ready:
            self.stop()
            raise ValueError(f"the grader {self.name!r} did not start; does it import?")

    def stop(self) -> None:
        """Ends the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.channel.close()

    def grade(self, case: Case) -> Graded:
        """One row."""
        started = time.perf_counter()
        try:
            self.channel.send(case)
            if self.channel.poll(self.limit_seconds):
                graded: Graded = self.channel.recv()
                return graded
            said = f"no answer in {self.limit_seconds:g} s"
        except (EOFError, OSError):
            said = "its process died"
        seconds = time.perf_counter() - started
        self.stop()
        self.start()
        return Graded(None, said, seconds)


def grade_all(name: str, cases: list[Case], limit_seconds: float) -> list[Graded]:
    """All rows with one grader, in a process of its own."""
    print(f"{name}: {len(cases)} rows", file=sys.stderr, flush=True)
    worker = Worker(name, limit_seconds)
    try:
        return [worker.grade(case) for case in cases]
    finally:
        worker.stop()


def read_cases(file: str) -> Iterator[Case]:
    """The rows. ValueError names the line that cannot be used."""
    from evals.grading_files import read_pairs

    for number, (row, _) in enumerate(read_pairs(Path(file)), start=1):
        label = row.get("label")
        if label is not None and not isinstance(label, bool):
            raise ValueError(
                f"{file}: row {number}: 'label' must be true, false or absent, got {label!r}"
            )
        yield row


def run_bench(options: Namespace) -> str:
    """Every grader over the file, and the table."""
    cases = list(read_cases(options.file))
    if not cases:
        raise ValueError(f"{options.file}: no rows to grade")
    names = [*OWN]
    if options.peers and find_spec("math_verify") is None:
        raise ValueError("--peers needs math-verify: pip install 'math-verify[antlr4_13_2]'")
    if options.peers:
        names.append("math-verify")
    results = {titled(name): grade_all(name, cases, options.limit) for name in names}
    text = table(cases, results, options.limit)
    return f"{text}\n\n{disagreements(cases, results)}" if options.list else text


def titled(name: str) -> str:
    """A peer's name with its version."""
    return name if name in OWN else f"{name} {version(name)}"


def label_of(case: Case) -> bool | None:
    """The label, where it counts."""
    return None if case.get("contested") else case.get("label")


def table(cases: list[Case], results: dict[str, list[Graded]], limit: float) -> str:
    """A line a grader, and what each said."""
    labels = [label_of(case) for case in cases]
    true, false = labels.count(True), labels.count(False)
    contested = sum(bool(case.get("contested")) for case in cases)
    lines = [
        f"{len(cases)} rows; labels that count: {true} correct, {false} wrong ({contested} rows contested, "
        f"{len(cases) - true - false - contested} without a label); limit {limit:g} s a case",
        f"{'':20}{'agreement':>20}{'false correct':>15}{'false wrong':>13}{'median ms':>11}{'p95 ms':>9}{'max ms':>9}"
        f"{'> 1 s':>7}{'failed':>8}",
    ]
    for name, graded in results.items():
        lines.append(row_of(name, labels, graded))
    for name, graded in results.items():
        said = Counter(one.said for one in graded).most_common()
        lines.append(f"{name} said: " + ", ".join(f"{count} {what}" for what, count in said))
    (first, said_first), *others = results.items()
    for name, graded in others:
        alike = sum(a.correct == b.correct for a, b in zip(said_first, graded, strict=True))
        lines.append(f"{first} and {name} say the same of {alike} of {len(cases)} rows")
    return "\n".join(lines)


def row_of(name: str, labels: list[bool | None], graded: list[Graded]) -> str:
    """One grader's figures."""
    judged = [
        (label, one.correct) for label, one in zip(labels, graded, strict=True) if label is not None
    ]
    agreed = sum(label == correct for label, correct in judged)
    false_correct = sum(correct is True and not label for label, correct in judged)
    false_wrong = sum(correct is False and label for label, correct in judged)
    share = f"{100 * agreed / len(judged):.1f} % ({agreed}/{len(judged)})" if judged else "-"
    seconds = sorted(one.seconds for one in graded)
    p95 = seconds[math.ceil(0.95 * len(seconds)) - 1]
    slow = sum(second > SLOW_SECONDS for second in seconds)
    failed = sum(one.correct is None for one in graded)
    times = f"{1e3 * statistics.median(seconds):11.2f}{1e3 * p95:9.1f}{1e3 * seconds[-1]:9.0f}"
    return f"{name:20}{share:>20}{false_correct:15}{false_wrong:13}{times}{slow:7}{failed:8}"


SHOWN_CHARS = 120


def disagreements(cases: list[Case], results: dict[str, list[Graded]]) -> str:
    """Rows where a grader differs from the label, or where the graders differ and no label counts."""
    lines = []
    for number, case in enumerate(cases):
        verdicts = {name: graded[number] for name, graded in results.items()}
        said = {one.correct for one in verdicts.values()}
        label = label_of(case)
        if (said == {label}) if label is not None else len(said) == 1:
            continue
        lines.append(f"row {number + 1} {case.get('id', '')}: label {in_words(case, label)}")
        lines += [f"    {name}: {one.said}" for name, one in verdicts.items()]
        lines += [f"    pred: {shown(case['pred'])}", f"    gold: {shown(case['gold'])}"]
    return "\n".join(lines) or "no disagreements"


def in_words(case: Case, label: bool | None) -> str:
    """The label of a row."""
    if label is None:
        return "contested" if case.get("contested") else "absent"
    return "correct" if label else "wrong"


def shown(text: str) -> str:
    """The end of a text on one line, since the answer stands there."""
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARS else f"…{text[-SHOWN_CHARS:]}"
