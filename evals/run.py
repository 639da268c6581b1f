"""Evaluation of one model: prompts in, one graded row a problem and sample out, scores last.

    benchmarks → requests → generator → .jsonl.partial → graded BENCHMARK.jsonl → scores.json

Everything an output depends on (generator, sampling, prompt, seed) is hashed into its row's key.
A run that was killed goes on where it stopped; a finished one does nothing; one whose model or
settings changed redoes exactly the outputs that changed, and says so. Grading is cheap, so it is
always done afresh from the outputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datagen.generators import Completion, Generator, Request, Sampling, what_matters
from datagen.instructions import complies
from datagen.plan import digest
from datagen.progress_bar import with_progress
from datagen.records import json_line, write_whole
from engine.config import differences, flatten
from evals.benchmarks import Benchmark, Problem, load_benchmarks
from evals.grading import GRADER_VERSION, grade, verdict_fields
from evals.outputs import read_outputs
from evals.scores import score_rows

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What a model is asked after training, and how it answers."""

    benchmarks: tuple[str, ...] = ("arithmetic", "arithmetic-format")
    """Built-in names, or paths of local JSONL files."""
    limit: int | None = None
    """The first N problems of each benchmark, in file order; all of a file, 300 of a built-in one
    by default."""
    samples: int = 1
    """Answers a problem; more than one needs a temperature."""
    temperature: float = 0.0
    """0 is greedy decoding."""
    top_p: float = 1.0
    """Share of probability that sampling draws from."""
    max_tokens: int = 1024
    """An answer is cut there; the share of cut answers is reported."""
    wording: str = "plain"
    """The template around each problem, by name or path; the same as in training. Instructions
    bring their own."""
    batch_size: int = 16
    """Prompts that a local model answers at a time."""

    def __post_init__(self) -> None:
        if not self.benchmarks:
            raise ValueError("evaluate.benchmarks must name at least one benchmark")
        for name in ("limit", "samples", "max_tokens", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"evaluate.{name} must be at least 1, got {value}")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"evaluate.samples = {self.samples} needs evaluate.temperature above 0: "
                "greedy answers are all the same"
            )
        self.sampling()  # its own bounds

    def sampling(self) -> Sampling:
        """How each answer is drawn."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)


@dataclass(frozen=True)
class Work:
    """One output to make."""

    problem: Problem
    sample: int
    request: Request
    key: str


def evaluate(
    model_name: str,
    generator: Generator,
    config: EvaluateConfig,
    folder: Path,
    seed: int = 0,
    say: Say = print,
) -> dict[str, Any]:
    """Evaluates one model into `folder/model_name` and returns what scores.json holds."""
    benchmarks = load_benchmarks(config.benchmarks, config.limit, seed, config.wording)
    target = folder / model_name
    settings = fingerprint(generator, config, benchmarks, seed)
    finished = read_finished(target, settings, say)
    if finished is not None:
        count = sum(len(benchmark.problems) for benchmark in benchmarks) * config.samples
        say(f"evaluate {model_name}: {count} answers, complete, nothing to do")
        return finished
    scores: dict[str, Any] = {"model": model_name, "fingerprint": settings, "benchmarks": {}}
    for benchmark in benchmarks:
        work = plan(benchmark, generator, config, seed)
        rows = answer(work, generator, config.sampling(), target / f"{benchmark.name}.jsonl", say)
        scores["benchmarks"][benchmark.name] = score_rows(rows)
    write_whole(target / "scores.json", json.dumps(scores, indent=2).encode() + b"\n")
    return scores


def fingerprint(
    generator: Generator, config: EvaluateConfig, benchmarks: Sequence[Benchmark], seed: int
) -> dict[str, Any]:
    """All that the scores depend on; two evaluations with the same one are the same."""
    return {
        "generator": what_matters(generator.identity),
        "sampling": asdict(config.sampling()),
        "samples": config.samples,
        "seed": seed,
        "grader": GRADER_VERSION,
        "benchmarks": {
            b.name: digest([asdict(problem) for problem in b.problems]) for b in benchmarks
        },
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


def plan(
    benchmark: Benchmark, generator: Generator, config: EvaluateConfig, seed: int
) -> list[Work]:
    """Every output to make, in the order of the result file."""
    how = {"generator": what_matters(generator.identity), "sampling": asdict(config.sampling())}
    work = []
    for problem in benchmark.problems:
        for sample in range(config.samples):
            request_seed = int(digest(["evaluate", seed, problem.id, sample])[:8], 16)
            messages = ({"role": "user", "content": problem.prompt},)
            request = Request(problem.id, messages, request_seed, stage="evaluate")
            key = digest([how, problem.id, sample, messages, request_seed])
            work.append(Work(problem, sample, request, key))
    return work


def answer(
    work: Sequence[Work], generator: Generator, sampling: Sampling, target: Path, say: Say
) -> list[dict[str, Any]]:
    """Makes the outputs that are not there yet, then writes the graded file in the order of the
    problems."""
    partial = target.with_name(target.name + ".partial")
    outputs = read_outputs(target, say) | read_outputs(partial, say)
    kept = {index for index, item in enumerate(work) if item.key in outputs}
    announce(target, len(work), len(kept), len(outputs) - len(kept), say)
    if len(kept) < len(work):
        stream = generator.generate([item.request for item in work], sampling, kept)
        watched = with_progress(
            stream, f"evaluate {target.parent.name}/{target.stem}", len(work), len(kept), say
        )
        for key, row in append_rows(partial, work, watched):
            outputs[key] = row
    missing = sum(item.key not in outputs for item in work)
    assert not missing, f"{target}: the generator left out {missing} of {len(work)} requests"
    rows = [graded_row(item, outputs[item.key]) for item in work]
    write_whole(target, b"".join(json_line(row) for row in rows))
    partial.unlink(missing_ok=True)
    return rows


def append_rows(
    partial: Path, work: Sequence[Work], stream: Iterator[tuple[int, Completion]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Writes each output down before anything else is done with it."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("ab") as file:
        for index, completion in stream:
            row = output_row(work[index], completion)
            file.write(json_line(row))
            file.flush()
            yield row["key"], row


def announce(target: Path, total: int, kept: int, stale: int, say: Say) -> None:
    """Says what an earlier attempt left, when it left something."""
    name = f"evaluate {target.parent.name}/{target.stem}"
    if stale:
        say(f"{name}: {stale} outputs of another model or other settings are not used")
    if kept:
        say(f"{name}: {kept} of {total} answers are there already")


def output_row(item: Work, completion: Completion) -> dict[str, Any]:
    """What the generator gave, before grading."""
    return {
        "key": item.key,
        "output": completion.text,
        "finish_reason": completion.finish_reason,
        "tokens": completion.completion_tokens,
        "prompt_tokens": completion.prompt_tokens,
        "seconds": completion.seconds,
    }


def graded_row(item: Work, output: dict[str, Any]) -> dict[str, Any]:
    """A line of BENCHMARK.jsonl. Nulls: `correct` without a gold answer, `complies` without a
    check."""
    problem, text = item.problem, output["output"]
    return {
        "id": problem.id,
        "sample": item.sample,
        "prompt": problem.prompt,
        "gold": problem.gold,
        "output": text,
        **judgement(problem, text),
        "complies": None if problem.check is None else complies(dict(problem.check), text),
        "words": len(text.split()),
        "tokens": output["tokens"],
        "prompt_tokens": output["prompt_tokens"],
        "finish_reason": output["finish_reason"],
        "seconds": output["seconds"],
        "prompt_sha256": hashlib.sha256(
            problem.prompt.encode("utf-8", "surrogatepass")
        ).hexdigest(),
        "key": output["key"],
    }


def judgement(problem: Problem, text: str) -> dict[str, Any]:
    """The verdict's fields; all null for a problem without a gold answer."""
    if problem.gold is None:
        return dict.fromkeys(("correct", "extracted", "rule", "reason", "status"))
    verdict = grade(text, problem.gold)
    fields = verdict_fields(verdict)
    return fields | {"correct": None} if verdict.status == "unparsable gold" else fields
