"""A run folder as the pipeline leaves it, with texts that want to break a page; for the tests of reports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from random import Random

from datagen.arithmetic import problems
from datagen.generators import Completion, Request, Sampling
from datagen.records import write_records
from evals.run import EvaluateConfig, evaluate

HOSTILE = "<script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)>"
METHODS = {"base": 0.4, "sft": 0.3, "distilled_sft": 0.6, "cft": 0.1, "cgd": 0.5}


class Noisy:
    """Answers the built-in problems right with some probability, and always with hostile text."""

    def __init__(self, method: str) -> None:
        self.identity = {"backend": "test", "model": method, "revision": ""}
        self.share = METHODS[method]

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, done: AbstractSet[int] = frozenset()
    ) -> Iterator[tuple[int, Completion]]:
        for index, request in enumerate(requests):
            right = Random(f"{self.identity} {request.id}").random() < self.share
            answer = GOLD[request.id] if right and request.id in GOLD else "-1"
            yield index, Completion(f"{HOSTILE} so \\boxed{{{answer}}}", "stop", 9, 12, 0.1)


GOLD = {record.id: record.final_answer for record in (p.record() for p in problems("test", 60, 0))}


def build_run(run: Path, methods: Sequence[str] = tuple(METHODS), count: int = 60) -> Path:
    """A run folder as the pipeline leaves it."""
    run.mkdir()
    objectives = ", ".join(f'"{name}"' for name in METHODS if name != "base")
    (run / "config.toml").write_text(
        f'[run]\nname = "<b>toy</b> | one"\nseed = 0\n[pipeline]\nobjectives = [{objectives}]\n'
    )
    (run / "data").mkdir()
    records = [p.record() for p in problems("train", count, 0)]
    write_records(run / "data" / "prompts.jsonl", records)
    done = [
        record.with_stage(
            "answer",
            {"finish_reason": "length" if place == 0 else "stop"},
            student_answer=HOSTILE,
            student_correct=place % 3 == 0,
            critique="Step 1 slips.\nConclusion: wrong",
            refined_answer=record.answer,
        )
        for place, record in enumerate(records)
    ]
    write_records(run / "data" / "refinements.jsonl", done)
    config = EvaluateConfig(limit=count)
    for name in methods:
        evaluate(name, Noisy(name), config, run / "evals", say=lambda _: None)
        if name != "base":
            write_training(run / "train" / name)
    return run


def write_training(folder: Path) -> None:
    """Metrics and summary of a finished training."""
    folder.mkdir(parents=True)
    losses = [3.0 / (1 + step / 20) for step in range(150)]
    rows = [
        {"step": step, "loss": loss, "grad_norm": loss / 2}
        for step, loss in enumerate(losses, start=1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    summary = {"steps": 150, "examples": 1200, "train_seconds": 41.5, "final_loss": 0.35}
    summary |= {"rows": 1203, "too_long": 2, "no_target": 1, "tokens": 83000}
    (folder / "summary.json").write_text(json.dumps(summary))


def write_accounts(run: Path, count: int) -> None:
    """What data generation and diagnostics leave beside the records."""
    selection = {"rows_seen": count + 9, "prompts": count, "contaminated": 4}
    selection |= {"exact_duplicates": 3, "near_duplicates": 0}
    (run / "data" / "selection.json").write_text(json.dumps(selection))
    stage = {"stage": "answer", "into": count, "out": count - 2, "texts": count + 5, "retried": 5}
    stage |= {"dropped": {"truncated": 1}, "failed": {"timeout": 1}, "kept_with": {"right": 20}}
    told = {"student_correct": 20, "refined_correct": count, "teacher_correct": 0}
    (run / "data" / "summary.json").write_text(json.dumps({"stages": [stage], **told}))
    (run / "diagnostics" / "cgd").mkdir(parents=True)
    for model, share in ((".", 0.25), ("cgd", 0.5)):
        figures = {"n": 60, "factual.accuracy": share, "factual.accuracy.low": share - 0.1}
        figures |= {"factual.accuracy.high": share + 0.1, "factual_minus_none": -0.02}
        figures |= {"factual_minus_none.p": 0.0004}
        result = {"definition": "Share of right answers.", "source": "Appendix", "n": 60}
        result |= {"model": "folder", "figures": figures, "notes": [f"noted {share}"]}
        (run / "diagnostics" / model / "robustness.json").write_text(json.dumps(result))
