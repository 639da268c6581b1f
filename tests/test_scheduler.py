"""Jobs several at a time: their order, their GPUs, what a failure takes with it, and being killed at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from launch.experiments.jobs import Job, chain_lengths
from launch.experiments.progress import Durations, Reporter
from launch.experiments.scheduler import Outcome, Resources, Scheduler

WORK = """
import os, pathlib, sys, time
seconds, out, note = float(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
with open(out.with_name("order.txt"), "a") as file:
    file.write(f"{out.name} {os.environ['CUDA_VISIBLE_DEVICES']} {os.getpid()}\\n")
time.sleep(seconds)
print(note)
if note != "fails":
    out.write_text(note)
sys.exit(3 if note == "fails" else 0)
"""


def fake(
    folder: Path,
    name: str,
    after: Sequence[str] = (),
    note: str = "",
    seconds: float = 0.0,
    gpus: int = 0,
) -> Job:
    """A job that notes its start, waits, and writes its file, or fails."""
    path = folder / name
    command = ("python", "-c", WORK, str(seconds), str(path), note or name)
    needed = tuple(f"train/{one}" for one in after)
    return Job(
        kind="train",
        key=name,
        label=name,
        path=path,
        command=command,
        markers=(path,),
        after=needed,
        gpus=gpus,
    )


def run(folder: Path, jobs: Sequence[Job], resources: Resources) -> Outcome:
    reporter = Reporter(len(jobs), Durations(folder / "seconds.json"), resources.at_once, False)
    return Scheduler(jobs, resources, reporter, preloaded=()).run()


def started(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "order.txt").read_text().splitlines()]


@pytest.fixture(autouse=True)
def _own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler sets these for its jobs."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")


def test_jobs_with_most_to_follow_come_first(tmp_path: Path) -> None:
    jobs = [fake(tmp_path, "alone"), fake(tmp_path, "a"), fake(tmp_path, "b", ["a"])]
    jobs += [fake(tmp_path, "c", ["b"]), fake(tmp_path, "d", ["alone", "b"])]
    assert chain_lengths(jobs) == {
        "train/alone": 2,
        "train/a": 3,
        "train/b": 2,
        "train/c": 1,
        "train/d": 1,
    }
    outcome = run(tmp_path, jobs, Resources(1))
    assert [name for name, *_ in started(tmp_path)] == ["a", "alone", "b", "c", "d"]
    assert len(outcome.finished) == 5


def test_a_failure_leaves_out_what_needs_it_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [fake(tmp_path, "bad", note="fails"), fake(tmp_path, "next", ["bad"])]
    jobs += [
        fake(tmp_path, "last", ["next"]),
        fake(tmp_path, "good"),
        fake(tmp_path, "more", ["good"]),
    ]
    outcome = run(tmp_path, jobs, Resources(2))
    assert [job.label for job in outcome.failed] == ["bad"]
    assert {job.label for job in outcome.left_out} == {"next", "last"}
    assert {job.label for job in outcome.finished} == {"good", "more"}
    printed = capsys.readouterr().out
    assert "bad: FAILED (exit code 3); its last lines:" in printed
    assert "    fails" in printed
    assert str(tmp_path / "bad.log") in printed
    assert "/5] more: " in printed


def test_a_command_that_ends_well_without_its_files_has_failed(tmp_path: Path) -> None:
    lazy = fake(tmp_path, "lazy")
    lazy = Job(**{**vars(lazy), "markers": (tmp_path / "elsewhere",)})
    assert run(tmp_path, [lazy], Resources(1)).failed == [lazy]


def test_jobs_have_gpus_of_their_own_and_large_ones_are_not_starved(tmp_path: Path) -> None:
    jobs = [fake(tmp_path, "small1", seconds=0.3, gpus=1), fake(tmp_path, "large", gpus=2)]
    jobs += [fake(tmp_path, "small2", gpus=1), fake(tmp_path, "none")]
    run(tmp_path, jobs, Resources(4, gpus=("4", "7")))
    found = {name: rest[0] if len(rest) > 1 else "" for name, *rest in started(tmp_path)}
    assert found["large"].split(",") in (["4", "7"], ["7", "4"])
    assert found["small1"] == "4"
    assert found["none"] == ""
    order = [name for name, *_ in started(tmp_path)]
    assert order.index("large") < order.index("small2")
    with pytest.raises(ValueError, match="needs 2 GPUs, and there are 1"):
        run(tmp_path, [fake(tmp_path, "x", gpus=2)], Resources(1, gpus=("0",)))


def test_time_left_is_told_once_each_kind_was_measured(tmp_path: Path) -> None:
    durations = Durations(tmp_path / "seconds.json")
    jobs = [fake(tmp_path, name) for name in "abc"]
    assert durations.left(jobs, [], 1) is None
    durations.note("train", 10.0)
    durations.note("train", 20.0)
    again = Durations(tmp_path / "seconds.json")
    assert again.left(jobs, [(jobs[0], 5.0), (jobs[1], 99.0)], 2) == pytest.approx((45 + 10) / 2)
    (tmp_path / "seconds.json").write_text("{broken", encoding="utf-8")
    assert Durations(tmp_path / "seconds.json").mean("train") is None


PROGRAM = """
import signal
import sys

if __name__ == "__main__":  # processes of jobs read this file, too, and need none of it
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to it
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_scheduler import Resources, fake, run
    folder, slow = Path({folder!r}), float(sys.argv[1])
    jobs = [fake(folder, "first"), fake(folder, "slow", ["first"], seconds=slow), fake(folder, "last", ["slow"])]
    left = [job for job in jobs if not job.is_done]
    print("left", len(left), flush=True)
    try:
        print("finished", len(run(folder, left, Resources(2)).finished))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def program(folder: Path, slow: float) -> subprocess.Popen[str]:
    file = folder / "program.py"
    file.write_text(
        PROGRAM.format(tests=str(Path(__file__).parent), folder=str(folder)), encoding="utf-8"
    )
    return subprocess.Popen(
        [sys.executable, str(file), str(slow)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
            != "Z"
        )
    except OSError:
        return False


def slow_pid(folder: Path) -> int | None:
    try:
        return next((int(rest[-1]) for name, *rest in started(folder) if name == "slow"), None)
    except FileNotFoundError:
        return None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_work_the_same_command_goes_on(how: signal.Signals, tmp_path: Path) -> None:
    """And nothing of the killed one lives on: what it had started could write the same files."""
    with program(tmp_path, 300) as process:
        wait_until(lambda: slow_pid(tmp_path) is not None)
        pid = slow_pid(tmp_path)
        assert pid is not None
        process.send_signal(how)
        assert process.wait(60) in (-how, 130)
        wait_until(lambda: not is_alive(pid), 20)
    assert (tmp_path / "first").exists()
    assert not (tmp_path / "slow").exists()
    with program(tmp_path, 0) as process:
        printed, _ = process.communicate(timeout=120)
    assert printed.startswith("left 2")
    assert printed.rstrip().endswith("finished 2")
