"""A small training with the files of a quickstart, where the guide says they are, and the Pythons the guide needs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from datagen.arithmetic import problems
from engine.settings import RunConfig, StudentConfig, TrainConfig
from engine.train import train

ROOT = Path(__file__).resolve().parents[1]
STUDENT = ROOT / "launch" / "student"
GUIDE = ROOT / "engine" / "HANDOVER.md"
RUN = Path("runs") / "quickstart"
EXPORT = RUN / "train" / "cgd" / "export"
RECORDS = RUN / "data" / "refinements.jsonl"
STEPS = TrainConfig(
    objective="cgd",
    batch_size=4,
    learning_rate=1e-3,
    warmup_ratio=0.0,
    schedule="constant",
    epochs=1,
    max_length=1024,
    precision="fp32",
    save_every=3,
)
SEED = 3


def side_python(variable: str, package: str) -> str | None:
    """The Python that an environment variable names, or this one where it has the package."""
    here = sys.executable if importlib.util.find_spec(package) else None
    return os.environ.get(variable) or here


PEERS = side_python("CGD_PEERS_PYTHON", "trl")
HARNESS = side_python("CGD_HARNESS_PYTHON", "lm_eval")
VLLM = os.environ.get("CGD_VLLM_PYTHON")
needs_trl = pytest.mark.skipif(PEERS is None, reason="TRL: CGD_PEERS_PYTHON names no Python")
needs_harness = pytest.mark.skipif(
    HARNESS is None, reason="lm-evaluation-harness: CGD_HARNESS_PYTHON names no Python"
)
needs_vllm = pytest.mark.skipif(VLLM is None, reason="vLLM: CGD_VLLM_PYTHON names no Python")


def run_python(python: str | None, folder: Path, *arguments: str) -> str:
    """What a Python prints in `folder`, with the project to import; its errors fail the test."""
    assert python
    settings = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    cache = {"HF_DATASETS_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [python, *arguments],
        cwd=folder,
        env=os.environ | settings | cache,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def guide_code(language: str, word: str) -> str:
    """The one block of this language in the guide that has the word."""
    blocks = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [block for block in blocks if word in block]
    return str(found)


def world_prompts(split: Any, count: int) -> list[str]:
    """Problems of the built-in world, as the student is asked them."""
    return [problem.record().prompt for problem in problems(split, count, 0)]


def records(count: int) -> list[dict[str, Any]]:
    """Records of the built-in world: a student who stops after the first step, a critique, the solution."""
    rows = []
    for problem in problems("train", count, 0):
        first = problem.answer.splitlines()[0]
        rows.append(
            {
                **problem.record().to_json(),
                "student_answer": f"{first}\nThe answer is \\boxed{{1}}.",
                "critique": "The first step is right, but the answer stops there.\nConclusion: wrong",
                "refined_answer": problem.answer,
                "provenance": {
                    "answer": {"model": str(STUDENT), "backend": "transformers"},
                    "critique": {"model": "some-lab/some-teacher", "backend": "openai"},
                    "refine": {"model": "some-lab/some-teacher", "backend": "openai"},
                },
            }
        )
    return rows


def make_quickstart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`folder` with the run's prompts and records, and the export of three steps."""
    monkeypatch.chdir(folder)
    lines = "".join(json.dumps(row) + "\n" for row in records(12))
    RECORDS.parent.mkdir(parents=True)
    for file in (RECORDS, RECORDS.with_name("prompts.jsonl")):
        file.write_text(lines, encoding="utf-8")
    train(RunConfig(name="quickstart", seed=SEED), StudentConfig(model=str(STUDENT)), STEPS)
    return folder
