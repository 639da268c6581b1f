"""`cgd evaluate --show-prompt`: what the model will read, byte for byte, and nothing else done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datagen.chat_tokens import tokenise
from datagen.transformers_generator import TransformersGenerator
from datagen.wordings import load_template
from evals.benchmarks import load_benchmark
from launch.cli import main

CONFIG = """
[run]
name = "shown"
dir = "{folder}/run"
[student]
model = "{student}"
[teacher]
backend = "scripted"
[evaluate]
benchmark_dir = "{folder}"
benchmarks = ["gsm8k", "arithmetic", "ifeval"]
limit = 3
"""


@pytest.fixture
def config(tmp_path: Path, tiny_student: Path) -> str:
    """A configuration with one local benchmark."""
    row = {"question": "1 + 1?", "answer": "#### 2"}
    (tmp_path / "gsm8k.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(folder=tmp_path, student=tiny_student), encoding="utf-8")
    return str(path)


def test_the_text_shown_is_the_text_that_is_tokenised(
    config: str, tiny_student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", config, "--show-prompt", "--benchmark", "gsm8k"]) == 0
    shown = capsys.readouterr().out
    prompt = load_benchmark("gsm8k", folder=str(tmp_path)).problems[0].prompt
    tokenizer = TransformersGenerator(str(tiny_student))._tokenizer
    asked = tokenizer.decode(tokenise(tokenizer, [{"role": "user", "content": prompt}]))
    assert f"\n{asked}\n" in shown
    assert f"wording boxed, sha256 {load_template('boxed').sha256}" in shown
    assert "arithmetic" not in shown
    assert not (tmp_path / "run").exists(), "showing leaves nothing behind"


def test_every_benchmark_of_the_config_is_shown(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", config, "--show-prompt"]) == 0
    shown = capsys.readouterr().out
    for name in ("gsm8k", "arithmetic", "ifeval"):
        assert f"== {name}" in shown
    assert "asked by lm-evaluation-harness" in shown


def test_gpqa_is_shown_without_a_problem_of_it(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", config, "--show-prompt", "--benchmark", "gpqa"]) == 0
    shown = capsys.readouterr().out
    assert "[question withheld]" in shown
    assert load_template("choices").sha256 in shown


def test_one_model_alone_can_be_evaluated(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--set", 'evaluate.benchmarks=["gsm8k"]', "--set", "evaluate.max_tokens=4"]
    assert main(["evaluate", config, "--model", "base", *small]) == 0
    assert (tmp_path / "run/evals/base/scores.json").is_file()
    capsys.readouterr()
    assert main(["evaluate", config, "--model", "basis", *small]) == 2
    assert "'basis' is none of base, cgd" in capsys.readouterr().err
