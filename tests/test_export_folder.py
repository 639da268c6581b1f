"""Claims: an export is whole or not there, is the student's folder with other weights, says what it is, and stops."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import make_records, save_tiny_model
from exports import (
    QUESTIONS,
    Run,
    ask_with_transformers,
    config_file,
    contents,
    edit_json,
    stored,
    train_by_heart,
    train_tiny,
)
from huggingface_hub import metadata_load
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from datagen.model_folder import fingerprint
from engine import export as export_module
from engine import weight_files
from engine.export import main
from engine.model_card import Trained, front_matter, model_card
from engine.settings import StudentConfig
from launch import cli


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_by_heart(tmp_path_factory.mktemp("heart"))


@pytest.fixture
def done(tmp_path: Path, tiny_student: Path) -> Run:
    """Two steps, with a checkpoint after each."""
    return train_tiny(tmp_path, tiny_student, make_records(12), max_steps=2, save_every=1)


# ---- it stops ---------------------------------------------------------------------------------------


def test_the_exported_model_ends_its_answers_itself(heart: Run) -> None:
    """With no stop but the folder's own; the student it came from does not name the template's end of turn."""
    folder = heart.folder / "export"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    end_of_turn = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end_of_turn != tokenizer.eos_token_id
    for ids, answer in zip(ask_with_transformers(folder), QUESTIONS.values(), strict=True):
        assert ids[-1] == end_of_turn
        assert tokenizer.decode(ids[:-1]) == answer


def test_without_the_stop_id_that_the_export_adds_it_would_run_on(
    tmp_path: Path, heart: Run
) -> None:
    folder = tmp_path / "students-own"
    shutil.copytree(heart.folder / "export", folder)
    shutil.copy(Path(heart.student.model) / "generation_config.json", folder)
    assert all(len(ids) == 60 for ids in ask_with_transformers(folder))


def test_the_students_generation_settings_are_kept_even_those_transformers_would_not_save(
    tmp_path: Path,
) -> None:
    """Sampling figures without sampling, as in a well-known model's file."""
    student = save_tiny_model(tmp_path / "student")
    edit_json(
        student / "generation_config.json", temperature=0.9, do_sample=False, eos_token_id=[0]
    )
    config = GenerationConfig.from_pretrained(student)
    config.eos_token_id = [0, 2]
    with pytest.raises(ValueError, match="temperature"):
        config.save_pretrained(tmp_path)
    done = train_tiny(tmp_path, student, make_records(6), max_steps=1)
    text = (done.folder / "export" / "generation_config.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert (found["temperature"], found["do_sample"], found["eos_token_id"]) == (0.9, False, [0, 2])


# ---- the student's folder with other weights --------------------------------------------------------


def test_configuration_and_tokenizer_are_the_students_own_byte_for_byte(
    done: Run, tiny_student: Path
) -> None:
    before, after = contents(tiny_student), contents(done.folder / "export")
    same = {"config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    assert same <= before.keys()
    assert {name for name in before if before[name] == after.get(name)} == same


def test_whoever_may_read_the_folder_may_read_the_weights(done: Run) -> None:
    folder = done.folder / "export"
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert set(modes.values()) == {folder.stat().st_mode & 0o666}, modes


def test_a_chat_template_of_the_config_is_the_exports(tmp_path: Path, tiny_student: Path) -> None:
    own = tmp_path / "own.jinja"
    template = (tiny_student / "chat_template.jinja").read_text(encoding="utf-8")
    own.write_text(
        template.replace("+ m['content'] +", "+ m['content'].strip() +"), encoding="utf-8"
    )
    assert own.read_text(encoding="utf-8") != template
    run = train_tiny(tmp_path, tiny_student, make_records(6), max_steps=1)
    chosen = StudentConfig(model=str(tiny_student), chat_template=str(own))
    with pytest.raises(ValueError, match=r"student\.chat_template: nothing -> "):
        Run(run.run, chosen, run.config).export_step()
    shutil.rmtree(run.folder)
    again = train_tiny(tmp_path, tiny_student, make_records(6), chosen, max_steps=1)
    exported = AutoTokenizer.from_pretrained(again.folder / "export").chat_template
    assert exported == own.read_text(encoding="utf-8")


def test_a_student_whose_config_says_little_gets_an_architecture_and_its_dtype(
    tmp_path: Path, tiny_student: Path
) -> None:
    student = tmp_path / "student"
    whole = AutoModelForCausalLM.from_pretrained(tiny_student, dtype=torch.bfloat16)
    whole.save_pretrained(student)
    AutoTokenizer.from_pretrained(tiny_student).save_pretrained(student)
    edit_json(student / "config.json", architectures=None, dtype=None)
    done = train_tiny(tmp_path, student, make_records(6), max_steps=1)
    config = json.loads((done.folder / "export" / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "bfloat16"
    assert {tensor.dtype for tensor in stored(done.folder / "export").values()} == {torch.bfloat16}


def test_files_are_bounded_and_a_larger_tensor_has_one_to_itself(
    done: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = stored(done.folder / "export")
    bound = 20_000
    assert max(tensor.nbytes for tensor in one.values()) > bound
    smaller = weight_files.WeightFiles.__init__

    def bounded(self: Any, folder: Path, dtype: torch.dtype, file_bytes: int) -> None:
        smaller(self, folder, dtype, bound)

    monkeypatch.setattr(weight_files.WeightFiles, "__init__", bounded)
    many = done.export_step()
    files = sorted(many.glob("*.safetensors"))
    assert [f.name for f in files] == [
        f"model-{n:05d}-of-{len(files):05d}.safetensors" for n in range(1, len(files) + 1)
    ]
    held = {file.name: load_file(file) for file in files}
    for tensors in held.values():
        assert sum(t.nbytes for t in tensors.values()) <= bound or len(tensors) == 1
    index = json.loads((many / "model.safetensors.index.json").read_text(encoding="utf-8"))
    assert index["weight_map"] == {name: file for file, ts in held.items() for name in ts}
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in one.values())
    again = AutoModelForCausalLM.from_pretrained(many).state_dict()
    whole = AutoModelForCausalLM.from_pretrained(done.folder / "export").state_dict()
    assert all(torch.equal(again[name], whole[name]) for name in whole)


# ---- whole or not there -----------------------------------------------------------------------------


class Killed(BaseException):
    """The end of the process, as far as the code under test can tell."""


@pytest.mark.parametrize("at", ["save_file", "os.replace 1", "os.replace 2", "os.replace 3"])
def test_a_killed_export_leaves_the_old_folder_or_none_and_the_next_one_replaces_it(
    done: Run, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """The renames are: the weights' file, the old folder aside, the new one into place."""
    target = done.export_step(1)
    old = contents(target)
    (target / "mark").write_text("of the old one")
    place, _, number = at.partition(" ")
    calls: list[object] = []
    if place == "save_file":
        owner, name = weight_files, "save_file"
    else:
        owner, name = export_module.os, "replace"
    real = getattr(owner, name)

    def killed(*args: Any, **more: Any) -> Any:
        calls.append(args)
        if len(calls) == int(number or 1):
            raise Killed
        return real(*args, **more)

    monkeypatch.setattr(owner, name, killed)
    with pytest.raises(Killed):
        done.export_step(1)
    monkeypatch.setattr(owner, name, real)
    if at == "os.replace 3":
        assert not target.exists()
    else:
        assert contents(target) == old | {"mark": b"of the old one"}
    assert contents(done.export_step(1)) == old
    left = {path.name for path in done.folder.iterdir()}
    assert not [name for name in left if name.endswith((".partial", ".old"))]


@pytest.mark.parametrize("where", ["weights", "companions"])
def test_a_full_disk_is_said_and_nothing_is_lost(
    done: Run, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    target = done.export_step(1)
    old = contents(target)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    if where == "weights":
        monkeypatch.setattr(weight_files, "save_file", full)
    else:
        monkeypatch.setattr(export_module, "write_companions", full)
    with pytest.raises(ValueError, match=r"export-step-1 could not be written.*No space left"):
        done.export_step(1)
    assert contents(target) == old
    assert not target.with_name(target.name + ".partial").exists()


def test_what_is_no_export_is_left_alone(tmp_path: Path, done: Run, tiny_student: Path) -> None:
    diary = tmp_path / "diary"
    diary.mkdir()
    (diary / "README.md").write_text("Dear diary")
    for target, reason in (
        (diary, "is no export and is left alone"),
        (done.run.folder, "is no export and is left alone"),
        (tiny_student, "is the student's own folder"),
    ):
        before = sorted(target.rglob("*"))
        with pytest.raises(ValueError, match=reason):
            done.export_step(out=target)
        assert sorted(target.rglob("*")) == before
    (tmp_path / "empty").mkdir()
    assert (done.export_step(out=tmp_path / "empty") / "model.safetensors").is_file()


def test_a_student_that_is_an_export_is_not_overwritten(done: Run, tmp_path: Path) -> None:
    first = done.folder / "export"
    second = train_tiny(tmp_path / "second", first, make_records(6), max_steps=1)
    with pytest.raises(ValueError, match="is the student's own folder"):
        second.export_step(out=first)


def test_a_checkpoint_that_is_not_there_is_an_error_that_lists_those_that_are(
    tmp_path: Path, done: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(config_file(tmp_path, done))
    assert main([config, "--step", "5"]) == 2
    assert re.search(r"no checkpoint of step 5: \S+ has steps 1, 2", capsys.readouterr().err)
    assert cli.main(["export", config, "--step", "5"]) == 2
    assert "has steps 1, 2" in capsys.readouterr().err
    assert main([config, "--non-finite"]) == 2
    assert "non-finite has no checkpoint" in capsys.readouterr().err
    assert main([config, "--set", "train.objective=cft"]) == 2
    assert "holds no training; trained there: cgd" in capsys.readouterr().err
    assert main([config, "--set", "train.learning_rate=1"]) == 2
    assert "train.learning_rate: 0.001 -> 1" in capsys.readouterr().err


def test_another_student_is_refused(tmp_path: Path, done: Run) -> None:
    other = StudentConfig(model=str(save_tiny_model(tmp_path / "other", seed=1)))
    with pytest.raises(ValueError, match=r"inputs\.student_files"):
        Run(done.run, other, done.config).export_step()


def test_the_command_exports_without_the_data_and_with_the_run_moved(
    tmp_path: Path, done: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "records.jsonl").unlink()
    done.run.folder.rename(tmp_path / "moved")
    config = str(config_file(tmp_path, done))
    arguments = ["--step", "1", "--set", f'run.dir="{tmp_path / "moved"}"']
    assert cli.main(["export", config, *arguments]) == 0
    target = tmp_path / "moved" / "train" / "cgd" / "export-step-1"
    assert f"cgd: step 1 exported to {target}" in capsys.readouterr().out
    assert (target / "model.safetensors").is_file()


def test_an_epoch_of_a_finished_training_is_exported_and_evaluated_as_a_student(
    tmp_path: Path, tiny_student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With many checkpoints kept: accuracy per epoch, by commands alone, and the training stays finished."""
    trained = train_tiny(tmp_path, tiny_student, make_records(12), save_every=2, epochs=3)
    before = contents(trained.folder / "export")
    config = config_file(tmp_path, trained)
    epochs = [tmp_path / f"epoch-{epoch}" for epoch in (1, 2)]
    for epoch, target in enumerate(epochs, start=1):
        arguments = ["--step", str(2 * epoch), "--out", str(target)]
        assert cli.main(["export", str(config), *arguments]) == 0
        asked = ["--set", f"run.dir={tmp_path / 'asked' / target.name}"]
        asked += ["--set", "evaluate.limit=2", "--set", "evaluate.max_tokens=4"]
        asked += ["--set", f"student.model={target}"]
        assert cli.main(["evaluate", str(config), "--model", "base", *asked]) == 0
        scores = tmp_path / "asked" / target.name / "evals" / "base" / "scores.json"
        made_by = json.loads(scores.read_text())["fingerprint"]["generator"]["fingerprint"]
        assert made_by == fingerprint(target)
    weights = [contents(f)["model.safetensors"] for f in (*epochs, trained.folder / "export")]
    assert len(set(weights)) == 3
    capsys.readouterr()
    assert cli.main(["train", str(config)]) == 0
    assert "training is finished, nothing left to do" in capsys.readouterr().out
    assert contents(trained.folder / "export") == before


# ---- the card ---------------------------------------------------------------------------------------


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_tells_the_facts_of_the_run_and_no_paths(tmp_path: Path, done: Run) -> None:
    card = card_of(done.folder / "export")
    metrics = [
        json.loads(line)
        for line in (done.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    for fact in (
        "| file | records.jsonl |",
        "| examples trained on | 12 |",
        "| steps | 2 |",
        "| examples seen | 12 |",
        f"| tokens seen | {sum(m['tokens'] for m in metrics):,} |",
        f"| loss of the last step | {metrics[-1]['loss']:.4f} |",
        "| seed | 3 |",
        "| ranks | 1 |",
        "| `batch_size` | 6 |",
        "| `learning_rate` | 0.001 |",
        "| `precision` | fp32 |",
        f"torch {torch.__version__}",
        "arxiv.org/abs/2505.11628",
        "a student's answer and the critique of that answer",
        "2 (`<|im_end|>`)",
        "Not evaluated here",
    ):
        assert fact in card, fact
    assert re.search(r"SHA-256 [^|]*\| [0-9a-f]{64} \|", card)
    earlier = card_of(done.export_step(1))
    assert "| steps | 1 (the training went on to 2) |" in earlier
    assert f"| loss of the last step | {metrics[0]['loss']:.4f} |" in earlier
    for text in (card, earlier):
        assert str(tmp_path) not in text
        assert not re.search(r"(^|[\s`|(])(/|~)\w", text)


def test_the_cards_front_matter_is_what_the_hub_reads(done: Run, tmp_path: Path) -> None:
    assert metadata_load(done.folder / "export" / "README.md") == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["critique-guided-distillation", "cgd"],
    }
    source = tmp_path / "snapshot"
    source.mkdir()
    (source / "README.md").write_text(
        "---\nlicense: other\nlicense_name: its-own\nlanguage: en\n---\nA model."
    )
    hub = StudentConfig(model="some-lab/some-model")
    trained = Trained(done.folder, hub, {}, ranks=None, device=None)
    (tmp_path / "README.md").write_text(model_card(trained, source, {2: "<|im_end|>"}))
    assert metadata_load(tmp_path / "README.md") == {
        "base_model": "some-lab/some-model",
        "license": "other",
        "license_name": "its-own",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["critique-guided-distillation", "cgd"],
    }
    text = (tmp_path / "README.md").read_text()
    assert "[some-lab/some-model](https://huggingface.co/some-lab/some-model)" in text
    assert "| ranks |" not in text
    assert "| examples trained on |" not in text
    (source / "README.md").write_text("---\nlicense: [unclosed\n---\n")
    assert "license" not in front_matter(hub, source, "cgd")


def test_the_cards_snippet_runs_and_asks_with_the_prompt_alone(
    heart: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = heart.folder / "export"
    (snippet,) = re.findall(r"```python\n(.*?)```", card_of(folder), flags=re.DOTALL)
    assert 'folder = "."' in snippet
    exec(snippet.replace('folder = "."', f"folder = {str(folder)!r}"), {})
    assert capsys.readouterr().out.strip() == QUESTIONS["What is 12 + 30?"]
