"""Claims: each round answers anew with the student that the one before has trained; a mixture holds its share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_pipeline import tiny_config

from datagen.model_folder import fingerprint
from datagen.records import read_records
from datagen.scripted import ScriptedGenerator
from engine.attempt import training_file
from launch import data_step
from launch.cli import main
from launch.config import Config
from launch.pipeline import run_pipeline

ONE = 'pipeline.objectives=["cgd"]'


def rounds_config(folder: Path, student: Path, *overrides: str) -> Config:
    """Two rounds of a tiny run."""
    return tiny_config(folder, student, ONE, "pipeline.rounds=2", *overrides)


def rows(path: Path) -> list[dict[str, Any]]:
    """A JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_student: Path) -> Path:
    """Two rounds, from beginning to end."""
    folder = tmp_path_factory.mktemp("rounds") / "tiny"
    return run_pipeline(rounds_config(folder, tiny_student))


def test_a_round_s_answers_come_from_the_export_of_the_one_before(
    finished: Path, tiny_student: Path
) -> None:
    first, second = finished / "rounds/1", finished / "rounds/2"
    asked = [tiny_student, first / "train/cgd/export"]
    for folder, student in zip((first, second), asked, strict=True):
        answers = read_records(folder / "data/answers.jsonl")
        assert len(answers) == 5
        made_by = {record.provenance["answer"]["fingerprint"] for record in answers}
        assert made_by == {fingerprint(student)}
    prompts = [[r["prompt"] for r in rows(f / "data/prompts.jsonl")] for f in (first, second)]
    assert prompts[0] == prompts[1]


def test_every_round_is_evaluated_beside_the_student(finished: Path) -> None:
    models = {path.parent.name for path in finished.glob("evals/*/scores.json")}
    assert models == {"base", "cgd-round-1", "cgd-round-2"}
    report = (finished / "report.md").read_text(encoding="utf-8")
    assert "cgd-round-2" in report


def test_finished_rounds_have_nothing_to_do(
    finished: Path, tiny_student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")}
    run_pipeline(rounds_config(finished, tiny_student))
    assert "nothing was left to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")} == before


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ('pipeline.objectives=["cgd", "cft"]', "rounds go with one objective"),
        ("pipeline.rounds=0", "rounds must be 1 or more"),
        ("inference.base_url=http://localhost:1/v1", "the server in inference.base_url"),
    ],
)
def test_rounds_that_cannot_be_are_refused(
    tmp_path: Path, tiny_student: Path, override: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        run_pipeline(rounds_config(tmp_path / "run", tiny_student, override))


def test_a_single_stage_of_rounds_is_refused(tmp_path: Path, tiny_student: Path) -> None:
    with pytest.raises(ValueError, match="`cgd run` does them in order"):
        run_pipeline(rounds_config(tmp_path / "run", tiny_student), kind="data")


# ---- mixtures ---------------------------------------------------------------------------------------


def sometimes_right(stage: str, record: Any, seed: int) -> str:
    """A student of the arithmetic world that answers every other problem."""
    number = int(record.id.rsplit("-", 1)[1])
    return f"It is \\boxed{{{record.final_answer if number % 2 else 999}}}."


Make = Callable[..., Path]


@pytest.fixture
def mixed(tmp_path: Path, tiny_student: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Runs the data stages with a scripted student, half of whose answers are right; takes overrides."""
    pair = (ScriptedGenerator(f"{__name__}:sometimes_right"), ScriptedGenerator("arithmetic"))
    monkeypatch.setattr(data_step, "make_generators", lambda config: pair)

    def make(*overrides: str) -> Path:
        config = tiny_config(tmp_path / "run", tiny_student, "data.limit=12", *overrides)
        return run_pipeline(config, kind="data")

    return make


@pytest.mark.parametrize(("share", "right"), [(0.25, 1), (0.5, 2), (0.0, 0), (1.0, 4)])
def test_a_mixture_has_its_share_of_right_answers_and_is_what_is_trained_on(
    mixed: Make, share: float, right: int
) -> None:
    folder = mixed(f"generate.mixture.correct_share={share}", "generate.mixture.total=4")
    chosen = training_file(None, folder)
    assert chosen.name == "mixture.jsonl"
    records = read_records(chosen)
    assert [record.student_correct for record in records].count(True) == right
    assert len(records) == 4


def test_a_mixture_that_cannot_be_had_says_what_there_is(mixed: Make) -> None:
    with pytest.raises(ValueError, match="there are 6 right, 6 wrong"):
        mixed("generate.mixture.correct_share=1", "generate.mixture.total=9")


def test_right_answers_can_be_left_out_before_anything_is_paid_for_them(mixed: Make) -> None:
    folder = mixed("generate.gates.answer.right=drop")
    records = read_records(folder / "data/refinements.jsonl")
    assert [record.student_correct for record in records] == [False] * 6
    dropped = rows(folder / "data/dropped.jsonl")
    assert [row["dropped"]["gate"] for row in dropped] == ["right"] * 6
    assert not any("critique" in row for row in dropped)


def test_files_of_settings_that_are_gone_are_not_trained_on(
    tmp_path: Path, tiny_student: Path, mixed: Make
) -> None:
    taught = ('pipeline.objectives=["distilled_sft"]', "generate.mixture.total=4")
    folder = mixed(*taught)
    assert training_file(None, folder).name == "mixture.jsonl"
    assert (folder / "data/teacher_answers.jsonl").exists()
    other = tiny_config(tmp_path / "run", tiny_student, "data.limit=12", ONE)
    run_pipeline(other, kind="data", rework=True)
    assert training_file(None, folder).name == "refinements.jsonl"


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(
    tmp_path: Path, tiny_student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(tmp_path / "run", tiny_student)
    path = str(tmp_path / "run.toml")
    assert main(["generate", path, "--dry-run", "--expect", "critique=40"]) == 0
    said = capsys.readouterr().out
    assert "40 (--expect)" in said
    assert "decontamination" in said
    assert not Path(str(config.run.dir)).exists()
    assert main(["generate", path, "--dry-run", "--expect", "critic=40"]) == 2
    assert "the stages of this run are answer, critique" in capsys.readouterr().err
