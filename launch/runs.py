"""The run folder: opened for one configuration, guarded against any other.

    open_run(config) → RUN/config.toml (resolved), and the folder locked

The same command on the same folder continues. A configuration that would change results is refused,
with the differences shown; `--overwrite` moves the old attempt aside and starts anew. Nothing that a
run produced is ever deleted.
"""

from __future__ import annotations

import fcntl
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from datagen.plan import STAGES
from datagen.records import write_whole
from datagen.workers import locked_for_workers
from engine import attempt
from engine.attempt_log import ATTEMPTS
from engine.config import ConfigError, differences, flatten, to_toml
from engine.git_state import PATCHES
from engine.status_file import STATUS
from launch.config import Config
from launch.status_stages import STAGE_FOLDERS, has_stages

HOW_FAST = (
    "device",
    "api_key_env",
    "concurrency",
    "timeout_seconds",
    "max_retries",
    "usd_per_million_prompt_tokens",
    "usd_per_million_completion_tokens",
    "tensor_parallel",
    "max_model_len",
    "gpu_memory_utilization",
)
"""Of [teacher] and [inference]."""
HARMLESS = {*attempt.HARMLESS} - {"student.model", "train.data"} | {
    *(f"{section}.{key}" for section in ("teacher", "inference") for key in HOW_FAST),
    "teacher.batch_size",
    "generate.batch_size",
    "generate.max_failed_share",
    "generate.max_usd",
    "generate.max_total_tokens",
    *(f"generate.gates.{stage}.max_share" for stage in STAGES),
    "evaluate.batch_size",
    "evaluate.benchmark_dir",
    "evaluate.grading_workers",
    "diagnose",
    "judge",
}
"""Keys that decide how fast, where or how far something is computed, not what comes out. Training looks
into the student and the data; here their paths are all that is compared. Diagnostics know themselves what
they depend on, and are done again."""
REWORKED = ("data", "generate", "teacher", "inference", "pipeline")
"""Sections whose changes the data stages can take in: they know of every text what it depends on."""

RUN_ENTRIES = {"config.toml", "environment.json", *STAGE_FOLDERS}
RUN_ENTRIES |= {"results.json", "report.md", "report.html", STATUS, ATTEMPTS, PATCHES}


@contextmanager
def open_run(
    config: Config, overwrite: bool = False, workers: int = 1, rework: bool = False
) -> Iterator[Path]:
    """The run folder, ready to continue; for the length of the block ours alone, or one of so many workers'."""
    assert config.run.dir is not None, "the configuration is resolved"
    folder = Path(config.run.dir)
    if overwrite and folder.is_dir() and any(folder.iterdir()):
        with locked(folder):
            aside = attempt.move_aside(folder)
        print(f"The earlier attempt is kept in {aside}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) if workers == 1 else locked_for_workers(folder / ".lock", workers):
        refuse_other_run(folder, config, REWORKED if rework else ())
        write_whole(folder / "config.toml", to_toml(as_tables(config)).encode())
        yield folder


def require_one_process() -> None:
    """Raises ValueError in a rank of torchrun: all of them would do the whole run, into one folder."""
    if "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "this command is one process and is not started by torchrun; a training on several devices is "
            "python -m engine.torchrun --nproc-per-node N -m engine.train CONFIG, between `cgd generate CONFIG` and "
            "`cgd evaluate CONFIG`"
        )


def as_tables(config: Config) -> dict[str, Any]:
    """The sections by name, as they stand in a file."""
    return {section.name: getattr(config, section.name) for section in fields(config)}


def refuse_other_run(folder: Path, config: Config, allowed: Collection[str] = ()) -> None:
    """Raises ConfigError where the folder holds something this configuration would not have made."""
    path = folder / "config.toml"
    if not path.exists():
        strangers = sorted(p.name for p in folder.iterdir() if p.name not in RUN_ENTRIES)
        strangers = [name for name in strangers if not name.startswith(".")]
        if strangers:
            raise ConfigError([f"holds {strangers[0]!r} and is no run folder"], str(folder))
        return
    if not has_stages(folder):
        return  # a command that failed before it made anything binds nobody to its settings
    try:
        old = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError([f"cannot be read: {error}"], str(path)) from None
    harmless = {*HARMLESS, *moved_servers(config), *new_keys(old, config), *allowed}
    changed = differences(old, as_tables(config), harmless)
    if changed:
        listed = "\n".join(f"  {line}" for line in changed)
        raise ValueError(
            f"{folder} was made with another configuration:\n{listed}\n"
            "Use another run.name or run.dir, or let `cgd run` (or `cgd quickstart`) start anew with "
            "--overwrite, which keeps the earlier attempt aside. Where settings of the data stages have "
            "changed, `cgd generate --rework` takes over the texts that still fit"
        )


def new_keys(old: Mapping[str, Any], config: Config) -> set[str]:
    """Keys at their defaults of which the folder's file says nothing: an older version did not have them."""
    made = {f.name: f.default_factory() for f in fields(config) if f.default_factory is not MISSING}
    before, usual, now = flatten(old), flatten(made), flatten(as_tables(config))
    return {key for key in now if key not in before and now[key] == usual.get(key)}


def moved_servers(config: Config) -> set[str]:
    """Servers with a name of their own may move: texts remember the name."""
    sections = {"teacher": config.teacher, "inference": config.inference}
    return {f"{name}.base_url" for name, backend in sections.items() if backend.address}


@contextmanager
def locked(
    folder: Path,
    other: str = "another process",
    remedy: str = "wait for it, or use another run.dir",
) -> Iterator[None]:
    """Keeps a second process out of the folder. The lock goes with the process, however it ends."""
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{other} is working in {folder}; {remedy}") from None
        yield
