"""Claims: exported equals trained, bit for bit; of any checkpoint, on any number of ranks, in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import make_records, save_tiny_model
from exports import TINY, Run, config_file, contents, stored, train_tiny
from safetensors.torch import load_file, save_file
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from engine.examples import load_examples
from engine.export import load_trained
from engine.model import load_tokenizer, shard_student
from engine.packing import make_packs
from engine.parallel import start_world
from engine.settings import RunConfig, StudentConfig

ROOT = Path(__file__).parents[1]
MEASURE = """
import json, sys
from pathlib import Path
import torch
from safetensors.torch import load_file
from transformers import MixtralConfig
from engine.model import shard_student
from engine.parallel import start_world
from engine.settings import TrainConfig
from engine.weight_files import write_weights

MIB = 2**20

def resident(key):
    line = next(line for line in open("/proc/self/status") if line.startswith(key))
    return int(line.split()[1]) / 1024

def make(width, num_layers, world):
    config = MixtralConfig(
        vocab_size=512, hidden_size=width, intermediate_size=8 * width, num_hidden_layers=num_layers,
        num_attention_heads=4, num_key_value_heads=2, num_local_experts=16, tie_word_embeddings=False,
    )
    student = shard_student(config, TrainConfig(precision="fp32"), world)
    for parameter in student.parameters():
        shard = parameter.detach().to_local().normal_()
        shard[(0,) * shard.ndim] = -0.0
    return student

with start_world() as world:
    warm, full = Path(sys.argv[1], "warm"), Path(sys.argv[1], "full")
    warm.mkdir(parents=True, exist_ok=True)
    full.mkdir(parents=True, exist_ok=True)
    write_weights(make(32, 1, world), torch.float32, warm, world, 8 * MIB)
    student = make(256, 2, world)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before = resident("VmRSS")
    write_weights(student, torch.float32, full, world, 8 * MIB)
    grown = resident("VmHWM") - before
    sizes = [path.stat().st_size / MIB for path in full.glob("*.safetensors")]
    stored = [tensor for path in full.glob("*.safetensors") for tensor in load_file(path).values()]
    minus_zeros = sum(int(((tensor == 0) & tensor.signbit()).sum()) for tensor in stored)
    parameters = len(list(student.parameters()))
    said = {
        "grown": grown, "largest": max(sizes), "total": sum(sizes), "minus_zeros": minus_zeros,
        "parameters": parameters,
    }
    sys.stdout.write(json.dumps(said) + chr(10))
"""

FAMILIES = ["llama", "qwen2", "olmo2", "mixtral"]


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: dict[str, Path]
) -> Callable[[str], Run]:
    """The training of a family, done once."""
    runs: dict[str, Run] = {}

    def of(family: str) -> Run:
        if family not in runs:
            folder = tmp_path_factory.mktemp(family)
            runs[family] = train_tiny(folder, tiny_models[family], make_records(20))
        return runs[family]

    return of


def master_weights(checkpoint: Path, tmp: Path) -> dict[str, torch.Tensor]:
    """The fp32 weights in a checkpoint, read with torch's own tool, by their names in memory."""
    dcp_to_torch_save(checkpoint, tmp / "all.pt")
    state = torch.load(tmp / "all.pt", weights_only=False)["model"]
    return {name.removeprefix("causal_lm."): weight for name, weight in state.items()}


def torchrun(ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*command, "--nproc-per-node", str(ranks), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


# ---- exported equals trained ------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_exported_weights_are_the_trained_ones_bit_for_bit(
    tmp_path: Path, tiny_models: dict[str, Path], trained: Callable[[str], Run], family: str
) -> None:
    """Read back by transformers, whose own conversion fuses a mixture's experts again."""
    folder = trained(family).folder
    masters = master_weights(folder / "checkpoints" / "step-7", tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder / "export")
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, masters[name]), name
    before, after = stored(tiny_models[family]), stored(folder / "export")
    assert {n: (t.shape, t.dtype) for n, t in after.items()} == {
        n: (t.shape, t.dtype) for n, t in before.items()
    }
    assert not any(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("family", ["qwen2", "mixtral"])
def test_a_bf16_student_is_exported_as_the_rounded_master_weights(
    tmp_path: Path, tiny_models: dict[str, Path], family: str
) -> None:
    student = tmp_path / "bf16"
    whole = AutoModelForCausalLM.from_pretrained(tiny_models[family], dtype=torch.bfloat16)
    whole.save_pretrained(student)
    AutoTokenizer.from_pretrained(tiny_models[family]).save_pretrained(student)
    folder = train_tiny(tmp_path, student, make_records(12), max_steps=2).folder
    masters = master_weights(folder / "checkpoints" / "step-2", tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder / "export", dtype="auto")
    for name, weight in model.state_dict().items():
        assert weight.dtype == torch.bfloat16
        assert masters[name].dtype == torch.float32
        assert torch.equal(weight, masters[name].bfloat16()), name


@pytest.mark.parametrize("family", FAMILIES)
def test_the_export_gives_every_token_the_likelihood_the_trained_student_gave_it(
    trained: Callable[[str], Run], family: str
) -> None:
    """The engine's own forward on the checkpoint, beside transformers' forward on the folder."""
    done = trained(family)
    assert done.config.data is not None
    source = Path(done.student.model)
    tokenizer = load_tokenizer(done.student, source)
    data = Path(done.config.data)
    examples = load_examples(data, tokenizer, "cgd", "single_turn", 512).examples[:4]
    with start_world() as world:
        student = shard_student(AutoConfig.from_pretrained(source), done.config, world)
        load_trained(student, done.folder / "checkpoints" / "step-7")
        (pack,) = make_packs([range(4)], range(4), examples, "token")
        _, nll_S = student(pack)
    model = AutoModelForCausalLM.from_pretrained(done.folder / "export").eval()
    expected = []
    for example in examples:
        ids = torch.from_numpy(example.token_ids.astype("int64"))
        with torch.no_grad():
            logp_TV = model(ids[None]).logits[0].log_softmax(-1)
        positions = torch.arange(example.num_context - 1, len(ids) - 1)
        expected.append(-logp_TV[positions, ids[example.num_context :]])
    torch.testing.assert_close(nll_S, torch.cat(expected), atol=2e-5, rtol=1e-5)


# ---- any checkpoint, any number of ranks ------------------------------------------------------------


def test_exporting_the_last_checkpoint_gives_what_the_training_exported(
    trained: Callable[[str], Run],
) -> None:
    done = trained("mixtral")
    again = done.export_step()
    assert again == done.folder / "export-step-7"
    assert contents(again) == contents(done.folder / "export")


def test_an_earlier_checkpoint_gives_what_training_stopped_there_would_have_exported(
    tmp_path: Path, tiny_models: dict[str, Path], trained: Callable[[str], Run]
) -> None:
    stopped = train_tiny(tmp_path, tiny_models["llama"], make_records(20), max_steps=3)
    early = trained("llama").export_step(3, out=tmp_path / "early")
    assert contents(early) == contents(stopped.folder / "export")
    last = trained("llama").folder / "export"
    assert contents(early)["model.safetensors"] != contents(last)["model.safetensors"]


@pytest.mark.parametrize(("family", "ranks"), [("mixtral", 3), ("qwen2", 2)])
def test_many_ranks_export_the_same_bytes_as_one(
    tmp_path: Path, trained: Callable[[str], Run], family: str, ranks: int
) -> None:
    """Three ranks do not divide the experts' inner width: whole experts are spread over them, unevenly."""
    done = trained(family)
    arguments = ["--step", "6", "--out", str(tmp_path / "many")]
    ended = torchrun(ranks, "-m", "engine.export", str(config_file(tmp_path, done)), *arguments)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("step 6 exported to") == 1
    assert contents(tmp_path / "many") == contents(done.export_step(6, out=tmp_path / "one"))


def test_copies_of_split_experts_export_the_same_bytes_as_one_process(
    tmp_path: Path, tiny_models: dict[str, Path], trained: Callable[[str], Run]
) -> None:
    """Two copies of two shards, each with a half of every expert."""
    done = trained("mixtral")
    copies = Run(
        replace(done.run, dir=str(tmp_path / "run")),
        done.student,
        replace(done.config, shard_size=2, max_steps=1),
    )
    ended = torchrun(4, "-m", "engine.train", str(config_file(tmp_path, copies)))
    assert ended.returncode == 0, ended.stderr
    assert contents(copies.folder / "export") == contents(copies.export_step(1))


def test_no_rank_holds_more_than_a_file_and_a_few_tensors(tmp_path: Path) -> None:
    """195 MiB of experts, 64 MiB in one parameter, on two ranks, in files of 8 MiB. The allowance beside the file is
    for the tensor just gathered, the collective's own buffers and the allocator. The -0.0 that every shard begins with
    is still there: gathering adds nothing to anything."""
    program = tmp_path / "measure.py"
    program.write_text(MEASURE, encoding="utf-8")
    ended = torchrun(2, str(program), str(tmp_path / "out"))
    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert len(found) == 2
    for rank in found:
        assert rank["total"] > 190
        assert rank["largest"] < 8.1
        assert rank["grown"] < 48
        assert rank["minus_zeros"] == 2 * rank["parameters"]


def test_the_newest_sound_checkpoint_is_taken_and_a_damaged_one_named(
    tmp_path: Path, tiny_models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    done = train_tiny(tmp_path, tiny_models["llama"], make_records(12), max_steps=4)
    (shard,) = (done.folder / "checkpoints" / "step-4").glob("*.distcp")
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    assert done.export_step().name == "export-step-3"
    said = capsys.readouterr().out
    assert "step-4 is not used" in said
    assert shard.name in said
    with pytest.raises(ValueError, match=r"damaged: .* has steps 3, 4"):
        done.export_step(4)
    assert not (done.folder / "export-step-4").exists()


def test_a_state_kept_before_a_non_finite_step_can_be_exported_to_look_at(tmp_path: Path) -> None:
    student = save_tiny_model(tmp_path / "student")
    weights = load_file(student / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, student / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="step 1: loss nan"):
        train_tiny(tmp_path, student, make_records(12))
    data = str(tmp_path / "records.jsonl")
    done = Run(
        RunConfig(name="tiny", dir=str(tmp_path / "run"), seed=3),
        StudentConfig(model=str(student)),
        replace(TINY, data=data),
    )
    export = done.export_step(non_finite=True)
    assert export.name == "export-non-finite-step-0"
    assert contents(export)["model.safetensors"] == contents(student)["model.safetensors"]
    assert "Not for use" in (export / "README.md").read_text(encoding="utf-8")
