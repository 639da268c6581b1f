"""Claims: however a step is split, over ranks, copies or rows, it is the same step.

Twenty steps at the tests' usual rate of 1e-3, a thousand times the paper's: training amplifies rounding with its steps
and its rate. Measured in fp32 over Llama, tied Qwen2 and Mixtral: losses to 2e-7, gradient norms to 4e-7.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import make_records
from safetensors.torch import load_file

from engine import train as training
from engine.settings import RunConfig, StudentConfig, TrainConfig
from engine.toml import to_toml

ROOT = Path(__file__).parents[1]
STEPS = 20
EXACT = 1e-6
CONFIG = TrainConfig(
    batch_size=6,
    learning_rate=1e-3,
    epochs=6,
    max_length=256,
    pack_tokens=512,
    precision="fp32",
)
SPLITS: dict[str, tuple[int, dict[str, Any]]] = {
    "alone": (1, {}),
    "2 ranks": (2, {}),
    "2 ranks, offloaded": (2, {"cpu_offload": True}),
    "4 ranks": (4, {}),
    "4 ranks, 2 copies": (4, {"replicate_size": 2}),
    "4 ranks, 4 copies": (4, {"shard_size": 1}),
}
FAMILIES = ("llama", "qwen2", "mixtral")
ALL_FAMILIES = ("alone", "2 ranks", "4 ranks")
"""The other splits run with Mixtral alone: its experts are split along another dim."""


def families(split: str) -> tuple[str, ...]:
    return FAMILIES if split in ALL_FAMILIES else ("mixtral",)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "records.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in make_records(20)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: dict[str, Path], data: Path
) -> dict[tuple[str, str], Path]:
    """The training folders of every split and family; one torchrun a number of ranks."""
    root = tmp_path_factory.mktemp("runs")
    folders = {(split, f): root / f"{split}-{f}" for split in SPLITS for f in families(split)}
    for ranks in (1, 2, 4):
        configs = []
        for (split, family), folder in folders.items():
            if SPLITS[split][0] == ranks:
                folder.mkdir()
                configs.append(folder / "asked.toml")
                sections = {
                    "run": RunConfig(name="ranks", dir=str(folder)),
                    "student": StudentConfig(model=str(tiny_models[family])),
                    "train": replace(CONFIG, data=str(data), **SPLITS[split][1]),
                }
                configs[-1].write_text(to_toml(sections), encoding="utf-8")
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
        command = [sys.executable, *(launcher if ranks > 1 else []), "tests/train_each.py"]
        done = subprocess.run(
            [*command, *map(str, configs)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return {key: folder / "train" / "cgd" for key, folder in folders.items()}


def steps(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same_training(one: Path, other: Path) -> None:
    """Losses, gradient norms, and the weights that come out."""
    ours, theirs = steps(one), steps(other)
    assert len(ours) == len(theirs) == STEPS
    for key in ("loss", "grad_norm"):
        assert [s[key] for s in ours] == pytest.approx([s[key] for s in theirs], rel=EXACT, abs=0)
    weights = [load_file(folder / "export" / "model.safetensors") for folder in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize(
    ("split", "family"),
    [(split, f) for split in SPLITS if split != "alone" for f in families(split)],
)
def test_any_number_of_ranks_and_copies_trains_the_same(
    runs: dict[tuple[str, str], Path], split: str, family: str
) -> None:
    assert_same_training(runs["alone", family], runs[split, family])


def test_trainings_that_are_compared_did_move(runs: dict[tuple[str, str], Path]) -> None:
    for family in FAMILIES:
        losses = [step["loss"] for step in steps(runs["alone", family])]
        assert losses[-1] < losses[0] - 0.5


def test_tied_head_is_exported_once(runs: dict[tuple[str, str], Path]) -> None:
    for split in ALL_FAMILIES:
        weights = load_file(runs[split, "qwen2"] / "export" / "model.safetensors")
        assert "model.embed_tokens.weight" in weights
        assert "lm_head.weight" not in weights


def test_any_depth_of_accumulation_takes_the_same_step(
    runs: dict[tuple[str, str], Path],
    tmp_path: Path,
    tiny_models: dict[str, Path],
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_step = training.train_step
    depths: dict[int, set[int]] = {}

    def counted(model: Any, optimizer: Any, packs: Any, config: Any, *rest: Any) -> Any:
        depths.setdefault(config.pack_tokens, set()).add(len(packs))
        return real_step(model, optimizer, packs, config, *rest)

    monkeypatch.setattr(training, "train_step", counted)
    for pack_tokens in (256, 4096):
        run = RunConfig(name="rows", dir=str(tmp_path / str(pack_tokens)))
        config = replace(CONFIG, data=str(data), pack_tokens=pack_tokens)
        training.train(run, StudentConfig(model=str(tiny_models["qwen2"])), config)
        assert_same_training(runs["alone", "qwen2"], run.folder / "train" / "cgd")
    assert depths[4096] == {1}
    assert max(depths[256]) >= 4
