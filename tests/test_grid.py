"""An experiment expanded: what shares a job, what does not, and that compared variants differ in one thing only."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from experiment_samples import HEAD, SCALE, experiment, scale, variant, variants

from engine.config import ConfigError, flatten
from launch.experiments.experiment_files import load_experiment
from launch.experiments.grid import Grid, Wanted, expand
from launch.experiments.jobs import Job, merged
from launch.experiments.scale import load_scale

NAMES = {"run.dir", "run.name"}


def grid(folder: Path, text: str, wanted: Wanted | None = None, scale_text: str = SCALE) -> Grid:
    return expand(experiment(folder, text), scale(folder, scale_text), folder / "mini", wanted)


def of_kind(found: Grid, kind: str) -> list[Job]:
    return [job for job in found.jobs if job.kind == kind]


def settings(job: Job) -> dict[str, Any]:
    return {name: value for name, value in flatten(job.tables or {}).items() if name not in NAMES}


def differing(one: Job, other: Job) -> set[str]:
    first, second = settings(one), settings(other)
    return {name for name in first | second if first.get(name) != second.get(name)}


def trainings(found: Grid, seed: int = 0) -> dict[str, Job]:
    """The training of each variant's last round, by variant."""
    cells = [cell for cell in found.cells if cell.training is not None and cell.seed == seed]
    by_path = {job.path: job for job in of_kind(found, "train")}
    return {cell.variant.name: by_path[cell.training.parents[1]] for cell in cells if cell.training}


METHODS = variants(
    *(variant(name, name) for name in ("base", "sft", "distilled_sft", "cft", "cgd"))
)


def test_methods_share_records_and_differ_in_the_objective_alone(tmp_path: Path) -> None:
    found = grid(tmp_path, HEAD + METHODS)
    assert [len(of_kind(found, kind)) for kind in ("data", "train", "evaluate")] == [3, 12, 15]
    for one, other in combinations(trainings(found).values(), 2):
        assert differing(one, other) == {"train.objective"}
        assert one.after == other.after


@pytest.mark.parametrize("scale_name", ["mini", "small", "paper"])
def test_methods_of_table1_differ_in_the_objective_alone(scale_name: str, tmp_path: Path) -> None:
    found = trainings(expand(load_experiment("table1"), load_scale(scale_name), tmp_path))
    for prefix in ("", "second_"):
        same = [found[f"{prefix}{name}"] for name in ("sft", "distilled_sft", "cft", "cgd")]
        for one, other in combinations(same, 2):
            assert differing(one, other) == {"train.objective"}


@pytest.mark.parametrize("scale_name", ["mini", "small", "paper"])
def test_a_b_and_c_differ_in_the_critiques_alone(scale_name: str, tmp_path: Path) -> None:
    found = expand(load_experiment("table4"), load_scale(scale_name), tmp_path)
    by_id = {job.id: job for job in found.jobs}
    commands = set()
    for cell in (c for c in found.cells if c.variant.name in "ABC" and c.seed == found.seeds[0]):
        job = trainings(found)[cell.variant.name]
        source = by_id[job.after[-1]]
        if source.kind == "mixture":
            command = [part for part in source.command if part != str(source.path)]
            place = command.index("--critiques") + 1
            assert command[place] == cell.variant.critiques
            command[place] = "…"
            assert json.dumps(command).count(str(cell.data)) == 1
            commands.add(tuple(command))
        else:  # the records as they are: no share and no number is asked for
            assert (cell.variant.critiques, cell.variant.total) == ("real", None)
        other = trainings(found)["A"]
        assert differing(job, other) <= {"train.data"}
    assert len(commands) == 1


def test_the_same_training_of_two_experiments_is_one_job(tmp_path: Path) -> None:
    first = grid(tmp_path, HEAD + variants(variant("cgd")))
    text = HEAD.replace('["GSM8K"]', '["IFEval"]') + '\n[set]\n"train.learning_rate" = 1e-6\n'
    more = "learning_rate_factor = 5.0"
    text += variants(variant("slow"), variant("fast", more=more))
    second = expand(experiment(tmp_path, text, "other"), scale(tmp_path), tmp_path / "mini")
    assert {job.id for job in first.jobs} < {job.id for job in second.jobs}
    typed = variant("typed", more='set = { "train.learning_rate" = 5e-6 }')
    third = grid(tmp_path, HEAD + variants(typed))
    assert trainings(third)["typed"].key == trainings(second)["fast"].key
    assert len(merged((*first.jobs, *second.jobs))) == len(second.jobs)


def test_keys_depend_on_what_changes_results_and_on_nothing_else(tmp_path: Path) -> None:
    text = HEAD + variants(variant("cgd"))

    def key(*overrides: str, folder: str = "mini") -> str:
        wanted = Wanted(overrides=overrides)
        found = expand(experiment(tmp_path, text), scale(tmp_path), tmp_path / folder, wanted)
        return trainings(found)["cgd"].key

    assert key() == key(folder="elsewhere/mini") == key("train.shard_size=1", "evaluate.limit=7")
    assert key() == key("train.weight_decay=0.0")  # the default, written out
    assert key("train.learning_rate=") == key()  # the default is what the scale says
    changed = [
        key("train.learning_rate=2e-6"),
        key("data.limit=41"),
        key("generate.answer.temperature=1.0"),
        key("teacher.script=arithmetic-vague"),
        key("student.model=somewhere"),
    ]
    assert len({key(), *changed}) == 1 + len(changed)


def test_seeds_have_their_own_records_unless_the_scale_makes_them_once(tmp_path: Path) -> None:
    text = HEAD + METHODS
    assert len(of_kind(grid(tmp_path, text), "data")) == 3
    once = SCALE.replace("seeds = [0, 1, 2]", "seeds = [0, 1, 2]\ndata_seed = 7")
    found = grid(tmp_path, text, scale_text=once)
    (data,) = of_kind(found, "data")
    assert settings(data)["run.seed"] == 7
    assert {settings(job)["run.seed"] for job in of_kind(found, "train")} == {0, 1, 2}


def test_a_model_is_asked_once_for_all_seeds_where_nothing_is_drawn(tmp_path: Path) -> None:
    text = HEAD + variants(variant("base", "base"))
    assert len(of_kind(grid(tmp_path, text), "evaluate")) == 3  # of problems that the seed draws
    files = SCALE.replace('"arithmetic"\nIF', '"gsm8k"\nIF').replace(
        '"arithmetic-format"', '"ifeval"'
    )
    found = grid(tmp_path, text, scale_text=files)
    assert len(of_kind(found, "evaluate")) == 1
    assert len({str(cell.evaluations["default"]) for cell in found.cells}) == 1
    sampled = Wanted(overrides=("evaluate.temperature=0.6",))
    assert len(of_kind(grid(tmp_path, text, sampled, files), "evaluate")) == 3


def test_round_two_begins_with_what_round_one_has_trained(tmp_path: Path) -> None:
    found = grid(tmp_path, HEAD + variants(variant("once"), variant("twice", more="round = 2")))
    first, second = trainings(found)["once"], trainings(found)["twice"]
    export = str(first.path / "train" / "cgd" / "export")
    data = next(job for job in found.jobs if job.id == second.after[-1])
    assert data.kind == "data"
    assert first.id in data.after
    assert settings(data)["student.model"] == settings(second)["student.model"] == export
    before = next(job for job in found.jobs if job.id == first.after[-1])
    assert differing(before, data) == {"student.model", "pipeline.objectives"}


def test_an_epoch_is_measured_on_the_checkpoint_nearest_to_its_end(tmp_path: Path) -> None:
    rows = variants(variant("first", more="epoch = 1"), variant("last", more="epoch = 2"))
    found = grid(tmp_path, HEAD + rows, Wanted(seeds=(0,)))
    (training,) = of_kind(found, "train")
    (export,) = of_kind(found, "export")
    assert export.after == (training.id,)
    assert export.argv[export.argv.index("--step") + 1] == "4"  # planned: 40 records, 10 a step
    folder = training.path / "train" / "cgd"
    for step in (3, 9, 18):
        (folder / "checkpoints" / f"step-{step}").mkdir(parents=True)
    (folder / "summary.json").write_text('{"steps": 18}', encoding="utf-8")
    assert export.argv[export.argv.index("--step") + 1] == "9"
    (folder / "checkpoints" / "step-9").rename(folder / "checkpoints" / "step-12")
    with pytest.raises(
        ValueError, match=r"epoch 1 ends with step 9, and the checkpoints kept are 3, 12, 18"
    ):
        _ = export.argv
    with pytest.raises(ConfigError, match=r"epoch: 3, but train.epochs is 2 \(late\)"):
        grid(tmp_path, HEAD + variants(variant("cgd"), variant("late", more="epoch = 3")))


def test_experiments_add_their_diagnostics_to_one_job(tmp_path: Path) -> None:
    measure = '\n[[measure]]\nname = "m"\nkind = "diagnostic"\nfigure = "f"\ndiagnostic = "{}"\n'
    rows = variants(variant("base", "base"))
    one = grid(tmp_path, HEAD + rows + measure.format("entropy"), Wanted(seeds=(0,)))
    other = grid(tmp_path, HEAD + rows + measure.format("gradients"), Wanted(seeds=(0,)))
    (job,) = [job for job in merged((*one.jobs, *other.jobs)) if job.kind == "diagnose"]
    assert job.command[-1] == "entropy,gradients"
    assert [marker.name for marker in job.markers] == ["entropy.json", "gradients.json"]
    (data,) = of_kind(one, "data")
    assert data.id in job.after
    assert one.cells[0].diagnostics == job.path / "diagnostics"


def test_diagnostics_take_the_judge_s_gpus_only_where_it_is_asked(tmp_path: Path) -> None:
    measure = '\n[[measure]]\nname = "m"\nkind = "diagnostic"\nfigure = "f"\ndiagnostic = "{}"\n'
    on_gpus = SCALE.replace("seeds = [0, 1, 2]", "seeds = [0]\nranks = 1\ngpus = 1\nthreads = 1")
    on_gpus += '[config.judge]\nmodel = "large"\ntensor_parallel = 8\n'
    found = []
    for name in ("entropy", "critique_quality"):
        text = HEAD + variants(variant("base", "base")) + measure.format(name)
        found += of_kind(grid(tmp_path, text, scale_text=on_gpus), "diagnose")
    assert [job.gpus for job in found] == [1, 8]
    (both,) = merged(found)
    assert both.gpus == 8


def test_every_job_comes_after_those_that_it_reads_from(tmp_path: Path) -> None:
    for name in ("table4", "figure5", "table19", "rounds"):
        found = expand(load_experiment(name), load_scale("mini"), tmp_path)
        seen: set[str] = set()
        for job in found.jobs:
            assert {*job.after} <= seen
            seen.add(job.id)


def test_only_some_variants_are_run_and_all_are_in_the_table(tmp_path: Path) -> None:
    found = grid(tmp_path, HEAD + METHODS, Wanted(only=("cgd",), seeds=(4,)))
    assert [job.kind for job in found.jobs] == ["data", "train", "evaluate"]
    assert len(found.cells) == 5
    assert found.seeds == (4,)
    with pytest.raises(ConfigError, match="did you mean cgd"):
        grid(tmp_path, HEAD + METHODS, Wanted(only=("cgdd",)))


def test_wrong_settings_are_said_with_the_variants_that_have_them(tmp_path: Path) -> None:
    bad = variant("odd", more='set = { "train.learning_rat" = 1.0 }')
    lost = variant("lost", more='teacher = "mian"')
    with pytest.raises(ConfigError) as caught:
        grid(tmp_path, HEAD + variants(variant("cgd"), bad, lost, variant("taught", "teacher")))
    said = str(caught.value)
    assert "train.learning_rat: unknown key; did you mean train.learning_rate? (odd)" in said
    assert "'mian' is none of the scale's teachers: main; did you mean main?" in said
    assert "taught: the scale's teacher is a program" in said


def test_the_command_of_a_table_makes_this_table(tmp_path: Path) -> None:
    wanted = Wanted(overrides=("data.limit=9", "data.prompts=my file"), seeds=(4, 7), only=("cgd",))
    first, *_ = grid(tmp_path, HEAD + METHODS, wanted).cells
    told = "--set data.limit=9 --set 'data.prompts=my file' --seeds 4,7"
    assert first.command == f"cgd reproduce sample --scale mini {told}"


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("run.seed=3", "--seeds names them"),
        ("evaluate.benchmarks=['arithmetic']", "measures and"),
        ("train.objective=cft", "every variant has its own"),
    ],
)
def test_what_the_experiment_sets_cannot_be_overridden_in_vain(
    override: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=hint):
        grid(tmp_path, HEAD + METHODS, Wanted(overrides=(override,)))


def test_an_override_cannot_make_two_teachers_one(tmp_path: Path) -> None:
    more = '\n[teachers.vague]\nset = { "teacher.script" = "arithmetic-vague" }\n'
    text = HEAD + variants(variant("cgd"), variant("vague", more='teacher = "vague"'))
    script = ("teacher.script=arithmetic-errs-50",)
    with pytest.raises(ConfigError, match="the teachers of these variants differ in it"):
        grid(tmp_path, text, Wanted(overrides=script), SCALE + more)
    assert grid(tmp_path, text, Wanted(overrides=script, only=("cgd",)), SCALE + more).jobs
    assert grid(tmp_path, text, Wanted(overrides=("teacher.max_retries=2",)), SCALE + more).jobs


def test_a_learning_rate_that_is_no_number_is_said_and_an_empty_one_is_the_default(
    tmp_path: Path,
) -> None:
    text = HEAD + variants(variant("fast", more="learning_rate_factor = 5.0"))
    with pytest.raises(ConfigError, match=r"train\.learning_rate"):
        grid(tmp_path, text, Wanted(overrides=("train.learning_rate=fast",)))
    found = grid(tmp_path, text, Wanted(overrides=("train.learning_rate=",)))
    assert settings(trainings(found)["fast"])["train.learning_rate"] > 0
