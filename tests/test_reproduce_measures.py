"""Claims about what is read from the artifacts of an experiment's cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reproduced import evaluated, experiment, folder_of, grid_of, marked, row, trained

from evals.statistics import pass_at_k
from launch.experiments.experiment import Measure, Variant, completed
from launch.experiments.grid import Cell, Grid
from launch.experiments.measures import NO_COLUMN, NOT_RUN, UNDEFINED, Gap, Reading, read_measure

CGD = Variant(name="cgd", objective="cgd")
MATH = completed(Measure(name="MATH500", benchmark="MATH500"))


def cell_and_grid(root: Path) -> tuple[Cell, Grid]:
    grid = grid_of(experiment([CGD]), root, seeds=[0])
    return grid.cells[0], grid


def read(root: Path, **settings: Any) -> Reading | Gap:
    cell, grid = cell_and_grid(root)
    return read_measure(cell, completed(Measure(**settings)), grid.scale)


def test_accuracy_is_the_share_of_right_answers(tmp_path: Path) -> None:
    marked(tmp_path, "cgd", 0, [True, False, True, True])
    found = read(tmp_path, name="MATH500", benchmark="MATH500")
    assert isinstance(found, Reading)
    assert found.value == 0.75
    assert len(found.parts[0]) == 4


def test_what_is_not_there_is_not_run_and_what_cannot_be_has_no_column(tmp_path: Path) -> None:
    assert read(tmp_path, name="MATH500", benchmark="MATH500") == Gap(NOT_RUN)
    assert read(tmp_path, name="AMC23", benchmark="AMC23") == Gap(NO_COLUMN)
    sampled = read(tmp_path, name="pass@8", kind="pass@8", benchmark="MATH500", ask="sampled")
    assert sampled == Gap(NO_COLUMN)


def test_an_evaluation_without_its_scores_is_not_finished(tmp_path: Path) -> None:
    marked(tmp_path, "cgd", 0, [True])
    (folder_of(tmp_path, "cgd", 0) / "evals" / "base" / "scores.json").unlink()
    assert read(tmp_path, name="MATH500", benchmark="MATH500") == Gap(NOT_RUN)


def test_a_benchmark_of_instructions_is_scored_by_obedience(tmp_path: Path) -> None:
    rows = [row(f"f{n}", None, complies=n < 3) for n in range(4)]
    evaluated(tmp_path, "cgd", 0, {"arithmetic-format": rows})
    found = read(tmp_path, name="IFEval", benchmark="IFEval")
    assert isinstance(found, Reading)
    assert found.value == 0.75


def test_the_score_of_the_harness_counts_where_an_answer_is_neither_right_nor_wrong(
    tmp_path: Path,
) -> None:
    rows = [row("a", None, score=0.25), row("b", None, score=0.75)]
    evaluated(tmp_path, "cgd", 0, {"arithmetic-new": rows})
    found = read(tmp_path, name="TruthfulQA", benchmark="MATH500")
    assert isinstance(found, Reading)
    assert found.value == 0.5


def test_pass_at_k_is_estimated_within_seeds_and_averaged_over_them(tmp_path: Path) -> None:
    counts = {("p", 0): 1, ("p", 1): 3, ("q", 0): 0, ("q", 1): 4}
    rows = [
        row(name, place < right, seed=seed, sample=place)
        for (name, seed), right in counts.items()
        for place in range(4)
    ]
    evaluated(tmp_path, "cgd", 0, {"arithmetic-new": rows})
    found = read(tmp_path, name="pass@2", kind="pass@2", benchmark="MATH500")
    assert isinstance(found, Reading)
    expected = [pass_at_k(4, right, 2) for right in counts.values()]
    assert found.value == pytest.approx(sum(expected) / 4)
    assert len(found.parts[0]) == 2
    with pytest.raises(ValueError, match=r"pass@8 needs 8 answers a problem and seed"):
        read(tmp_path, name="pass@8", kind="pass@8", benchmark="MATH500")


def test_an_average_weighs_benchmarks_alike_however_large(tmp_path: Path) -> None:
    large = [row(f"m{n}", n < 5) for n in range(10)]
    evaluated(
        tmp_path,
        "cgd",
        0,
        {"arithmetic-new": large, "arithmetic": [row("g0", True), row("g1", True)]},
    )
    found = read(tmp_path, name="Group1Avg", kind="average")
    assert isinstance(found, Reading)
    assert found.value == 0.75
    assert [len(part) for part in found.parts] == [10, 2]


def test_an_average_that_lacks_a_member_is_not_run(tmp_path: Path) -> None:
    marked(tmp_path, "cgd", 0, [True])
    assert read(tmp_path, name="Group1Avg", kind="average") == Gap(NOT_RUN)


def test_lengths_are_means_over_problems(tmp_path: Path) -> None:
    rows = [row("a", True, words=10, steps=1), row("b", False, words=30, steps=4)]
    evaluated(tmp_path, "cgd", 0, {"arithmetic-new": rows})
    words = read(tmp_path, name="words", kind="words", benchmark="MATH500")
    steps = read(tmp_path, name="steps", kind="steps", benchmark="MATH500")
    assert isinstance(words, Reading)
    assert isinstance(steps, Reading)
    assert (words.value, steps.value) == (20, 2.5)


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    marked(tmp_path, "cgd", 0, [True, True])
    assert isinstance(read(tmp_path, name="MATH500", benchmark="MATH500"), Reading)
    marked(tmp_path, "cgd", 0, [True, True, False, False])
    found = read(tmp_path, name="MATH500", benchmark="MATH500")
    assert isinstance(found, Reading)
    assert found.value == 0.5


def diagnosed(root: Path, figures: dict[str, float], rows: list[dict[str, Any]]) -> None:
    folder = folder_of(root, "cgd", 0) / "diagnostics"
    folder.mkdir(parents=True)
    (folder / "entropy.json").write_text(json.dumps({"figures": figures, "curves": {}}))
    (folder / "entropy.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rows))


def entropy(root: Path, figure: str = "entropy.mean") -> Reading | Gap:
    return read(root, name="entropy", kind="diagnostic", diagnostic="entropy", figure=figure)


def test_a_diagnostic_brings_the_rows_that_its_figure_is_the_mean_of(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "entropy": 1.0},
        {"id": "b", "entropy": 2.0},
        {"id": "c", "left_out": "long"},
    ]
    diagnosed(tmp_path, {"entropy.mean": 1.5}, rows)
    found = entropy(tmp_path)
    assert isinstance(found, Reading)
    assert found.value == 1.5
    assert sorted(found.parts[0].values()) == [1.0, 2.0]


def test_rows_that_a_figure_is_not_the_mean_of_are_not_paired(tmp_path: Path) -> None:
    figures = {"rgnr": 0.3, "rgnr.low": 0.2, "rgnr.high": 0.4}
    diagnosed(tmp_path, figures, [{"id": "a", "rgnr": 0.9}])
    found = entropy(tmp_path, "rgnr")
    assert isinstance(found, Reading)
    assert found.parts == ()
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (0.2, 0.4)


def test_a_figure_that_a_diagnostic_lacks_is_named_with_its_neighbour(tmp_path: Path) -> None:
    assert entropy(tmp_path) == Gap(NOT_RUN)
    diagnosed(tmp_path, {"entropy.mean": 1.5}, [])
    found = entropy(tmp_path, "entropy.men")
    assert isinstance(found, Gap)
    assert "did you mean entropy.mean" in found.why


def test_a_figure_without_a_value_on_these_records_is_undefined_and_not_missing(
    tmp_path: Path,
) -> None:
    diagnosed(tmp_path, {"entropy.mean": 1.5}, [])
    path = folder_of(tmp_path, "cgd", 0) / "diagnostics" / "entropy.json"
    told = json.loads(path.read_text()) | {"notes": ["Not defined on these records: entropy.sd."]}
    path.write_text(json.dumps(told))
    assert entropy(tmp_path, "entropy.sd") == Gap(UNDEFINED)


def test_accounts_add_up_in_hours_and_seconds(tmp_path: Path) -> None:
    cell, _ = cell_and_grid(tmp_path)
    assert cell.data is not None
    trained(tmp_path, "cgd", 0)
    both = "data.device_hours + train.device_seconds"
    hours = {"name": "hours", "kind": "account", "figure": both, "unit": "hours"}
    assert read(tmp_path, **hours) == Gap(NOT_RUN)
    cell.data.mkdir(parents=True)
    (cell.data / "summary.json").write_text(json.dumps({"device_hours": 0.5}))
    assert read(tmp_path, **hours) == Reading(2.5)
    seconds = {"name": "s", "kind": "account", "figure": "train.device_seconds", "unit": "s"}
    assert read(tmp_path, **seconds) == Reading(7200.0)


def test_an_account_that_no_summary_has_is_a_gap_and_a_wrong_one_an_error(tmp_path: Path) -> None:
    trained(tmp_path, "cgd", 0)
    found = read(tmp_path, name="x", kind="account", figure="train.flops")
    assert isinstance(found, Gap)
    assert (found.state, "no flops" in found.why) == (NOT_RUN, True)
    with pytest.raises(ValueError, match=r"must be train\.KEY or data\.KEY"):
        read(tmp_path, name="x", kind="account", figure="flops")


@pytest.mark.parametrize(
    ("objective", "hours"),
    [("cgd", 7.0), ("cgd_no_critique", 7.0), ("cft", 3.0), ("distilled_sft", 8.0), ("sft", 0.0)],
)
def test_data_cost_a_variant_the_stages_that_it_needs(
    objective: str, hours: float, tmp_path: Path
) -> None:
    grid = grid_of(experiment([Variant(name="x", objective=objective)]), tmp_path, seeds=[0])  # type: ignore[arg-type]
    (cell,) = grid.cells
    assert cell.data is not None
    cell.data.mkdir(parents=True)
    names = ("answer", "critique", "refine", "teach")
    stages = [{"stage": n, "device_hours": 2.0**place} for place, n in enumerate(names)]
    (cell.data / "summary.json").write_text(json.dumps({"device_hours": 15.0, "stages": stages}))
    asked = Measure(name="hours", kind="account", figure="data.device_hours", unit="hours")
    assert read_measure(cell, completed(asked), grid.scale) == Reading(hours)


def test_texts_of_a_script_have_been_made_but_have_no_hours(tmp_path: Path) -> None:
    cell, _ = cell_and_grid(tmp_path)
    assert cell.data is not None
    cell.data.mkdir(parents=True)
    stages = [{"stage": name, "device_seconds": None} for name in ("answer", "critique", "refine")]
    (cell.data / "summary.json").write_text(json.dumps({"device_seconds": None, "stages": stages}))
    found = read(tmp_path, name="s", kind="account", figure="data.device_seconds", unit="s")
    assert isinstance(found, Gap)
    assert found.state == NO_COLUMN
