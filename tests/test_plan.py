"""The plan: what it predicts is what a real step takes, and it says what to do where that is too much.

Started as a program, this file is the measurement: one process or two, the same step on real tensors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, MixtralConfig, PretrainedConfig

from engine import attention
from engine.examples import Example
from engine.metrics import peak_memory
from engine.model import build_student
from engine.packing import Pack, make_packs
from engine.parallel import start_world
from engine.plan import BYTES_OF_STATE, Plan, make_plan
from engine.plan_memory import MemoryLedger
from engine.plan_rehearsal import observe_step, rehearse
from engine.plan_rows import Assumptions
from engine.plan_shapes import SHAPES, find_device, model_shape
from engine.plan_text import as_text
from engine.settings import RunConfig, StudentConfig, TrainConfig
from launch.cli import EXIT_MISTAKE, main
from launch.verbs_training import EXIT_DOES_NOT_FIT

LLAMA = LlamaConfig(
    hidden_size=256,
    intermediate_size=704,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=4096,
    tie_word_embeddings=False,
)
MODES = ("none", "selective", "full")
MIB = 2**20
GIVES_MEMORY_BACK = {
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_TOP_PAD_": "0",
}
"""Otherwise glibc keeps what was freed, and the resident size says more about malloc than about the step."""


def cpu_config(mode: str) -> TrainConfig:
    return TrainConfig(activation_checkpointing=mode, precision="fp32")  # type: ignore[arg-type]


def two_rows(tokens: int = 1024) -> list[Pack]:
    """Two rows of four documents each, a third of the tokens supervised."""
    length = tokens // 4
    ids = np.zeros(length, dtype=np.int32)
    examples = [Example(str(i), ids, length * 2 // 3) for i in range(8)]
    return make_packs([[0, 1, 2, 3], [4, 5, 6, 7]], range(8), examples, "token")


class Measurement(MemoryLedger):
    """The ledger over real tensors, and beside it what the operating system has seen."""

    def start_over(self) -> None:
        super().start_over()
        self.bytes_before = sum(change for _, change, _ in self.changes)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # a new resident peak
        self.resident_before = peak_memory(torch.device("cpu"))


def measure_all_modes() -> None:
    """Prints, for every mode, bytes of live tensors at the peak, and how far they and the process grew in the step."""
    torch.set_num_threads(1)
    for mode in MODES:
        with start_world() as world:
            ledger = Measurement()
            peak = observe_step(LLAMA, cpu_config(mode), world, two_rows(), ledger, warm_up_steps=1)
            grown = peak_memory(torch.device("cpu")) - ledger.resident_before
            measured = {
                "mode": mode,
                "tensors": peak.total,
                "tensors_grown": peak.total - ledger.bytes_before,
                "resident_grown": grown,
                **peak.bytes_by_kind,
            }
            world.say(json.dumps(measured))


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_prediction_is_within_ten_percent_of_a_real_step(num_ranks: int) -> None:
    launcher = [sys.executable]
    if num_ranks > 1:
        launcher += ["-m", "torch.distributed.run", "--nproc-per-node", str(num_ranks)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **GIVES_MEMORY_BACK}
    done = subprocess.run(
        [*launcher, __file__], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    measured = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [one["mode"] for one in measured] == list(MODES)
    for one in measured:
        peak = rehearse(LLAMA, cpu_config(one["mode"]), num_ranks, two_rows(), "cpu").peak
        assert peak.total == pytest.approx(one["tensors"], rel=0.1), one
        for kind, num_bytes in peak.bytes_by_kind.items():
            assert num_bytes == pytest.approx(one[kind], rel=0.1, abs=MIB / 4), (kind, one)
        # Independent of any ledger: how much the process grew. The rest is scratch memory inside kernels.
        grown = peak.total - (one["tensors"] - one["tensors_grown"])
        assert grown == pytest.approx(one["resident_grown"], rel=0.1, abs=4 * MIB), one


# ---- what must be true of any plan --------------------------------------------------------------


def write_shape(folder: Path, shape: PretrainedConfig) -> StudentConfig:
    """A model folder without weights or tokenizer: all that a plan needs."""
    shape.save_pretrained(folder)
    return StudentConfig(model=str(folder))


def plan_for(folder: Path, world_size: int, shape: PretrainedConfig = LLAMA, **train: Any) -> Plan:
    device = train.pop("device", "H200")
    config = TrainConfig(**{"max_length": 1024, "batch_size": 16, **train})
    run = RunConfig(name="plan", dir=str(folder / "run"))
    return make_plan(run, write_shape(folder, shape), config, world_size, device)


def test_more_shards_take_less_memory_each(tmp_path: Path) -> None:
    totals = [plan_for(tmp_path, size).memory.peak.total for size in (1, 2, 8)]
    assert totals == sorted(totals, reverse=True)
    assert len(set(totals)) == 3


@pytest.mark.parametrize("device", ["cpu", "H200"])
def test_recomputing_more_takes_less_memory_and_more_time(tmp_path: Path, device: str) -> None:
    plans = [plan_for(tmp_path, 2, activation_checkpointing=mode, device=device) for mode in MODES]
    totals = [plan.memory.peak.total for plan in plans]
    assert totals[0] > totals[1] > totals[2]
    repeated = [plan.duration.recomputed_flops for plan in plans]
    assert 0 == repeated[0] < repeated[1] < repeated[2]
    assert len({plan.duration.model_flops for plan in plans}) == 1


def test_full_recomputation_repeats_all_but_the_last_product() -> None:
    shares = rehearse(LLAMA, cpu_config("full"), 1, two_rows(), "cuda")
    block = build_student(LLAMA).blocks[0]
    products = sum(p.numel() for p in block.parameters() if p.ndim == 2)
    last = block.mlp.down_proj.weight.numel()
    assert shares.repeated_products == pytest.approx(1 - last / products)
    assert shares.repeated_attention == 1


@pytest.mark.parametrize(("world_size", "shard_size"), [(1, None), (4, None), (4, 2)])
def test_state_is_sixteen_bytes_a_parameter_over_the_shards(
    tmp_path: Path, world_size: int, shard_size: int | None
) -> None:
    plan = plan_for(tmp_path, world_size, shard_size=shard_size)
    kinds = plan.memory.peak.bytes_by_kind
    state = kinds["parameters"] + kinds["gradients"] + kinds["optimizer"]
    assert state == BYTES_OF_STATE * plan.num_parameters / (shard_size or world_size)
    assert state == plan.state_bytes


def test_copies_do_not_save_memory_and_shards_do(tmp_path: Path) -> None:
    of_two, copied, of_four = (
        plan_for(tmp_path, size, shard_size=shards).memory.peak.bytes_by_kind["optimizer"]
        for size, shards in ((2, None), (4, 2), (4, None))
    )
    assert of_two == copied == 2 * of_four


def test_offloaded_state_is_not_on_the_device(tmp_path: Path) -> None:
    plan = plan_for(tmp_path, 2, cpu_offload=True)
    assert plan.memory.peak.total < plan_for(tmp_path, 2).memory.peak.total - plan.state_bytes / 2
    assert plan.memory.on_host >= plan.num_parameters * 12 / 2
    assert "in host memory" in as_text(plan)


def test_experts_are_planned_for(tmp_path: Path) -> None:
    shape = MixtralConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=512,
        num_local_experts=4,
        num_experts_per_tok=2,
    )
    plan = plan_for(tmp_path, 2, shape, activation_checkpointing="full")
    assert plan.num_parameters == sum(p.numel() for p in build_student(shape).parameters())
    assert plan.memory.fits
    assert plan.duration.recomputed_flops > 0


def test_a_gpu_attends_to_all_documents_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("one document at a time")

    monkeypatch.setattr(attention, "per_document_attention", refuse)
    config = replace(cpu_config("none"), precision="bf16")
    assert rehearse(LLAMA, config, 2, two_rows(), "cuda").peak.total > 0
    with pytest.raises(AssertionError, match="one document"):
        rehearse(LLAMA, config, 2, two_rows(), "cpu")


# ---- what does not fit --------------------------------------------------------------------------


def test_refusal_names_the_knobs_in_order_with_their_memory(tmp_path: Path) -> None:
    plan = plan_for(tmp_path, 4, device="1GB", pack_tokens=2048, shard_size=2)
    assert not plan.memory.fits
    starts = [
        'train.activation_checkpointing = "selective"',
        'train.activation_checkpointing = "full"',
        "unset train.pack_tokens",
        "train.max_length = 512",
        "one copy of the weights over all 4 ranks",
        "--world-size 8",
        "train.cpu_offload = true",
    ]
    assert len(plan.knobs) == len(starts)
    assert all(k.change.startswith(s) for k, s in zip(plan.knobs, starts, strict=True))
    totals = [plan.memory.peak.total, *(knob.memory.peak.total for knob in plan.knobs)]
    assert totals[:7] == sorted(totals[:7], reverse=True)
    text = as_text(plan)
    assert "does not fit" in text
    assert "None of these is enough" in text
    assert all(text.index(f"{n}. {s}") for n, s in enumerate(starts, start=1))


def test_refusal_ends_with_the_first_knob_that_is_enough(tmp_path: Path) -> None:
    def total(mode: str) -> float:
        return plan_for(tmp_path, 2, activation_checkpointing=mode).memory.total / 2**30

    between = (total("none") + total("selective")) / 2
    plan = plan_for(tmp_path, 2, device=f"{between / 0.985:.4f}GB")
    assert [knob.change for knob in plan.knobs] == ['train.activation_checkpointing = "selective"']
    assert plan.knobs[0].memory.fits
    assert "of the rest activations take most" in as_text(plan)


def test_where_the_state_alone_is_too_much_recomputation_is_not_advised(tmp_path: Path) -> None:
    plan = plan_for(tmp_path, 1, device="0.05GB")
    assert plan.state_bytes > plan.memory.usable
    assert plan.knobs[0].change.startswith("--world-size")
    assert "16 bytes a parameter" in as_text(plan)


# ---- rows, shapes, devices ----------------------------------------------------------------------


def test_real_data_are_counted_where_there_are_any(
    tmp_path: Path, tiny_student: Path, records_file: Path
) -> None:
    run = RunConfig(name="plan", dir=str(tmp_path))
    config = TrainConfig(data=str(records_file), batch_size=4, max_length=512, epochs=2)
    plan = make_plan(run, StudentConfig(model=str(tiny_student)), config, 2)
    assert plan.workload.num_steps == 10
    assert f"{records_file}: 20 of 20 rows" in as_text(plan)
    examples = plan.workload.examples
    assert plan.tokens_per_step == 2 * sum(map(len, examples)) / 10
    shorter = replace(config, max_length=sorted(map(len, examples))[10], data=None)
    assert "assumed" in as_text(make_plan(run, StudentConfig(model=str(tiny_student)), shorter, 2))


def test_more_tokens_and_more_targets_take_more_memory(tmp_path: Path) -> None:
    def total(**assumed: Any) -> int:
        run, student = RunConfig(name="p", dir=str(tmp_path)), write_shape(tmp_path, LLAMA)
        config = TrainConfig(max_length=4096, batch_size=4)
        return make_plan(run, student, config, 1, assumed=Assumptions(**assumed)).memory.peak.total

    assert total(tokens_per_example=512) < total(tokens_per_example=1024) < total()
    assert total(tokens_per_example=1024, supervised=0.1) < total(
        tokens_per_example=1024, supervised=0.9
    )


def test_more_ranks_than_examples_can_be_planned(tmp_path: Path) -> None:
    assert plan_for(tmp_path, 32, batch_size=4).memory.fits


@pytest.mark.parametrize(
    ("name", "num_parameters"),
    [
        ("llama-3.1-8b", 8_030_261_248),
        ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248),
        ("qwen2.5-1.5b", 1_543_714_304),
        ("qwen2.5-7b", 7_615_616_512),
        ("mixtral-8x7b", 46_702_792_704),
    ],
)
def test_built_in_shapes_have_the_published_size(name: str, num_parameters: int) -> None:
    shape, source = model_shape(StudentConfig(model=name))
    assert sum(p.numel() for p in build_student(shape).parameters()) == num_parameters
    assert "built-in" in source


def test_time_follows_from_the_stated_share_of_the_peak(tmp_path: Path) -> None:
    plan = plan_for(tmp_path, 4, activation_checkpointing="full", device="H100")
    duration = plan.duration
    flops = duration.model_flops + duration.recomputed_flops
    assert duration.seconds_per_step == pytest.approx(flops / (4 * 989e12 * 0.4))
    assert duration.mfu == pytest.approx(0.4 * duration.model_flops / flops)
    assert plan.duration.seconds_per_step * plan.workload.num_steps * 4 / 3600 == pytest.approx(
        plan.gpu_hours
    )


def test_devices_are_found_by_name_and_by_size() -> None:
    assert find_device("h200", 8).name == "H200"
    assert find_device("40GB", 1).usable_bytes < 40 * 2**30
    assert find_device("cpu", 2).usable_bytes == find_device("cpu", 1).usable_bytes // 2
    with pytest.raises(ValueError, match="expected one of H200"):
        find_device("TPU", 1)


# ---- the command --------------------------------------------------------------------------------


def write_config(folder: Path, student: StudentConfig) -> str:
    path = folder / "plan.toml"
    path.write_text(
        f'[run]\nname = "p"\ndir = "{folder}"\n[student]\nmodel = "{student.model}"\n'
        "[train]\nbatch_size = 4\nmax_length = 512\n",
        encoding="utf-8",
    )
    return str(path)


def test_the_command_says_it_in_json_and_by_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, write_shape(tmp_path / "model", LLAMA))
    common = ["plan", config, "--world-size", "4", "--shard-size", "2", "--json"]
    assert main([*common, "--device", "A100-40"]) == 0
    said = json.loads(capsys.readouterr().out)
    memory = said["memory"]
    tensors = sum(memory[kind] for kind in said["kinds"])
    assert tensors == memory["tensors"]
    assert tensors + memory["context"] + memory["slack"] == memory["total"]
    assert (said["shard_size"], said["fits"], said["knobs"]) == (2, True, [])
    assert said["time"]["gpu_hours"] > 0
    assert main([*common, "--device", "0.01GB"]) == EXIT_DOES_NOT_FIT
    refused = json.loads(capsys.readouterr().out)
    assert not refused["fits"]
    assert all("change" in knob and knob["memory"]["total"] for knob in refused["knobs"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "TPU"], "expected one of"),
        (["--mfu", "40"], "--mfu must lie in"),
        (["--world-size", "0"], "--world-size must be positive"),
        (["--shard-size", "3", "--world-size", "4"], "does not divide the 4 ranks"),
        (["--tokens-per-example", "1000"], "drops them all"),
        (["--set", "student.model=llama-9b"], "llama-3.1-8b"),
    ],
)
def test_mistakes_are_said_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    config = write_config(tmp_path, write_shape(tmp_path / "model", LLAMA))
    assert main(["plan", config, *arguments]) == EXIT_MISTAKE
    assert message in capsys.readouterr().err


def test_every_built_in_shape_is_a_known_family() -> None:
    assert {shape["model_type"] for shape in SHAPES.values()} == {
        "llama",
        "qwen2",
        "mixtral",
        "olmo2",
    }


if __name__ == "__main__":
    measure_all_modes()
