"""The model card: README.md of an export, written from what the run has on disk and from nothing else.

    RUN/train/OBJECTIVE/{config.toml, metrics.jsonl} + Trained  →  front matter for the hub, and a page for people

A fact that the run did not keep is left out of the card. Files and folders appear by their last name only: the paths
of the machine that trained are nobody's business. What the model is worth is not said either: training measures a loss,
an evaluation is another stage with a report of its own.
"""

from __future__ import annotations

import json
import platform
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml  # type: ignore[import-untyped]
from huggingface_hub import ModelCardData, metadata_load

from engine.attempt import SETTINGS, content_hash, training_file
from engine.examples import read_rows
from engine.objectives import OBJECTIVES
from engine.settings import StudentConfig

CARD = "README.md"
TAG = "critique-guided-distillation"
PAPER = "https://arxiv.org/abs/2505.11628"

LEARNT = {
    "sft": "supervised fine-tuning: given a prompt, it learnt to write the reference answer",
    "distilled_sft": "distilled supervised fine-tuning: given a prompt, it learnt to write the teacher's answer",
    "cft": "critique fine-tuning: given a prompt and a student's answer to it, it learnt to write the critique",
    "cgd": "critique-guided distillation: given a prompt, a student's answer and the critique of that answer, "
    "it learnt to write the refined answer",
    "cgd_no_critique": "the ablation of critique-guided distillation that withholds the critique: given a prompt and a "
    "student's answer, it learnt to write the refined answer",
}
"""What an objective of objectives.py trains, as the second half of a sentence."""

WRITTEN = {
    "student_answer": ("answer", "student's answers"),
    "critique": ("critique", "critiques"),
    "refined_answer": ("refine", "refined answers"),
    "teacher_answer": ("teach", "teacher's answers"),
}
"""Fields of a record that models wrote: where its provenance says so, and what they are called."""

USE = """\
## How to use it

The model is asked with the prompt alone; student answers and critiques belong to training.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."  # this folder
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
messages = [{"role": "user", "content": "What is 12 + 30?"}]
inputs = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
output = model.generate(**inputs, max_new_tokens=512)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
```

`vllm serve .` in this folder answers chat completions over HTTP, and `pipeline("text-generation", model=".")` takes
the same messages.
"""

NOT_EVALUATED = """\
## Not evaluated here

The loss above is the training loss. Whether this model is better than its base model at anything, or safe to deploy, is
not known from this card. Evaluations, where they were made, are in the report of the run.
"""

NON_FINITE = """\
**Not for use.** This is the state before a step whose loss or gradient was not finite, kept to find out why.
"""


@dataclass(frozen=True)
class Trained:
    """Which training the weights come from, and what only the caller knows of it."""

    folder: Path
    """RUN/train/OBJECTIVE."""
    student: StudentConfig
    counts: Mapping[str, int]
    """Of examples and rows, as `ExampleSet.counts`; empty where they are not known."""
    ranks: int | None
    device: str | None
    step: int | None = None
    """None: the last one."""
    non_finite: bool = False
    """Kept because the step after it was not finite."""


def model_card(trained: Trained, source: Path, stops: Mapping[int, str]) -> str:
    """The whole card. `source` is the student's folder; `stops`: ids that end a generation, with their tokens."""
    settings = read_settings(trained.folder)
    objective = settings["train"]["objective"]
    base = base_name(trained.student)
    linked = (
        f"[{base}](https://huggingface.co/{base})" if is_hub_id(trained.student) else f"`{base}`"
    )
    listed = ", ".join(f"{token_id} (`{token}`)" for token_id, token in stops.items())
    sections = [
        f"---\n{front_matter(trained.student, source, objective)}\n---",
        f"# {Path(settings['run']['name']).name}: {objective}",
        *([NON_FINITE] if trained.non_finite else []),
        f"This is {linked} after {LEARNT[objective]}. The loss was on that text alone. "
        f"The method is described in [arXiv 2505.11628]({PAPER}).",
        USE,
        f"A generation ends at one of these token ids, which stand in `generation_config.json`: {listed}.",
        table("Data", data_facts(trained, settings)),
        table("Training", training_facts(trained, settings)),
        NOT_EVALUATED,
        table("Settings", settings_facts(settings["train"]), "key of `[train]`"),
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def read_settings(folder: Path) -> dict[str, Any]:
    """What the training in `folder` was started with, and the hashes of what it read."""
    return tomllib.loads((folder / SETTINGS).read_text(encoding="utf-8"))


def is_hub_id(student: StudentConfig) -> bool:
    """Whether the student was named by a hub id and not by a folder of this machine."""
    return not Path(student.model).expanduser().is_dir()


def base_name(student: StudentConfig) -> str:
    """The hub id, or the last part of a local path."""
    return student.model if is_hub_id(student) else Path(student.model).expanduser().resolve().name


def front_matter(student: StudentConfig, source: Path, objective: str) -> str:
    """What the hub reads, as YAML."""
    facts: dict[str, Any] = {
        "base_model": student.model if is_hub_id(student) else None,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": [TAG, objective.replace("_", "-")],
    }
    return ModelCardData(**facts, **licence(source)).to_yaml()


def licence(source: Path) -> dict[str, Any]:
    """The licence that the student's own card names; nothing where it names none."""
    found = front_matter_of(source)
    keys = ("license", "license_name", "license_link")
    return {key: found[key] for key in keys if isinstance(found.get(key), str)}


def front_matter_of(folder: Path) -> dict[str, Any]:
    """The YAML block that a folder's card begins with; empty where there is none that can be read."""
    try:
        return metadata_load(folder / CARD) or {}
    except (OSError, ValueError, yaml.YAMLError):
        return {}


def is_export(folder: Path) -> bool:
    """Whether the folder's card says that it was written here."""
    tags = front_matter_of(folder).get("tags")
    return isinstance(tags, list) and TAG in tags


def data_facts(trained: Trained, settings: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Which file, how much of it, and the hash that tells it from another."""
    yield "file", data_name(settings["train"].get("data"), trained.folder)
    yield "SHA-256 of what the objective reads of it", settings["inputs"]["examples_sha256"]
    words = {
        "rows": "rows",
        "examples": "examples trained on",
        "too_long": "dropped: longer than max_length",
        "truncated": "cut to max_length",
        "no_target": "dropped: nothing to learn",
    }
    for key, word in words.items():
        if key in trained.counts:
            yield word, f"{trained.counts[key]:,}"
    yield from writers(trained.folder, settings)


def writers(folder: Path, settings: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Which models wrote what the objective reads and learns; nothing where the data are gone or are others by now."""
    objective = settings["train"]["objective"]
    fields = [*OBJECTIVES[objective].sees, OBJECTIVES[objective].writes]
    written = [WRITTEN[field] for field in fields if field in WRITTEN]
    found: dict[str, Counter[str]] = {title: Counter() for _, title in written}
    if not found:
        return
    try:
        data = training_file(settings["train"].get("data"), folder.parents[1])
        if content_hash(data, objective) != settings["inputs"]["examples_sha256"]:
            return
        for _, row in read_rows(data):
            for stage, title in written:
                found[title][writer(row.get("provenance"), stage)] += 1
    except (OSError, ValueError):
        return
    for title, models in found.items():
        known = [(name, count) for name, count in models.most_common() if name]
        if known:
            yield f"{title} by", ", ".join(f"{name} ({count:,})" for name, count in known)


def writer(provenance: Any, stage: str) -> str:
    """The model that a record names for a stage: a hub id, or the last part of a path; empty where it names none."""
    facts = provenance.get(stage) if isinstance(provenance, dict) else None
    name = facts.get("model") if isinstance(facts, dict) else None
    if not isinstance(name, str):
        return ""
    is_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    return Path(name).name if is_path else name


def data_name(named: str | None, folder: Path) -> str:
    """The data file's name, without its path."""
    try:
        return Path(named).name if named else training_file(None, folder.parents[1]).name
    except ValueError:
        return "records generated by the run itself"


def training_facts(trained: Trained, settings: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """How far it went and on what. Losses are the objective's, in nats."""
    lines = read_metrics(trained.folder)
    taken = lines if trained.step is None else [m for m in lines if m["step"] <= trained.step]
    step = trained.step if trained.step is not None else len(taken)
    went_on = lines and lines[-1]["step"] > step
    yield "steps", f"{step} (the training went on to {lines[-1]['step']})" if went_on else step
    if taken:
        yield "examples seen", f"{sum(m['examples'] for m in taken):,}"
        yield "tokens seen", f"{sum(m['tokens'] for m in taken):,}"
        yield "of these supervised", f"{sum(m['supervised_tokens'] for m in taken):,}"
        yield "FLOPs, recomputation left out", f"{sum(m.get('flops', nan) for m in taken):.3g}"
        yield "loss of the first step", f"{taken[0]['loss']:.4f}"
        yield "loss of the last step", f"{taken[-1]['loss']:.4f}"
    yield "seed", settings["run"].get("seed", 0)
    if trained.device:
        yield "device", trained.device
    if trained.ranks:
        yield "ranks", trained.ranks
    yield "exported", f"{datetime.now(UTC):%Y-%m-%d}"
    yield (
        "by",
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}",
    )


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Every step's line in metrics.jsonl; none where no step was taken."""
    try:
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def settings_facts(train: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The section [train], key by key; the data file stands elsewhere."""
    for key, value in train.items():
        if key != "data":
            yield f"`{key}`", value


def table(title: str, rows: Iterator[tuple[str, object]], what: str = "fact") -> str:
    """A heading and a table of two columns."""
    cells = [f"| {name} | {in_cell(value)} |" for name, value in rows]
    return "\n".join([f"## {title}", "", f"| {what} | value |", "| --- | --- |", *cells])


def in_cell(value: object) -> str:
    """On one line, and without what would end the cell."""
    return " ".join(str(value).split()).replace("|", "\\|")
