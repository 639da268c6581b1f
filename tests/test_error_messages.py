"""What users get wrong, provoked as they would: the message says what, where and what to do, and the repair works.

Mistakes that a room's own tests provoke already (servers, checkpoints, hub, GPUs) are not repeated here.
"""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import torch
from conftest import CHAT_TEMPLATE, Run, make_records, make_tokenizer
from huggingface_hub import errors as hub_errors
from safetensors.torch import load_file, save_file
from torch.distributed.elastic.multiprocessing import SignalException

from datagen.chat_tokens import load_tokenizer
from datagen.model_folder import find_model
from datagen.model_loading import device_of, load_model
from datagen.records import write_whole
from engine import advice, command, torchrun, whole_files
from engine import train as train_module
from engine.config import known_keys
from engine.examples import end_of_turn_ids
from engine.interruption import SIGNALS
from engine.rank_logs import PLACES
from engine.settings import TrainConfig
from engine.train import main as train_command
from evals.run import append_rows
from launch import cli
from launch.config import SECTIONS

OUT_OF_MEMORY = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.00 GiB is "
    "free. If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF=expandable_segments:True"
)
NO_HOST_MEMORY = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "10737418240000 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.fixture
def config(tmp_path: Path, tiny_student: Path) -> Path:
    """A run of a few seconds, to be spoilt with --set."""
    path = tmp_path / "config.toml"
    path.write_text(
        f"""
        [run]
        dir = "{tmp_path / "run"}"
        [student]
        model = "{tiny_student}"
        [data]
        limit = 6
        [generate]
        batch_size = 2
        [generate.answer]
        max_tokens = 4
        [train]
        batch_size = 10
        precision = "fp32"
        max_length = 1024
        report_to = []
        [evaluate]
        limit = 2
        max_tokens = 2
        """
    )
    return path


Engine = Callable[..., tuple[int, str]]


@pytest.fixture
def engine_(config: Path, records_file: Path, capsys: pytest.CaptureFixture[str]) -> Engine:
    """`python -m engine.train` on twenty records: (exit code, what stood on stderr)."""

    def run(*settings: str) -> tuple[int, str]:
        given = [f"train.data={records_file}", *settings]
        code = train_command([str(config), *(part for s in given for part in ("--set", s))])
        return code, capsys.readouterr().err

    return run


def spoilt(folder: Path, student: Path, spoil: Callable[[Path], object]) -> Path:
    """A copy of the student in which something is wrong."""
    shutil.copytree(student, folder)
    spoil(folder)
    return folder


# ---- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.learning_rate=-1e-6", "train.learning_rate must not be negative, got -1e-06"),
        ("train.weight_decay=-1.0", "train.weight_decay must not be negative"),
        ("train.max_grad_norm=0.0", "train.max_grad_norm must be positive"),
        ("run.seed=-5", "run.seed must not be negative, got -5"),
    ],
)
def test_a_value_out_of_bounds_is_named_before_anything_is_made(
    cgd: Run, config: Path, tmp_path: Path, setting: str, said: str
) -> None:
    code, printed = cgd("run", config, "--set", setting)
    assert (code, said in printed) == (2, True), printed
    assert not (tmp_path / "run").exists()


def test_a_shard_size_that_does_not_fit_says_what_to_start(engine_: Engine) -> None:
    code, said = engine_("train.shard_size=4")
    assert code == 2
    assert "train.shard_size = 4 does not divide the 1 ranks" in said
    assert "torchrun --nproc-per-node 4 -m engine.train CONFIG" in said


# ---- models -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (hub_errors.GatedRepoError, "is gated on the hub: accept its conditions at https://"),
        (hub_errors.RepositoryNotFoundError, "check the spelling; a private one needs `hf auth"),
        (hub_errors.RevisionNotFoundError, "/tree/main"),
        (hub_errors.LocalEntryNotFoundError, "`env -u HF_HUB_OFFLINE hf download owner/name`"),
        (ConnectionError, "`hf download owner/name` where there is a connection"),
    ],
)
def test_a_model_that_the_hub_does_not_give_names_the_next_command(
    engine_: Engine, monkeypatch: pytest.MonkeyPatch, kind: type[Exception], said: str
) -> None:
    """By the engine, which has no preflight, and by data generation."""
    reply = httpx2.Response(403, request=httpx2.Request("GET", "https://hub"))
    extra = {"response": reply} if issubclass(kind, hub_errors.HfHubHTTPError) else {}

    def refuse(*_: object, **__: object) -> str:
        raise kind("403 Client Error\n\nSeveral lines", **extra)

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("engine.model.snapshot_download", refuse)
    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    code, printed = engine_("student.model=owner/name")
    assert code == 2
    assert printed.startswith("error: student.model: ")
    assert said in printed
    assert printed.count("\n") == 1, "one line"
    with pytest.raises(ValueError, match="model: ") as caught:
        find_model("owner/name", None)
    assert said in str(caught.value)


def without_a_shard(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    kept = {name: tensors[name] for name in names[:5]}
    save_file(kept, folder / first, metadata={"format": "pt"})
    where = {name: first if name in kept else second for name in names}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def without_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def torn(folder: Path) -> None:
    weights = folder / "model.safetensors"
    os.truncate(weights, weights.stat().st_size - 100)


def of_another_width(folder: Path) -> None:
    shape = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(shape | {"intermediate_size": 96}))


def of_unknown_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "hyena9"}')


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_a_shard, "is not whole: its index names 2 files, and 1 of them are not there"),
        (of_another_width, "the two are of different models: fetch the folder again"),
        (of_unknown_kind, "cannot be used ("),
        (without_tokenizer, "the tokenizer of "),
    ],
)
def test_half_a_model_folder_is_the_engines_one_message(
    engine_: Engine,
    tmp_path: Path,
    tiny_student: Path,
    spoil: Callable[[Path], object],
    said: str,
) -> None:
    folder = spoilt(tmp_path / "half", tiny_student, spoil)
    code, printed = engine_(f"student.model={folder}")
    assert code == 2
    last = printed.strip().splitlines()[-1]
    assert last.startswith("error: student.model: ")
    assert said in last
    assert str(folder) in last


@pytest.mark.parametrize(
    "spoil", [torn, without_a_shard, without_a_tensor, of_another_width, of_unknown_kind]
)
def test_nothing_is_generated_with_weights_that_are_not_in_the_files(
    tmp_path: Path, tiny_student: Path, spoil: Callable[[Path], object]
) -> None:
    """transformers would make the missing ones up and go on."""
    folder = spoilt(tmp_path / "half", tiny_student, spoil)
    with pytest.raises(ValueError, match="fetch the folder again") as caught:
        load_model(folder, torch.device("cpu"))
    assert str(folder) in str(caught.value)


def test_a_device_that_is_not_here_is_named() -> None:
    with pytest.raises(ValueError, match=r"'cuda:7' is asked for, but torch sees \d GPU"):
        device_of("cuda:7")
    with pytest.raises(ValueError, match="'gpu' is none of cpu, cuda"):
        device_of("gpu")


# ---- chat templates -----------------------------------------------------------------------------

ALWAYS_OPEN = CHAT_TEMPLATE.split("{% if add_generation_prompt %}")[0]
MISTRAL = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}<|im_end|>{% endif %}{% endfor %}"
)
THINKING = CHAT_TEMPLATE.replace("{{ '<|im_start|>' + m", "{{ '<|im_start|>' + m").replace(
    "m['content'] + '<|im_end|>",
    "('<think>\n</think>' if m['role'] == 'assistant' else '') + m['content'] + '<|im_end|>",
)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (ALWAYS_OPEN, r"has no generation prompt: .*'<\|im_start\|>assistant'.*chat_template"),
        ("{{ raise_exception('only system') }}", "fails for the turns user.*: only system; mend"),
        ("{% for m in messages %}{{ m", "fails for the turns user.*chat_template"),
    ],
    ids=["no generation prompt", "refuses", "broken"],
)
def test_a_chat_template_that_would_spoil_everything_is_refused(
    tmp_path: Path, tiny_student: Path, template: str, said: str
) -> None:
    """By training and by generation."""
    path = tmp_path / "mine.jinja"
    path.write_text(template, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        load_tokenizer(tiny_student, "the student", str(path))
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(ValueError, match=said):
        end_of_turn_ids(tokenizer)


@pytest.mark.parametrize(
    "template", [CHAT_TEMPLATE, MISTRAL, THINKING], ids=["chatml", "[INST]", "thinks"]
)
def test_templates_that_open_the_answer_in_their_own_way_are_fine(
    tmp_path: Path, tiny_student: Path, template: str
) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text(template, encoding="utf-8")
    assert load_tokenizer(tiny_student, "the student", str(path)).chat_template == template
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    assert end_of_turn_ids(tokenizer)


# ---- data ---------------------------------------------------------------------------------------

GOOD = '{"problem": "What is 1 + 1?", "answer": "2"}\n'
BAD_PROMPTS = {
    "latin1": (
        f'{GOOD}{{"problem": "Wie groß?", "answer": "2"}}\n'.encode("latin-1"),
        ":2: not a line of JSON (byte 0xdf is no UTF-8: save the file as UTF-8",
    ),
    "csv": (b"problem,answer\nWhat?,2\n", ".csv) is not read"),
    "utf-16": (GOOD.encode("utf-16"), "text that is no UTF-8 (UTF-16?)"),
    "empty": (b"", "holds no rows"),
}


@pytest.mark.parametrize("kind", BAD_PROMPTS)
def test_prompts_in_another_form_name_the_way_to_ours(
    cgd: Run, config: Path, tmp_path: Path, kind: str
) -> None:
    content, said = BAD_PROMPTS[kind]
    path = tmp_path / f"mine.{'csv' if kind == 'csv' else 'jsonl'}"
    path.write_bytes(content)
    code, printed = cgd("generate", config, "--set", f"data.prompts={path}")
    assert code == 2
    assert said in printed.split("error:")[1]
    assert str(path) in printed.split("error:")[1]


@pytest.mark.parametrize("how", ["byte order mark", "windows line ends", "blank lines"])
def test_records_from_other_editors_train_as_they_are(
    engine_: Engine, records_file: Path, how: str
) -> None:
    text = records_file.read_text(encoding="utf-8")
    changed = {
        "byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "windows line ends": text.replace("\n", "\r\n").encode(),
        "blank lines": f"\n{text}\n\n".encode(),
    }
    records_file.write_bytes(changed[how])
    assert engine_("train.max_steps=1")[0] == 0


@pytest.mark.parametrize(
    ("content", "settings", "said"),
    [
        ("", (), "nothing to train on: 0 of 0 rows are trained on; the file is empty"),
        (None, ("train.max_length=8",), "tokens and train.max_length is 8: raise it, or set"),
        ("no gold", ("train.objective=sft",), "learns 'answer', which is empty there: fill it"),
        ("not utf-8", (), "records.jsonl:1: not valid JSON (byte 0xe9 is no UTF-8"),
    ],
    ids=["empty", "all too long", "no gold", "not utf-8"],
)
def test_data_of_which_nothing_can_be_trained_on_say_why(
    engine_: Engine,
    records_file: Path,
    content: str | None,
    settings: tuple[str, ...],
    said: str,
) -> None:
    if content == "no gold":
        rows = [record | {"answer": None} for record in make_records(3)]
        content = "".join(json.dumps(row) + "\n" for row in rows)
    if content == "not utf-8":
        records_file.write_bytes('{"id": "é"}\n'.encode("latin-1"))
    elif content is not None:
        records_file.write_text(content, encoding="utf-8")
    code, printed = engine_(*settings)
    assert code == 2
    assert said in printed


def test_prompts_without_gold_stop_sft_before_a_text_is_paid_for(
    cgd: Run, config: Path, tmp_path: Path
) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"problem": "What is 1 + 1?"}\n{"problem": "What is 1 + 2?"}\n')
    settings = (f"data.prompts={path}", 'pipeline.objectives=["sft"]')
    code, printed = cgd("run", config, *(part for s in settings for part in ("--set", s)))
    assert code == 2
    assert "data.answer_field" in printed
    assert not (tmp_path / "run" / "data" / "journal").exists()


def test_a_gate_that_drops_every_record_ends_with_an_error_each_time(
    cgd: Run, config: Path
) -> None:
    refuse_all = ("--set", 'generate.gates.answer.truncated="drop"')
    for _ in range(2):  # as it is found, and when it is asked again
        code, printed = cgd("generate", config, *refuse_all)
        assert code == 2
        assert "no record is left in " in printed
        assert "of 6, 6 were dropped by a gate" in printed


# ---- memory -------------------------------------------------------------------------------------


def test_a_training_out_of_memory_lists_what_helps_and_continues_after_it(
    engine_: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = train_module.train_step
    steps = []

    def lacking(*arguments: Any) -> Any:
        steps.append(1)
        if len(steps) > 1:
            raise OUT_OF_MEMORY
        return real(*arguments)

    monkeypatch.setattr("engine.train.train_step", lacking)
    code, said = engine_("train.save_every=1", "train.pack_tokens=4096")
    assert code == 2
    assert "CUDA out of memory. Tried to allocate 2.00 GiB" in said
    assert "PYTORCH_ALLOC_CONF" not in said
    order = [
        "train.pack_tokens = 1024",
        'train.activation_checkpointing = "selective"',
        'train.activation_checkpointing = "full"',
        "torchrun --nproc-per-node 2",
        "train.cpu_offload = true",
        "train.max_length = 512",
    ]
    places = [said.index(step) for step in order]
    assert places == sorted(places)
    monkeypatch.setattr("engine.train.train_step", real)
    code, _ = engine_("train.save_every=1", "train.activation_checkpointing=full")
    assert code == 0
    metrics = (tmp_path / "run" / "train" / "cgd" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in metrics] == [1, 2]


def test_what_is_set_already_is_not_advised() -> None:
    config = TrainConfig(activation_checkpointing="full", cpu_offload=True, shard_size=2)
    steps = "\n".join(advice.what_saves_memory(config, num_ranks=8))
    assert "activation_checkpointing" not in steps
    assert "cpu_offload" not in steps
    assert "pack_tokens" not in steps
    assert "train.shard_size = 8   (now 2" in steps


def test_one_rank_out_of_memory_ends_all_with_its_message(
    tmp_path: Path, tiny_student: Path, records_file: Path
) -> None:
    program = Path(__file__).with_name("engine_mishaps.py")
    command_ = [sys.executable, str(program), str(records_file.parent), str(tiny_student)]
    done = subprocess.run(command_, capture_output=True, text=True, timeout=120, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["codes"][1] == command.EXIT_MISTAKE
    assert told["codes"][0] != 0
    assert told["said"].count("error: out of memory in training: ") == 1
    assert "(rank 1" in told["said"]


@pytest.mark.parametrize("error", [OUT_OF_MEMORY, NO_HOST_MEMORY], ids=["GPU", "host"])
def test_a_generation_out_of_memory_keeps_its_texts_and_goes_on_with_smaller_batches(
    cgd: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from datagen import transformers_generator

    real, calls = transformers_generator.write_batch, []

    def lacking(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise error
        return real(*arguments)

    monkeypatch.setattr(transformers_generator, "write_batch", lacking)
    code, printed = cgd("generate", config)
    assert code == 2
    assert "out of memory: 2 texts at a time with prompts of up to" in printed
    assert "a lower batch_size (generate.batch_size" in printed
    monkeypatch.setattr(transformers_generator, "write_batch", real)
    code, printed = cgd("generate", config, "--set", "generate.batch_size=1")
    assert code == 0
    assert "answer: 2 of 6 texts are there already" in printed


def test_a_lack_of_memory_anywhere_else_is_no_traceback(
    cgd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(cli, "bench", lack)
    code, printed = cgd("bench", "loss")
    assert code == 2
    assert printed.startswith("error: out of memory: no memory is left; use a smaller batch_size")


# ---- disks and folders --------------------------------------------------------------------------


@contextmanager
def files_of_at_most(most_bytes: int) -> Iterator[None]:
    """Larger files cannot be written by this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "write",
    [lambda path, text: write_whole(path, text.encode()), whole_files.write_whole],
    ids=["datagen", "engine"],
)
def test_a_file_that_does_not_fit_is_named_and_leaves_no_half(
    tmp_path: Path, write: Callable[[Path, str], None]
) -> None:
    target = tmp_path / "scores.json"
    write(target, "before")
    with files_of_at_most(1000), pytest.raises(OSError, match=r"scores\.json") as caught:
        write(target, "x" * 5000)
    assert caught.value.errno == errno.EFBIG
    assert advice.in_words(caught.value).endswith("run the same command to continue")
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]
    assert target.read_bytes() == b"before"


@pytest.mark.parametrize("pages", [14, 24], ids=["in the journal", "while files are put in place"])
def test_records_on_a_full_disk_name_the_file_and_go_on_when_there_is_room(
    cgd: Run,
    config: Path,
    small_disk: Path,
    pages: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_DIR", "nowhere")  # uncommitted changes would be kept, and fill the disk
    where = ("--set", f"run.dir={small_disk / 'run'}", "--set", "data.limit=20")
    remount = ["mount", "-o", "remount,size={}k", str(small_disk)]
    subprocess.run([part.format(pages * 4) for part in remount], check=True)
    code, printed = cgd("generate", config, *where)
    said = printed[printed.index("error:") :]
    assert code == 2
    assert "No space left on device" in said
    assert str(small_disk / "run" / "data") in said
    assert "make room" in said
    assert not (small_disk / "run" / "data" / "summary.json").exists()
    subprocess.run([part.format(8000) for part in remount], check=True)
    code, printed = cgd("generate", config, *where)
    assert code == 0
    assert "records: 20 of 20 prompts" in printed


def test_answers_that_do_not_fit_name_their_file_and_leave_whole_lines_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.run.output_row", lambda *_: {"key": "k", "output": "x" * 300})
    work: Any = [SimpleNamespace(problem=None)] * 10
    judge: Any = SimpleNamespace(submit=lambda *_: None)
    stream: Any = ((number, None) for number in range(10))
    partial = tmp_path / "mine.jsonl.partial"
    with files_of_at_most(1000), pytest.raises(OSError, match=r"mine\.jsonl\.partial"):
        list(append_rows(partial, work, stream, judge))
    assert partial.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EROFS, "Read-only file system: /a/run; change its rights, or name a folder"),
        (errno.EACCES, "Permission denied: /a/run; change its rights"),
        (errno.EMFILE, "Too many open files: /a/run; raise the limit"),
        (errno.EISDIR, "Is a directory: /a/run"),
    ],
)
def test_what_the_system_says_comes_with_the_remedy(number: int, said: str) -> None:
    assert advice.in_words(OSError(number, os.strerror(number), "/a/run")).startswith(said)


def test_a_run_folder_that_is_a_file_is_said(engine_: Engine, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    code, said = engine_(f"run.dir={tmp_path / 'taken'}")
    assert code == 2
    assert "a file stands where a folder is to be; name another folder with run.dir" in said


# ---- many ranks ---------------------------------------------------------------------------------


def test_cgd_under_torchrun_says_which_command_is_meant(
    cgd: Run, config: Path, records_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "x"}.items():
        monkeypatch.setenv(name, value)
    code, printed = cgd("train", config, "--set", f"train.data={records_file}")
    assert code == 2
    assert "python -m engine.torchrun --nproc-per-node N -m engine.train CONFIG" in printed


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the launcher changes in its process, as it was afterwards."""
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("launcher")
def test_a_port_in_use_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logging.disable", lambda _: None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        where = ["--master-addr", "127.0.0.1", "--master-port", str(other.getsockname()[1])]
        code = torchrun.main(["--nproc-per-node", "1", *where, "-m", "engine.train", "x.toml"])
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2
    assert said.startswith("error: torchrun: the port is in use")
    assert "--standalone" in said


@pytest.mark.usefixtures("launcher")
def test_ctrl_c_is_said_once_and_ends_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    assert command.exit_code_of(interrupt) == 130
    assert "the same command continues after the newest checkpoint" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    assert command.exit_code_of(interrupt) == 130
    assert capsys.readouterr().err == ""

    def told(_: object) -> None:
        raise SignalException("got signal", sigval=signal.SIGINT)

    monkeypatch.setattr("logging.disable", lambda _: None)
    monkeypatch.setattr("torch.distributed.run.run", told)
    assert torchrun.main(["-m", "engine.train", "x.toml"]) == 130
    assert PLACES not in os.environ, "the folder of the ranks' logs is gone"


# ---- the guide ----------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "launch" / "TROUBLESHOOTING.md"
ROOMS = ("engine", "datagen", "evals", "launch")
HOLE = "\0"


def written_texts() -> str:
    """All texts of the source, one after the other; what an f-string fills in is a hole."""
    found = []
    for file in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else HOLE for v in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\x01".join(text.replace("\n", " ") for text in found)


def test_every_message_of_the_guide_is_one_that_the_code_can_say() -> None:
    texts = written_texts()
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    messages = [line.removeprefix("### ") for line in lines if line.startswith("### ")]
    assert len(messages) > 60
    for message in messages:
        assert message[0] == message[-1] == "`", message
        parts = [part for part in message[1:-1].split("…") if part.strip(" :;,.?`")]
        assert parts, f"{message} has nothing to look for"
        pattern = "[^\x01]*?".join(re.escape(part) for part in parts)
        assert re.search(pattern, texts), f"{message} stands nowhere in the source"


def test_every_key_and_verb_of_the_guide_exists() -> None:
    text = GUIDE.read_text(encoding="utf-8").replace("STAGE", "critique")
    keys = set(known_keys(SECTIONS))
    sections = "|".join(SECTIONS)
    for key in re.findall(rf"\b(?:{sections})(?:\.[a-z_]+)+\b", text):
        assert key in keys, key
    verbs = cli.parser().verbs.choices
    for verb in re.findall(r"`cgd ([a-z]+)", text):
        assert verb in verbs, verb
