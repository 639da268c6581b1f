"""Claims: the estimate counts every token that a stage would read and write, and says what it assumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from datagen.backends import TeacherConfig
from datagen.stages import GenerateConfig, StageConfig
from launch.estimate import TURN_TOKENS, Estimate, estimate, estimate_lines

STAGES = ("answer", "critique", "refine")
PROMPTS = ["What is 12 + 30?", "How many ducks are there?"]
CONFIG = GenerateConfig(answer=StageConfig(max_tokens=200), samples_per_prompt=3)
PRICED = TeacherConfig(
    base_url=("http://localhost:1/v1",),
    usd_per_million_prompt_tokens=2.0,
    usd_per_million_completion_tokens=10.0,
)


def made(
    student: str | None = None,
    measured: dict[str, Any] | None = None,
    expect: dict[str, float] | None = None,
    rate: float | None = None,
    config: GenerateConfig = CONFIG,
) -> Estimate:
    """The estimate for two prompts."""
    models = dict.fromkeys(STAGES, PRICED) | {"answer": TeacherConfig(model=student)}
    return estimate(PROMPTS, STAGES, config, models, measured or {}, expect or {}, rate)


def test_prompts_are_counted_with_the_models_own_tokenizer(tiny_student: Path) -> None:
    found = made(str(tiny_student))
    tokenizer = AutoTokenizer.from_pretrained(tiny_student)
    exact = sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in PROMPTS)
    answer = found.stages[0]
    assert answer.texts == 6
    assert answer.prompt_tokens == 3 * exact + 6 * TURN_TOKENS
    assert found.counted_with == f"the tokenizer of {tiny_student.name}"


def test_each_stage_reads_what_the_stages_before_it_wrote() -> None:
    short, long = made(expect={"answer": 100}), made(expect={"answer": 150})
    grown = [b.prompt_tokens - a.prompt_tokens for a, b in zip(short.stages, long.stages)]  # noqa: B905
    assert grown == [0, 6 * 50, 6 * 50]


def test_lengths_are_measured_or_asked_for_or_assumed() -> None:
    measured = {"stages": [{"stage": "critique", "tokens_mean": 77.0}]}
    found = made(measured=measured, expect={"refine": 33})
    lengths = [(stage.length.tokens, stage.length.source) for stage in found.stages]
    assert lengths == [(100, "half of max_tokens"), (77, "measured"), (33, "--expect")]


def test_money_is_the_config_s_prices() -> None:
    found = made()
    assert found.stages[0].usd == 0
    for stage in found.stages[1:]:
        assert stage.usd == pytest.approx(
            (2 * stage.prompt_tokens + 10 * stage.completion_tokens) / 1e6
        )


def test_hours_need_a_rate() -> None:
    assert all(stage.hours is None for stage in made().stages)
    figures = {"stage": "answer", "completion_tokens": 7200, "device_hours": 0.5}
    found = made(measured={"stages": [figures]}, rate=10.0)
    assert found.stages[0].hours == pytest.approx(600 / 4 / 3600)
    assert found.stages[1].hours == pytest.approx(found.stages[1].completion_tokens / 36000)


def test_a_bound_that_would_be_hit_is_said() -> None:
    bounded = GenerateConfig(max_usd=0.001, max_total_tokens=100)
    said = "\n".join(estimate_lines(made(config=bounded), bounded))
    assert "generate.max_usd = 0.00 would stop the run" in said
    assert "generate.max_total_tokens = 100 would stop the run" in said
    assert "one token for every 4 characters" in said
