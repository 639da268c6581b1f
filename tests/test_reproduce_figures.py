"""Claims about the figures of an experiment: numbers, marks, and texts that stay texts."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from reproduced import experiment, folder_of, grid_of, marked, trained

from launch.experiments.curves import figure_data
from launch.experiments.drawing import DASHES, MARKS, Axis, axis_over, hues_of
from launch.experiments.experiment import Experiment, Figure, Variant
from launch.experiments.figures import draw
from launch.experiments.grid import Grid
from launch.experiments.results import collect_results

KINDS = ("bars", "lines", "loss_curves", "attention_layers", "attention_steps", "attention_phases")
PAPER = "table1.Llama-3.1-8B-Instruct"


def made(kind: Any, **settings: Any) -> Experiment:
    rows = [
        Variant(name="base", objective="base", paper=f"{PAPER}.base"),
        Variant(name="cft", objective="cft", paper=f"{PAPER}.cft", x=1e-6, series="cft"),
        Variant(name="cft5", objective="cft", x=5e-6, series="cft"),
        Variant(name="cgd", label="CGD <b>", objective="cgd", paper=f"{PAPER}.cgd", x=1e-6, series="cgd"),
        Variant(name="cgd5", objective="cgd", x=5e-6, series="cgd"),
    ]  # fmt: skip
    return experiment(rows, figure=Figure(kind=kind, x="learning rate", **settings))


def attention() -> dict[str, Any]:
    """What the diagnostic writes, of two places along each axis."""
    axes = {"by_layer": ("layers", [1, 2]), "by_step": ("steps", [1, 2])}
    axes["by_phase"] = ("phases", ["early", "late"])
    regions = ("problem", "student_answer", "critique")
    shares = {region: [[0.3, 0.2, 0.4], [0.4, 0.3, 0.5]] for region in regions}
    three = {table: {axis: places} | shares for table, (axis, places) in axes.items()}
    return {"figures": {}, "curves": {"of_three": three}}


def filled(root: Path, kind: str, **settings: Any) -> Grid:
    grid = grid_of(made(kind, **settings), root)
    for place, variant in enumerate(grid.experiment.variants):
        for seed in range(3):
            marked(root, variant.name, seed, [n < place + 3 + seed for n in range(10)])
            if variant.is_trained:
                trained(root, variant.name, seed, steps=6 + seed)
            folder = folder_of(root, variant.name, seed) / "diagnostics"
            folder.mkdir()
            (folder / "attention.json").write_text(json.dumps(attention()))
    return grid


def data_of(grid: Grid) -> dict[str, Any]:
    found = collect_results(grid)["figure"]
    assert found is not None
    return dict(found)


def tags(svg: str, name: str, style: str) -> list[ElementTree.Element]:
    """Elements of a kind that have a class."""
    every = ElementTree.fromstring(svg).iter()
    return [e for e in every if e.tag.endswith(name) and style in e.get("class", "").split()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_as_valid_xml_without_scripts_or_loads(
    tmp_path: Path, kind: str
) -> None:
    svg = draw(data_of(filled(tmp_path, kind)), alone=True)
    root = ElementTree.fromstring(svg)
    assert root.get("viewBox")
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names <= {"svg", "style", "rect", "line", "circle", "polygon", "polyline", "text"}
    assert "nan" not in svg
    assert "<b>" not in svg


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_is_drawn_from_the_results_alone(tmp_path: Path, kind: str) -> None:
    figure = data_of(filled(tmp_path, kind))
    assert draw(json.loads(json.dumps(figure))) == draw(figure)


def test_a_figure_in_a_page_has_no_style_of_its_own(tmp_path: Path) -> None:
    """The page's content policy would not admit it."""
    svg = draw(data_of(filled(tmp_path, "bars")))
    assert "<style" not in svg
    assert " style=" not in svg


def test_bars_begin_at_zero_and_are_as_long_as_their_values(tmp_path: Path) -> None:
    figure = data_of(filled(tmp_path, "bars"))
    points = figure["panels"][0]["series"][0]["points"]
    bars = tags(draw(figure), "rect", "f-bar")
    lengths = [float(bar.get("width", "0")) for bar in bars]
    assert len({bar.get("x") for bar in bars}) == 1
    assert [length / lengths[0] for length in lengths] == pytest.approx(
        [point["y"] / points[0]["y"] for point in points], rel=0.01
    )


def test_the_papers_numbers_are_hollow_marks_beside_ours(tmp_path: Path) -> None:
    figure = data_of(filled(tmp_path, "bars"))
    points = figure["panels"][0]["series"][0]["points"]
    assert [point["paper"] for point in points] == [50.6, 51.8, None, 54.2, None]
    assert len(tags(draw(figure), "polygon", "f-paper")) == 3 + 1, "three, and one in the key"


def test_a_figure_without_the_papers_numbers_has_no_key_to_them(tmp_path: Path) -> None:
    assert "the paper" not in draw(data_of(filled(tmp_path, "attention_layers")))


def test_lines_join_a_series_along_x_and_base_is_a_level(tmp_path: Path) -> None:
    figure = data_of(filled(tmp_path, "lines", log=True))
    series = {one["name"]: one["points"] for one in figure["panels"][0]["series"]}
    assert [point["x"] for point in series["cgd"]] == [1e-6, 5e-6]
    assert [point["x"] for point in series["base"]] == [None]
    svg = draw(figure)
    texts = "".join(ElementTree.fromstring(svg).itertext())
    assert "1e-06" in texts
    assert "5e-06" in texts
    levels = [
        line for line in tags(svg, "polyline", "f-line") if line.get("stroke-dasharray") == "1 4"
    ]
    heights = {point.split(",")[1] for point in levels[-1].get("points", "").split()}
    assert len(heights) == 1


def test_a_missing_point_leaves_the_others(tmp_path: Path) -> None:
    grid = filled(tmp_path, "lines")
    for seed in range(3):
        (folder_of(tmp_path, "cgd", seed) / "evals" / "base" / "scores.json").unlink()
    series = {one["name"]: one["points"] for one in data_of(grid)["panels"][0]["series"]}
    assert [point["x"] for point in series["cgd"]] == [5e-6]


def test_nothing_measured_is_no_figure(tmp_path: Path) -> None:
    for kind in KINDS:
        grid = grid_of(made(kind), tmp_path)
        cells = {v.name: [c for c in grid.cells if c.variant.name == v.name] for v in grid.variants}
        assert figure_data(grid, cells, grid.measures, []) is None


def test_loss_curves_are_means_over_seeds_at_equal_progress(tmp_path: Path) -> None:
    figure = data_of(filled(tmp_path, "loss_curves"))
    cgd = next(one for one in figure["panels"][0]["series"] if one["name"] == "CGD <b>")
    first = cgd["points"][0]
    assert len(cgd["points"]) == 6, "as far as the shortest"
    assert first["y"] == pytest.approx(1.0)
    assert all(0 < point["x"] < 1 for point in cgd["points"])
    assert all(point["low"] <= point["y"] <= point["high"] for point in cgd["points"])
    assert [one["name"] for one in figure["panels"][0]["series"]] == [
        "cft",
        "cft5",
        "CGD <b>",
        "cgd5",
    ]


def test_attention_has_a_panel_a_variant_and_a_band_a_region(tmp_path: Path) -> None:
    figure = data_of(filled(tmp_path, "attention_layers"))
    assert [panel["title"] for panel in figure["panels"]] == [
        "base",
        "cft",
        "cft5",
        "CGD <b>",
        "cgd5",
    ]
    point = figure["panels"][0]["series"][0]["points"][0]
    assert (point["y"], point["low"], point["high"]) == (30.0, 20.0, 40.0)
    assert len(tags(draw(figure), "polygon", "f-band")) == 15
    phases = data_of(filled(tmp_path / "phases", "attention_phases"))
    assert phases["names"] == ["early", "late"]


def test_series_differ_by_more_than_colour() -> None:
    looks = set(zip(DASHES, MARKS, strict=True))
    assert len(looks) == len(DASHES)
    assert len(set(DASHES)) == len(DASHES)


def test_methods_keep_their_colour_unless_two_series_share_one() -> None:
    assert hues_of(["cft", "cgd"]) == [3, 0]
    assert hues_of(["cgd", "cgd"]) == [0, 1]
    assert hues_of(["problem", "student answer", "critique"]) == [0, 1, 2]


def test_axes_place_values_in_order_and_take_what_a_logarithm_cannot() -> None:
    linear = axis_over([3.0, 9.0], 0, 100)
    assert 0 < linear.place(3) < linear.place(9) < 100
    upwards = Axis(1.0, 100.0, 200.0, 0.0, log=True)
    assert (upwards.place(1), upwards.place(10), upwards.place(100)) == (200, 100, 0)
    assert upwards.place(-1) == 200
    assert axis_over([5.0], 0, 100).place(5) == 50
    assert axis_over([], 0, 1, log=True).marks
