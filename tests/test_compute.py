"""Claims: FLOPs are those that torch counts; a kill costs device-seconds and no FLOPs; accounts reach the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CONFIGS, make_records
from exports import train_tiny
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from datagen.accounts import Account
from datagen.gates import Ruling
from datagen.records import read_records
from engine.compute import training_account
from engine.examples import Example
from engine.flops import Arithmetic, arithmetic_in, arithmetic_of, pairs_in
from engine.metrics import LOST, keep_steps
from engine.model import shard_student
from engine.packing import make_packs
from engine.parallel import start_world
from engine.plan import make_plan
from engine.settings import TrainConfig
from engine.toml import to_toml
from evals.compute import rows_account, text_flops
from evals.report_compute import compute_results, compute_rows
from launch.config import load_config
from launch.pipeline import run_pipeline

LENGTHS = (20, 11, 30)
EXAMPLES = [
    Example(str(size), np.arange(size, dtype=np.int32) * 7 % 300, num_context=size // 3)
    for size in LENGTHS
]


def product_in_place(_: Any, a: Any, b: Any, **__: Any) -> int:
    return int(2 * a[0] * a[1] * b[1])


def grouped_product(a: Any, b: Any, *_: Any, **__: Any) -> int:
    """Of tokens with the experts they go to (three axes), or of the gradient of the experts' weights (two)."""
    return int(2 * a[0] * a[1] * b[-1])


NOT_COUNTED_BY_TORCH = {
    torch.ops.aten.addmm_: product_in_place,
    torch.ops.aten._grouped_mm: grouped_product,
}


def counter() -> FlopCounterMode:
    """Torch's own; on a CPU it counts matrix products and leaves the attention kernel out."""
    return FlopCounterMode(display=False, custom_mapping=NOT_COUNTED_BY_TORCH)


# ---- FLOPs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["none", "selective", "full"])
@pytest.mark.parametrize("family", CONFIGS)
def test_training_takes_the_products_that_torch_counts(family: str, mode: Any) -> None:
    """Forward and backward over two packed rows: the head on supervised positions only, recomputation by itself."""
    config = TrainConfig(activation_checkpointing=mode, precision="fp32")
    shape = CONFIGS[family](vocab_size=320, eos_token_id=2)
    with start_world() as world:
        student = shard_student(shape, config, world)
        for parameter in student.parameters():
            torch.nn.init.normal_(parameter, std=0.02)
        arithmetic = arithmetic_of(student.causal_lm)
        with counter() as counted:
            for pack in make_packs([[0, 1], [2]], [0, 1, 2], EXAMPLES, "token"):
                student(pack)[0].backward()
    supervised = sum(example.num_supervised for example in EXAMPLES)
    attention = arithmetic.forward(0, pairs_in(LENGTHS), 0)
    needed = arithmetic.training(LENGTHS, supervised) - 3 * attention
    again = arithmetic.recomputed(mode, LENGTHS) - attention * (mode == "full")
    assert counted.get_total_flops() == needed + again


@pytest.mark.parametrize("family", CONFIGS)
def test_a_forward_pass_takes_the_products_that_torch_counts_attention_included(
    family: str, tiny_models: dict[str, Path]
) -> None:
    """Attention without a kernel multiplies the whole square of tokens."""
    load = AutoModelForCausalLM.from_pretrained
    model = load(tiny_models[family], attn_implementation="eager")
    with counter() as counted, torch.no_grad():
        model(torch.arange(3, 20)[None])
    assert counted.get_total_flops() == arithmetic_in(tiny_models[family]).forward(17, 17 * 17, 17)


def test_a_text_takes_one_pass_for_every_token_but_the_last(tiny_student: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_student)
    prompt, completion = 9, 5
    with torch.no_grad():
        read = model(torch.arange(3, 3 + prompt)[None], logits_to_keep=1)
        with counter() as counted:
            for token in range(completion - 1):
                read = model(torch.tensor([[token]]), past_key_values=read.past_key_values)
    arithmetic = arithmetic_in(tiny_student)
    text = arithmetic.generation(prompt, completion, cached=prompt)
    pairs = ((prompt + completion - 1) ** 2 - prompt**2) / 2
    products = text - arithmetic.forward(0, pairs, 0)
    first_logits = arithmetic.forward(0, 0, 1)  # came with the prompt
    assert counted.get_total_flops() == products - first_logits
    whole = arithmetic.generation(prompt, completion)
    assert whole == text + arithmetic.forward(prompt, prompt**2 / 2, 0)


def test_the_plan_foresees_the_flops_of_the_training(tmp_path: Path, tiny_student: Path) -> None:
    done = train_tiny(tmp_path, tiny_student, make_records(20))
    summary = json.loads((done.folder / "summary.json").read_text())
    plan = make_plan(done.run, done.student, done.config, 1, "cpu")
    assert plan.duration.model_flops * summary["steps"] == pytest.approx(summary["flops"])
    assert summary["recomputed_flops"] == 0
    assert f"{summary['flops']:.3g}" in (done.folder / "export" / "README.md").read_text()


def test_an_unknown_architecture_has_no_flops_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "from-tomorrow"}')
    of_text = text_flops("vllm", str(tmp_path), None)
    assert of_text is not None
    assert of_text(10, 10, 0) is None
    assert text_flops("openai", "any", None) is None
    assert text_flops("scripted", None, None) is None


# ---- training -----------------------------------------------------------------------------------


def test_a_resumed_training_pays_for_lost_steps_and_computes_the_same(
    tmp_path: Path, tiny_student: Path
) -> None:
    whole = train_tiny(tmp_path / "whole", tiny_student, make_records(20)).folder
    broken = train_tiny(tmp_path / "broken", tiny_student, make_records(20)).folder
    first = step_seconds(broken / "metrics.jsonl")
    (broken / "summary.json").unlink()
    for step in (6, 7):
        shutil.rmtree(broken / "checkpoints" / f"step-{step}")
    train_tiny(tmp_path / "broken", tiny_student, make_records(20))
    one, other = (json.loads((f / "summary.json").read_text()) for f in (whole, broken))
    for figure in ("steps", "tokens", "supervised_tokens", "flops", "recomputed_flops"):
        assert one[figure] == other[figure], figure
    assert one["lost_device_seconds"] == 0
    assert one["device_seconds"] == pytest.approx(one["train_seconds"])
    assert other["lost_device_seconds"] == pytest.approx(sum(first[3:]))
    paid = sum(first) + sum(step_seconds(broken / "metrics.jsonl")[3:])
    assert other["device_seconds"] == pytest.approx(paid)
    assert one["hardware"]


def step_seconds(metrics: Path) -> list[float]:
    return [json.loads(line)["seconds"] for line in metrics.read_text().splitlines()]


def log_lines(steps: range, ranks: int, seconds: float) -> str:
    figures = {"ranks": ranks, "seconds": seconds, "flops": 2.0, "tokens": 5}
    return "".join(json.dumps({"step": step, **figures}) + "\n" for step in steps)


def test_device_seconds_are_ranks_times_seconds_of_all_attempts(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(log_lines(range(1, 6), ranks=4, seconds=1.0) + '{"step": 6, "se')
    keep_steps(path, 3)
    with path.open("a") as file:
        file.write(log_lines(range(4, 9), ranks=2, seconds=1.5))
    account = training_account(tmp_path, torch.device("cpu"))
    assert account["device_seconds"] == 5 * 4 * 1.0 + 5 * 2 * 1.5
    assert account["lost_device_seconds"] == 2 * 4 * 1.0
    assert account["train_seconds"] == 3 * 1.0 + 5 * 1.5
    assert (account["flops"], account["tokens"]) == (16.0, 40)
    assert account["recomputed_flops"] is None, "no line has it"


def test_a_kill_between_two_renames_counts_no_step_twice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    before = log_lines(range(1, 6), ranks=1, seconds=1.25)
    path.write_text(before)
    keep_steps(path, 2)
    path.write_text(before)  # as if only the first rename had happened
    keep_steps(path, 2)
    assert len((tmp_path / LOST).read_text().splitlines()) == 3
    assert len(path.read_text().splitlines()) == 2


# ---- generation and evaluation --------------------------------------------------------------------


def test_only_models_that_run_here_have_device_seconds_and_flops() -> None:
    account = Account(
        devices={"refine": 2},
        flops={"answer": lambda *_: 10.0, "refine": lambda p, c, k: float(p - k + c)},
    )
    keep = Ruling("keep", "", None, (), None)
    told = {"prompt_tokens": 7, "completion_tokens": 4, "cached_tokens": 5, "seconds": 1.5}
    for stage, backend in (("answer", "openai"), ("refine", "vllm"), ("teach", "vllm")):
        for _ in range(2):
            account.add_text(stage, told | {"backend": backend}, keep)
    summary = account.summary()
    answer, refine, teach = summary.stages
    assert (answer.device_seconds, answer.flops) == (None, None)
    assert (refine.device_seconds, refine.flops) == (6.0, 12.0)
    assert (teach.device_seconds, teach.flops) == (3.0, None)
    assert (summary.device_seconds, summary.flops) == (9.0, 12.0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_student: Path) -> Path:
    """A whole run of a few records."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    tables = {
        "run": {"name": "tiny", "dir": str(folder)},
        "student": {"model": str(tiny_student)},
        "data": {"prompts": "arithmetic", "limit": 3},
        "generate": {"answer": {"max_tokens": 6}},
        "train": {"batch_size": 2, "max_length": 1024, "precision": "fp32"},
        "evaluate": {"limit": 2, "max_tokens": 6},
        "pipeline": {"objectives": ["cgd"]},
    }
    folder.with_suffix(".toml").write_text(to_toml(tables))
    return run_pipeline(load_config(folder.with_suffix(".toml"), ()))


def test_the_account_of_a_generation_is_that_of_its_records(
    finished: Path, tiny_student: Path
) -> None:
    summary = json.loads((finished / "data" / "summary.json").read_text())
    answer, critique, refine = summary["stages"]
    arithmetic = arithmetic_in(tiny_student)
    records = read_records(finished / "data" / "refinements.jsonl")
    told = [record.provenance["answer"] for record in records]
    flops = sum(arithmetic.generation(t["prompt_tokens"], t["completion_tokens"]) for t in told)
    seconds = sum(t["seconds"] for t in told)
    assert answer["flops"] == summary["flops"] == flops
    assert answer["device_seconds"] == summary["device_seconds"] == pytest.approx(seconds, abs=1e-3)
    assert summary["device_hours"] == pytest.approx(seconds / 3600, abs=1e-6)
    assert critique["flops"] is refine["flops"] is refine["device_seconds"] is None


def test_the_account_of_an_evaluation_is_that_of_its_rows(finished: Path) -> None:
    scores = json.loads((finished / "evals" / "cgd" / "scores.json").read_text())
    lines = (finished / "evals" / "cgd" / "arithmetic.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    arithmetic: Arithmetic = arithmetic_in(finished / "train" / "cgd" / "export")
    entry = scores["benchmarks"]["arithmetic"]
    assert entry["flops"] == sum(
        arithmetic.generation(r["prompt_tokens"], r["tokens"]) for r in rows
    )
    assert entry["device_seconds"] == sum(r["seconds"] for r in rows)
    identity = {"backend": "vllm", "model": str(finished / "train" / "cgd" / "export")}
    assert rows_account(rows, identity, 4)["device_seconds"] == 4 * entry["device_seconds"]


def test_the_report_adds_up_what_the_stages_took(finished: Path) -> None:
    found = {entry["stage"]: entry for entry in compute_results(finished)}
    stages = ["data: answer", "data: critique", "data: refine", "train: cgd"]
    assert list(found) == [*stages, "evaluate: base", "evaluate: cgd"]
    training = json.loads((finished / "train" / "cgd" / "summary.json").read_text())
    for figure in ("device_seconds", "flops", "tokens", "hardware"):
        assert found["train: cgd"][figure] == training[figure]
    assert json.loads((finished / "results.json").read_text())["compute"] == [*found.values()]
    *_, total = compute_rows({"compute": [*found.values()]})
    flops = sum(entry["flops"] for entry in found.values() if entry["flops"] is not None)
    assert f"{flops:.3g}" in total
    for page in ("report.md", "report.html"):
        assert total[-1] in (finished / page).read_text()
