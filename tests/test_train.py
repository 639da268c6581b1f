"""Claims: two ranks equal one, any packing the same step, resumed equals uninterrupted, exported equals trained."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import save_tiny_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from engine.examples import load_examples
from engine.settings import RunConfig, StudentConfig, TrainConfig
from engine.train import main, train

ROOT = Path(__file__).parents[1]


def settings(
    tmp: Path, student: Path, data: Path, **changes: Any
) -> tuple[RunConfig, StudentConfig, TrainConfig]:
    config = TrainConfig(
        data=str(data),
        batch_size=6,
        learning_rate=1e-3,
        epochs=2,
        max_length=512,
        precision="fp32",
        save_every=3,
    )
    run = RunConfig(name="test", dir=str(tmp / "run"))
    return run, StudentConfig(model=str(student)), replace(config, **changes)


def metrics(run: RunConfig, objective: str = "cgd") -> list[dict[str, Any]]:
    text = (run.folder / "train" / objective / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def weights(export: Path) -> dict[str, torch.Tensor]:
    return {
        k: v for file in sorted(export.glob("*.safetensors")) for k, v in load_file(file).items()
    }


def config_file(tmp: Path, run: RunConfig, student: StudentConfig, config: TrainConfig) -> Path:
    from engine.toml import to_toml

    path = tmp / "config.toml"
    path.write_text(to_toml({"run": run, "student": student, "train": config}), encoding="utf-8")
    return path


def torchrun(ranks: int, config: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(ranks),
    ]
    return subprocess.run(
        [*command, "-m", "engine.train", str(config), *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def assert_same_run(one: list[dict[str, Any]], other: list[dict[str, Any]], rel: float) -> None:
    for key in ("loss", "grad_norm"):
        assert [m[key] for m in one] == pytest.approx([m[key] for m in other], rel=rel)


@pytest.mark.parametrize(
    "change",
    [
        {"pack_tokens": 4096},
        {"activation_checkpointing": "full"},
        {"pack_tokens": 2048, "activation_checkpointing": "selective"},
        {"compile": True, "activation_checkpointing": "full"},
    ],
    ids=str,
)
def test_packing_and_recomputation_change_no_step(
    tmp_path: Path, tiny_student: Path, records_file: Path, change: dict[str, Any]
) -> None:
    run, student, config = settings(tmp_path, tiny_student, records_file)
    train(run, student, config)
    other = replace(run, dir=str(tmp_path / "other"))
    train(other, student, replace(config, **change))
    assert_same_run(metrics(run), metrics(other), rel=1e-5)


def test_loss_is_the_mean_over_supervised_tokens_of_the_step(
    tmp_path: Path, tiny_student: Path, records_file: Path
) -> None:
    """Against transformers' own forward, example by example, with no packing and no engine."""
    run, student, config = settings(tmp_path, tiny_student, records_file, batch_size=20, epochs=1)
    train(run, student, config)
    model = AutoModelForCausalLM.from_pretrained(tiny_student)
    tokenizer = AutoTokenizer.from_pretrained(tiny_student)
    nll = num = 0.0
    for example in load_examples(records_file, tokenizer, "cgd", "single_turn", 512).examples:
        ids = torch.from_numpy(example.token_ids.astype("int64"))[None]
        labels = ids.clone()
        labels[0, : example.num_context] = -100
        with torch.no_grad():
            nll += model(input_ids=ids, labels=labels).loss.item() * example.num_supervised
        num += example.num_supervised
    assert metrics(run)[0]["loss"] == pytest.approx(nll / num, rel=1e-5)


def test_training_lowers_the_loss(tmp_path: Path, tiny_student: Path, records_file: Path) -> None:
    run, student, config = settings(
        tmp_path, tiny_student, records_file, epochs=10, learning_rate=5e-3
    )
    train(run, student, config)
    losses = [m["loss"] for m in metrics(run)]
    assert losses[-1] < 0.7 * losses[0]


def test_exported_model_has_the_trained_logits_and_stops_at_the_templates_end_of_turn(
    tmp_path: Path, tiny_models: dict[str, Path], records_file: Path
) -> None:
    for family in tiny_models:
        run, student, config = settings(tmp_path, tiny_models[family], records_file)
        run = replace(run, dir=str(tmp_path / family))
        export = train(run, student, config)
        model = AutoModelForCausalLM.from_pretrained(export)
        tokenizer = AutoTokenizer.from_pretrained(export)
        start = AutoModelForCausalLM.from_pretrained(tiny_models[family])
        ids = torch.arange(20)[None]
        assert not torch.allclose(model(ids).logits, start(ids).logits, atol=1e-4)
        # one more step's loss, computed by the engine from the export, is transformers' own of the export
        again = replace(run, dir=str(tmp_path / f"{family}-again"))
        more = replace(config, batch_size=20, epochs=1)
        train(again, StudentConfig(model=str(export)), more)
        nll = num = 0.0
        for example in load_examples(records_file, tokenizer, "cgd", "single_turn", 512).examples:
            row = torch.from_numpy(example.token_ids.astype("int64"))
            with torch.no_grad():
                logp = model(row[None]).logits[0].log_softmax(-1)
            targets = row[example.num_context :]
            positions = torch.arange(example.num_context - 1, len(row) - 1)
            nll -= logp[positions, targets].sum().item()
            num += example.num_supervised
        assert metrics(again)[0]["loss"] == pytest.approx(nll / num, rel=1e-5)
        stops = GenerationConfig.from_pretrained(export).eos_token_id
        assert tokenizer.convert_tokens_to_ids("<|im_end|>") in stops
        assert tokenizer.chat_template


def test_export_in_several_files_reads_back_the_same(
    tmp_path: Path, tiny_student: Path, records_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, student, config = settings(tmp_path, tiny_student, records_file)
    one = train(run, student, config)
    from engine import export as module

    real = module.write_weights
    monkeypatch.setattr(module, "write_weights", lambda *args: real(*args[:-1], 20_000))
    many = train(replace(run, dir=str(tmp_path / "many")), student, config)
    assert len(list(many.glob("model-*-of-*.safetensors"))) > 1
    assert (many / "model.safetensors.index.json").is_file()
    ids = torch.arange(20)[None]
    logits = [AutoModelForCausalLM.from_pretrained(folder)(ids).logits for folder in (one, many)]
    assert torch.equal(*logits)


def test_bf16_student_trains_in_fp32_and_is_exported_in_bf16(
    tmp_path: Path, tiny_student: Path, records_file: Path
) -> None:
    folder = tmp_path / "bf16"
    AutoModelForCausalLM.from_pretrained(tiny_student, dtype=torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_student).save_pretrained(folder)
    run, student, config = settings(
        tmp_path, folder, records_file, precision="bf16", epochs=10, learning_rate=5e-3
    )
    export = train(run, student, config)
    assert {weight.dtype for weight in weights(export).values()} == {torch.bfloat16}
    losses = [m["loss"] for m in metrics(run)]
    assert losses[-1] < 0.8 * losses[0]
    exact = replace(run, dir=str(tmp_path / "exact"))
    train(exact, student, replace(config, precision="fp32"))
    assert losses[0] == pytest.approx(metrics(exact)[0]["loss"], rel=5e-3)


def test_finished_run_returns_at_once_and_changes_nothing(
    tmp_path: Path, tiny_student: Path, records_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, student, config = settings(tmp_path, tiny_student, records_file)
    export = train(run, student, config)
    before = {path: path.stat().st_mtime_ns for path in export.parent.rglob("*")}
    assert train(run, student, replace(config, pack_tokens=1024)) == export
    assert "nothing left to do" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in export.parent.rglob("*")}


def test_other_settings_are_refused_and_overwrite_keeps_the_old_attempt(
    tmp_path: Path, tiny_student: Path, records_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, student, config = settings(tmp_path, tiny_student, records_file)
    train(run, student, config)
    other = config_file(tmp_path, run, student, replace(config, learning_rate=2e-3))
    assert main([str(other)]) == 2
    said = capsys.readouterr().err
    assert "train.learning_rate: 0.001 -> 0.002" in said
    assert "--overwrite" in said
    assert main([str(other), "--overwrite"]) == 0
    assert (run.folder / "train" / "cgd.attempt-1" / "summary.json").is_file()
    assert metrics(run)[0]["learning_rate"] == 0.002


def test_changed_data_or_student_under_the_same_name_is_refused(
    tmp_path: Path, records_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    student_folder = save_tiny_model(tmp_path / "student")
    run, student, config = settings(tmp_path, student_folder, records_file)
    train(run, student, config)
    records_file.write_text("".join(records_file.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match=r"inputs\.examples_sha256"):
        train(run, student, config)
    save_tiny_model(student_folder, seed=1)
    with pytest.raises(ValueError, match=r"inputs\.student_files"):
        train(run, student, config)


def test_shard_size_must_divide_the_ranks(
    tmp_path: Path, tiny_student: Path, records_file: Path
) -> None:
    run, student, config = settings(tmp_path, tiny_student, records_file, shard_size=2)
    with pytest.raises(ValueError, match=r"shard_size = 2 does not divide the 1 ranks"):
        train(run, student, config)


def test_more_ranks_than_examples_in_a_step_gives_the_same_losses(
    tmp_path: Path, tiny_student: Path, records_file: Path
) -> None:
    run, student, config = settings(tmp_path, tiny_student, records_file, batch_size=2, max_steps=4)
    train(run, student, config)
    sharded = replace(run, dir=str(tmp_path / "ranks3"))
    done = torchrun(3, config_file(tmp_path, sharded, student, config))
    assert done.returncode == 0, done.stderr
    assert_same_run(metrics(run), metrics(sharded), rel=1e-5)


@pytest.mark.parametrize("where", ["in the folder", "in the config"])
def test_changed_chat_template_is_refused(tmp_path: Path, records_file: Path, where: str) -> None:
    folder = save_tiny_model(tmp_path / "student")
    run, student, config = settings(tmp_path, folder, records_file)
    template = folder / "chat_template.jinja"
    if where == "in the config":
        template = tmp_path / "own.jinja"
        template.write_text((folder / "chat_template.jinja").read_text())
        student = replace(student, chat_template=str(template))
    train(run, student, config)
    template.write_text(template.read_text() + " ")
    with pytest.raises(ValueError, match=r"inputs\.(student_files|chat_template_sha256)"):
        train(run, student, config)


def test_other_provenance_of_the_same_texts_is_the_same_training(
    tmp_path: Path,
    tiny_student: Path,
    records_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, student, config = settings(tmp_path, tiny_student, records_file)
    train(run, student, config)
    rows = [json.loads(line) for line in records_file.read_text().splitlines()]
    changed = [{**row, "provenance": {"answer": {"seconds": 3}}} for row in rows]
    records_file.write_text("".join(json.dumps(row) + "\n" for row in changed))
    train(run, student, config)
    assert "nothing left to do" in capsys.readouterr().out
