"""`cgd generate CONFIG --dry-run`: tokens, hours and money of a data generation, before any of it is paid for.

    prompts (found, cleaned, tokenised) + lengths of texts (measured, or assumed and said) -> one line a stage

Prompts are counted with the model's own tokenizer where it lies here, else as one token for every four
characters. Nobody knows how long texts will be before they are written: lengths that this run has already
measured are taken (`data/summary.json`), else `--expect`, else half of `max_tokens`. Every stage reads what
the stages before it wrote, so longer answers cost three times. Time is told where a rate is known: measured,
or `--tokens-per-second`. Nothing is written and no model is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from datagen.backends import TeacherConfig
from datagen.decontamination import EvaluationSet
from datagen.finished import SUMMARY
from datagen.plan import STAGES, Stage
from datagen.progress_bar import Say
from datagen.sources import load_prompts
from datagen.stages import GenerateConfig
from datagen.wordings import load_template
from evals.benchmarks import TABLE
from launch.config import Config
from launch.data_step import stages_of, student_as_generator
from launch.decontaminate import evaluation_sets

CHARACTERS_PER_TOKEN = 4
TURN_TOKENS = 8
"""What a chat template adds to a message, about."""
BATCH = 1000

Counter = Callable[[Sequence[str]], int]
"""The tokens of some texts, together."""


@dataclass(frozen=True)
class Expected:
    """The mean length of a stage's texts, in tokens, and how it is known."""

    tokens: float
    source: str


@dataclass(frozen=True, kw_only=True)
class StageEstimate:
    """One line of the estimate; tokens are sums over all texts."""

    stage: str
    model: str
    texts: int
    prompt_tokens: int
    completion_tokens: int
    length: Expected
    hours: float | None
    """None where no rate is known."""
    usd: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a generation would take."""

    stages: tuple[StageEstimate, ...]
    counted_with: str

    @property
    def tokens(self) -> int:
        """Read and written, of all stages."""
        return sum(stage.prompt_tokens + stage.completion_tokens for stage in self.stages)

    @property
    def usd(self) -> float:
        """Of all stages."""
        return sum(stage.usd for stage in self.stages)


def estimate_of(
    config: Config, expect: Sequence[str], tokens_per_second: float | None, say: Say
) -> tuple[Estimate, int]:
    """The estimate for a run, and the number of its prompts: found and cleaned as `cgd generate` would, not written."""
    prompts = [
        r.prompt for r in load_prompts(config.data, config.run.seed, say, sets_here(config, say))
    ]
    student = student_as_generator(config, config.generate.batch_size)
    stages = stages_of(config)
    models = {
        name: student if STAGES[name].writer == "student" else config.teacher for name in stages
    }
    measured = read_summary(config.run.folder)
    lengths = dict(read_expected(text, stages) for text in expect)
    made = estimate(prompts, stages, config.generate, models, measured, lengths, tokens_per_second)
    return made, len(prompts)


def sets_here(config: Config, say: Say) -> list[EvaluationSet]:
    """The benchmarks that no prompt may resemble, as far as they are on this machine."""
    own = config.data.decontaminate
    names = config.evaluate.benchmarks if own is None else own
    sets: list[EvaluationSet] = []
    for name in names:
        one = replace(config, data=replace(config.data, decontaminate=(name,)))
        try:
            sets += evaluation_sets(one)
        except ValueError:
            if name not in TABLE or config.evaluate.benchmark_dir is not None:
                raise
            say(f"prompts that resemble {name} are still among them: it is not on this machine")
    return sets


def read_expected(text: str, stages: Sequence[str]) -> tuple[str, float]:
    """`critique=400`."""
    stage, _, number = text.partition("=")
    if stage not in stages:
        raise ValueError(f"--expect {text}: the stages of this run are {', '.join(stages)}")
    try:
        tokens = float(number)
    except ValueError:
        tokens = 0.0
    if not 0 < tokens < float("inf"):
        raise ValueError(f"--expect {text}: a number of tokens is expected, as {stage}=400")
    return stage, tokens


def estimate(
    prompts: Sequence[str],
    stages: Sequence[str],
    config: GenerateConfig,
    models: Mapping[str, TeacherConfig],
    measured: Mapping[str, Any],
    expect: Mapping[str, float],
    tokens_per_second: float | None,
) -> Estimate:
    """The estimate for these prompts. `models`: who writes each stage; `measured`: data/summary.json or {}."""
    count, counted_with = counter_of(models["answer"])
    texts = len(prompts) * config.samples_per_prompt
    problem_tokens = count_all(count, prompts) * config.samples_per_prompt
    lengths: dict[str, Expected] = {}
    found = []
    for name in stages:
        stage = STAGES[name]
        lengths[stage.fills] = expected_length(name, config, measured, expect)
        shown = sum(lengths[field].tokens for field in stage.shows if field in lengths)
        own = wording_tokens(stage, config, count) + TURN_TOKENS
        read = problem_tokens + round(texts * (own + shown))
        written = round(texts * lengths[stage.fills].tokens)
        model = models[name]
        rate = measured_rate(name, measured) or tokens_per_second
        found.append(
            StageEstimate(
                stage=name,
                model=model.model or (model.base_url[0] if model.base_url else model.script),
                texts=texts,
                prompt_tokens=read,
                completion_tokens=written,
                length=lengths[stage.fills],
                hours=written / rate / 3600 if rate else None,
                usd=price(model, read, written),
            )
        )
    return Estimate(stages=tuple(found), counted_with=counted_with)


def counter_of(model: TeacherConfig) -> tuple[Counter, str]:
    """A function that counts tokens, and in what it counts them."""
    tokenizer = tokenizer_of(model)
    if tokenizer is None:
        by_length = f"one token for every {CHARACTERS_PER_TOKEN} characters (no tokenizer here)"
        return lambda texts: sum(map(len, texts)) // CHARACTERS_PER_TOKEN, by_length

    def count(texts: Sequence[str]) -> int:
        return sum(map(len, tokenizer(list(texts), add_special_tokens=False)["input_ids"]))

    return count, f"the tokenizer of {Path(str(model.model)).name}"


def tokenizer_of(model: TeacherConfig) -> Any | None:
    """The model's tokenizer, from its folder or the hub, without its weights; None where there is none."""
    if model.model is None:
        return None
    try:
        return AutoTokenizer.from_pretrained(model.model, revision=model.revision)
    except (OSError, ValueError):  # a server may call its model whatever it likes
        return None


def count_all(count: Counter, texts: Sequence[str]) -> int:
    """The tokens of many texts, some at a time."""
    return sum(count(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH))


def wording_tokens(stage: Stage, config: GenerateConfig, count: Counter) -> int:
    """Tokens of the wording itself, its places left empty."""
    own = config.of(stage.name)
    name = own.template or stage.template
    wording = load_template(name).render(problem="", student_answer="", critique="") if name else ""
    return count([wording, own.system or ""])


def expected_length(
    stage: str, config: GenerateConfig, measured: Mapping[str, Any], expect: Mapping[str, float]
) -> Expected:
    """How long a stage's texts are going to be, and why we think so."""
    if stage in expect:
        return Expected(expect[stage], "--expect")
    seen = figures_of(stage, measured).get("tokens_mean")
    if seen:
        return Expected(float(seen), "measured")
    return Expected(config.of(stage).max_tokens / 2, "half of max_tokens")


def figures_of(stage: str, measured: Mapping[str, Any]) -> Mapping[str, Any]:
    """A stage's entry in the summary; empty where it has none."""
    stages: list[dict[str, Any]] = measured.get("stages", [])
    return next((entry for entry in stages if entry["stage"] == stage), {})


def measured_rate(stage: str, measured: Mapping[str, Any]) -> float | None:
    """Tokens a second that the stage's local model wrote; None where a server's replies overlapped."""
    seen = figures_of(stage, measured)
    if not seen.get("device_hours") or not seen.get("completion_tokens"):
        return None
    return float(seen["completion_tokens"]) / (float(seen["device_hours"]) * 3600)


def price(model: TeacherConfig, read: int, written: int) -> float:
    """Dollars, by the prices in the config."""
    prices = (model.usd_per_million_prompt_tokens, model.usd_per_million_completion_tokens)
    return (read * prices[0] + written * prices[1]) / 1e6


def estimate_lines(found: Estimate, config: GenerateConfig) -> Iterator[str]:
    """The estimate as a table, what it rests on, and which bound it would hit."""
    head = ("stage", "by", "texts", "read", "written", "each", "hours", "USD")
    rows = [
        (
            stage.stage,
            stage.model if len(stage.model) <= 32 else f"…{stage.model[-31:]}",
            f"{stage.texts:,}",
            f"{stage.prompt_tokens:,}",
            f"{stage.completion_tokens:,}",
            f"{stage.length.tokens:,.0f} ({stage.length.source})",
            "-" if stage.hours is None else f"{stage.hours:,.2f}",
            f"{stage.usd:,.2f}",
        )
        for stage in found.stages
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        names = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        figures = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join([*names, *figures]).rstrip()
    yield f"tokens: {found.tokens:,}, counted with {found.counted_with}; {found.usd:,.2f} USD"
    if any(stage.hours is None for stage in found.stages):
        yield "hours: not known before something was measured; --tokens-per-second N assumes a rate"
    if config.max_usd is not None and found.usd > config.max_usd:
        yield f"generate.max_usd = {config.max_usd:,.2f} would stop the run before its end"
    if config.max_total_tokens is not None and found.tokens > config.max_total_tokens:
        yield f"generate.max_total_tokens = {config.max_total_tokens:,} would stop the run before its end"


def read_summary(folder: Path) -> Mapping[str, Any]:
    """What a run has measured so far; nothing where it has not begun."""
    path = folder / "data" / SUMMARY
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
