"""Claims: what is sharded, in which dtype it lives and travels, what a rank reads, and how the model is built."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CONFIGS, SHAPE, save_tiny_model
from sharding_facts import row
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
)

from engine.attention import IMPLEMENTATION
from engine.checkpoint import load_newest
from engine.model import assert_tied, build_student, shard_student
from engine.optim import make_optimizer
from engine.parallel import World, mesh_shape, recompute_activations, start_world
from engine.settings import TrainConfig
from engine.train import train_step
from engine.weights import load_weights

ROOT = Path(__file__).parents[1]
BLOCKS = 8


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two ranks measured of themselves with a Llama of 128 MiB, in bf16."""
    root = tmp_path_factory.mktemp("facts")
    shape = {**SHAPE, "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": BLOCKS}
    config = LlamaConfig(**shape, vocab_size=8192, tie_word_embeddings=False)
    AutoModelForCausalLM.from_config(config).save_pretrained(root / "model")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, "tests/sharding_facts.py", root / "model", root / "rank"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((root / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


def test_a_rank_reads_its_own_slices_and_holds_little_more(facts: list[dict[str, Any]]) -> None:
    """Measured: 68 MiB of host memory for a shard of 64 MiB."""
    for rank in facts:
        assert rank["shard_bytes"] == rank["parameters"] * 4 // 2
        assert rank["asked_bytes"] == rank["shard_bytes"]
        assert rank["loaded_bytes"] < 1.15 * rank["shard_bytes"]


def test_weights_gradients_and_moments_are_fp32_while_the_blocks_compute_in_bf16(
    facts: list[dict[str, Any]],
) -> None:
    for rank in facts:
        for what in ("weights", "gradients", "moments"):
            assert rank[what] == ["torch.float32"], what
        gathered = [call for call in rank["calls"] if call["kind"] == "gather"]
        assert {call["dtype"] for call in gathered} == {"torch.bfloat16"}


def test_gradients_are_summed_in_fp32(facts: list[dict[str, Any]]) -> None:
    for rank in facts:
        reduced = [call for call in rank["calls"] if call["kind"] == "reduce"]
        assert sum(call["numel"] for call in reduced) == rank["parameters"]
        assert {call["dtype"] for call in reduced} == {"torch.float32"}
        assert all(call["op"].endswith("SUM") for call in reduced)
        assert not any("PREMUL" in call["op"] for call in reduced)


def test_embedding_and_head_are_gathered_once_a_row_and_blocks_twice(
    facts: list[dict[str, Any]],
) -> None:
    for rank in facts:
        times = Counter(call["numel"] for call in rank["calls"] if call["kind"] == "gather")
        ends = times.pop(rank["head"])
        assert ends == 2, "the embedding once, the head once"
        assert sorted(times.values()) == [1, 2 * BLOCKS], "the last norm once, blocks twice"


# Built on meta


def model_configs() -> dict[str, Any]:
    scaled = LlamaConfig(
        **{**SHAPE, "max_position_embeddings": 4096},
        vocab_size=320,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 1024,
        },
    )
    return {"llama3": scaled, **{name: make(vocab_size=320) for name, make in CONFIGS.items()}}


@pytest.fixture
def world() -> Iterator[World]:
    with start_world() as alone:
        yield alone


FP32 = TrainConfig(precision="fp32")


@pytest.mark.parametrize("name", ["llama3", *CONFIGS])
def test_nothing_stays_on_meta_and_rotary_buffers_are_those_of_from_pretrained(
    tmp_path: Path, world: World, name: str
) -> None:
    config = model_configs()[name]
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    student = build_student(AutoConfig.from_pretrained(tmp_path))
    assert all(weight.is_meta for weight in student.parameters())
    student = shard_student(AutoConfig.from_pretrained(tmp_path), FP32, world)
    load_weights(student, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    ours = student.causal_lm
    buffers = dict(theirs.named_buffers())
    assert "model.rotary_emb.inv_freq" in buffers
    assert dict(ours.named_buffers()).keys() == buffers.keys()
    for key, buffer in ours.named_buffers():
        assert not buffer.is_meta
        assert torch.equal(buffer, buffers[key]), key
    assert ours.model.rotary_emb.attention_scaling == theirs.model.rotary_emb.attention_scaling
    for key, weight in theirs.named_parameters():
        mine = ours.get_parameter(key)
        assert not mine.is_meta
        assert torch.equal(mine, weight), key


def test_llama3_scaling_is_not_the_plain_one() -> None:
    """Or the comparison above would be with nothing."""
    scaled, plain = (build_rotary(model_configs()[name]) for name in ("llama3", "llama"))
    assert not torch.equal(scaled, plain)


def build_rotary(config: Any) -> Tensor:
    return AutoModelForCausalLM.from_config(config).model.rotary_emb.inv_freq


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_tied_weights_stay_tied_when_built_loaded_trained_and_resumed(
    tmp_path: Path, world: World, family: str
) -> None:
    from engine.saving import Saver

    folder = save_tiny_model(tmp_path / "model", family)
    config = AutoConfig.from_pretrained(folder)
    student = shard_student(config, FP32, world)
    assert_tied(student)
    load_weights(student, folder)
    assert_tied(student)
    optimizer = make_optimizer(student, 1e-3, 0.0)
    train_step(student, optimizer, [row()], FP32, world)
    assert_tied(student)
    with Saver(student, optimizer, world, keep=1, in_background=False) as saver:
        saver.save(tmp_path / "checkpoints", 1)
    again = shard_student(config, FP32, world)
    other = make_optimizer(again, 1e-3, 0.0)
    assert load_newest(tmp_path / "checkpoints", again, other, world) == 1
    assert_tied(again)
    for (name, resumed), trained in zip(
        again.named_parameters(), student.parameters(), strict=True
    ):
        assert torch.equal(resumed, trained), name


def test_models_with_other_arithmetic_are_refused() -> None:
    dropout = LlamaConfig(**SHAPE, vocab_size=320, attention_dropout=0.1)
    softcap = Gemma2Config(**SHAPE, vocab_size=320, head_dim=8)
    other = GPT2Config(n_embd=32, n_head=4, n_layer=1, vocab_size=320)
    for config, message in (
        (dropout, r"attention_dropout = 0\.1 in config\.json is not supported"),
        (softcap, r"logit_softcapping = \d+\.0 in config\.json is not supported"),
        (other, "GPT2LMHeadModel is not built like Llama"),
    ):
        with pytest.raises(ValueError, match=message):
            build_student(config)


# How ranks are laid out


@pytest.mark.parametrize(
    ("size", "shard_size", "replicate_size", "expected"),
    [
        (8, None, None, (1, 8)),
        (8, 2, None, (4, 2)),
        (8, None, 4, (4, 2)),
        (8, 2, 4, (4, 2)),
        (8, 1, None, (8, 1)),
        (8, None, 1, (1, 8)),
        (1, 1, 1, (1, 1)),
    ],
)
def test_a_size_that_is_not_given_follows_from_the_other(
    size: int, shard_size: int | None, replicate_size: int | None, expected: tuple[int, int]
) -> None:
    assert mesh_shape(size, shard_size, replicate_size) == expected


@pytest.mark.parametrize(
    ("shard_size", "replicate_size", "message"),
    [
        (3, None, r"train\.shard_size = 3 does not divide the 8 ranks"),
        (None, 5, r"train\.replicate_size = 5 does not divide the 8 ranks"),
        (2, 2, r"replicate_size = 2 copies of train\.shard_size = 2 ranks are 4 ranks, not the 8"),
        (16, None, r"train\.shard_size = 16 does not divide the 8 ranks"),
    ],
)
def test_sizes_that_do_not_fit_the_ranks_are_named(
    shard_size: int | None, replicate_size: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mesh_shape(8, shard_size, replicate_size)


def test_sizes_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"train\.replicate_size must be positive, got 0"):
        TrainConfig(replicate_size=0)


# What recomputation keeps


class Kept(TorchDispatchMode):
    """Every tensor that is made, for as long as somebody keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[weakref.ref[Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.tensors += [weakref.ref(x) for x in tree_leaves(made) if isinstance(x, Tensor)]
        return made

    def bytes(self) -> int:
        alive = [tensor for ref in self.tensors if (tensor := ref()) is not None]
        return sum(
            {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in alive}.values()
        )


def bytes_kept_per_token(model: nn.Module, tokens: int) -> float:
    """Of one block, between forward and backward, beside its output."""
    hidden_1TD = torch.randn(1, tokens, model.config.hidden_size, requires_grad=True)
    positions = torch.arange(tokens)[None]
    rotation = model.model.rotary_emb(hidden_1TD, positions)
    borders = torch.tensor([0, tokens], dtype=torch.int32)
    with Kept() as kept:
        out = model.model.layers[0](
            hidden_1TD, position_embeddings=rotation, borders_N1=borders, longest=tokens
        )
    return (kept.bytes() - out.nbytes) / tokens


def test_selective_keeps_attention_and_full_keeps_nothing() -> None:
    """fp32 on a CPU: queries, keys, values, attended values and the output, 4 bytes each, and a logarithm a head."""
    shape = {**SHAPE, "hidden_size": 64, "intermediate_size": 224}
    config = LlamaConfig(**shape, vocab_size=320)
    kept = {}
    for mode in ("none", "selective", "full"):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation=IMPLEMENTATION)
        recompute_activations(model.model.layers, mode)
        kept[mode] = bytes_kept_per_token(model, tokens=512)
    width, heads = 64, 4
    attention = 4 * (width + 2 * width // 2 + width + width + heads)
    assert kept["full"] == pytest.approx(0, abs=8)
    assert kept["selective"] == pytest.approx(attention, rel=0.02)
    assert kept["none"] > 4 * kept["selective"]
