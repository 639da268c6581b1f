"""A dry run: every command can be typed, scripts say who waits for whom, and nothing is run, fetched or written."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from conftest import Run
from experiment_samples import HEAD, SCALE, experiment, scale, variant, variants

from engine.config import flatten
from launch.cli import parser
from launch.cluster.slurm import batch_script, shell_line, submit_lines
from launch.config import load_config
from launch.experiments import dry_run, reproduce
from launch.experiments.experiment import Experiment
from launch.experiments.experiment_files import load_experiment
from launch.experiments.grid import expand
from launch.experiments.jobs import Job
from launch.experiments.results import config_digest
from launch.experiments.scale import Scale, load_scale
from launch.experiments.scripts import batch_job
from launch.runs import as_tables

ROWS = variants(
    variant("base", "base"),
    variant("cgd"),
    variant("first", more="epoch = 1"),
    variant("vague", more='critiques = "generic"\ntotal = 20\ncorrect_share = 0.5'),
)
DIAGNOSTIC = (
    '\n[[measure]]\nname = "m"\nkind = "diagnostic"\nfigure = "f"\ndiagnostic = "entropy"\n'
)
CLUSTER = SCALE.replace(
    "seeds = [0, 1, 2]", 'seeds = [0]\nranks = 16\ngpus = 16\nthreads = 4\nlauncher = "slurm"'
)


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """An experiment and a scale of ours in place of the packaged ones."""
    made = experiment(tmp_path, HEAD + ROWS + DIAGNOSTIC)
    monkeypatch.setattr(reproduce, "load_experiment", lambda name: made)
    monkeypatch.setattr(reproduce, "load_scale", lambda name: scale(tmp_path))
    return made


def parse(command: tuple[str, ...]) -> None:
    """Reads a command as the program that is named in it would."""
    if command[0] == "cgd":
        parser().parse_args(command[1:])
    elif "launch.mixture" in command:
        from launch.mixture import parser as mixture_parser

        mixture_parser().parse_args(command[3:])
    else:
        assert command[:3] == ("python", "-m", "engine.torchrun")


def test_every_printed_command_can_be_typed(sample: Experiment, tmp_path: Path, cgd: Run) -> None:
    code, printed = cgd("reproduce", "sample", "--dry-run", "--dir", tmp_path / "runs")
    assert code == 0
    lines = [line.strip() for line in printed.splitlines() if line.startswith("      ")]
    commands = [tuple(shlex.split(line)) for line in lines]
    jobs = expand(sample, scale(tmp_path), tmp_path / "runs" / "mini").jobs
    assert commands == [job.argv for job in jobs]
    for command in commands:
        parse(command)
    assert re.search(r"\d\.\d GiB a rank \(fits\), 8 steps", printed)
    assert {command[1] for command in commands} == {
        "generate",
        "train",
        "export",
        "evaluate",
        "diagnose",
        "-m",
    }
    assert not (tmp_path / "runs").exists()


def test_written_configurations_are_read_by_the_commands_themselves(
    sample: Experiment, tmp_path: Path, cgd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "planned", lambda job, scale: "not planned")
    code, printed = cgd(
        "reproduce",
        "sample",
        "--dry-run",
        "--dir",
        tmp_path / "runs",
        "--write-jobs",
        tmp_path / "jobs",
    )
    assert code == 0
    assert str(tmp_path / "jobs" / "run.sh") in printed
    jobs = expand(sample, scale(tmp_path), tmp_path / "runs" / "mini").jobs
    for job in jobs:
        if job.tables is not None:
            assert job.config is not None
            config = load_config(job.config)
            assert config.run.folder == job.path
            read = flatten(as_tables(config))
            written = {
                name: value for name, value in flatten(job.tables).items() if "model" not in name
            }
            assert written.items() <= {name: read[name] for name in written}.items()
    script = (tmp_path / "jobs" / "run.sh").read_text(encoding="utf-8")
    assert script.splitlines()[1] == "set -e"
    assert [line for line in script.splitlines()[2:] if not line.startswith("#")] == [
        shell_line(job.argv) for job in jobs
    ]


def cluster(tmp_path: Path) -> tuple[Scale, tuple[Job, ...]]:
    own = scale(tmp_path, CLUSTER)
    return own, expand(experiment(tmp_path, HEAD + ROWS), own, tmp_path / "runs").jobs


def test_slurm_is_told_who_waits_for_whom(tmp_path: Path) -> None:
    own, jobs = cluster(tmp_path)
    lines = list(submit_lines([batch_job(job, own) for job in jobs], Path("my jobs")))
    known: set[str] = set()
    for job, line in zip(jobs, lines, strict=True):
        name, _, command = line.partition("=")
        waits = re.search(r"--dependency=afterok:(\S+)", command)
        named = {part.removeprefix("$") for part in waits[1].split(":")} if waits else set()
        assert len(named) == len(job.after)
        assert named <= known
        known.add(name)
        assert re.fullmatch(r"[a-z_0-9]+", name)
        assert f"'my jobs/{job.kind}-{job.key}.sbatch'" in command


def test_a_training_on_two_machines_meets_at_the_first(tmp_path: Path) -> None:
    own, jobs = cluster(tmp_path)
    training = next(job for job in jobs if job.kind == "train")
    assert (training.gpus, training.nodes) == (16, 2)
    script = batch_script(batch_job(training, own))
    assert "#SBATCH --nodes=2\n" in script
    assert "#SBATCH --gpus-per-node=8\n" in script
    assert "#SBATCH --cpus-per-task=32\n" in script
    srun = "srun --kill-on-bad-exit=1 --cpus-per-task=32 "
    assert f"{srun}python -m engine.torchrun --nnodes 2" in script
    assert "--rdzv-endpoint $HEAD:$PORT " in script
    asking = next(job for job in jobs if job.kind == "evaluate")
    evaluation = batch_script(batch_job(asking, own))
    assert "#SBATCH --nodes=1\n" in evaluation
    assert "srun" not in evaluation
    for text in (script, evaluation):
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize(
    ("command", "code", "requeued"),
    [("true", 0, False), ("exit 75", 75, True), ("exit 2", 2, False), ("sleep 20", 138, True)],
)
def test_a_script_that_was_told_to_leave_comes_up_again(
    command: str, code: int, requeued: bool, tmp_path: Path
) -> None:
    """The shell of the script, with stand-ins for Slurm's own programs."""
    own, jobs = cluster(tmp_path)
    asking = next(job for job in jobs if job.kind == "evaluate")
    script = batch_script(batch_job(asking, own))
    typed = shell_line(asking.argv)
    script = script.replace(typed, f"bash -c {shlex.quote(command)}")
    bell = "" if not command.startswith("sleep") else "(sleep 0.5; kill -USR1 $$) &\n"
    script = script.replace("told=no\n", 'scontrol() { echo "scontrol $*"; }\ntold=no\n')
    script = script.replace("work=$!\n", f"work=$!\n{bell}", 1)
    done = subprocess.run(
        ["bash"], input=script, text=True, capture_output=True, env={"SLURM_JOB_ID": "7"}
    )
    assert done.returncode == code
    assert ("scontrol requeue 7" in done.stdout) == requeued


@pytest.mark.parametrize("name", ["small", "paper"])
def test_dry_runs_need_no_connection(
    name: str, tmp_path: Path, cgd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rehearse(*_: object, **__: object) -> None:
        raise ValueError("a plan of eight billion parameters takes half a minute")

    monkeypatch.setattr(dry_run, "make_plan", rehearse)
    code, printed = cgd(
        "reproduce", "table1", "--scale", name, "--dry-run", "--dir", tmp_path / "runs"
    )
    assert code == 0
    assert "not planned: a plan of eight billion" in printed  # a shape that is known here
    assert "is not on this machine; `cgd plan " in printed
    assert ("sbatch --parsable --dependency=afterok:" in printed) == (name == "paper")
    assert "STEP" not in printed
    for line in printed.splitlines():
        if line.startswith("      "):
            parse(tuple(shlex.split(line)))


def test_the_list_says_what_is_needed_and_what_was_measured(
    tmp_path: Path, cgd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.experiments.listing.RESULTS", tmp_path)
    code, printed = cgd("reproduce", "--list", "table4", "--scale", "small")
    assert code == 0
    for part in (
        "table4: ",
        "shows  ",
        "claims  ",
        "measured: not yet",
        "1 × H100",
        "GPU-hours",
        "Qwen2.5-1.5B",
    ):
        assert part in printed
    difference = {"value": 2.5, "interval": [1.0, 4.0], "problems": 60, "seeds": 3}
    claim = {
        "first": "A",
        "second": "C",
        "measure": "MATH500",
        "difference": difference,
        "verdict": "holds",
    }
    (tmp_path / "small").mkdir()
    kept = {"claims": [claim, claim], "rows": []}
    (tmp_path / "small" / "table4.json").write_text(json.dumps(kept), encoding="utf-8")
    code, printed = cgd("reproduce", "--list", "table4", "--scale", "small", "--json")
    (told,) = json.loads(printed)["experiments"]
    assert told["scales"]["small"]["measured"] == (
        "A − C on MATH500 2.50 [1.00, 4.00], 60 problems, 3 seeds: holds; 1 more claim "
        "(the experiment or its scale was changed since)"
    )
    grid = expand(load_experiment("table4"), load_scale("small"), tmp_path / "elsewhere")
    kept["config_digest"] = config_digest(grid)
    (tmp_path / "small" / "table4.json").write_text(json.dumps(kept), encoding="utf-8")
    code, printed = cgd("reproduce", "--list", "table4", "--scale", "small")
    assert "holds; 1 more claim\n" in printed
    assert told["scales"]["small"]["jobs"] == sum(told["scales"]["small"]["kinds"].values())
