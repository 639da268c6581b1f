"""Claims: each thing that would stop a run is found, called by its name, and answered with what to type next."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from conftest import Run, save_tiny_model
from faulty_server import FaultyServer
from huggingface_hub import errors
from huggingface_hub.utils import hf_raise_for_status
from packaging.requirements import Requirement

from datagen.backends import TeacherConfig
from launch import (
    doctor_chat,
    doctor_collectives,
    doctor_gpus,
    doctor_hub,
    doctor_machine,
    doctor_models,
)
from launch.config import CONFIGS, Config, load_config
from launch.doctor_chat import chat_findings
from launch.doctor_collectives import Timing, judge
from launch.doctor_finding import COMMANDS, WIDTH, Finding, error, findings_of, ok, table, warn
from launch.doctor_gpus import CudaFacts, cuda_finding
from launch.doctor_machine import GIB, disk
from launch.doctor_models import NamedModel, folder_finding, model_finding, models_of
from launch.doctor_servers import connection_findings, key_finding, serving_findings
from launch.doctor_training import (
    Written,
    planned_memory,
    state_finding,
    will_be_written,
    world_findings,
)

QUICKSTART = CONFIGS / "quickstart.toml"
HUB = "meta-llama/Llama-3.1-8B-Instruct"


def quickstart(tmp_path: Path, *overrides: str) -> Config:
    return load_config(QUICKSTART, [f"run.dir={tmp_path / 'run'}", *overrides])


def by_state(findings: list[Finding]) -> dict[str, list[str]]:
    return {
        state: [f.what for f in findings if f.state == state] for state in ("ok", "warn", "error")
    }


def the_one(findings: Any, state: str) -> Finding:
    (found,) = [finding for finding in findings if finding.state == state]
    return found


# ---- the command ------------------------------------------------------------------------------------


def test_the_quickstart_is_well_and_says_so(
    cgd: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed = cgd("doctor", QUICKSTART)
    assert code == 0
    for part in ("student template", "<|im_end|> (2)", "disk: run folder", "memory: training"):
        assert part in printed
    assert "ERROR" not in printed
    assert not list(tmp_path.iterdir()), "looking leaves nothing behind"


def test_json_is_one_object_with_every_finding(
    cgd: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed = cgd("doctor", QUICKSTART, "--json", "--set", "data.prompts=nowhere")
    assert code == 2
    told = json.loads(printed)
    assert told["state"] == "error"
    (wrong,) = [f for f in told["findings"] if f["state"] == "error"]
    assert wrong["what"] == "data.prompts"
    assert wrong["remedy"] == "--set data.prompts=FILE"


def test_a_mistake_in_the_file_does_not_hide_the_machine(cgd: Run) -> None:
    code, printed = cgd("doctor", QUICKSTART, "--set", "train.bach_size=3", "--set", "trian.x=1")
    assert code == 2
    assert "did you mean train.batch_size?" in " ".join(printed.split())
    assert "ok     Python" in printed
    assert "2 errors" in printed


def test_the_bad_ones_stand_last_and_lines_fit_a_terminal() -> None:
    findings = [
        error("disk", "full " * 40, "pip install '" + "x" * 90 + "'"),
        ok("Python", "3"),
        warn("GPU 0", "old\x1b[2J " * 20, "a long advice " * 20),
    ]
    lines = table(findings).splitlines()
    marks = [line.split()[0] for line in lines if line[:1].strip()]
    assert marks == ["ok", "warn", "ERROR", "1"]
    assert lines[-1] == "1 error, 1 warning, 1 check passed."
    assert "\x1b" not in table(findings)
    long = [line for line in lines if len(line) > WIDTH]
    assert [line.strip().startswith("→ " + COMMANDS[6]) for line in long] == [True]


def test_a_check_that_fails_is_a_warning_and_not_the_end() -> None:
    def broken() -> Finding:
        raise RuntimeError("no such driver\nlong story")

    (found,) = findings_of("GPU", broken)
    assert found.state == "warn"
    assert "no such driver" in found.detail
    assert "long story" not in found.detail


# ---- the machine ------------------------------------------------------------------------------------


def test_a_missing_and_an_old_library_are_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = [Requirement("torch>=99"), Requirement("no-such-library>=2"), Requirement("numpy")]
    monkeypatch.setattr(doctor_machine, "requirements", lambda: wanted)
    found = list(doctor_machine.libraries())
    assert {f.what: f.remedy for f in found} == {
        "no-such-library": "pip install 'no-such-library>=2'",
        "torch": "pip install 'torch>=99'",
    }


def test_requirements_are_those_of_the_project() -> None:
    names = {one.name for one in doctor_machine.requirements()}
    assert {"torch", "transformers", "safetensors", "datasets"} <= names
    assert not names & {"vllm", "pytest"}


def test_a_containers_limits_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text(f"{2 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{GIB}\n")
    monkeypatch.setattr("torch.get_num_threads", lambda: 64)
    assert doctor_machine.cores().remedy == "export OMP_NUM_THREADS=1"
    assert doctor_machine.memory_bytes() == (2 * GIB, GIB)
    assert doctor_machine.memory().state == "warn"


def test_little_shared_memory_and_few_files_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free(64 * 2**20))
    assert "--shm-size" in doctor_machine.shared_memory().remedy
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 1024))
    assert "ulimit -n" in doctor_machine.open_files().remedy


def free(num_bytes: int) -> Any:
    return shutil._ntuple_diskusage(10**15, 10**15 - num_bytes, num_bytes)  # type: ignore[attr-defined]


def test_a_full_disk_is_an_error_before_it_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free(10 * GIB))
    assert disk("disk", tmp_path / "not" / "yet", 9 * GIB).state == "warn"
    found = disk("disk", tmp_path, 11 * GIB, "make room")
    detail = f"10.0 GiB are free at {tmp_path}; about 11.0 GiB will be written"
    assert found == error("disk", detail, "make room")


# ---- GPUs -------------------------------------------------------------------------------------------


def facts(**changes: Any) -> CudaFacts:
    usual = {
        "torch_version": "2.13.0",
        "torch_cuda": "12.8",
        "driver_cuda": "12.4",
        "present": ("H100", "H100"),
        "visible": 2,
        "mask": None,
    }
    return CudaFacts(**(usual | changes))


@pytest.mark.parametrize(
    ("changes", "state", "part"),
    [
        ({}, "ok", "torch for CUDA 12.8, driver for 12.4"),
        ({"visible": 1, "mask": "0"}, "ok", "1 more hidden by CUDA_VISIBLE_DEVICES=0"),
        ({"present": (), "visible": 0, "driver_cuda": None}, "ok", "no GPU here"),
        ({"visible": 0, "torch_cuda": None}, "error", "a build without CUDA"),
        ({"visible": 0, "mask": ""}, "warn", "hidden by CUDA_VISIBLE_DEVICES=''"),
        ({"visible": 0, "torch_cuda": "13.0"}, "error", "driver runs CUDA 12.4 at most"),
        ({"visible": 0, "said": "CUDA unknown error"}, "error", "CUDA unknown error"),
    ],
)
def test_why_torch_sees_no_gpu(changes: dict[str, Any], state: str, part: str) -> None:
    found = cuda_finding(facts(**changes))
    assert found.state == state
    assert part in found.detail
    assert state == "ok" or found.remedy


def test_a_vllm_made_for_another_torch_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "vllm"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('vLLM must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor_gpus, "torch_of_vllm", lambda: Requirement("torch==1.0"))
    assert "made for torch==1.0" in doctor_gpus.vllm_finding().detail
    monkeypatch.setattr(doctor_gpus, "torch_of_vllm", lambda: None)
    assert doctor_gpus.vllm_finding().state == "ok"
    (package / "_C.abi3.so").write_bytes(b"made for another torch")
    linker = subprocess.CompletedProcess([], 1, "", "Traceback\nOSError: undefined symbol: _ZN3c10")
    monkeypatch.setattr(doctor_gpus.subprocess, "run", lambda *_, **__: linker)
    found = doctor_gpus.vllm_finding()
    assert found.state == "error"
    assert "undefined symbol: _ZN3c10" in found.detail


# ---- models -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What the hub sends, as its library sees it."""

    status: int
    code: str | None = None
    message: str = ""

    def give(self) -> None:
        headers = {"X-Error-Message": self.message} | ({"X-Error-Code": self.code} if self.code else {})  # fmt: skip
        http = importlib.import_module(errors.Response.__module__.partition(".")[0])
        request = http.Request("HEAD", f"https://huggingface.co/{HUB}/resolve/main/config.json")
        hf_raise_for_status(errors.Response(self.status, headers=headers, request=request))


GATED = Answer(403, "GatedRepo")
ABSENT = Answer(401, "RepoNotFound")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finding]:
    """What the doctor says where the hub, or the way to it, answers so."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setattr(doctor_models, "cached_folder", lambda *_: None)

    def ask(answer: Answer | Exception, token: str | None = None) -> Finding:
        def reply(*_: Any, **__: Any) -> None:
            if isinstance(answer, Exception):
                raise answer
            answer.give()

        monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", reply)
        monkeypatch.setattr(huggingface_hub, "get_token", lambda: token)
        return model_finding(NamedModel("teacher", HUB))

    return ask


def test_a_gated_model_asks_for_the_next_command(hub: Callable[..., Finding]) -> None:
    without = hub(GATED)
    assert without.what == "teacher.model"
    assert "gated, and this machine has no token" in without.detail
    assert f"https://huggingface.co/{HUB}" in without.remedy
    assert "hf auth login" in without.remedy
    given = hub(GATED, "hf_x")
    assert "has not been let in" in given.detail
    assert "hf auth login" not in given.remedy


@pytest.mark.parametrize(
    ("answer", "detail", "remedy"),
    [
        (ABSENT, "the hub knows none of that name", "hf auth login"),
        (Answer(404, "RevisionNotFound"), "no such revision", "/tree/main"),
        (Answer(404, "EntryNotFound"), "no config.json", "GGUF"),
        (Answer(403, None, "Access to this resource is disabled."), "disabled", "another one"),
        (
            Answer(401, None, "Invalid credentials in Authorization header"),
            "does not accept your token",
            "hf auth login --force",
        ),
        (Answer(503), "HTTP 503", "again"),
        (
            errors.OfflineModeIsEnabled("off"),
            "HF_HUB_OFFLINE is set",
            "env -u HF_HUB_OFFLINE hf download",
        ),
        (OSError("Name or service not known"), "cannot be reached", "hf download"),
    ],
)
def test_every_refusal_of_the_hub_has_its_remedy(
    hub: Callable[..., Finding], answer: Answer | Exception, detail: str, remedy: str
) -> None:
    found = hub(answer)
    assert found.state == "error"
    assert detail in found.detail
    assert remedy in found.remedy


def test_a_model_that_the_hub_gives_is_fine(hub: Callable[..., Finding]) -> None:
    assert hub(Answer(200)).state == "ok"


def test_a_mistyped_model_names_the_one_beside_it(
    hub: Callable[..., Finding], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--meta-llama--Llama-3.1-8B-Instrcut").mkdir()
    found = hub(ABSENT)
    assert "did you mean meta-llama/Llama-3.1-8B-Instrcut?" in found.detail


def test_a_missing_folder_names_the_one_beside_it(tiny_student: Path) -> None:
    found = model_finding(NamedModel("student", f"{tiny_student}x"))
    assert f"did you mean {tiny_student}?" in found.detail


def spoil_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def leave_adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text("{}")


def leave_torch_file(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut_weights(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(5000)


def lose_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / doctor_models.INDEX).write_text(json.dumps({"weight_map": shards}))


def leave_pointer(folder: Path) -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (folder / "model.safetensors").write_text(text)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (spoil_config, "config.json cannot be read"),
        (leave_adapter, "adapter (LoRA)"),
        (leave_torch_file, "writes safetensors"),
        (cut_weights, "not copied to its end"),
        (lose_shard, "names model-00002-of-00002.safetensors, which is missing"),
        (leave_pointer, "lfs pull"),
    ],
)
def test_half_a_model_folder_says_what_is_missing(
    spoil: Callable[[Path], None], part: str, tiny_student: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_student, tmp_path / "model")
    assert folder_finding("student.model", folder).state == "ok"
    spoil(folder)
    found = folder_finding("student.model", folder)
    assert found.state == "error"
    assert part in f"{found.detail} {found.remedy}"


def test_a_servers_model_is_not_looked_for_here(tmp_path: Path) -> None:
    config = quickstart(tmp_path, "inference.base_url=http://h/v1", "teacher.backend=vllm",
                        f"teacher.model={HUB}", "teacher.script=")  # fmt: skip
    assert [m.key for m in models_of(config, frozenset({"data"}))] == ["teacher.model"]
    assert [m.key for m in models_of(config, frozenset({"base"}))] == ["student.model"]
    assert models_of(config, frozenset({"evaluate"})) == [], "exports are made by the run"


# ---- chats ------------------------------------------------------------------------------------------

TURNS = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"


def chat(folder: Path, tmp_path: Path, template: str, *overrides: str) -> dict[str, Finding]:
    """The findings about a student with this template, by name."""
    file = tmp_path / "template.jinja"
    file.write_text(template)
    config = quickstart(tmp_path, *overrides)
    model = NamedModel("student", str(folder), chat_template=str(file))
    return {f.what: f for f in findings_of("student.model", lambda: chat_findings(model, folder, config))}  # fmt: skip


def test_a_sound_template_renders_both_layouts(tiny_student: Path, tmp_path: Path) -> None:
    found = chat(tiny_student, tmp_path, TURNS + PROMPT)
    assert by_state(list(found.values()))["error"] == []
    assert found["student template"].detail == "renders a question, single_turn, multi_turn"


@pytest.mark.parametrize(
    ("template", "state", "part"),
    [
        ("{{ raise_exception('roles must alternate') }}", "error", "roles must alternate"),
        ("{% for m in messages %}{{ m.content }}", "error", "Unexpected end"),
        (TURNS.replace("m.content", "m.content[:3]") + PROMPT, "error", "leaves out QUESTION-7"),
        ("{{ strftime_now('%d %b %Y') }}" + TURNS + PROMPT, "warn", "the present date"),
        (
            TURNS + "{% if add_generation_prompt %}{{ '<|im_start|>bot\n' }}{% endif %}",
            "warn",
            "otherwise",
        ),
    ],
)
def test_a_template_that_cannot_do_a_chat_of_the_method(
    template: str, state: str, part: str, tiny_student: Path, tmp_path: Path
) -> None:
    found = chat(tiny_student, tmp_path, template)["student template"]
    assert found.state == state
    assert part in found.detail


def test_only_the_layout_in_use_has_to_work(tiny_student: Path, tmp_path: Path) -> None:
    one_turn = "{% if messages|length > 2 %}{{ raise_exception('one turn') }}{% endif %}" + TURNS
    found = chat(tiny_student, tmp_path, one_turn + PROMPT)["student template"]
    assert found.detail == "renders a question, single_turn"
    layout = "train.layout=multi_turn"
    assert chat(tiny_student, tmp_path, one_turn + PROMPT, layout)["student template"].state == "error"  # fmt: skip


def test_a_stop_token_that_other_programs_do_not_know(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    other = TURNS.replace("<|im_end|>", "<|im_start|>") + PROMPT
    found = chat(folder, tmp_path, other)["student stop token"]
    assert found.state == "warn"
    assert "vllm serve" in found.detail
    assert '"eos_token_id": [2, 1]' in found.remedy


def test_several_closing_tokens_are_said(tiny_student: Path, tmp_path: Path) -> None:
    closing = TURNS.replace("'<|im_end|>", "' END<|im_end|>") + PROMPT
    found = chat(tiny_student, tmp_path, closing)["student stop token"]
    assert found.state == "warn"
    assert "'<|im_end|>'" in found.detail


def test_a_tokenizer_with_more_tokens_than_the_embedding(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    text = (folder / "tokenizer.json").read_text()
    tokens = json.loads(text)
    tokens["added_tokens"].append({**tokens["added_tokens"][0], "id": 5000, "content": "<new>"})
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    found = chat(folder, tmp_path, TURNS + PROMPT)["student vocabulary"]
    assert found.state == "error"
    assert "added without resizing" in found.remedy


def test_texts_longer_than_the_context_are_found(tiny_student: Path, tmp_path: Path) -> None:
    config = quickstart(tmp_path, "generate.answer.max_tokens=1024", "evaluate.max_tokens=1000",
                        "train.max_length=2000")  # fmt: skip
    model = NamedModel("student", str(tiny_student))
    found = list(doctor_chat.length_findings(model, tiny_student, config))
    assert [f.state for f in found] == ["error", "warn", "warn"]
    assert "--set train.max_length=1024" in [f.remedy for f in found]
    for work, keys in (("data", ["generate.answer"]), ("base", ["evaluate"]), ("train", ["train"])):
        of_work = replace(model, work=frozenset({work}))
        found = list(doctor_chat.length_findings(of_work, tiny_student, config))
        assert [f.remedy.split()[1].rpartition(".")[0] for f in found] == keys, "of this work alone"


def test_a_folder_without_tokenizer_says_which_files(tiny_student: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_student, tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    (found,) = chat(folder, tmp_path, TURNS).values()
    assert "holds no tokenizer (tokenizer.json" in found.detail


# ---- servers ----------------------------------------------------------------------------------------


def dead_url() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def test_a_dead_server_is_an_error_unless_another_one_lives() -> None:
    dead = dead_url()
    found = the_one(connection_findings("teacher", TeacherConfig(base_url=(dead,))), "error")
    assert dead in found.detail
    assert "vllm serve" in found.remedy
    with FaultyServer() as server:
        both = TeacherConfig(base_url=(server.base_url, dead))
        assert "the other 1 go on" in the_one(connection_findings("teacher", both), "warn").detail
        assert not server.bodies, "no text is asked for"


def test_a_server_that_serves_another_model() -> None:
    with FaultyServer(models=("qwen-7b",)) as server:
        config = TeacherConfig(base_url=(server.base_url,), model="llama")
        found = the_one(serving_findings("teacher", config, "llama"), "error")
        assert "serves qwen-7b, not 'llama'" in found.detail
        assert found.remedy == "--set teacher.model=qwen-7b"
        the_one(serving_findings("teacher", config, "qwen-7b"), "ok")
        assert not server.bodies


def test_a_key_is_named_by_its_variable_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with FaultyServer(key="another") as server:
        config = TeacherConfig(base_url=(server.base_url,), model="tiny", api_key_env="MY_KEY")
        found = [*key_finding("teacher", config), *serving_findings("teacher", config, "tiny")]
    assert by_state(found) == {"ok": ["teacher key"], "warn": [], "error": ["teacher serves"]}
    assert not any("sk-secret" in f.detail for f in found)
    monkeypatch.delenv("MY_KEY")
    provider = TeacherConfig(base_url=("https://api.example.com/v1",), api_key_env="MY_KEY")
    assert the_one(key_finding("teacher", provider), "warn").remedy == "export MY_KEY=…"


# ---- training ---------------------------------------------------------------------------------------


def test_more_ranks_than_examples_and_a_shard_size_that_does_not_divide(tmp_path: Path) -> None:
    config = quickstart(tmp_path, "train.batch_size=4", "train.shard_size=2").train
    assert the_one(world_findings(config, 4), "ok").detail == "4 ranks: 2 copies of 2 shards"
    assert the_one(world_findings(config, 8), "warn").remedy == "fewer ranks"
    (found,) = findings_of("train.shard_size", lambda: world_findings(config, 3))
    assert found.state == "error"


def test_state_that_no_device_holds_asks_for_enough_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (80 * GIB, 80 * GIB))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "H100")
    config = quickstart(tmp_path).train
    found = state_finding(config, 8_030_000_000, 1)
    assert found.state == "error"
    assert "119.7 GiB a rank, H100 has 80.0 GiB" in found.detail
    assert "torchrun --nproc-per-node 2" in found.remedy
    assert state_finding(config, 8_030_000_000, 2).state == "ok"


def test_the_planner_speaks_where_rows_do_not_fit(
    tiny_student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.doctor_training.memory_bytes", lambda: (GIB // 4, GIB // 4))
    found = planned_memory(quickstart(tmp_path).train, tiny_student, 1)
    assert found.state == "error"
    assert found.remedy.startswith("cgd plan CONFIG --world-size 1 --device cpu")


def test_what_will_be_written_counts_what_is_kept_and_what_is_there(tmp_path: Path) -> None:
    weights = doctor_models.Weights(1000, 2000, None)
    config = quickstart(
        tmp_path, 'pipeline.objectives=["sft","cgd"]', "train.max_steps=1000", "train.save_every=10"
    )
    assert will_be_written(config, weights) == Written(5, 12_000, 2, 2000)
    train = tmp_path / "run" / "train"
    (train / "sft").mkdir(parents=True)
    (train / "sft" / "summary.json").write_text("{}")
    (train / "cgd" / "checkpoints" / "step-10").mkdir(parents=True)
    assert will_be_written(config, weights) == Written(2, 12_000, 1, 2000)
    short = quickstart(tmp_path, "train.max_steps=4", 'pipeline.objectives=["cft"]')
    assert will_be_written(short, weights) == Written(1, 12_000, 1, 2000)


# ---- ranks ------------------------------------------------------------------------------------------


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import ranks
from launch import doctor_collectives as doctor

doctor.SIZES = {"cpu": (1024, 2**20)}
doctor.SECONDS_A_SIZE = 0.01

def work(rank):
    (found,) = doctor.time_ranks()
    print(f"rank {rank}: {found.what}: {found.detail}", flush=True)
    return 0

from pathlib import Path
print(ranks.reap(ranks.fork_ranks(2, work, Path(sys.argv[2]))))
"""


def test_two_ranks_are_timed_and_their_sum_is_checked(tmp_path: Path) -> None:
    log, here = tmp_path / "log", str(Path(__file__).parent)
    program = [sys.executable, "-c", PROGRAM, here, str(log)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=200)
    printed = log.read_text() if log.exists() else ""
    assert done.stdout.strip() == "[0, 0]", done.stderr + printed
    assert printed.count("2 ranks, gloo") == 1, "rank 0 does the talking"
    assert printed.count("1 MiB") == 1
    for rank in range(2):
        assert f"rank {rank}: all-reduce: " in printed
    assert printed.count("sums are right") == 2


def test_bus_bandwidth_counts_what_each_wire_carries() -> None:
    assert Timing(10**9, 1.0, 2).bus_bytes_per_second == pytest.approx(1e9)
    assert Timing(10**9, 1.0, 8).bus_bytes_per_second == pytest.approx(1.75e9)
    slow = [Timing(1024, 1e-3, 8), Timing(10**9, 1.0, 8)]
    assert the_one(judge(slow, "cuda"), "warn").detail.startswith("1.75 GB/s")
    assert "torchrun" in the_one(judge([Timing(1024, 1.0, 1)], "cpu"), "warn").remedy


def test_ranks_that_never_meet_are_told_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = threading.Event()
    codes: list[int] = []
    monkeypatch.setattr(doctor_collectives, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(os, "_exit", lambda code: (codes.append(code), left.set()))
    with doctor_collectives.watched("to form a group"):
        assert left.wait(30)
    assert codes == [2]
    said = capsys.readouterr().err
    assert "to form a group" in said
    assert "NCCL_SOCKET_IFNAME" in said


def test_help_names_the_way_to_time_ranks(cgd: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        cgd("doctor", "--help")
    signal.signal(signal.SIGTERM, before)
    assert "torchrun --nproc-per-node 2 -m launch.doctor" in capsys.readouterr().out
    assert doctor_collectives.SIZES["cuda"][-1] == GIB
    assert doctor_hub.LOGIN == "hf auth login"
