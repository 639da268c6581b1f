"""The report: made from files alone, complete or not, and safe to open."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from reported_run import HOSTILE, METHODS, build_run, write_accounts, write_training

from evals import plots
from evals.plots_shapes import bins, ribbon
from evals.report import write_report
from evals.report_comparisons import compare_marks
from evals.report_diagnostics import cell, diagnostic_rows, drawn_figures, stems
from evals.report_flow import flow_rows
from evals.report_generation import conclusion
from evals.report_headline import headline, headline_lines
from evals.report_lengths import at_share, nice
from evals.report_marks import Mark
from evals.report_paper import experiment_pages, paper_rows
from evals.report_results import collect_results
from evals.report_samples import (
    CHARACTERS_SHOWN,
    PAGE_CHARACTERS,
    SAMPLES_SHOWN,
    characters_of_a_text,
    clip,
    spread,
)
from evals.report_text import markdown, summary_table
from evals.report_training import read_curves
from evals.report_visible import visible
from evals.statistics import holm


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its report."""
    folder = build_run(tmp_path_factory.mktemp("runs") / "toy")
    write_accounts(folder, 60)
    assert write_report(folder) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    """The report's HTML."""
    return (run / "report.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Collects tags and attributes, and checks that every tag is closed in order."""

    VOID = frozenset({"meta", "br", "input", "line", "circle", "polyline"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.VOID or self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_what_a_model_writes_stays_text(page: str) -> None:
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    names = [tag for tag, _ in Tags(page).tags]
    assert "script" not in names
    assert "img" not in names
    assert "b" in names
    assert "<b>toy</b>" not in page


def test_the_page_loads_nothing_and_is_well_formed(page: str) -> None:
    tags = Tags(page)
    assert tags.open == []
    for tag, attributes in tags.tags:
        assert not attributes.keys() & {"src", "srcset", "style", "action", "data"}, tag
        assert not any(name.startswith("on") for name in attributes), tag
        assert (attributes.get("href") or "#").startswith("#"), tag
    assert "url(" not in page
    assert "@import" not in page


def test_the_content_policy_admits_the_pages_own_styles_and_nothing_else(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert "default-src 'none'" in policy.group(1)
    assert f"style-src 'sha256-{digest}'" in policy.group(1)
    assert "script-src" not in policy.group(1)


def test_anchors_and_labels_have_their_targets(page: str) -> None:
    tags = Tags(page).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"][1:] for tag, attributes in tags if tag == "a"]
    labels = [attributes["for"] for tag, attributes in tags if tag == "label"]
    assert links
    assert labels
    assert set(links + labels) <= set(ids)


def test_every_method_is_in_every_artifact(run: Path, page: str) -> None:
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    text = (run / "report.md").read_text(encoding="utf-8")
    for name in METHODS:
        score = results["methods"][name]["scores"]["arithmetic"]
        cell = f"{100 * score['accuracy']:.1f} %"
        assert cell in page
        assert cell in text
        assert re.search(rf"^{name} .*{re.escape(cell)}", summary_table(results), re.MULTILINE)
    assert results["missing"] == []


def test_methods_stand_in_the_order_of_the_paper_whatever_was_measured(run: Path) -> None:
    assert list(collect_results(run)["methods"]) == list(METHODS)


def test_differences_are_paired_and_signed(run: Path) -> None:
    results = collect_results(run)
    compared = [c for c in results["comparisons"] if c["benchmark"] == "arithmetic"]
    assert [(c["method"], c["against"]) for c in compared] == [
        *((name, "base") for name in METHODS if name != "base"),
        *(("cgd", name) for name in ("sft", "distilled_sft", "cft")),
    ]
    for comparison in compared:
        pair = (comparison["method"], comparison["against"])
        scores = [results["methods"][name]["scores"]["arithmetic"]["accuracy"] for name in pair]
        assert comparison["difference"] == pytest.approx(scores[0] - scores[1])
        assert comparison["problems"] == 60
        assert comparison["only_first"] - comparison["only_second"] == round(
            60 * comparison["difference"]
        )
    formats = [c for c in results["comparisons"] if c["benchmark"] == "arithmetic-format"]
    assert {c["measure"] for c in formats} == {"complies"}


def test_a_difference_is_one_only_if_it_stays_among_all_comparisons(run: Path) -> None:
    results = collect_results(run)
    compared = results["comparisons"]
    assert [c["p_holm"] for c in compared] == holm([c["p_value"] for c in compared])
    for comparison in compared:
        resolved = comparison["verdict"] in ("higher", "lower")
        assert resolved == (comparison["p_holm"] < 0.05)
        assert resolved or "not resolved" in comparison["verdict"]
    by_pair = {(c["benchmark"], c["method"], c["against"]): c["verdict"] for c in compared}
    assert by_pair["arithmetic", "cgd", "cft"] == "higher"
    assert by_pair["arithmetic", "cft", "base"] == "lower"
    text = markdown(results)
    assert f"corrected for all {len(compared)} comparisons (Holm)" in text
    assert "| p (Holm) |" in text
    alone = markdown({**results, "comparisons": compared[:1]})
    assert "Holm" not in alone, "one comparison needs no correction"


def test_only_problems_asked_in_the_same_words_are_compared() -> None:
    one = {name: Mark("same", 1.0, None) for name in ("a", "b", "c")}
    other = {"a": Mark("same", 0.0, None), "b": Mark("changed", 0.0, None), "d": one["a"]}
    found = compare_marks(one, other)
    assert found is not None
    measure, comparison, left_out = found
    assert (measure, comparison.problems, left_out) == ("correct", 1, 3)
    assert compare_marks(one, {}) is None


def test_the_flow_of_data_generation_is_counted(run: Path) -> None:
    generation = collect_results(run)["generation"]
    stages = {stage["stage"]: stage for stage in generation["stages"]}
    assert stages.keys() == {"prompts", "refinements"}
    assert stages["prompts"]["records"] == 60
    assert generation["student_right"] == {"yes": 20, "no": 40, "unknown": 0}
    assert generation["conclusion_right"]["no"] == 60
    assert generation["refined_right"]["yes"] == 60
    assert generation["teacher_right"]["unknown"] == 60


def test_every_step_says_how_many_came_in_and_out_and_why_the_others_did_not(run: Path) -> None:
    flow = {step["step"]: step for step in collect_results(run)["flow"]}
    chosen, answers = flow["rows become prompts"], flow["student answers"]
    assert (chosen["into"], chosen["out"]) == (69, 60)
    assert chosen["lost"] == {
        "like a benchmark's problem": 4,
        "exact duplicate": 3,
        "beyond the limit": 2,
    }
    assert answers["lost"] == {"dropped: truncated": 1, "failed: timeout": 1}
    assert answers["right"] == 20
    assert flow["train cgd"]["lost"] == {"too long": 2, "no target": 1}
    rows = {row[0]: row for row in flow_rows(list(flow.values()))}
    assert rows["train cgd"][1:4] == ["1,203", "1,200", "3 (too long 2, no target 1)"]


def test_without_an_account_the_lines_of_the_files_are_the_flow(tmp_path: Path) -> None:
    flow = collect_results(build_run(tmp_path / "other", methods=("base",), count=6))["flow"]
    assert [(step["step"], step["into"], step["out"]) for step in flow] == [
        ("prompts", 6, 6),
        ("teacher refines", 6, 6),
    ]


def test_a_ribbon_loses_at_its_side_what_did_not_come_out() -> None:
    assert 'H100.00L50.00 100H0Z"' in ribbon(10, 5, 10)
    assert 'class="lost"' in ribbon(10, 5, 10)
    assert 'class="lost"' not in ribbon(10, 10, 10)
    assert 'class="right" x="0" y="30" width="30.00"' in ribbon(10, 5, 10, right=3)
    assert ribbon(0, 0, 0)


def test_lengths_are_counted_in_bins_of_a_common_axis(run: Path) -> None:
    groups = {group["title"]: group for group in collect_results(run)["lengths"]}
    assert groups.keys() == {"training records", "arithmetic", "arithmetic-format"}
    for group in groups.values():
        for row in group["rows"]:
            assert sum(row["bins"]) == row["texts"] == 60
            assert row["p50"] <= row["p95"] <= row["longest"]
    assert [row["name"] for row in groups["arithmetic"]["rows"]] == list(METHODS)
    assert bins([0, 9, 10, 19, 20, 500], 20, 2) == [2, 4]
    assert [at_share(range(1, 101), share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert at_share([7], 0.5) == 7
    assert [nice(value) for value in (0, 8, 9, 61, 125, 5999)] == [8, 8, 10, 80, 150, 6000]


def test_figures_of_a_diagnostic_carry_their_intervals_and_are_drawn(run: Path, page: str) -> None:
    entry = collect_results(run)["diagnostics"]["robustness"]
    assert list(entry["models"]) == ["base", "cgd"]
    rows = {row[0]: row[1:] for row in diagnostic_rows(entry)}
    assert rows == {
        "n": ["60", "60"],
        "factual.accuracy": ["0.25 [0.15, 0.35]", "0.5 [0.4, 0.6]"],
        "factual_minus_none": ["−0.02, p < 0.001", "−0.02, p < 0.001"],
    }
    told = {"e.mean": 1.0, "e.sd": 0.5, "e.se": 0.1, "r": 0.2, "r.low": 0.1, "t": 3.0, "p": 0.01}
    assert {name: cell(told, name) for name in stems(told)} == {
        "e.mean": "1 ± 0.5, se 0.1",
        "r": "0.2 [0.1, -]",
        "t": "3",
        "p": "0.01",
    }
    drawn = [row for drawing in drawn_figures("robustness", entry) for row in drawing["rows"]]
    assert [row["text"] for row in drawn] == ["25.0 [15.0, 35.0]", "50.0 [40.0, 60.0]"]
    assert "its own critique, cgd" in page
    assert "cgd: noted 0.5" in page


def test_the_headline_names_who_is_highest_whoever_that_is(run: Path, page: str) -> None:
    results = collect_results(run)
    results["methods"]["cft"]["scores"]["arithmetic"]["accuracy"] = 0.99
    card = next(card for card in headline(results) if card["benchmark"] == "arithmetic")
    assert (card["method"], card["highest"], card["best"]) == ("cgd", ["cft"], "99.0 %")
    assert "; highest of 5: cft 99.0 %." in next(headline_lines([card]))
    assert 'class="big">' + str(card["change"]) in page
    alone = headline({**results, "comparisons": []})
    assert {card["change"] for card in alone} == {None}


def test_curves_of_rounds_stand_beside_each_other(tmp_path: Path) -> None:
    for number in ("1", "2", "10"):
        write_training(tmp_path / "rounds" / number / "train" / "cgd")
    curves = read_curves(tmp_path, ("cgd",))
    assert [curve.name for curve in curves] == ["cgd-round-1", "cgd-round-2", "cgd-round-10"]
    assert len(curves[0].losses) == len(curves[0].grad_norms) == 150
    assert plots.method_class("cgd-round-2") == "m-cgd"


def test_of_several_rounds_the_records_are_those_of_the_last(tmp_path: Path) -> None:
    for number, count in (("2", 4), ("10", 3)):
        build_run(tmp_path / number, (), count)
        shutil.copytree(tmp_path / number / "data", tmp_path / "rounds" / number / "data")
    results = collect_results(tmp_path / "10")
    assert "those of the last one" not in markdown(results)
    (tmp_path / "config.toml").write_text("")
    results = collect_results(tmp_path)
    assert "those of the last one" in markdown(results)
    assert [stage["records"] for stage in results["generation"]["stages"]] == [3, 3]
    assert {step["part"] for step in results["flow"]} == {"round 10"}
    assert results["lengths"][0]["rows"][0]["texts"] == 3


def test_ours_stands_beside_the_papers_where_both_have_a_benchmark(run: Path) -> None:
    paper = {"A student": {"base": {"GSM8K": 50.0}, "cgd": {"GSM8K": 52.5}}}
    results = json.loads(json.dumps(collect_results(run)).replace('"arithmetic"', '"gsm8k"'))
    rows = {row[1]: row for row in paper_rows(results, paper)}
    assert rows.keys() == {"base", "cgd"}
    assert rows["base"][4] == "50.0"
    assert rows["cgd"][4] == "52.5 (+2.5)"
    assert "## Beside the paper" in markdown(results, paper)
    assert not list(paper_rows(collect_results(run), paper)), "the built-in world is not in it"


def test_a_run_of_a_reproduction_leads_to_the_experiments_pages(tmp_path: Path) -> None:
    run = tmp_path / "mini" / "pool" / "evaluate" / "0a1b"
    (tmp_path / "mini" / "table1").mkdir(parents=True)
    (tmp_path / "mini" / "table1" / "report.html").write_text("")
    (run / "evals").mkdir(parents=True)
    ((name, path),) = experiment_pages(run)
    assert name == "table1"
    assert (run / path).resolve() == tmp_path / "mini" / "table1" / "report.html"
    assert path in write_report(run).read_text()
    assert experiment_pages(tmp_path / "mini" / "pool") == []


def test_hidden_characters_are_shown_by_their_numbers() -> None:
    hidden = "a\u202eb\x1b[2J\x00\r\u200b\ufeff\ud800"
    assert visible(hidden) == ("a⟨U+202E⟩b⟨U+001B⟩[2J⟨U+0000⟩⟨U+000D⟩⟨U+200B⟩⟨U+FEFF⟩⟨U+D800⟩")
    plain = "tab\tline\nwindows\r\n ünïcode 你好 👩‍🔬 שלום"
    assert visible(plain) == plain.replace("\r\n", "\n")


def test_a_page_stays_bounded_however_long_the_texts_are(tmp_path: Path) -> None:
    run = build_run(tmp_path / "large", methods=("base",), count=3)
    path = run / "evals" / "base" / "arithmetic.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    long = "</style></pre><script>\u202e\x00" * 40_000
    rows = [row | {"output": long} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_report(run).read_text(encoding="utf-8")
    assert len(page) < 300_000
    assert "more characters]" in page
    assert "⟨U+202E⟩⟨U+0000⟩" in page
    assert page.count("</style>") == 1
    assert "<script" not in page
    many = characters_of_a_text(sets=30, texts=12)
    assert many * 30 * 12 * SAMPLES_SHOWN <= 1.5 * PAGE_CHARACTERS


def test_every_button_of_the_filters_is_a_rule_and_every_rule_a_button(page: str) -> None:
    style = page[page.index("<style>") : page.index("</style>")]
    buttons = {
        str(attributes["id"])
        for tag, attributes in Tags(page).tags
        if tag == "input" and not str(attributes["id"]).endswith(("-all", "folded"))
    }
    ruled = set(re.findall(r"#((?:set|before|after|method|refined|show|texts)-\w+)", style))
    assert ruled == buttons


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(page: str, dark: bool) -> None:
    blocks = re.findall(r":root \{(.*?)\n *\}", page, re.DOTALL)
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", blocks[0]))
    if dark:
        colours |= dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", blocks[1]))
    for ground in ("paper", "card", "note"):
        for text in ("ink", "soft", "good", "bad", "accent"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    hues = ("base", "sft", "distilled", "cft", "ablation", "cgd", "other", "round")
    for hue in hues:
        assert contrast(colours[hue], colours["paper"]) >= 3, hue


def contrast(one: str, other: str) -> float:
    """Of two colours, as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_headings_come_in_order(page: str) -> None:
    levels = [int(tag[1]) for tag, _ in Tags(page).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_toy_says_that_it_is_one_and_nothing_else_does(run: Path) -> None:
    results = collect_results(run)
    assert "toy" in markdown(results).split("## Results")[0]
    real = {**results, "built_in_world": False, "run": {**results["run"], "name": "real"}}
    assert "toy" not in markdown(real)


def test_samples_are_limited_and_say_of_how_many(page: str) -> None:
    assert page.count("<small>50 of 60</small>") == 3  # training records and two benchmarks
    assert page.count('<details class="s ') == 150


def test_an_unfinished_run_renders_and_says_what_is_missing(tmp_path: Path) -> None:
    run = build_run(tmp_path / "part", methods=("base", "cgd"), count=6)
    (run / "train" / "cgd" / "summary.json").unlink()
    (run / "train" / "sft").mkdir()
    (run / "train" / "sft" / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 2.0}\n{"step": 2, "lo'
    )
    write_report(run)
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    assert "cft: not evaluated" in results["missing"]
    assert "cgd: training not finished" in results["missing"]
    assert "Not there yet: " in (run / "report.md").read_text(encoding="utf-8")
    assert "cft: not evaluated" in (run / "report.html").read_text(encoding="utf-8")
    assert re.search(r"^cft +- ", summary_table(results), re.MULTILINE)


def test_a_run_without_a_base_or_without_anything_still_renders(tmp_path: Path) -> None:
    write_report(build_run(tmp_path / "lone", methods=("cgd",), count=3))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="is no run folder: it holds none of"):
        write_report(empty)
    (empty / "config.toml").write_text('[run]\nname = "begun"\n')
    write_report(empty)
    assert "base: not evaluated" in (empty / "report.md").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="no such run folder"):
        write_report(tmp_path / "nowhere")


def test_the_same_files_give_the_same_report(run: Path, page: str) -> None:
    write_report(run)
    assert (run / "report.html").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("critique", "verdict"),
    [
        ("All fine.\nConclusion: right", True),
        ("Conclusion: right\nOn second thought\n**Conclusion: Wrong.**", False),
        ("Conclusion: who knows", None),
        ("no verdict", None),
        (None, None),
    ],
)
def test_the_last_conclusion_of_a_critique_is_its_verdict(
    critique: str | None, verdict: bool | None
) -> None:
    assert conclusion(critique) is verdict


def test_samples_are_spread_over_the_file() -> None:
    assert spread(range(100), 4) == [0, 25, 50, 75]
    assert spread(range(3), 4) == [0, 1, 2]
    assert clip("x" * (CHARACTERS_SHOWN + 7)).endswith("[7 more characters]")


def test_plots_place_figures_on_round_ticks() -> None:
    assert plots.ticks(0, 100) == [0, 20, 40, 60, 80, 100]
    assert plots.ticks(-15, 15, 5)[len(plots.ticks(-15, 15, 5)) // 2] == 0
    assert plots.symmetric_axis([3.0, -12.2]) == (-15.0, 15.0)
    means = plots.slice_means([4.0, 2.0, 1.0, 1.0], 2)
    assert means == [(0.25, 3.0), (0.75, 1.0)]
    assert plots.slice_means([float("nan"), 2.0, float("inf"), float("nan")], 2) == [(0.25, 2.0)]
    lone = plots.curve_chart("Loss", [("cgd", "m-cgd", [0.9])])
    assert 'points="49.00,50.00 51.00,50.00"' in lone, "a line of one point would not be drawn"
    nothing = [("cgd", "m-cgd", [float("nan")])]
    assert plots.curve_chart("Loss", []) == plots.curve_chart("Loss", nothing) == ""
    assert plots.log_ticks((-2.0, 1.0)) == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]
    assert len(plots.log_ticks((-1.0, -0.9))) > 2, "a narrow axis has ticks, too"
