"""The frame of the diagnostics: which records are looked at, resuming, workers, the command."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Run, make_records

from datagen.records import Record
from datagen.workers import Worker
from evals.diagnostics import rows, run
from evals.diagnostics.diagnosis import LEFT_OUT, Diagnosis, Diagnostic, Result, Row
from evals.diagnostics.registry import DIAGNOSTICS
from evals.diagnostics.run import diagnose
from evals.diagnostics.sampling import complete_records, sample
from evals.diagnostics.settings import JUDGED, NAMES, DiagnoseConfig, JudgeConfig
from launch import worker_processes
from launch.config import load_config
from launch.diagnose import device_of, models_here
from launch.worker_processes import own_devices

ROOT = Path(__file__).resolve().parent.parent
RECORDS = tuple(Record.from_json(values) for values in make_records(20))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def task(tmp_path: Path, tiny_student: Path, said: list[str]) -> Diagnosis:
    return Diagnosis(
        model=tiny_student,
        chat_template=None,
        layout="single_turn",
        records=RECORDS,
        seed=0,
        max_tokens=8,
        max_length=1024,
        batch_size=2,
        device="cpu",
        folder=tmp_path / "diagnostics",
        judge=None,
        say=said.append,
    )


class Killed(Exception):
    """In place of a kill."""


def lengths(dies_after: int | None = None, measured: list[str] | None = None) -> Diagnostic:
    """A diagnostic that measures how long a critique is, and notes whose."""

    def measure(task: Diagnosis, records: Sequence[Record]) -> Iterator[Row]:
        for number, record in enumerate(records):
            if number == dies_after:
                raise Killed
            if measured is not None:
                measured.append(record.id)
            yield {"id": record.id, "length": len(record.critique or "")}

    def summarise(task: Diagnosis, rows: Sequence[Row]) -> Result:
        return Result(figures={"sum": float(sum(row["length"] for row in rows))})

    return Diagnostic(definition="length", source="here", measure=measure, summarise=summarise)


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if not p.name.startswith(".")}


def test_the_result_holds_what_was_measured_and_how(task: Diagnosis) -> None:
    told = diagnose("lengths", lengths(), task)
    assert told is not None
    assert told["figures"] == {"sum": sum(len(r.critique or "") for r in RECORDS)}
    assert (told["n"], told["definition"], told["source"]) == (20, "length", "here")
    assert told["settings"]["layout"] == "single_turn"
    assert json.loads((task.folder / "lengths.json").read_text()) == told
    lines = [json.loads(line) for line in (task.folder / "lengths.jsonl").read_text().splitlines()]
    assert [row["id"] for row in lines] == [r.id for r in RECORDS]
    assert files_of(task.folder).keys() == {"lengths.json", "lengths.jsonl"}


def test_resumed_equals_uninterrupted(task: Diagnosis, tmp_path: Path, said: list[str]) -> None:
    whole = replace(task, folder=tmp_path / "whole")
    diagnose("lengths", lengths(), whole)
    for _ in range(2):
        with pytest.raises(Killed):
            diagnose("lengths", lengths(dies_after=7), task)
        assert not (task.folder / "lengths.json").exists()
    measured: list[str] = []
    diagnose("lengths", lengths(measured=measured), task)
    assert measured == [r.id for r in RECORDS[14:]]
    assert "diagnose lengths: 14 of 20 rows are there already" in said
    assert files_of(task.folder) == files_of(whole.folder)


@pytest.mark.parametrize(("cut", "first"), [(1, "r3"), (2, "r2"), (70, "r2")])
def test_a_torn_row_is_measured_again(task: Diagnosis, cut: int, first: str) -> None:
    with pytest.raises(Killed):
        diagnose("lengths", lengths(dies_after=3), task)
    partial = task.folder / "lengths.jsonl.partial"
    partial.write_bytes(partial.read_bytes()[:-cut])
    measured: list[str] = []
    told = diagnose("lengths", lengths(measured=measured), task)
    assert told is not None
    assert told["n"] == 20
    assert measured[0] == first


def test_a_finished_one_is_not_done_again(task: Diagnosis, said: list[str]) -> None:
    first = diagnose("lengths", lengths(), task)
    assert diagnose("lengths", lengths(dies_after=0), task) == first
    assert said[-1] == "diagnose lengths: 20 records, complete, nothing to do"


def test_other_settings_are_done_again_and_said_so(task: Diagnosis, said: list[str]) -> None:
    diagnose("lengths", lengths(), task)
    measured: list[str] = []
    diagnose("lengths", lengths(measured=measured), replace(task, layout="multi_turn"))
    assert len(measured) == 20
    assert any("layout: " in line and "done again" in line for line in said)


def test_what_a_diagnostic_does_not_use_does_not_matter(task: Diagnosis) -> None:
    without_model = replace(lengths(), uses=())
    first = diagnose("lengths", without_model, task)
    elsewhere = replace(task, model=Path("nowhere"), layout="multi_turn", max_tokens=9)
    assert diagnose("lengths", replace(lengths(dies_after=0), uses=()), elsewhere) == first
    assert first is not None
    assert first["model"] is None


def test_more_samples_keep_what_few_have_measured(task: Diagnosis) -> None:
    few, more = list[str](), list[str]()
    diagnose("lengths", lengths(measured=few), task, samples=5)
    told = diagnose("lengths", lengths(measured=more), task, samples=12)
    assert (len(few), len(more)) == (5, 7)
    assert told is not None
    assert told["n"] == 12


def test_a_changed_record_alone_is_measured_again(task: Diagnosis) -> None:
    diagnose("lengths", lengths(), task)
    changed = (replace(RECORDS[0], critique="short"), *RECORDS[1:])
    measured: list[str] = []
    diagnose("lengths", lengths(measured=measured), replace(task, records=changed))
    assert measured == ["r0"]


def test_workers_together_make_what_one_makes(task: Diagnosis, tmp_path: Path) -> None:
    alone = replace(task, folder=tmp_path / "alone")
    diagnose("lengths", lengths(), alone)
    shares: list[list[str]] = [[], [], []]
    results = [
        diagnose("lengths", lengths(measured=share), task, worker=Worker(number, 3))
        for number, share in enumerate(shares)
    ]
    assert results[:2] == [None, None]
    assert results[2] is not None
    assert sorted(id for share in shares for id in share) == sorted(r.id for r in RECORDS)
    assert max(map(len, shares)) == 7
    assert files_of(task.folder) == files_of(alone.folder)


def test_a_record_without_a_text_is_counted_and_left_out(task: Diagnosis) -> None:
    broken = (replace(RECORDS[0], critique=None), replace(RECORDS[1], refined_answer=" "))
    told = diagnose("lengths", lengths(), replace(task, records=(*broken, *RECORDS[2:])))
    assert told is not None
    assert told["n"] == 18
    assert told["left_out"] == {"no critique": 1, "no refined_answer": 1}
    assert "Left out: 1 record (no critique), 1 record (no refined_answer)." in told["notes"]
    with pytest.raises(ValueError, match=r"none has what is needed \(2 with no critique\)"):
        diagnose("other", lengths(), replace(task, records=(broken[0], broken[0])))


def test_a_record_that_cannot_be_measured_is_counted_and_left_out(task: Diagnosis) -> None:
    def measure(task: Diagnosis, records: Sequence[Record]) -> Iterator[Row]:
        for row in lengths().measure(task, records):
            yield {"id": row["id"], LEFT_OUT: "too odd"} if row["id"] == "r3" else row

    told = diagnose("lengths", replace(lengths(), measure=measure), task)
    assert told is not None
    assert (told["n"], told["left_out"]) == (19, {"too odd": 1})
    nothing = replace(task, records=(RECORDS[3],), folder=task.folder / "other")
    with pytest.raises(ValueError, match=r"nothing could be measured: 1 record \(too odd\)"):
        diagnose("lengths", replace(lengths(), measure=measure), nothing)


def test_figures_that_are_not_finite_are_said_and_not_written(task: Diagnosis) -> None:
    odd = replace(lengths(), summarise=lambda task, rows: Result(figures={"t": float("inf")}))
    told = diagnose("lengths", odd, task)
    assert told is not None
    assert (told["figures"], told["notes"]) == ({}, ["Not defined on these records: t."])


def test_samples_are_seeded_nested_and_in_file_order() -> None:
    whole, _ = complete_records(RECORDS)
    few, more = sample(whole, 5, seed=0), sample(whole, 12, seed=0)
    assert {r.id for r in few} < {r.id for r in more}
    assert list(more) == [r for r in RECORDS if r in more]
    assert sample(whole, 5, seed=1) != few == sample(whole, 5, seed=0)
    assert sample(whole, 99, seed=0) == RECORDS


def test_a_balanced_sample_has_as_many_of_each_class() -> None:
    records = [replace(r, student_correct=number % 4 == 0) for number, r in enumerate(RECORDS)]
    records[1] = replace(records[1], student_correct=None)
    whole, left_out = complete_records(records, "student_correct")
    assert (len(whole), left_out) == (19, {"no student_correct": 1})
    drawn = sample(whole, 8, 0, "student_correct")
    assert sorted(bool(r.student_correct) for r in drawn) == [False] * 4 + [True] * 4
    assert list(drawn) == [r for r in whole if r in drawn]
    few = sample(whole, 16, 0, "student_correct")  # there are five of one class
    assert sum(bool(r.student_correct) for r in few) == 5
    assert len(few) == 13
    assert set(map(id, drawn)) < set(map(id, few))
    assert sample(whole, 99, 0, "student_correct") == tuple(whole)
    assert DIAGNOSTICS["critique_quality"].balanced_by == "student_correct"


def test_rows_are_read_while_nobody_concludes(
    task: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who concludes replaces one file and takes others away: in between, rows would seem to be missing."""
    held: list[bool] = []

    def read_rows(folder: Path, name: str) -> dict[str, Row]:
        with (folder / f".{name}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held.append(False)
            except BlockingIOError:
                held.append(True)
        return rows.read_rows(folder, name)

    monkeypatch.setattr(run, "read_rows", read_rows)
    diagnose("lengths", lengths(), task)
    assert held == [True, True]


def test_every_name_has_its_diagnostic() -> None:
    assert DIAGNOSTICS.keys() == set(NAMES)
    assert {name for name, one in DIAGNOSTICS.items() if "judge" in one.uses} == {*JUDGED}


@pytest.mark.parametrize("wrong", [{"names": ("entropi",)}, {"samples": 0}, {"names": ("x", "x")}])
def test_mistakes_in_the_section_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"diagnose\.(names|samples)"):
        DiagnoseConfig(**wrong)  # type: ignore[arg-type]


def test_a_judge_is_there_when_it_is_named() -> None:
    assert not JudgeConfig().named
    assert JudgeConfig(script="arithmetic-judge").named


# ---- the command ---------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, tiny_student: Path, records_file: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        f'[run]\ndir = "{tmp_path}/run"\n[student]\nmodel = "{tiny_student}"\n'
        f'[diagnose]\nrecords = "{records_file}"\nsamples = 6\ndevice = "cpu"\n'
    )
    return path


def test_the_command_measures_the_packaged_student(cgd: Run, config: Path, tmp_path: Path) -> None:
    builtin = ("--set", "student.model=builtin:student")
    code, printed = cgd("diagnose", config, "--only", "entropy,overlap", *builtin, "--json")
    assert code == 0, printed
    told = {
        n: json.loads((tmp_path / f"run/diagnostics/{n}.json").read_text())
        for n in ("entropy", "overlap")
    }
    assert json.loads(printed[printed.index("{\n") : printed.rindex("}") + 1]) == told
    assert 0 < told["entropy"]["figures"]["entropy.mean"] < 7
    code, printed = cgd("diagnose", config, "--only", "entropy", *builtin)
    assert "entropy: 6 records, complete, nothing to do" in printed
    assert "entropy.mean" in printed


def test_one_that_cannot_be_measured_keeps_no_other_from_it(
    cgd: Run, config: Path, tmp_path: Path
) -> None:
    builtin = ("--set", "student.model=builtin:student", "--set", "diagnose.max_tokens=1024")
    code, printed = cgd("diagnose", config, "--only", "attention,overlap", *builtin)
    assert code == 2
    assert "attention: nothing could be measured: 6 records (with diagnose.max_tokens" in printed
    assert (tmp_path / "run/diagnostics/overlap.json").exists()


def test_the_command_is_loaded_without_a_look_at_gpus() -> None:
    """Whoever looks fixes which ones the process sees, before torchrun's process has taken its own."""
    look = "torch.cuda.is_available = torch.cuda.device_count = lambda: 1 / 0"
    code = f"import torch; {look}; import launch.diagnose"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_models_have_results_of_their_own(
    cgd: Run, config: Path, tmp_path: Path, tiny_models: dict[str, Path]
) -> None:
    export = tmp_path / "run/train/cgd/export"
    code, printed = cgd("diagnose", config, "--only", "entropy", "--model", "cgd")
    assert (code, "not trained yet" in printed) == (2, True)
    export.parent.mkdir(parents=True)
    export.symlink_to(tiny_models["qwen2"])
    for model in ("base", "cgd", str(tiny_models["olmo2"])):
        assert cgd("diagnose", config, "--only", "entropy", "--model", model)[0] == 0
    found = sorted((tmp_path / "run/diagnostics").rglob("entropy.json"))
    assert len({json.loads(f.read_text())["figures"]["entropy.mean"] for f in found}) == 3
    assert [f.parent.name[:5] for f in found] == ["cgd", "diagn", "olmo2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "gradient"), "did you mean gradients?"),
        (("--only", "critique_quality"), "needs a judge"),
        (("--model", "sgd"), "is no model folder"),
        (("--set", "diagnose.records=nowhere.jsonl"), "there is no file nowhere.jsonl"),
        (("--set", "diagnose.records="), "`cgd generate` first"),
        (("--worker", "2/2"), "worker 2/2"),
    ],
)
def test_mistakes_on_the_command_line(
    cgd: Run, config: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, printed = cgd("diagnose", config, *arguments)
    assert code == 2
    assert message in printed


def test_torchruns_processes_have_gpus_for_their_model_and_the_judge(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_processes, "visible_devices", lambda: ["4", "5", "6", "7"])
    judged = ("judge.backend=vllm", "judge.model=j", "judge.tensor_parallel=2")
    on_gpu = load_config(config, ("diagnose.device=", *judged))
    one, two, none = (
        models_here(on_gpu, names) for names in (("entropy",), ("robustness",), ("overlap",))
    )
    assert own_devices(one, 3, 4) == {"CUDA_VISIBLE_DEVICES": "7"}
    assert own_devices(two, 1, 2) == {"CUDA_VISIBLE_DEVICES": "6,7"}
    assert own_devices(none, 7, 8) == {}
    with pytest.raises(ValueError, match="start at most 2 workers here"):
        own_devices(two, 2, 4)
    assert own_devices(models_here(load_config(config), ("entropy",)), 7, 8) == {}


def test_torchruns_process_leaves_the_other_gpus_alone(
    cgd: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_processes, "visible_devices", lambda: ["4", "5"])
    for name, value in {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    code, printed = cgd("diagnose", config, "--only", "entropy", "--set", "diagnose.device=")
    assert code == 0, printed
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert (device_of(None), device_of("cuda"), device_of("cpu")) == ("cuda:0", "cuda:0", "cpu")
    with pytest.raises(ValueError, match=r"diagnose\.device: 'cuda:1', and this process sees 1"):
        device_of("cuda:1")
    with pytest.raises(ValueError, match=r"diagnose\.device: 'gpu' is none of"):
        device_of("gpu")


def test_two_ranks_make_what_one_makes(cgd: Run, config: Path, tmp_path: Path) -> None:
    """In torchrun's environment, at the same time."""
    only = ("--only", "gradients,overlap")
    assert cgd("diagnose", config, *only, "--set", f"run.dir={tmp_path}/one")[0] == 0
    command = [sys.executable, "-m", "launch.cli", "diagnose", str(config), *only]
    ranks = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    printed = "".join(rank.communicate()[0] for rank in ranks)
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert "worker 1 of 2, as torchrun says" in printed
    assert printed.count("other workers go on") == 2
    assert files_of(tmp_path / "run/diagnostics") == files_of(tmp_path / "one/diagnostics")
