"""Claims: nothing is lost but the steps since the last checkpoint, and what goes wrong is said once and clearly.

Kills at random moments are test_fault.py's; what happens to one rank alone is told by mishaps.py, run once for all.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import make_records, save_tiny_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from engine import checkpoint as checkpoint_module
from engine import train as train_module
from engine.attempt import HARMLESS, changes
from engine.checkpoint import saved_steps
from engine.packing import examples_of_step
from engine.parallel import require_precision, this_device
from engine.settings import RunConfig, StudentConfig, TrainConfig
from engine.toml import to_toml
from engine.train import StepOutcome, main, train
from engine.whole_files import write_whole

ROOT = Path(__file__).parents[1]


def settings(
    tmp: Path, student: Path, data: Path, **changed: Any
) -> tuple[RunConfig, StudentConfig, TrainConfig]:
    config = TrainConfig(
        data=str(data),
        batch_size=5,  # of 20 records: an epoch ends with step 4
        learning_rate=1e-3,
        epochs=2,
        max_length=512,
        precision="fp32",
        save_every=3,
        keep_checkpoints=8,
    )
    run = RunConfig(name="test", dir=str(tmp / "run"))
    return run, StudentConfig(model=str(student)), replace(config, **changed)


def config_file(tmp: Path, run: RunConfig, student: StudentConfig, config: TrainConfig) -> Path:
    path = tmp / "config.toml"
    path.write_text(to_toml({"run": run, "student": student, "train": config}), encoding="utf-8")
    return path


def trained(run: RunConfig) -> Path:
    return run.folder / "train" / "cgd"


def checkpoints(run: RunConfig) -> Path:
    return trained(run) / "checkpoints"


def metrics(run: RunConfig) -> list[tuple[int, float, float]]:
    lines = (trained(run) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [(m["step"], m["loss"], m["grad_norm"]) for m in map(json.loads, lines)]


def shards(checkpoint: Path) -> dict[str, bytes]:
    """The very bytes of weights and moments."""
    files = {path.name: path.read_bytes() for path in checkpoint.glob("*.distcp")}
    assert files
    return files


def weights(export: Path) -> dict[str, torch.Tensor]:
    return load_file(export / "model.safetensors")


def assert_ends_alike(one: RunConfig, other: RunConfig, last: int) -> None:
    """Weights, the state of the optimizer, losses and gradient norms, bit for bit."""
    assert metrics(one) == metrics(other)
    final = f"step-{last}"
    assert shards(checkpoints(one) / final) == shards(checkpoints(other) / final)
    mine, others = (weights(trained(run) / "export") for run in (one, other))
    assert mine.keys() == others.keys()
    assert all(torch.equal(mine[name], others[name]) for name in mine)


class KilledError(Exception):
    """Ends a training in a test, from within."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Says after how many steps a training ends without warning; None for never."""
    real_step = train_module.train_step

    def arm(steps: int | None) -> None:
        taken: list[int] = []

        def step_until_killed(*args: Any) -> StepOutcome:
            if steps is not None and len(taken) == steps:
                raise KilledError
            taken.append(1)
            return real_step(*args)

        monkeypatch.setattr(train_module, "train_step", step_until_killed)

    return arm


# ---- continuing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("save_every", "killed_after", "kept", "async_save"),
    [
        (3, 5, [3], False),
        (3, 5, [3], True),
        (4, 4, [4], False),  # with the epoch's last step, just saved
        (4, 4, [4], True),
        (3, 4, [3], False),  # with the epoch's last step, not saved
        (4, 5, [4], False),  # in the first step of the next epoch
        (3, 2, [], False),  # before the first checkpoint
    ],
)
def test_resumed_equals_uninterrupted_bit_for_bit(
    tmp_path: Path,
    tiny_student: Path,
    records_file: Path,
    kill_at: Callable[[int | None], None],
    save_every: int,
    killed_after: int,
    kept: list[int],
    async_save: bool,
) -> None:
    run, student, config = settings(tmp_path, tiny_student, records_file, save_every=save_every)
    train(run, student, config)
    broken = replace(run, dir=str(tmp_path / "broken"))
    config = replace(config, async_save=async_save)
    kill_at(killed_after)
    with pytest.raises(KilledError):
        train(broken, student, config)
    assert saved_steps(checkpoints(broken)) == kept
    kill_at(None)
    train(broken, student, config)
    assert_ends_alike(run, broken, 8)


def test_only_the_newest_checkpoints_are_kept_and_leftovers_of_kills_go(
    tmp_path: Path, tiny_student: Path, records_file: Path
) -> None:
    run, student, config = settings(
        tmp_path, tiny_student, records_file, save_every=1, keep_checkpoints=2
    )
    leftover = checkpoints(run) / "step-5.partial"
    leftover.mkdir(parents=True)
    (leftover / "__0_0.distcp").write_bytes(b"torn")
    train(run, student, config)
    assert sorted(path.name for path in checkpoints(run).iterdir()) == ["step-7", "step-8"]


# ---- in the background --------------------------------------------------------------------------


def test_checkpoints_written_in_the_background_hold_the_same_bytes(
    tmp_path: Path, tiny_student: Path, records_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when training is steps ahead of the writer, whose turns never overlap."""
    run, student, config = settings(tmp_path, tiny_student, records_file)
    train(run, student, config)
    real_save, at_work, steps_at_end = checkpoint_module.dcp.save, [], {}
    background = replace(run, dir=str(tmp_path / "background"))

    def slow_save(state: Any, **where: Any) -> None:
        assert threading.current_thread() is not threading.main_thread()
        assert not at_work
        at_work.append(1)
        time.sleep(0.2)
        real_save(state, **where)
        steps_at_end[where["checkpoint_id"].name] = len(metrics(background))
        at_work.clear()

    monkeypatch.setattr(checkpoint_module.dcp, "save", slow_save)
    train(background, student, replace(config, async_save=True))
    assert steps_at_end["step-3.partial"] > 3, "training has waited for the checkpoint"
    assert saved_steps(checkpoints(run)) == saved_steps(checkpoints(background)) == [8, 6, 3]
    for step in (3, 6, 8):
        name = f"step-{step}"
        assert shards(checkpoints(run) / name) == shards(checkpoints(background) / name)


@pytest.mark.parametrize("async_save", [False, True], ids=["at once", "in background"])
@pytest.mark.parametrize("moment", ["shards", "rename"])
def test_failed_save_is_said_and_the_checkpoint_before_it_continues_the_run(
    tmp_path: Path,
    tiny_student: Path,
    records_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    async_save: bool,
    moment: str,
) -> None:
    run, student, config = settings(tmp_path, tiny_student, records_file)
    train(run, student, config)
    broken = replace(run, dir=str(tmp_path / "broken"))
    config = replace(config, async_save=async_save)
    with monkeypatch.context() as patch:
        where, name = (
            (torch.distributed.checkpoint.FileSystemWriter, "write_data")
            if moment == "shards"
            else (os, "replace")
        )
        real = getattr(where, name)

        def full_at_step_6(*args: Any, **more: Any) -> Any:
            target = str(args[0].path if moment == "shards" else args[0])
            if target.endswith("step-6.partial"):
                raise OSError(28, "No space left on device")
            return real(*args, **more)

        patch.setattr(where, name, full_at_step_6)
        said = r"step-6 could not be written: .*No space left on device.*untouched"
        with pytest.raises(ValueError, match=said):
            train(broken, student, config)
    assert saved_steps(checkpoints(broken)) == [3]
    assert not list(checkpoints(broken).glob("*.partial")), "it would go on filling the disk"
    train(broken, student, config)
    assert_ends_alike(run, broken, 8)


def fill_up(disk: Path, leave: int) -> Path:
    ballast = disk / "ballast"
    ballast.write_bytes(b"\0" * (shutil.disk_usage(disk).free - leave))
    return ballast


@pytest.mark.parametrize("what", ["checkpoint", "export"])
def test_full_disk_loses_nothing_and_is_named(
    tmp_path: Path,
    small_disk: Path,
    tiny_student: Path,
    records_file: Path,
    kill_at: Callable[[int | None], None],
    what: str,
) -> None:
    run, student, config = settings(tmp_path, tiny_student, records_file)
    train(run, student, config)
    full = replace(run, dir=str(small_disk / "run"))
    kill_at(5 if what == "checkpoint" else None)
    if what == "checkpoint":
        with pytest.raises(KilledError):
            train(full, student, config)
        kill_at(None)
    else:
        shutil.rmtree(train(full, student, config))
        (trained(full) / "summary.json").unlink()
    ballast = fill_up(small_disk, leave=100_000)
    name = "step-6" if what == "checkpoint" else "export"
    with pytest.raises(ValueError, match=rf"{name} could not be written: .*[Nn]o space left"):
        train(full, student, config)
    assert saved_steps(checkpoints(full))[0] == (3 if what == "checkpoint" else 8)
    ballast.unlink()
    train(full, student, config)
    assert_ends_alike(run, full, 8)


# ---- damage -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(
    tiny_student: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunConfig, StudentConfig, TrainConfig]:
    """A training that is through; tests work on copies of it."""
    tmp = tmp_path_factory.mktemp("finished")
    records = "".join(json.dumps(record) + "\n" for record in make_records(20))
    (tmp / "records.jsonl").write_text(records, encoding="utf-8")
    run, student, config = settings(tmp, tiny_student, tmp / "records.jsonl")
    train(run, student, config)
    return run, student, config


def unfinished_copy(run: RunConfig, tmp: Path) -> RunConfig:
    """The same run where its last moment was missed: it would continue after the newest checkpoint."""
    shutil.copytree(run.folder, tmp / "copy")
    copy = replace(run, dir=str(tmp / "copy"))
    (trained(copy) / "summary.json").unlink()
    return copy


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


class Malicious:
    """Unpickled, it makes a file."""

    def __init__(self, traces: Path) -> None:
        self.traces = traces

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.traces),)


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("__0_0.distcp", flip_a_byte, "has changed since it was written"),
        ("__0_0.distcp", Path.unlink, "is missing"),
        (".metadata", flip_a_byte, "has changed since it was written"),
        ("manifest.json", Path.unlink, "cannot be read"),
        ("manifest.json", lambda p: p.write_text("[]"), "cannot be read"),
        ("extra.distcp", lambda p: p.write_text(""), "has changed since it was written"),
    ],
)
def test_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path: Path,
    finished: tuple[RunConfig, StudentConfig, TrainConfig],
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Callable[[Path], object],
    said: str,
) -> None:
    run, student, config = finished
    copy = unfinished_copy(run, tmp_path)
    damage(checkpoints(copy) / "step-8" / name)
    train(copy, student, config)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "is not used" in line]
    assert line.startswith("checkpoint step-8 is not used: ")
    assert name in line
    assert said in line
    assert_ends_alike(run, copy, 8)


def test_nothing_is_unpickled_before_its_checksum_was_compared(
    tmp_path: Path, finished: tuple[RunConfig, StudentConfig, TrainConfig]
) -> None:
    run, student, config = finished
    copy = unfinished_copy(run, tmp_path)
    traces = tmp_path / "traces"
    index = checkpoints(copy) / "step-8" / ".metadata"
    index.write_bytes(pickle.dumps(Malicious(traces)))
    train(copy, student, config)
    assert not traces.exists()
    pickle.loads(pickle.dumps(Malicious(traces)))
    assert traces.exists(), "it would have done harm"


def test_run_whose_checkpoints_are_all_damaged_does_not_start_over_silently(
    tmp_path: Path, finished: tuple[RunConfig, StudentConfig, TrainConfig]
) -> None:
    run, student, config = finished
    copy = unfinished_copy(run, tmp_path)
    for step in saved_steps(checkpoints(copy)):
        flip_a_byte(checkpoints(copy) / f"step-{step}" / "__0_0.distcp")
    with pytest.raises(ValueError, match=r"all 3 checkpoints are damaged; --overwrite"):
        train(copy, student, config)


@pytest.mark.parametrize(
    ("family", "said"),
    [("mixtral", r"it lacks model\.causal_lm.*gate.* more"), ("wider", r"shape \[64, 32\].*\[96,")],
)
def test_checkpoint_of_another_model_is_named(
    tmp_path: Path,
    tiny_models: dict[str, Path],
    finished: tuple[RunConfig, StudentConfig, TrainConfig],
    kill_at: Callable[[int | None], None],
    family: str,
    said: str,
) -> None:
    run, _, config = finished
    student = StudentConfig(model=str(tiny_models.get(family) or wider_student(tmp_path)))
    other = replace(run, dir=str(tmp_path / "other"))
    kill_at(4)
    with pytest.raises(KilledError):
        train(other, student, config)
    kill_at(None)
    shutil.copytree(checkpoints(run) / "step-8", checkpoints(other) / "step-8")
    with pytest.raises(ValueError, match=rf"step-8 is of another model: .*{said}"):
        train(other, student, config)


def wider_student(tmp: Path) -> Path:
    """The same Llama with another inner width."""
    folder = save_tiny_model(tmp / "wider")
    config = AutoConfig.from_pretrained(folder, intermediate_size=96)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    return folder


# ---- losses that are not finite -----------------------------------------------------------------


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_non_finite_step_is_not_taken_and_its_examples_are_named(
    tmp_path: Path,
    tiny_student: Path,
    records_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str,
) -> None:
    rate = 1e30 if what == "loss" else 1e-3  # such a step makes the next loss not a number
    constant = {"schedule": "constant", "warmup_ratio": 0.0, "learning_rate": rate}
    run, student, config = settings(tmp_path, tiny_student, records_file, save_every=1, **constant)
    if what == "gradient":
        real, calls = train_module.clip_gradients, []

        def infinite_at_second(*args: Any) -> torch.Tensor:
            calls.append(1)
            return real(*args) * (float("inf") if len(calls) == 2 else 1.0)

        monkeypatch.setattr(train_module, "clip_gradients", infinite_at_second)
    assert main([str(config_file(tmp_path, run, student, config))]) == 3
    said = capsys.readouterr().err
    ids = [f"r{i}" for i in examples_of_step(20, 5, 2, 0, 1)]
    assert "error: step 2: loss " in said
    assert f"Its examples: {', '.join(ids)}" in said
    kept = trained(run) / "non-finite"
    assert saved_steps(kept) == [1]
    assert saved_steps(checkpoints(run)) == [1]
    assert shards(kept / "step-1") == shards(checkpoints(run) / "step-1")


# ---- one rank alone -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mishaps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("mishaps")
    save_tiny_model(folder / "student")
    records = "".join(json.dumps(record) + "\n" for record in make_records(20))
    (folder / "records.jsonl").write_text(records, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "mishaps.py"), str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("student missing", "elsewhere/student, and that is no hub id (owner/name) (rank 1)\n"),
        ("student torn", "error: rank 1 sees other inputs than rank 0: inputs.student_files"),
        ("other data", "error: rank 1 sees other inputs than rank 0: inputs.examples_sha256"),
        ("disk full", "step-3 could not be written: [Errno 27] File too large. The checkpoints"),
        ("disk full in background", "step-3 could not be written: [Errno 27] File too large. The"),
    ],
)
def test_mistake_of_one_rank_is_the_error_of_all_and_nobody_waits(
    mishaps: dict[str, dict[str, Any]], scenario: str, said: str
) -> None:
    told = mishaps[scenario]
    assert told["codes"] == [2, 2]
    assert said in told["said"]
    assert "Traceback" not in told["said"]
    assert not [name for name in told["checkpoints"] if name.endswith(".partial")]


def test_rank_0_alone_on_a_full_disk_says_which_file(mishaps: dict[str, dict[str, Any]]) -> None:
    told = mishaps["disk full in metrics"]
    assert told["codes"][0] == 2
    assert "metrics.jsonl could not be written: [Errno 27] File too large" in told["said"]


def test_one_rank_told_to_stop_all_leave_and_other_numbers_of_ranks_continue(
    mishaps: dict[str, dict[str, Any]],
) -> None:
    told = mishaps["told to stop"]
    codes = [attempt["codes"] for attempt in told["attempts"]]
    assert codes == [[75, 75], [75], [75, 75], [0, 0, 0, 0]]  # 2 ranks, 1, 2, 4
    reached = [attempt["steps"] for attempt in told["attempts"]]
    assert reached == sorted(set(reached)), "an attempt went no further"
    undisturbed = told["undisturbed"]["steps"]
    assert [step for step, _, _ in told["steps"]] == [step for step, _, _ in undisturbed]
    for (_, loss, norm), (_, other_loss, other_norm) in zip(
        told["steps"], undisturbed, strict=True
    ):
        assert loss == pytest.approx(other_loss, rel=1e-6)
        assert norm == pytest.approx(other_norm, rel=2e-6)


# ---- torchrun -----------------------------------------------------------------------------------


def launched(module: str, config: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*command, "-m", "engine.train", str(config)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_torchrun_passes_signals_on_and_sigkill_to_all_of_it_costs_nothing(
    tmp_path: Path, tiny_student: Path, records_file: Path
) -> None:
    """SIGUSR1 to the launcher; SIGKILL to it, which its ranks survive, and then to them; to the end on one rank."""
    run, student, config = settings(
        tmp_path, tiny_student, records_file, epochs=20, save_every=4, max_steps=80
    )
    train(run, student, config)
    broken = replace(run, dir=str(tmp_path / "broken"))
    path = config_file(tmp_path, broken, student, config)
    process = launched("engine.torchrun", path)
    wait_for(lambda: checkpoints(broken).exists() and saved_steps(checkpoints(broken)), process)
    process.send_signal(signal.SIGUSR1)
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert "run the same command to continue" in said
    (newest, *_) = saved_steps(checkpoints(broken))
    process = launched("engine.torchrun", path)
    wait_for(lambda: saved_steps(checkpoints(broken))[0] > newest, process)
    ranks = children(process.pid)
    assert len(ranks) == 2
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ValueError, match=r"cgd\.lock: another process is training in this folder"):
        train(broken, student, config)
    for pid in ranks:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (trained(broken) / "summary.json").exists(), "killed too late to test anything"
    train(broken, student, config)
    for one, other in zip(metrics(run), metrics(broken), strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def children(parent: int) -> list[int]:
    """Process ids of what it has started: torchrun gives every rank a session of its own."""
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat")]
    pairs = [(int(s.partition(" ")[0]), int(s.rpartition(")")[2].split()[1])) for s in stats]
    return [pid for pid, its_parent in pairs if its_parent == parent]


def wait_for(seen: Callable[[], object], process: subprocess.Popen[str]) -> None:
    while not seen():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize(("module", "code"), [("engine.torchrun", 2), ("torch.distributed.run", 1)])
def test_user_mistake_under_torchrun_is_the_last_thing_said(
    tmp_path: Path, tiny_student: Path, module: str, code: int
) -> None:
    mistake = "train.data: there is no file nowhere.jsonl"
    run, student, config = settings(tmp_path, tiny_student, Path("nowhere.jsonl"))
    process = launched(module, config_file(tmp_path, run, student, config))
    _, said = process.communicate(timeout=120)
    assert process.returncode == code
    assert said.count(f"error: {mistake}") == 1
    last = [line for line in said.splitlines() if line.strip("=")][-1]
    assert last.endswith(mistake)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_told_to_stop_a_run_leaves_a_checkpoint_and_the_command_says_75(
    tmp_path: Path,
    tiny_student: Path,
    records_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    """Also where the signal comes before the first step, and with a checkpoint in the background."""
    run, student, config = settings(tmp_path, tiny_student, records_file, async_save=True)
    real = train_module.shard_student

    def signalled(*args: Any) -> Any:
        os.kill(os.getpid(), number)
        return real(*args)

    monkeypatch.setattr(train_module, "shard_student", signalled)
    before = signal.getsignal(number)
    assert main([str(config_file(tmp_path, run, student, config))]) == 75
    assert "left after step 1 of 8" in capsys.readouterr().out
    assert saved_steps(checkpoints(run)) == [1]
    assert signal.getsignal(number) is before


# ---- settings and devices -----------------------------------------------------------------------


def test_every_setting_is_guarded_or_harmless_for_a_stated_reason(tmp_path: Path) -> None:
    """A key that is added later is guarded until somebody says why it need not be."""
    other = {bool: lambda v: not v, int: lambda v: v + 1, float: lambda v: v + 0.5}
    words: dict[str, Any] = {
        "objective": "sft",
        "layout": "multi_turn",
        "too_long": "error",
        "no_target": "error",
        "schedule": "linear",
        "loss_reduction": "example",
        "precision": "fp32",
        "activation_checkpointing": "full",
        "data": "other.jsonl",
        "pack_tokens": 9000,
        "report_to": ("wandb",),
    }
    before = TrainConfig()
    write_whole(tmp_path / "config.toml", to_toml({"train": before}))
    for field in fields(TrainConfig):
        key, value = field.name, getattr(before, field.name)
        given = words.get(key) or (2 if value is None else other[type(value)](value))
        shown = changes(tmp_path, {"train": replace(before, **{key: given})})
        if HARMLESS.get(f"train.{key}"):
            assert not shown, key
        else:
            (line,) = shown
            assert line.startswith(f"train.{key}: ")


def test_gpu_without_bf16_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla V100")
    device = torch.device("cuda", 0)
    with pytest.raises(ValueError, match=r"'bf16': Tesla V100 has no bf16.*precision = 'fp32'"):
        require_precision("bf16", device)
    require_precision("fp32", device)
    require_precision("bf16", torch.device("cpu"))


def test_more_ranks_than_gpus_is_a_clean_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(ValueError, match="4 ranks on a machine with 2 GPU"):
        this_device()


@pytest.mark.parametrize("key", ["max_steps", "shard_size", "pack_tokens", "batch_size"])
def test_counts_that_are_not_positive_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=rf"train\.{key} must be positive, got 0"):
        TrainConfig(**{key: 0})


def test_rows_too_short_for_an_example_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"pack_tokens = 100 must hold .* train\.max_length = 512"):
        TrainConfig(max_length=512, pack_tokens=100)


# ---- a student folder that is not whole ---------------------------------------------------------


def edit_config(folder: Path, **changed: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def edit_weights(folder: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def tear(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "holds no .safetensors file"),
        (lambda f: tear(f / "model.safetensors"), r"model\.safetensors is damaged or was not cop"),
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "config.json"),
        (lambda f: (f / "chat_template.jinja").unlink(), "no chat template"),
        (lambda f: edit_config(f, num_hidden_layers=3), r"lacks 9 tensor\(s\)"),
        (lambda f: edit_config(f, num_hidden_layers=1), r"has 9 tensor\(s\)"),
        (lambda f: edit_config(f, intermediate_size=48), "has shape"),
        (
            lambda f: edit_weights(f, lambda t: t.pop("model.norm.weight")),
            r"lacks 1 tensor\(s\): model\.norm\.weight",
        ),
        (
            lambda f: edit_weights(f, lambda t: t.update(value_head=torch.zeros(3))),
            r"has 1 tensor\(s\): value_head",
        ),
        (
            lambda f: edit_weights(f, lambda t: t.update({"model.norm.weight": torch.zeros(3)})),
            r"model\.norm\.weight has shape \[3\], config\.json says \[32\]",
        ),
    ],
)
def test_broken_student_folder_is_named(
    tmp_path: Path, records_file: Path, break_it: Any, message: str
) -> None:
    folder = save_tiny_model(tmp_path / "student")
    break_it(folder)
    run, student, config = settings(tmp_path, folder, records_file)
    with pytest.raises(ValueError, match=message):
        train(run, student, config)
