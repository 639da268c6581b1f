"""`cgd status`: how far runs are, from the files that they leave. Nothing is written, and no library is loaded.

    status.json of the run and of its trainings   what is being done now, by whom, how fast
    config.toml and the files of the stages       which stages are done, also of runs that have no status.json
    metrics.jsonl, checkpoints, summary.json      losses, what is kept, what was left out

A process that was killed still stands as "running" in its status.json. Here it is "killed" where the process is gone
from this machine, and "silent" where it worked on another one and has not been heard of for a while.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from engine.attempt_log import read_attempts
from engine.status_file import STATUS
from launch.status_stages import has_stages, read_tables, stages_of
from launch.status_text import print_runs

SILENT_SECONDS = 600.0
"""A process on another machine that has said nothing for so long is reported as silent."""
LOSSES = 400
"""The newest steps that are looked at."""
LINE_BYTES = 600
"""Of a line of metrics.jsonl, and more."""

Facts = dict[str, Any]


def show_status(paths: Sequence[Path], as_json: bool, every: float | None) -> None:
    """Prints it once, or again and again until Ctrl-C."""
    if every is not None and every <= 0:
        raise ValueError(f"--watch: expected seconds, more than 0, got {every:g}")
    while True:
        runs = [facts_of(folder) for folder in find_runs(paths)]
        if as_json:
            print(json.dumps({"runs": runs}, indent=1), flush=True)
        else:
            print_runs(runs, clears=every is not None)
        if every is None:
            return
        time.sleep(every)


# ---- which -------------------------------------------------------------------------------------------


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The run and training folders that are meant: these, or those in them."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            raise ValueError(f"there is no folder {path}; name a run folder, or a folder of runs")
        here = [path] if is_run(path) or is_training(path) else sorted(runs_in(path))
        if not here:
            raise ValueError(f"{path} is no run folder and holds none")
        found += here
    return found


def runs_in(folder: Path) -> Iterator[Path]:
    """The runs of a folder."""
    return (path for path in folder.iterdir() if path.is_dir() and is_run(path))


def is_run(folder: Path) -> bool:
    """Whether stages lie in it, or a command that came to none left its status."""
    return has_stages(folder) or ((folder / STATUS).exists() and (folder / "config.toml").exists())


def is_training(folder: Path) -> bool:
    """Whether it is the folder of one training."""
    return (folder / "metrics.jsonl").exists() or folder.parent.name == "train"


# ---- what ---------------------------------------------------------------------------------------------


def facts_of(folder: Path) -> Facts:
    """Everything about one run, or one training by itself."""
    trainings = [folder] if is_training(folder) else trainings_of(folder)
    told = newest([folder, *trainings])
    tables = {} if is_training(folder) else read_tables(folder)
    stages = stages_of(folder, tables) if tables else []
    left = {stage.name for stage in stages if not stage.is_done}
    if told is None:
        told = {"state": state_by_files(folder, bool(stages) and not left)}
    state, remark = state_of(told)
    if state == "done" and (told.get("stage") or {}).get("name") in left:
        remark = f"{told['stage']['name']} is not finished: other workers are at it, or have to be started"
    attempts = read_attempts(folder)
    return {
        "run": str(folder),
        "state": state,
        "remark": remark,
        **{key: told.get(key) for key in ("stage", "progress", "last", "message", "attempt")},
        **{key: told.get(key) for key in ("host", "pid", "started_at", "updated_at")},
        "stages": [{"name": stage.name, "done": stage.name not in left} for stage in stages],
        "trainings": {name_of(path, folder): training_facts(path) for path in trainings},
        "generation": generation_facts(folder / "data"),
        "attempts": max((line["attempt"] for line in attempts), default=None),
        "used_bytes": used_bytes(folder),
        "free_disk_bytes": shutil.disk_usage(folder).free,
    }


def trainings_of(run: Path) -> list[Path]:
    """Their folders; those that were moved aside are not counted."""
    found = chain(run.glob("train/*/"), run.glob("rounds/*/train/*/"))
    return sorted(path for path in found if path.is_dir() and ".attempt-" not in path.name)


def name_of(training: Path, run: Path) -> str:
    """`cgd`, or `rounds/2/train/cgd`."""
    if training == run:
        return training.name
    name = training.relative_to(run).as_posix()
    return name.removeprefix("train/")


def newest(folders: Sequence[Path]) -> Facts | None:
    """What was written last of all status files. A run's own stands before that of its training where both are new."""
    found = [told for folder in folders if (told := read_json(folder / STATUS)) is not None]
    running = [told for told in found if state_of(told)[0] == "running"]
    return max(running or found, key=lambda told: str(told.get("updated_at")), default=None)


def state_by_files(folder: Path, all_done: bool) -> str:
    """Of a run without a status file."""
    is_done = (folder / "summary.json").exists() if is_training(folder) else all_done
    return "done" if is_done else "unfinished"


def state_of(told: Mapping[str, Any]) -> tuple[str, str]:
    """(state, remark): as the file says, unless the process that has written it is gone."""
    state = str(told.get("state"))
    if state != "running":
        return state, ""
    silence = seconds_since(told.get("updated_at"))
    if told.get("host") == socket.gethostname():
        if is_alive(told.get("pid"), told.get("updated_at")):
            return "running", ""
        return (
            "killed",
            f"process {told.get('pid')} is no longer running; the same command continues",
        )
    if silence is not None and silence > SILENT_SECONDS:
        return (
            "silent",
            f"nothing heard from {told.get('host')} for {silence / 60:,.0f} min (killed?)",
        )
    return "running", ""


def is_alive(pid: object, last_word: object) -> bool:
    """Whether that process still runs here: one that has started after its last word is another one."""
    if not isinstance(pid, int):
        return False
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        after_name = fields.rpartition(")")[2].split()
        up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return False
    if after_name[0] == "Z":
        return False
    age = up - int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    silence = seconds_since(last_word)
    return silence is None or age >= silence - 2


def seconds_since(moment: object) -> float | None:
    """Since a time in ISO format; None where it is none."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(str(moment))).total_seconds()
    except (ValueError, TypeError):
        return None


def training_facts(folder: Path) -> Facts:
    """Losses, checkpoints, and what was left out."""
    lines = newest_lines(folder / "metrics.jsonl")
    summary = read_json(folder / "summary.json") or {}
    checkpoints = folder.glob("checkpoints/step-*/manifest.json")
    steps = sorted(int(name) for path in checkpoints if (name := path.parent.name[5:]).isdigit())
    dropped = ("too_long", "truncated", "no_target")
    return {
        "done": bool(summary),
        "steps": lines[-1]["step"] if lines else 0,
        "losses": [line["loss"] for line in lines],
        "grad_norm": lines[-1]["grad_norm"] if lines else None,
        "tokens_per_second": lines[-1]["tokens_per_second"] if lines else None,
        "checkpoints": steps,
        "left_out": {key: summary[key] for key in dropped if summary.get(key)},
        "not_finite": (folder / "non-finite").exists(),
    }


def newest_lines(path: Path) -> list[Facts]:
    """The last steps of a metrics.jsonl; a line that is just being written is left out."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOSSES * LINE_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    found = (as_json(line) for line in text.splitlines())
    return [line for line in found if line is not None and "loss" in line][-LOSSES:]


def generation_facts(data: Path) -> Facts | None:
    """Texts that were dropped or failed once all is done; the workers' journals until then."""
    summary = read_json(data / "summary.json")
    if summary is not None:
        stages = summary.get("stages", ())
        counts = {name: summary.get(name) for name in ("prompts", "records")}
        reasons = {
            kind: {s["stage"]: s[kind] for s in stages if s.get(kind)}
            for kind in ("dropped", "failed")
        }
        return {**counts, **reasons}
    journals = sorted(data.glob("journal/*.jsonl"))
    if not journals:
        return None
    return {"journals": {path.stem: count_lines(path) for path in journals}}


def count_lines(path: Path) -> int:
    """Texts and failures that a worker has noted."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def used_bytes(folder: Path) -> int:
    """What all its files take."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue  # removed meanwhile
    return total


def read_json(path: Path) -> Facts | None:
    """An object from a file; None where there is none."""
    try:
        return as_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def as_json(text: str) -> Facts | None:
    """An object from a text; None where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
