"""Claims about an experiment's table: what it says, what it does not claim, and where the paper's numbers come from."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reproduced import evaluated, experiment, folder_of, grid_of, marked, row, trained

from evals.statistics import holm
from launch.experiments.experiment import Experiment, Figure, Measure, Variant
from launch.experiments.experiment_files import experiment_names, load_experiment
from launch.experiments.overview import write_overview
from launch.experiments.paper_numbers import find, lookup, number_for, paths, read_paper
from launch.experiments.results import collect_results
from launch.experiments.rows import direction
from launch.experiments.scale import FOLDER, read_scale
from launch.experiments.tables import markdown, number, signed, write_tables

SOLVES = {"base": 0.4, "sft": 0.4, "cft": 0.5, "cgd": 0.8}
ROW = "table1.Llama-3.1-8B-Instruct"
EVIL = "<script>alert(1)</script>|"


def variants(*names: str) -> list[Variant]:
    return [
        Variant(name=name, objective=name, paper=f"{ROW}.{name}")  # type: ignore[arg-type]
        for name in names
    ]


def answered(root: Path, names: tuple[str, ...], seeds: range = range(3), count: int = 40) -> None:
    """The harder a problem, the fewer variants solve it, so variants differ on the same problems."""
    for name in names:
        for seed in seeds:
            draws = random.Random(seed)
            marked(root, name, seed, [draws.random() < SOLVES[name] for _ in range(count)])


def results_of(made: Experiment, root: Path, **changes: Any) -> dict[str, Any]:
    return collect_results(grid_of(made, root, **changes))


def by_variant(results: dict[str, Any]) -> dict[str, Any]:
    return {line["variant"]: line for line in results["rows"]}


def test_a_cell_that_was_not_run_says_so_and_one_that_cannot_be_has_a_dash(tmp_path: Path) -> None:
    answered(tmp_path, ("base",))
    made = experiment(variants("base", "cgd"), ["MATH500", "AMC23"], reference="base")
    results = results_of(made, tmp_path)
    states = {(line["variant"], line["measure"]): line["state"] for line in results["rows"]}
    assert states == {
        ("base", "MATH500"): "measured",
        ("cgd", "MATH500"): "not run",
        ("base", "AMC23"): "–",
        ("cgd", "AMC23"): "–",
    }
    text = markdown(results)
    assert "| cgd | MATH500 (arithmetic-new) | 54.2 | not run | +3.6 | – | – | not run |" in text
    assert "| AMC23 |" not in text
    assert "Nothing stands for AMC23 at this scale." in text
    assert "3 of the table's cells, counting every seed, are not run." in text


def test_a_variant_of_which_some_seeds_are_missing_says_how_many(tmp_path: Path) -> None:
    answered(tmp_path, ("base", "cgd"))
    (folder_of(tmp_path, "cgd", 1) / "evals" / "base" / "scores.json").unlink()
    results = results_of(experiment(variants("base", "cgd"), reference="base"), tmp_path)
    cgd = by_variant(results)["cgd"]
    assert (cgd["seeds"], cgd["seeds_missing"], cgd["difference"]["seeds"]) == (2, 1, 2)
    assert cgd["difference"]["p_seeds"] is None
    assert "| 80 / 2 of 3 |" in markdown(results)


def test_values_stand_in_percent_beside_the_papers(tmp_path: Path) -> None:
    answered(tmp_path, ("cgd",))
    cgd = by_variant(results_of(experiment(variants("cgd")), tmp_path))["cgd"]
    assert cgd["paper"]["value"] == 54.2
    assert cgd["value"] == pytest.approx(sum(cgd["per_seed"].values()) / 3)
    assert 50 < cgd["value"] <= 100
    assert cgd["interval"][0] < cgd["value"] < cgd["interval"][1] <= 100


def test_differences_pair_the_same_problems(tmp_path: Path) -> None:
    """The base is asked problems that cgd is not: they count for its value, not for the difference."""
    for seed in range(3):
        marked(tmp_path, "cgd", seed, [True, True, False, False])
        marked(tmp_path, "base", seed, [True, False, False, False, True, True, True, True])
    results = results_of(experiment(variants("base", "cgd"), reference="base"), tmp_path)
    cgd = by_variant(results)["cgd"]
    assert cgd["difference"]["value"] == pytest.approx(25.0)
    assert (cgd["difference"]["problems"], cgd["difference"]["left_out"]) == (12, 12)
    assert any("12 answers had no counterpart" in note for note in results["notes"])


def test_another_student_is_compared_with_its_own_base(tmp_path: Path) -> None:
    own = Variant(name="other_base", objective="base", student="other")
    better = Variant(name="other_cgd", objective="cgd", student="other")
    made = experiment([*variants("base", "cgd"), own, better], reference="base")
    rows = by_variant(results_of(made, tmp_path))
    assert rows["cgd"]["reference"] == "base"
    assert rows["other_cgd"]["reference"] == "other_base"
    assert rows["base"]["reference"] is rows["other_base"]["reference"] is None


def test_claims_are_corrected_for_each_other(tmp_path: Path) -> None:
    names = ("base", "sft", "cft", "cgd")
    answered(tmp_path, names, count=100)
    claims = (
        ("cgd", ">", "base", "MATH500"),
        ("cft", ">", "base", "MATH500"),
        ("base", ">", "cgd", "MATH500"),
        ("sft", ">", "base", "MATH500"),
        ("cgd", ">", "base", "AMC23"),
        ("cgd", ">", "base", "OlympiadBench"),
    )
    made = experiment(variants(*names), ["MATH500", "AMC23"], claims=claims)
    found = results_of(made, tmp_path)["claims"]
    tested = [claim["difference"] for claim in found if "difference" in claim]
    assert len(tested) == 4
    assert [one["p_holm"] for one in tested] == holm([one["p"] for one in tested])
    assert found[0]["verdict"] == "resolved"
    assert 20 < found[0]["difference"]["value"] < 60, "in points"
    assert found[2]["verdict"] == "opposite, resolved"
    assert found[3]["verdict"].startswith("not resolved at this n (p = 1.000")
    assert found[4]["verdict"] == "no such measure at this scale"
    assert found[5]["verdict"] == "no such measure at this scale"


def test_a_claim_that_is_not_tested_says_why(tmp_path: Path) -> None:
    answered(tmp_path, ("base", "sft"))
    for seed in range(3):
        marked(tmp_path, "cft", seed + 10, [True, False])  # other problems than the base's
        other = folder_of(tmp_path, "cft", seed)
        other.parent.mkdir(exist_ok=True)
        folder_of(tmp_path, "cft", seed + 10).rename(other)
    later = Variant(name="later", objective="cgd", scales=("paper",))
    why = {
        ("cgd", "MATH500"): "not run",
        ("cgd", "AMC23"): "no such measure at this scale",
        ("later", "MATH500"): "no such variant at this scale",
        ("cft", "MATH500"): "not tested: they have no seed and problem in common",
    }
    made = experiment(
        [*variants("base", "sft", "cft", "cgd"), later],
        ["MATH500", "AMC23"],
        claims=tuple((name, ">", "base", measure) for name, measure in why),
    )
    found = grid_of(made, tmp_path)
    cells = tuple(cell for cell in found.cells if cell.variant is not later)
    said = [claim["verdict"] for claim in collect_results(replace(found, cells=cells))["claims"]]
    assert said == list(why.values())


def test_a_resolved_difference_says_whether_the_paper_has_it_too(tmp_path: Path) -> None:
    names = ("base", "sft", "cgd")
    answered(tmp_path, names, count=100)
    results = results_of(experiment(variants(*names), reference="base"), tmp_path)
    assert by_variant(results)["cgd"]["difference"]["verdict"] == "higher, as in the paper"
    assert by_variant(results)["cgd"]["paper_difference"] == pytest.approx(3.6)
    turned = experiment(variants(*names), reference="cgd")
    assert by_variant(results_of(turned, tmp_path))["base"]["difference"]["verdict"].startswith(
        "lower"
    )


def test_directions_are_those_of_the_difference_and_compared_with_the_papers() -> None:
    assert direction("resolved", 2.0, 1.0) == "higher, as in the paper"
    assert direction("resolved", 2.0, -1.0) == "higher, unlike the paper"
    assert direction("resolved", -2.0, None) == "lower"
    assert direction("not resolved at this n", 2.0, 1.0) == "not resolved at this n"


def test_labels_cannot_break_the_table_or_the_page(tmp_path: Path) -> None:
    answered(tmp_path, ("base",))
    evil = Variant(name="base", label=EVIL, objective="base", x=1.0)
    made = experiment([evil], figure=Figure(kind="bars"), title=EVIL, shows=EVIL, expects=EVIL)
    page = write_tables(grid_of(made, tmp_path), tmp_path / "out")
    html = page.read_text(encoding="utf-8")
    drawing = (tmp_path / "out" / "figure.svg").read_text(encoding="utf-8")
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    for content in (html, drawing, text):
        assert "<script" not in content
    assert "&lt;script&gt;" in html
    assert all(
        line.count(" | ") == 4
        for line in text.splitlines()
        if line.startswith("| &lt;") and "MATH500" in line
    )


@pytest.mark.parametrize(
    ("paper", "told"), [("Table 9", "The paper"), ("", "Expected")], ids=["paper", "ours"]
)
def test_what_the_paper_does_not_claim_is_not_called_its(
    paper: str, told: str, tmp_path: Path
) -> None:
    answered(tmp_path, ("base",))
    made = experiment(variants("base"), paper=paper, expects="one wins")
    page = write_tables(grid_of(made, tmp_path), tmp_path / "out").read_text(encoding="utf-8")
    assert f"{told}: one wins" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert ("The paper" in page.split("one wins")[0]) == (told == "The paper")


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    answered(tmp_path, ("base",))
    made = experiment(variants("base"), figure=Figure(kind="bars"))
    html = write_tables(grid_of(made, tmp_path), tmp_path / "out").read_text(encoding="utf-8")
    assert "default-src 'none'; style-src 'sha256-" in html
    assert not re.search(r"(?:src|href)\s*=|@import|url\(|<link| style=|<script", html)
    assert html.count("<style>") == 1, "a drawing's own style would not pass the content policy"


def test_results_depend_on_no_clock_and_no_place(tmp_path: Path) -> None:
    made = experiment(variants("base", "cgd"), reference="base", figure=Figure(kind="bars"))
    contents = []
    for place in ("here", "there"):
        root = tmp_path / place
        answered(root, ("base", "cgd"))
        trained(root, "cgd", 0)
        write_tables(grid_of(made, root), root / "out")
        contents.append((root / "out" / "results.json").read_bytes())
    assert contents[0] == contents[1]
    assert str(tmp_path).encode() not in contents[0]


def test_results_keep_every_number_of_every_seed(tmp_path: Path) -> None:
    answered(tmp_path, ("base", "cgd"))
    made = experiment(variants("base", "cgd"), reference="base")
    write_tables(grid_of(made, tmp_path), tmp_path / "out")
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    cgd = by_variant(results)["cgd"]
    assert set(cgd["per_seed"]) == set(cgd["difference"]["per_seed"]) == {"0", "1", "2"}
    assert {"p_seeds", "p_problems", "p", "p_holm", "problems", "seeds"} <= set(cgd["difference"])
    assert results["command"] == "cgd reproduce table0 --scale mini"
    assert results["versions"]["torch"]
    assert len(results["config_digest"]) == 16
    others = ({"shows": "in other words"}, {"reference": "cgd"})
    said, changed = (
        results_of(replace(made, **change), tmp_path)["config_digest"] for change in others
    )
    assert said == results["config_digest"] != changed


def test_a_drawing_of_an_earlier_table_does_not_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "figure.svg").write_text("old")
    write_tables(grid_of(experiment(variants("base"), figure=Figure()), tmp_path), out)
    assert not (out / "figure.svg").exists()
    assert "The figure is not drawn" in (out / "report.md").read_text(encoding="utf-8")


def test_what_is_matched_is_counted_from_the_trainings(tmp_path: Path) -> None:
    answered(tmp_path, ("sft", "cgd"))
    for seed in range(3):
        trained(tmp_path, "sft", seed, steps=4, supervised=20)
        trained(tmp_path, "cgd", seed, steps=4, supervised=30)
    results = results_of(experiment(variants("sft", "cgd")), tmp_path)
    facts = {variant["name"]: variant["training"] for variant in results["variants"]}
    assert facts["cgd"] == {
        "seeds": 3, "examples": 20, "steps": 4, "tokens": 400, "supervised_tokens": 120, "learning_rate": 0.001,
    }  # fmt: skip
    notes = "\n".join(results["notes"])
    assert "have the same prompts, split and student answers" in notes
    assert "Optimizer steps: 4 in all trained variants." in notes
    assert "Supervised tokens are not the same: from 80 (sft) to 120 (cgd)." in notes
    assert "no checkpoint is chosen by a score" in notes


def test_an_earlier_epoch_counts_the_tokens_until_then(tmp_path: Path) -> None:
    early = Variant(name="early", objective="cgd", epoch=1)
    trained(tmp_path, "early", 0, steps=4)
    results = results_of(experiment([early]), tmp_path)
    facts = results["variants"][0]["training"]
    assert (facts["steps"], facts["tokens"]) == (2, 200)
    assert any("Measured after the epoch" in note for note in results["notes"])


def test_shares_of_a_mixture_are_not_called_the_same_prompts(tmp_path: Path) -> None:
    mixed = [
        Variant(name=f"share{share:g}", objective="cgd", correct_share=share, total=10)
        for share in (0.0, 1.0)
    ]
    notes = results_of(experiment(mixed), tmp_path)["notes"]
    assert any("choose their records from the same data generation" in note for note in notes)


def test_the_overview_counts_claims_and_leaves_out_other_settings(tmp_path: Path) -> None:
    names = ("base", "cgd")
    answered(tmp_path, names, count=100)
    claims = (("cgd", ">", "base", "MATH500"), ("cgd", "<", "base", "MATH500"))
    made = experiment(variants(*names), claims=claims)
    folder = tmp_path / "mini"
    for place in ("table0", "table0-1a2b3c4d"):
        write_tables(grid_of(made, tmp_path), folder / place)
    text = write_overview(folder).read_text(encoding="utf-8")
    assert "# 1 experiments at scale mini" in text
    assert "2 claims: 1 opposite, resolved, 1 resolved." in text
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "table0.json").write_bytes((folder / "table0" / "results.json").read_bytes())
    assert write_overview(kept).read_text(encoding="utf-8") == text
    with pytest.raises(ValueError, match="no results of experiments"):
        write_overview(tmp_path / "nothing")


def test_numbers_are_printed_to_the_digits_they_have() -> None:
    assert [number(v, "%") for v in (41.26, -3.0)] == ["41.3", "−3.0"]
    assert [number(v, "number") for v in (2110.4, 16.44, 0.01234, 0.0)] == [
        "2,110",
        "16.4",
        "0.0123",
        "0.00",
    ]
    assert number(0.912, "number", like=11.5) == "0.9"
    assert [signed(v, "%") for v in (4.2, -4.2, 0.0, None)] == ["+4.2", "−4.2", "0.0", "–"]


# ---- the paper's numbers ----------------------------------------------------------------------------


def test_keys_with_dots_are_found() -> None:
    assert lookup("table3.rows.cgd_claude-sonnet-3.7.MATH500").value == 79.4
    assert lookup("table1.S1.1-3B.cgd.AMC23").value == 35.0
    assert lookup("table7_13.Qwen2.5-Math-7B.cgd.gpu_hours").value == 48


def test_a_list_is_a_mean_and_its_deviation() -> None:
    found = lookup("table4.rows.A_specific_relevant.MATH500")
    assert (found.value, found.std) == (55.5, 0.6)


def test_an_unknown_path_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'table4\.rows\.A_specific_relevant'"):
        find("table4.rows.A_specific_relevan")
    with pytest.raises(ValueError, match="is no number"):
        lookup("table4.rows")


def test_a_row_stands_for_its_columns_and_a_measure_may_say_where() -> None:
    assert number_for("table5_16.rows", "{row}.MATH500", "MATH500") is None
    found = number_for("cgd", "table5_16.rows.pass@8.{row}", "pass@8")
    assert found is not None
    assert found.value == 23.3
    assert number_for("", "table5_16.rows.pass@8.{row}", "pass@8") is None
    whole = number_for("figure4.avg_by_share_correct.50%", "{row}", "Avg")
    assert whole is not None
    assert whole.value == 39.9
    with pytest.raises(ValueError, match="there is no"):
        number_for("nobody", "table5_16.rows.pass@8.{row}", "pass@8")


def test_every_path_of_the_file_leads_to_what_stands_there() -> None:
    every = list(paths(read_paper()))
    assert len(every) == len(set(every)) > 400
    for path in every:
        node: Any = read_paper()
        while path:
            key = max((k for k in node if path == k or path.startswith(f"{k}.")), key=len)
            node, path = node[key], path[len(key) + 1 :]
    assert all(find(path) is not None for path in every)


@pytest.mark.parametrize("name", experiment_names())
def test_every_path_of_an_experiment_resolves(name: str) -> None:
    made = load_experiment(name)
    for scale in made.scales:
        averages = read_scale(FOLDER / f"{scale}.toml").averages
        for variant in made.variants_at(scale):
            measures = made.measures_at(scale, averages)
            found = [number_for(variant.paper, one.paper, one.name) for one in measures]
            assert any(found) or not variant.paper, f"{variant.name}: nothing reads its row"


def test_a_measure_by_another_name_reads_its_own_path(tmp_path: Path) -> None:
    for seed in range(3):
        evaluated(tmp_path, "cgd", seed, {"arithmetic-new": [row(f"p{seed}", True, words=40)]})
    words = Measure(
        name="words", kind="words", benchmark="MATH500", paper="table5_16.rows.words.cgd"
    )
    results = results_of(experiment(variants("cgd"), [], [words]), tmp_path)
    line = results["rows"][0]
    assert (line["value"], line["paper"]["value"]) == (40, 2110)


def test_runs_of_different_code_are_told_apart(tmp_path: Path) -> None:
    answered(tmp_path, ("base", "cgd"), range(1))
    grid = grid_of(experiment(variants("base", "cgd")), tmp_path, seeds=[0])
    note = "Not all runs were made by the same state of the program's code: 1 runs by a, 1 by b."
    for other in ("a", "b"):
        for name, code in (("base", "a"), ("cgd", other)):
            told = json.dumps({"code": code})
            (folder_of(tmp_path, name, 0) / "environment.json").write_text(told)
        results = collect_results(grid)
        assert (note in results["notes"]) is (other == "b")
    assert results["code"] == {"a": 1, "b": 1}
