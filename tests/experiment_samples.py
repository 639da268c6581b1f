"""A small experiment and a small scale, written as files for tests of what reads and expands them."""

from __future__ import annotations

from pathlib import Path

from launch.experiments.experiment import Experiment
from launch.experiments.experiment_files import read_experiment
from launch.experiments.scale import Scale, read_scale

SCALE = """
[scale]
name = "mini"
seeds = [0, 1, 2]
[columns]
GSM8K = "arithmetic"
IFEval = "arithmetic-format"
[averages]
Both = ["GSM8K", "IFEval"]
[students.main]
set = { "student.model" = "builtin:student" }
[teachers.main]
set = { "teacher.script" = "arithmetic" }
[prompts.main]
set = { "data.prompts" = "arithmetic" }
[config.data]
limit = 40
[config.train]
batch_size = 10
learning_rate = 1e-6
epochs = 2
save_every = 4
[config.evaluate]
limit = 30
"""

HEAD = """
[experiment]
name = "sample"
title = "A sample"
shows = "Nothing."
measures = ["GSM8K"]
"""


def variants(*tables: str) -> str:
    """Rows of an experiment, each given as the lines of its table."""
    return "".join(f"\n[[variants]]\n{table}\n" for table in tables)


def variant(name: str, objective: str = "cgd", more: str = "") -> str:
    """The lines of a row."""
    return f'name = "{name}"\nobjective = "{objective}"\n{more}'


def scale(folder: Path, text: str = SCALE) -> Scale:
    """The scale of such a file."""
    path = folder / "mini.toml"
    path.write_text(text, encoding="utf-8")
    return read_scale(path)


def experiment(folder: Path, text: str, name: str = "sample") -> Experiment:
    """The experiment of such a file."""
    path = folder / f"{name}.toml"
    path.write_text(text.replace('"sample"', f'"{name}"'), encoding="utf-8")
    return read_experiment(path)
