"""`cgd reproduce`: runs what is left, writes each table when its last job is done, and says what failed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Run
from experiment_samples import HEAD, SCALE, experiment, scale, variant, variants

from launch.code_version import code_digest
from launch.experiments import reproduce, tables
from launch.experiments.jobs import Job
from launch.experiments.scheduler import Outcome
from launch.runs import locked

ROOT = Path(__file__).parents[1]


class Fake:
    """Stands for the scheduler: jobs are done as soon as they are asked for, but for those that fail."""

    fails: tuple[str, ...] = ()
    ran: list[Job]

    def __init__(
        self, jobs: Any, resources: Any, reporter: Any, on_finish: Callable[[Job], None]
    ) -> None:
        self.jobs, self.on_finish = jobs, on_finish

    def run(self) -> Outcome:
        outcome, lost = Outcome(), set[str]()
        for job in self.jobs:
            assert job.tables is None or job.config.is_file()
            if job.kind in self.fails or lost & {*job.after}:
                lost.add(job.id)
                (outcome.failed if job.kind in self.fails else outcome.left_out).append(job)
                continue
            for marker in job.markers:
                marker.parent.mkdir(parents=True, exist_ok=True)
                marker.write_text("done")
            outcome.finished.append(job)
            Fake.ran.append(job)
            self.on_finish(job)
        return outcome


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Two experiments that share jobs, a scheduler that runs nothing, and tables that say who wrote them."""
    one = experiment(tmp_path, HEAD + variants(variant("base", "base"), variant("cgd")), "one")
    two = experiment(tmp_path, HEAD + variants(variant("cgd"), variant("cft", "cft")), "two")
    known = {"one": one, "two": two}
    written: list[str] = []

    def write_tables(grid: Any, folder: Path) -> Path:
        written.append(grid.name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(f"the table of {grid.name}\n")
        (folder / "results.json").write_text(json.dumps({"name": grid.name}))
        return folder / "report.html"

    monkeypatch.setattr(reproduce, "load_experiment", known.__getitem__)
    monkeypatch.setattr(reproduce, "experiment_names", lambda: tuple(known))
    monkeypatch.setattr(reproduce, "load_scale", lambda name: scale(tmp_path))
    monkeypatch.setattr(reproduce, "Scheduler", Fake)
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path / "kept")
    monkeypatch.setattr(tables, "write_tables", write_tables)
    monkeypatch.setattr(Fake, "fails", ())
    monkeypatch.setattr(Fake, "ran", [], raising=False)
    return SimpleNamespace(folder=tmp_path / "runs", written=written, kept=tmp_path / "kept")


def test_shared_jobs_run_once_and_a_second_start_runs_none(
    world: SimpleNamespace, cgd: Run
) -> None:
    code, printed = cgd("reproduce", "all", "--dir", world.folder)
    assert code == 0
    assert "one, two at scale mini: 18 jobs (27 if none were shared), 0 done before" in printed
    assert len(Fake.ran) == len({job.id for job in Fake.ran}) == 18
    assert world.written == ["one", "two"]
    assert "the table of two" in printed
    assert str(world.folder / "mini" / "two" / "report.html") in printed
    code, printed = cgd("reproduce", "one", "two", "one", "--dir", world.folder)
    assert code == 0
    assert len(Fake.ran) == 18
    assert "18 done before" in printed
    assert "nothing was left to do" in printed
    assert world.written == ["one", "two"] * 2


def test_what_fails_is_named_with_all_that_needed_it(
    world: SimpleNamespace, cgd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fake, "fails", ("train",))
    code, printed = cgd("reproduce", "one", "--dir", world.folder)
    assert code == 1
    assert "3 of the jobs failed:" in printed
    assert "training cgd, seed 0: " in printed
    assert "3 need their results and were left out:" in printed
    assert world.written == ["one"]  # with cells that say "not run"
    monkeypatch.setattr(Fake, "fails", ())
    code, printed = cgd("reproduce", "one", "--dir", world.folder)
    assert code == 0
    assert "12 jobs, 6 done before" in printed


def test_a_table_that_cannot_be_written_stops_no_other(
    world: SimpleNamespace, cgd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(grid: Any, folder: Path) -> Path:
        raise ValueError("no such row")

    monkeypatch.setattr(tables, "write_tables", refuse)
    code, printed = cgd("reproduce", "all", "--dir", world.folder)
    assert code == 1
    assert len(Fake.ran) == 18
    assert "two: its table could not be written: no such row" in printed


def test_other_settings_and_seeds_have_a_table_of_their_own(
    world: SimpleNamespace, cgd: Run
) -> None:
    cgd("reproduce", "one", "--dir", world.folder)
    cgd("reproduce", "one", "--dir", world.folder, "--seeds", "7")
    cgd("reproduce", "one", "--dir", world.folder, "--set", "data.limit=9")
    folders = [path for path in (world.folder / "mini").iterdir() if path.name != "pool"]
    assert len(folders) == 3
    code, printed = cgd(
        "reproduce", "one", "--dir", world.folder, "--set", "data.limit=9", "--keep"
    )
    assert code == 2
    assert "--keep is for results of an experiment as it stands" in printed


def test_results_are_kept_and_printed_where_asked_for(world: SimpleNamespace, cgd: Run) -> None:
    code, _ = cgd("reproduce", "one", "--dir", world.folder, "--keep")
    assert code == 0
    assert json.loads((world.kept / "mini" / "one.json").read_text()) == {"name": "one"}
    code, printed = cgd("reproduce", "one", "--dir", world.folder, "--keep", "--seeds", "7")
    assert code == 2
    assert "without --set, --only, --seeds" in printed


def test_half_a_table_is_not_kept(
    world: SimpleNamespace, cgd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fake, "fails", ("train",))
    code, printed = cgd("reproduce", "one", "--dir", world.folder, "--keep")
    assert code == 1
    assert "not kept: 6 of 12 jobs of one are not done" in printed
    assert not world.kept.exists()


def test_jobs_of_other_code_are_counted(world: SimpleNamespace, cgd: Run) -> None:
    cgd("reproduce", "one", "--dir", world.folder)
    for place, job in enumerate(Fake.ran):
        code = code_digest() if place else "another"
        (job.path / "environment.json").write_text(json.dumps({"code": code}))
    _, printed = cgd("reproduce", "one", "--dir", world.folder)
    assert "1 of these were made by another state of the program's code" in printed


def test_json_stands_alone_on_the_standard_output(
    world: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    command = reproduce.Command(names=("one",), folder=world.folder, as_json=True)
    assert reproduce.reproduce(command) == 0
    assert json.loads(capsys.readouterr().out) == {"one": {"name": "one"}}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name an experiment"),
        (["one", "--seeds", "0,x"], "--seeds 0,x: expected numbers"),
        (["one", "--at-once", "0"], "--at-once must be 1 or more"),
        (["one", "--write-jobs", "x"], "--write-jobs goes with --dry-run"),
        (["all", "--only", "cgd"], "--only names variants of one experiment"),
        (["one", "--set", "train.epoch=3"], "train.epoch: unknown key; did you mean train.epochs?"),
        (["one", "--set", "epochs"], "expected SECTION.KEY=VALUE"),
    ],
)
def test_mistakes_are_said_before_anything_is_run(
    world: SimpleNamespace, arguments: list[str], said: str, cgd: Run
) -> None:
    code, printed = cgd("reproduce", *arguments, "--dir", world.folder)
    assert code == 2
    assert said in printed
    assert not world.folder.exists()


def test_a_second_command_on_the_same_pool_waits_outside(world: SimpleNamespace, cgd: Run) -> None:
    pool = world.folder / "mini" / "pool"
    pool.mkdir(parents=True)
    with locked(pool):
        code, printed = cgd("reproduce", "one", "--dir", world.folder)
    assert code == 2
    assert "another `cgd reproduce` is working in" in printed


def test_a_scale_for_gpus_says_so_where_there_are_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    own = scale(tmp_path, SCALE.replace("seeds", "gpus = 1\nseeds"))
    job = SimpleNamespace(gpus=1)
    with pytest.raises(ValueError, match="needs 1 GPUs, and there are 0 here"):
        reproduce.resources_of(own, [job], None)  # type: ignore[list-item]


@pytest.mark.slow
def test_a_whole_experiment_from_prompts_to_its_table(tmp_path: Path) -> None:
    small = [
        "data.limit=8",
        "evaluate.limit=4",
        "evaluate.max_tokens=8",
        "generate.answer.max_tokens=8",
    ]
    command = [
        sys.executable,
        "-m",
        "launch.cli",
        "reproduce",
        "figure3",
        "--seeds",
        "0",
        "--dir",
        str(tmp_path),
    ]
    command += [part for setting in small for part in ("--set", setting)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "report: " in done.stdout
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "nothing was left to do" in again.stdout
