"""Evaluation of one model: prompts in, one graded row a problem and sample out, scores last.

    benchmarks → requests → generator → .jsonl.partial → judge → BENCHMARK.jsonl → scores.json

Everything an output depends on (generator, sampling, prompt, seed) is hashed into its row's key.
A run that was killed goes on where it stopped; a finished one does nothing; one whose model or
settings changed redoes exactly the outputs that changed, and says so. All prompts of a benchmark go
to the generator at once, and answers are judged while it writes. Judging is always done afresh from
the outputs, except where a benchmark's authors ask that nothing is kept in clear.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datagen.generators import Completion, Generator, what_matters
from datagen.plan import digest
from datagen.progress_bar import Watch, unwatched
from datagen.records import json_line, named, write_whole
from engine.config import differences, flatten
from evals.benchmark_problem import Benchmark
from evals.benchmarks import load_benchmarks
from evals.compute import rows_account
from evals.grading import GRADER_VERSION
from evals.judging import Judge
from evals.lm_eval_bridge import HARNESS, check_harness, run_harness
from evals.outputs import Work, graded_row, output_row, plan, read_outputs
from evals.sandbox import require_permission
from evals.sandbox_protection import describe_protection
from evals.scores import SCORES_VERSION, score_rows
from evals.settings import EvaluateConfig
from evals.token_progress import watched

__all__ = ["EvaluateConfig", "evaluate", "load_asked"]

Say = Callable[[str], None]


def load_asked(config: EvaluateConfig, seed: int) -> list[Benchmark]:
    """The benchmarks that are asked here; those of the harness are only looked for."""
    asked = [name for name in config.benchmarks if name not in HARNESS]
    if len(asked) < len(config.benchmarks):
        check_harness()
    benchmarks = load_benchmarks(asked, config.limit, seed, config.wording, config.benchmark_dir)
    for benchmark in benchmarks:
        if runs_code(benchmark):
            require_permission(config.allow_code, f"benchmark {benchmark.name!r}")
    return benchmarks


def evaluate(
    model_name: str,
    generator: Generator,
    config: EvaluateConfig,
    folder: Path,
    seed: int = 0,
    say: Say = print,
    devices: int = 1,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Evaluates one model into `folder/model_name` and returns what scores.json holds.

    `devices`: how many hold one copy of the model, for the account.
    """
    benchmarks = load_asked(config, seed)
    target = folder / model_name
    settings = fingerprint(generator, config, benchmarks, seed)
    finished = read_finished(target, settings, say)
    if finished is not None:
        answers = sum(len(b.problems) for b in benchmarks) * config.samples
        count = answers * len(config.seeds_or(seed))
        say(f"evaluate {model_name}: {count} answers, complete, nothing to do")
        return finished
    scores: dict[str, Any] = {"model": model_name, "benchmarks": {}, "fingerprint": settings}
    for benchmark in benchmarks:
        for remark in benchmark.remarks:
            say(f"evaluate {model_name}/{benchmark.name}: {remark}")
        if runs_code(benchmark):
            for line in describe_protection():
                say(f"evaluate {model_name}/{benchmark.name}: sandbox: {line}")
        rows = answer(benchmark, generator, config, seed, target, say, watch)
        account = rows_account(rows, generator.identity, devices)
        scores["benchmarks"][benchmark.name] = score_rows(rows) | about(benchmark) | account
    for name in (name for name in config.benchmarks if name in HARNESS):
        rows, figures = run_harness(name, generator.identity, config, seed, target, say)
        scores["benchmarks"][name] = score_rows(rows) | figures
    write_whole(target / "scores.json", json.dumps(scores, indent=2).encode() + b"\n")
    return scores


def runs_code(benchmark: Benchmark) -> bool:
    """Whether answers are programs."""
    return any(problem.program is not None for problem in benchmark.problems)


def about(benchmark: Benchmark) -> dict[str, Any]:
    """What the scores were measured with: the wording by its hash, and remarks on the problems."""
    wording = {"name": benchmark.wording, "sha256": benchmark.wording_sha256}
    return {"wording": wording, "remarks": list(benchmark.remarks)}


def fingerprint(
    generator: Generator, config: EvaluateConfig, benchmarks: Sequence[Benchmark], seed: int
) -> dict[str, Any]:
    """All that the scores depend on; two evaluations with the same one are the same."""
    return {
        "generator": what_matters(generator.identity),
        **config.what_matters(seed),
        "seed": seed,
        "grader": GRADER_VERSION,
        "scores": SCORES_VERSION,
        "benchmarks": {b.name: digest([asdict(p) for p in b.problems]) for b in benchmarks}
        | {name: config.limit or 0 for name in config.benchmarks if name in HARNESS},
    }


def read_finished(target: Path, settings: dict[str, Any], say: Say) -> dict[str, Any] | None:
    """The scores of a finished evaluation with these very settings; other ones lose their mark of
    completion."""
    marker = target / "scores.json"
    if not marker.exists():
        return None
    scores = json.loads(marker.read_text(encoding="utf-8"))
    changed = differences(flatten(scores.get("fingerprint", {})), flatten(settings))
    missing = [name for name in scores["benchmarks"] if not (target / f"{name}.jsonl").exists()]
    if not changed and not missing:
        return dict(scores)
    why = "; ".join([*changed, *(f"{name}.jsonl is missing" for name in missing)])
    say(
        f"evaluate {target.name}: the finished evaluation is not of these settings ({why}); working again"
    )
    marker.unlink()
    return None


def answer(
    benchmark: Benchmark,
    generator: Generator,
    config: EvaluateConfig,
    seed: int,
    folder: Path,
    say: Say,
    watch: Watch = unwatched,
) -> list[dict[str, Any]]:
    """Makes the outputs that are not there yet, judging them as they come, then writes the graded
    file in the order of the problems."""
    target = folder / f"{benchmark.name}.jsonl"
    partial = target.with_name(target.name + ".partial")
    work = plan(benchmark, generator, config, seed)
    outputs = read_outputs(target, say) | read_outputs(partial, say)
    kept = {index for index, item in enumerate(work) if item.key in outputs}
    announce(target, len(work), len(kept), len(outputs) - len(kept), say)
    with Judge(len(work), config.grading_workers, config.compat) as judge:
        for index in sorted(kept):
            judge.submit(index, work[index].problem, outputs[work[index].key])
        if len(kept) < len(work):
            requests = [item.request for item in work]
            stream = generator.generate(requests, config.sampling(), kept)
            made = append_rows(partial, work, stream, judge)
            label = f"evaluate {target.parent.name}/{target.stem}"
            kept_tokens = [outputs[work[index].key]["tokens"] for index in kept]
            outputs |= dict(watched(made, label, len(work), kept_tokens, say, watch))
        missing = sum(item.key not in outputs for item in work)
        assert not missing, f"{target}: the generator left out {missing} of {len(work)} requests"
        verdicts = judge.results([outputs[item.key]["finish_reason"] for item in work])
    rows = [
        graded_row(item, outputs[item.key], verdict)
        for item, verdict in zip(work, verdicts, strict=True)
    ]
    write_whole(target, b"".join(json_line(row) for row in rows))
    partial.unlink(missing_ok=True)
    return rows


def append_rows(
    partial: Path, work: Sequence[Work], stream: Iterator[tuple[int, Completion]], judge: Judge
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Writes each output down before anything else is done with it."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    file = partial.open("ab")
    try:
        for index, completion in stream:
            row = output_row(work[index], completion)
            with named(partial):
                file.write(json_line(row))
                file.flush()
            judge.submit(index, work[index].problem, row)
            yield row["key"], row
    finally:
        with suppress(OSError):  # what a full disk has not taken was an error already
            file.close()


def announce(target: Path, total: int, kept: int, stale: int, say: Say) -> None:
    """Says what an earlier attempt left, when it left something."""
    name = f"evaluate {target.parent.name}/{target.stem}"
    if stale:
        say(f"{name}: {stale} outputs of another model or other settings are not used")
    if kept:
        say(f"{name}: {kept} of {total} answers are there already")
