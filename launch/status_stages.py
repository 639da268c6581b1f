"""Which stages of a run are done, from its resolved configuration and its files alone: no model, no torch.

RUN/config.toml → the stages that `cgd run` would do (pipeline.py) → each done when its last file is there
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Tables = Mapping[str, Any]
STAGE_FOLDERS = ("data", "train", "evals", "rounds", "diagnostics")
"""What stages leave in a run folder."""


@dataclass(frozen=True)
class Stage:
    """One stage, and the file that it writes last."""

    name: str
    marker: Path

    @property
    def is_done(self) -> bool:
        """Whether that file is there."""
        return self.marker.exists()


def has_stages(folder: Path) -> bool:
    """Whether any stage has begun to leave its files there."""
    return any((folder / name).is_dir() for name in STAGE_FOLDERS)


def read_tables(folder: Path) -> Tables:
    """The configuration that the folder was made with; empty where there is none that can be read."""
    try:
        return tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def stages_of(folder: Path, tables: Tables) -> list[Stage]:
    """All stages of a run, in order."""
    pipeline = tables.get("pipeline", {})
    objectives = pipeline.get("objectives") or [tables.get("train", {}).get("objective", "cgd")]
    rounds = pipeline.get("rounds", 1)
    stages = [] if rounds > 1 else list(data_stages(folder / "data", tables))
    stages.append(evaluation(folder, "base"))
    for number in range(1, rounds + 1) if rounds > 1 else ():
        own, name = folder / "rounds" / str(number), objectives[0]
        stages += [*data_stages(own / "data", tables), training(own, name)]
        stages.append(evaluation(folder, f"{name}-round-{number}"))
    for name in objectives if rounds == 1 else ():
        stages += [training(folder, name), evaluation(folder, name)]
    return [*stages, Stage("report", folder / "report.html")]


def data_stages(data: Path, tables: Tables) -> Iterator[Stage]:
    """Prompts and records; none where a file is trained on."""
    if tables.get("train", {}).get("data") is not None:
        return
    yield Stage("prompts", data / "prompts.jsonl")
    yield Stage("records", data / "summary.json")
    mixture = tables.get("generate", {}).get("mixture", {})
    if "correct_share" in mixture or "total" in mixture:
        yield Stage("mixture", data / "mixture.jsonl")


def training(folder: Path, objective: str) -> Stage:
    """One objective."""
    return Stage(f"train {objective}", folder / "train" / objective / "summary.json")


def evaluation(folder: Path, model: str) -> Stage:
    """One model."""
    return Stage(f"evaluate {model}", folder / "evals" / model / "scores.json")
