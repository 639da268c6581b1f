"""The bridge to lm-evaluation-harness: benchmarks whose figures everyone takes from there.

    name → its task on our model folder or server → scores and samples → rows and figures like ours

An optional extra (`pip install lm-eval`); nothing else needs it. The harness renders prompts with
the model's own chat template, zero-shot, and judges by its own rules, so a row here has its score and
its reason, while cut outputs and answers that were not found are not known (null), not zero.
Multiple choice by likelihood needs the model itself: a chat server gives no likelihoods of a prompt.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from datagen.generators import what_matters
from datagen.plan import digest
from datagen.records import json_line, write_whole
from evals.outputs import lengths, read_outputs
from evals.scores import share
from evals.settings import EvaluateConfig

Row = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Harness:
    """One benchmark of the harness, and which of its figures is the score."""

    name: str
    task: str
    """A task or a group of tasks."""
    metric: str
    likelihood: bool
    """Options are compared by likelihood; nothing is written."""
    filter: str = "none"
    """Which of the harness's ways to find the answer in the output."""
    licence: str = ""


HARNESS = {
    entry.name: entry
    for entry in (
        Harness("ifeval", "ifeval", "prompt_level_strict_acc", False, licence="Apache-2.0"),
        Harness("musr", "leaderboard_musr", "acc_norm", True, licence="MIT"),
        Harness("truthfulqa", "truthfulqa_mc2", "acc", True, licence="Apache-2.0"),
        Harness("bbh", "bbh_cot_zeroshot", "exact_match", False, "flexible-extract", licence="MIT"),
    )
}


def check_harness() -> None:
    """Raises ValueError where the harness is not installed."""
    if find_spec("lm_eval") is None:
        names = ", ".join(HARNESS)
        raise ValueError(
            f"the benchmarks {names} need lm-evaluation-harness, which is not installed: "
            "pip install lm-eval, with accelerate, langdetect and immutabledict for these tasks"
        )


def run_harness(
    name: str,
    identity: Mapping[str, str],
    config: EvaluateConfig,
    seed: int,
    folder: Path,
    say: Say,
) -> tuple[list[Row], Row]:
    """The rows of one benchmark, written to its file, and the figures that differ from ours."""
    return run_task(HARNESS[name], identity, config, seed, folder, say)


def run_task(
    harness: Harness,
    identity: Mapping[str, str],
    config: EvaluateConfig,
    seed: int,
    folder: Path,
    say: Say,
    task_folder: Path | None = None,
) -> tuple[list[Row], Row]:
    """Any task of the harness, or one described in a YAML file in `task_folder`."""
    target = folder / f"{harness.name}.jsonl"
    key = digest([asdict(harness), what_matters(identity), config.limit, seed])
    old = [row for row in read_outputs(target, say).values() if row.get("run") == key]
    if old:
        say(f"evaluate {folder.name}/{harness.name}: {len(old)} answers are there already")
        return old, figures(harness, old)
    check_harness()
    model, arguments = model_of(harness, identity)
    say(f"evaluate {folder.name}/{harness.name}: lm-evaluation-harness, task {harness.task}")
    evaluator = importlib.import_module("lm_eval.evaluator")
    tasks = importlib.import_module("lm_eval.tasks")
    results = evaluator.simple_evaluate(
        model=model,
        model_args=arguments,
        tasks=[harness.task],
        num_fewshot=0,
        batch_size=config.batch_size if model == "hf" else 1,
        limit=config.limit,
        apply_chat_template=True,
        log_samples=True,
        random_seed=seed,
        numpy_random_seed=seed,
        torch_random_seed=seed,
        fewshot_random_seed=seed,
        task_manager=tasks.TaskManager(include_path=task_folder and str(task_folder)),
    )
    rows = list(rows_of(harness, results["samples"], seed, key))
    if not rows:
        raise ValueError(
            f"lm-evaluation-harness gives no {harness.metric} with the filter {harness.filter!r} for "
            f"the task {harness.task}; another version may call them differently"
        )
    write_whole(target, b"".join(json_line(row) for row in rows))
    return rows, figures(harness, rows)


def model_of(harness: Harness, identity: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """What the harness calls our kind of generator, and its arguments."""
    model, backend = identity.get("model", ""), identity.get("backend")
    if backend in ("transformers", "vllm"):
        arguments: dict[str, Any] = {"pretrained": model}
        if identity.get("revision"):
            arguments["revision"] = identity["revision"]
        if backend == "transformers":
            cuda = importlib.import_module("torch").cuda.is_available()
            arguments |= {"dtype": "bfloat16"} if cuda else {"dtype": "float32", "device": "cpu"}
        refuse_other_template(identity)
        return ("hf" if backend == "transformers" else "vllm"), arguments
    if backend == "openai" and not harness.likelihood:
        address = identity["base_url"].rstrip("/") + "/chat/completions"
        return "local-chat-completions", {"model": model, "base_url": address}
    if backend == "openai":
        raise ValueError(
            f"{harness.name} compares likelihoods, which a chat server does not give: "
            "evaluate the model folder itself"
        )
    raise ValueError(f"lm-evaluation-harness cannot ask a generator of the kind {backend!r}")


def refuse_other_template(identity: Mapping[str, str]) -> None:
    """The harness uses the chat template in the model folder; scores with another would not compare."""
    expected = identity.get("chat_template_sha256")
    if expected is None:
        return
    transformers = importlib.import_module("transformers")
    revision = identity.get("revision") or None
    tokenizer = transformers.AutoTokenizer.from_pretrained(identity["model"], revision=revision)
    if hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest() != expected:
        raise ValueError(
            "lm-evaluation-harness takes the chat template from the model folder, and "
            "student.chat_template names another; put it into the folder (chat_template.jinja)"
        )


def rows_of(
    harness: Harness, samples: Mapping[str, Iterable[Row]], seed: int, key: str
) -> Iterable[Row]:
    """Our lines from the harness's, task by task."""
    for task, examples in samples.items():
        for example in examples:
            if example.get("filter", "none") != harness.filter or harness.metric not in example:
                continue
            score = float(example[harness.metric])
            right = bool(score) if score in (0.0, 1.0) else None
            prompt = str(example["arguments"][0][0])
            text = "" if harness.likelihood else first_text(example["resps"])
            status = {True: "correct", False: "wrong", None: "scored"}[right]
            yield {
                "id": f"{task}/{example['doc_id']}",
                "sample": 0,
                "seed": seed,
                "prompt": prompt,
                "gold": None if harness.name == "ifeval" else str(example["target"]),
                "output": text,
                "correct": right,
                "extracted": None if harness.likelihood else first_text(example["filtered_resps"]),
                "rule": f"lm-eval {harness.filter}",
                "reason": f"{status}: {harness.metric} {score:g}",
                "status": status,
                "score": score,
                "complies": None,
                **lengths(text),
                "tokens": 0,
                "prompt_tokens": 0,
                "finish_reason": "unknown",
                "seconds": None,
                "prompt_sha256": hashlib.sha256(
                    prompt.encode("utf-8", "surrogatepass")
                ).hexdigest(),
                "key": digest([key, task, example["doc_id"]]),
                "run": key,
            }


def first_text(value: Any) -> str:
    """The first text of nested lists of responses."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return value if isinstance(value, str) else json.dumps(value, default=str)


def figures(harness: Harness, rows: Iterable[Row]) -> Row:
    """The score over the harness's own marks, which may be fractions; what it does not say is null."""
    marks = {row["id"]: row["score"] for row in rows}
    unknown = dict.fromkeys(("no_answer_rate", "truncation_rate", "mean_tokens"))
    likelihood = {"mean_words": None, "mean_steps": None} if harness.likelihood else {}
    source = {"task": harness.task, "metric": harness.metric, "filter": harness.filter}
    judged = {"judged": len(marks)}
    return judged | share("accuracy", marks) | unknown | likelihood | {"lm_eval": source}
