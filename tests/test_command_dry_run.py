"""`--dry-run` of the verbs: what they would do, with nothing run, written, fetched or loaded."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import Run, make_records

from engine.attempt import SETTINGS
from engine.packing import num_steps
from engine.plan import Plan, make_plan
from engine.plan_rows import Assumptions
from engine.plan_shapes import find_device
from engine.settings import RunConfig
from launch import cli, dry_run
from launch.config import CONFIGS, load_config
from launch.dry_run_training import Size
from launch.experiments.configurations import resolved
from launch.verb import parse

Files = dict[str, bytes]
PLANS: dict[str, Plan] = {}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder, and a machine whose student is not to be loaded."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a dry run reads no weights")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("engine.weights.load_weights", refuse)
    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", refuse)
    return tmp_path


@pytest.fixture(autouse=True)
def planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans of equal settings on equal data are made once: a plan takes a second."""

    def plan(run: RunConfig, student: Any, train: Any, *size: Any, **more: Any) -> Plan:
        data = run.folder / "data" / "refinements.jsonl"
        key = repr((student, train, size, more, data.exists() and data.stat().st_size))
        if key not in PLANS:
            PLANS[key] = make_plan(run, student, train, *size, **more)
        return PLANS[key]

    monkeypatch.setattr("launch.dry_run_training.make_plan", plan)


@pytest.fixture
def config(tmp_path: Path, tiny_student: Path) -> Path:
    """A small run of two objectives."""
    path = tmp_path / "mine.toml"
    path.write_text(
        f"""
        [student]
        model = "{tiny_student}"
        [data]
        limit = 40
        [train]
        batch_size = 8
        precision = "fp32"
        max_length = 256
        [pipeline]
        objectives = ["cgd", "sft"]
        [evaluate]
        benchmarks = ["arithmetic"]
        limit = 7
        max_tokens = 9
        """
    )
    return path


def files_below(folder: Path) -> Files:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def told(cgd: Run, *arguments: object) -> dict[str, Any]:
    """The facts of a dry run; JSON is all that it prints."""
    code, printed = cgd(*arguments, "--dry-run", "--json")
    assert code == 0, printed
    found: dict[str, Any] = json.loads(printed)
    return found


def with_records(folder: Path, count: int = 20) -> Path:
    """A run folder whose data stages are done."""
    data = folder / "data"
    data.mkdir(parents=True)
    text = "".join(json.dumps(record) + "\n" for record in make_records(count))
    (data / "refinements.jsonl").write_text(text)
    (data / "prompts.jsonl").write_text(text)
    (data / "summary.json").write_text("{}")
    return data / "refinements.jsonl"


# ---- what is told -----------------------------------------------------------------------------------


def test_a_new_run_is_told_from_prompts_to_report(cgd: Run, config: Path) -> None:
    before = files_below(Path())
    found = told(cgd, "run", config)
    names = ["prompts", "records", "evaluate base", "train cgd", "evaluate cgd", "train sft"]
    assert [stage["name"] for stage in found["stages"]] == [*names, "evaluate sft", "report"]
    assert {stage["state"] for stage in found["stages"]} == {"left"}
    assert found["left"] == 8
    assert found["generation"]["prompts"] == 40
    assert [stage["texts"] for stage in found["generation"]["stages"]] == [40, 40, 40]
    assert found["evaluation"] == [
        {
            "benchmark": "arithmetic",
            "problems": 7,
            "source": "built in",
            "answers_of_a_model": 7,
            "max_tokens": 9,
        }
    ]
    assert files_below(Path()) == before


def test_settings_that_differ_are_told_and_json_has_all(cgd: Run, config: Path) -> None:
    found = told(cgd, "run", config, "--set", "train.epochs=2", "--set", "train.schedule=cosine")
    assert found["changed"]["train.epochs"] == 2
    assert found["changed"]["train.batch_size"] == 8
    assert "train.schedule" not in found["changed"]
    assert found["settings"]["train"]["schedule"] == "cosine"
    problems: list[str] = []
    sections = tuple(found["settings"])
    assert resolved(found["changed"], sections, problems)
    assert not problems


def test_steps_and_memory_are_the_planners(cgd: Run, config: Path) -> None:
    found = told(cgd, "train", config, "--world-size", "4", "--device", "H100")
    loaded = load_config(config)
    made = make_plan(
        loaded.run, loaded.student, loaded.train, 4, "H100", assumed=Assumptions(num_examples=40)
    )
    assert [one["name"] for one in found["trainings"]] == ["cgd", "sft"]
    for one in found["trainings"]:
        assert one["steps"] == num_steps(40, 8, 1.0, None) == 5
        assert one["memory_of_a_rank"] == made.memory.total
        assert one["seconds"] == pytest.approx(made.duration.seconds_per_step * 5)
        assert one["assumed"]


def test_records_that_are_there_are_what_is_planned_with(cgd: Run, config: Path) -> None:
    with_records(Path("runs/mine"))
    found = told(cgd, "train", config, "--set", "pipeline.objectives=cgd")
    (one,) = found["trainings"]
    assert (one["examples"], one["steps"], one["assumed"]) == (20, 3, False)


def test_every_printed_command_can_be_typed(cgd: Run, config: Path) -> None:
    settings = ("--set", "train.epochs=3", "--set", 'pipeline.objectives=["cgd"]')
    found = told(cgd, "run", config, *settings, "--world-size", "4")
    lines = [shlex.split(command["line"]) for command in found["commands"]]
    for line in lines:
        if line[0] == "cgd":
            parse(cli.parser(), line[1:])
    training = lines[1]
    assert training[: training.index(str(config))] == [
        *("python", "-m", "engine.torchrun", "--standalone", "--nproc-per-node", "4"),
        *("-m", "engine.train"),
    ]
    assert training[training.index(str(config)) + 1 :] == [
        *("--set", "train.epochs=3", "--set", "train.objective=cgd"),
    ]
    assert lines[-1] == ["cgd", "run", str(config), *settings]


def test_the_torchrun_line_trains_what_the_run_then_finds_done(
    cgd: Run,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(config.parent)
    from engine.train import main

    with_records(Path("runs/mine"))
    line = told(cgd, "train", config, "--world-size", "1", "--set", "train.max_steps=1")
    assert len(line["commands"]) == 1
    line = told(cgd, "train", config, "--world-size", "2", "--set", "train.max_steps=1")
    command = shlex.split(line["commands"][0]["line"])
    assert main(command[command.index("engine.train") + 1 :]) == 0
    capsys.readouterr()
    after = told(cgd, "train", config, "--set", "train.max_steps=1")
    assert [stage["state"] for stage in after["stages"]] == ["done", "left"]
    assert Path("runs/mine/train/cgd", SETTINGS).is_file()


def test_packaged_students_are_named_to_the_engine_by_their_folder(cgd: Run) -> None:
    found = told(
        cgd, "quickstart", "--world-size", "2", "--set", "data.limit=20", "--device", "H100"
    )
    assert "student.model=" in found["commands"][1]["line"]
    assert found["commands"][-1]["line"] == "cgd quickstart --set data.limit=20"


def test_overwriting_is_said_once_and_done_once(cgd: Run, config: Path) -> None:
    with_records(Path("runs/mine"))
    found = told(cgd, "run", config, "--overwrite", "--world-size", "2")
    assert found["overwrite"]
    assert {stage["state"] for stage in found["stages"]} == {"left"}
    lines = [command["line"] for command in found["commands"]]
    assert [("--overwrite" in line) for line in lines] == [True, False, False, False]
    assert all(one["assumed"] for one in found["trainings"])


def test_what_was_begun_is_told(cgd: Run, config: Path) -> None:
    with_records(Path("runs/mine"))
    (Path("runs/mine/train/cgd/checkpoints") / "step-2").mkdir(parents=True)
    (Path("runs/mine/train/sft")).mkdir()
    (Path("runs/mine/train/sft/summary.json")).write_text("{}")
    found = told(cgd, "run", config)
    states = {stage["name"]: (stage["state"], stage["note"]) for stage in found["stages"]}
    assert states["records"] == ("done", "")
    assert states["train cgd"] == ("begun", "goes on after step 2")
    assert states["train sft"] == ("done", "")
    assert [one["name"] for one in found["trainings"]] == ["cgd"]


def test_the_text_says_the_same(cgd: Run, config: Path) -> None:
    code, printed = cgd("run", config, "--dry-run", "--world-size", "8", "--device", "H100")
    assert code == 0
    for part in (
        "run folder: runs/mine (not there yet)",
        'pipeline.objectives = ["cgd", "sft"]',
        "stages: 8 of 8 left",
        "cgd, sft: at most 5 steps, of 40 examples",
        "on each of 8 × H100: fits",
        "arithmetic                   7 (built in), of at most 9 tokens",
        "# training cgd",
        "Nothing was run or written.",
    ):
        assert part in printed, part


# ---- evaluate, diagnose, export ---------------------------------------------------------------------


def test_one_model_of_an_evaluation(cgd: Run, config: Path) -> None:
    found = told(cgd, "evaluate", config, "--model", "base")
    assert [stage["name"] for stage in found["stages"]] == ["evaluate base"]
    assert "trainings" not in found


def test_benchmarks_of_the_hub_are_counted_by_their_card(cgd: Run, config: Path) -> None:
    names = 'evaluate.benchmarks=["math500","gsm8k"]'
    found = told(cgd, "evaluate", config, "--set", names, "--set", "evaluate.limit=")
    assert [one["problems"] for one in found["evaluation"]] == [500, 1319]


def test_diagnose_counts_records_and_loads_no_model(cgd: Run, config: Path) -> None:
    with_records(Path("runs/mine"))
    before = files_below(Path())
    found = told(cgd, "diagnose", config, "--only", "entropy,overlap")
    assert [stage["name"] for stage in found["stages"]] == ["entropy", "overlap"]
    assert any("records: 20 in" in note for note in found["notes"])
    assert files_below(Path()) == before
    code, printed = cgd("diagnose", config, "--only", "entropi", "--dry-run")
    assert (code, "did you mean entropy?" in printed) == (2, True)


def test_export_names_the_checkpoint_and_the_folder(cgd: Run, config: Path) -> None:
    code, printed = cgd("export", config, "--dry-run")
    assert code == 2
    assert "has no checkpoint; `cgd train` first" in printed
    source = with_records(Path("runs/mine"))
    found = told(cgd, "export", config, "--records", "mine", "--format", "jsonl")
    assert found["notes"][0] == f"records: 20 of {source}"
    assert "written: mine/cgd.jsonl, 20 conversations" in found["notes"]
    assert not Path("mine").exists()


# ---- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "data.prompts=absent.jsonl", "--dry-run"), "absent.jsonl"),
        (("--set", "train.batch_sise=3", "--dry-run"), "did you mean train.batch_size?"),
        (("--dry-run", "--device", "H1000"), "--device H1000"),
        (("--dry-run", "--world-size", "0"), "--world-size must be positive"),
        (("--dry-run", "--world-size", "8", "--nodes", "2"), "give one of them"),
        (("--world-size", "8"), "--world-size goes with --dry-run"),
        (("--json",), "--json goes with --dry-run"),
        (("--nodes", "2"), "go with --write-jobs DIR or --dry-run"),
        (("--gpus-per-node", "0"), "go with --write-jobs DIR or --dry-run"),
    ],
)
def test_mistakes_are_named(cgd: Run, config: Path, arguments: tuple[str, ...], said: str) -> None:
    code, printed = cgd("run", config, *arguments)
    assert code == 2
    assert said in printed
    assert not Path("runs").exists()


def test_a_folder_of_other_settings_is_refused_as_by_the_run(cgd: Run, config: Path) -> None:
    Path("runs/mine").mkdir(parents=True)
    Path("runs/mine/thesis.tex").write_text("precious")
    code, printed = cgd("run", config, "--dry-run")
    assert code == 2
    assert "thesis.tex" in printed


def test_a_plan_is_for_this_machines_gpu_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = cli.parser().parse_args(["run", "x"])
    assert Size.of(options).device == "cpu" or torch.cuda.is_available()
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    for name, gib, planned in (
        ("NVIDIA A100-SXM4-40GB", 39.4, "A100-40"),
        ("NVIDIA A100-SXM4-80GB", 79.3, "A100-80"),
        ("NVIDIA H200", 139.8, "H200"),
        ("NVIDIA GeForce RTX 3090", 23.7, "24GB"),
    ):
        memory = SimpleNamespace(total_memory=gib * 2**30)
        monkeypatch.setattr("torch.cuda.get_device_name", lambda name=name: name)
        monkeypatch.setattr("torch.cuda.get_device_properties", lambda _, memory=memory: memory)
        assert Size.of(options).device == planned
    assert find_device(planned, 1).usable_bytes < 24 * 2**30


def test_rounds_are_told_one_after_the_other(cgd: Run, config: Path) -> None:
    rounds = ("--set", "pipeline.rounds=2", "--set", "pipeline.objectives=cgd")
    found = told(cgd, "run", config, *rounds, "--world-size", "2")
    assert [one["name"] for one in found["trainings"]] == ["cgd-round-1", "cgd-round-2"]
    assert [command["line"].split()[:2] for command in found["commands"]] == [["cgd", "run"]]
    code, printed = cgd("train", config, *rounds, "--dry-run")
    assert (code, "each round needs the one before" in printed) == (2, True)


# ---- clusters and recipes ---------------------------------------------------------------------------


def test_machines_make_batch_jobs_of_it(cgd: Run, config: Path) -> None:
    size = ("--nodes", "2", "--gpus-per-node", "4")
    found = told(cgd, "run", config, *size)
    text = "\n".join(found["jobs"])
    assert "sbatch --parsable" in text
    assert "DIR/train-cgd.sbatch" in text
    assert found["trainings"][0]["world_size"] == 8
    write = shlex.split(found["commands"][0]["line"])
    assert write == ["cgd", "run", str(config), "--write-jobs", "DIR", *size]
    assert not Path("DIR").exists()
    code, printed = cgd(*write[1:])
    assert code == 0, printed
    assert "start with: bash DIR/submit.sh" in printed
    assert Path("DIR/submit.sh").is_file()
    code, printed = cgd(*write[1:], "--overwrite")
    assert (code, "--overwrite goes with a run here" in printed) == (2, True)
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", [path.stem for path in CONFIGS.glob("*.toml")])
def test_every_recipe_is_sound(
    cgd: Run, name: str, tiny_student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their models are not here; that of the tiny one is planned in their place."""
    problems = Path("problems.jsonl")
    problems.write_text('{"problem": "What is 1 + 1?", "answer": "2"}\n')
    local = ("--set", f"student.model={tiny_student}", "--set", "data.limit=4")
    if name == "smollm2-gsm8k":
        local += (
            "--set",
            f"data.prompts={problems}",
            "--set",
            'evaluate.benchmarks=["arithmetic"]',
        )
    found = told(cgd, "run", CONFIGS / f"{name}.toml", *local, "--device", "H100")
    assert found["run_folder"] == f"runs/{name}"
    assert found["left"] == len(found["stages"])
    assert all(one["fits"] for one in found["trainings"])
    assert not Path("runs").exists()


@pytest.mark.rehearsal
@pytest.mark.parametrize(
    ("name", "size"),
    [("single-gpu", ("--world-size", "1")), ("eight-gpus", ("--world-size", "8"))],
)
def test_recipes_fit_the_gpus_that_they_are_for(name: str, size: tuple[str, ...]) -> None:
    config = load_config(CONFIGS / f"{name}.toml")
    assert config.student.model == "meta-llama/Llama-3.1-8B-Instruct"
    options = cli.parser().parse_args(["run", "x", *size, "--device", "H100"])
    made = Size.of(options)
    plan = make_plan(config.run, config.student, config.train, made.ranks, made.device)
    assert plan.memory.fits


def test_the_hub_is_left_out() -> None:
    config = load_config(CONFIGS / "eight-gpus.toml")
    local = dry_run.without_hub(config)
    assert local.evaluate.benchmarks[0] == "arithmetic"
    assert local.data.prompts == "arithmetic"
