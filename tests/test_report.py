"""The report: made from files alone, complete or not, and safe to open."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import pytest

from datagen.arithmetic import problems
from datagen.generators import Completion, Request, Sampling
from datagen.records import write_records
from evals import plots
from evals.report import write_report
from evals.report_comparisons import compare_marks
from evals.report_generation import conclusion
from evals.report_marks import Mark
from evals.report_results import collect_results
from evals.report_samples import CHARACTERS_SHOWN, clip, spread
from evals.report_text import markdown, summary_table
from evals.run import EvaluateConfig, evaluate
from evals.statistics import holm

HOSTILE = "<script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)>"
METHODS = {"base": 0.4, "sft": 0.3, "distilled_sft": 0.6, "cft": 0.1, "cgd": 0.5}


class Noisy:
    """Answers the built-in problems right with some probability, and always with hostile text."""

    def __init__(self, method: str) -> None:
        self.identity = {"backend": "test", "model": method, "revision": ""}
        self.share = METHODS[method]

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, done: AbstractSet[int] = frozenset()
    ) -> Iterator[tuple[int, Completion]]:
        for index, request in enumerate(requests):
            right = Random(f"{self.identity} {request.id}").random() < self.share
            answer = GOLD[request.id] if right and request.id in GOLD else "-1"
            yield index, Completion(f"{HOSTILE} so \\boxed{{{answer}}}", "stop", 9, 12, 0.1)


GOLD = {record.id: record.final_answer for record in (p.record() for p in problems("test", 60, 0))}


def build_run(run: Path, methods: Sequence[str] = tuple(METHODS), count: int = 60) -> Path:
    """A run folder as the pipeline leaves it."""
    run.mkdir()
    objectives = ", ".join(f'"{name}"' for name in METHODS if name != "base")
    (run / "config.toml").write_text(
        f'[run]\nname = "<b>toy</b> | one"\nseed = 0\n[pipeline]\nobjectives = [{objectives}]\n'
    )
    (run / "data").mkdir()
    records = [p.record() for p in problems("train", count, 0)]
    write_records(run / "data" / "prompts.jsonl", records)
    done = [
        record.with_stage(
            "answer",
            {"finish_reason": "length" if place == 0 else "stop"},
            student_answer=HOSTILE,
            student_correct=place % 3 == 0,
            critique="Step 1 slips.\nConclusion: wrong",
            refined_answer=record.answer,
        )
        for place, record in enumerate(records)
    ]
    write_records(run / "data" / "refinements.jsonl", done)
    config = EvaluateConfig(limit=count)
    for name in methods:
        evaluate(name, Noisy(name), config, run / "evals", say=lambda _: None)
        if name != "base":
            write_training(run / "train" / name)
    return run


def write_training(folder: Path) -> None:
    """Metrics and summary of a finished training."""
    folder.mkdir(parents=True)
    losses = [3.0 / (1 + step / 20) for step in range(150)]
    rows = [{"step": step, "loss": loss} for step, loss in enumerate(losses, start=1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    summary = {"steps": 150, "examples": 1200, "train_seconds": 41.5, "final_loss": 0.35}
    (folder / "summary.json").write_text(json.dumps(summary))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its report."""
    folder = build_run(tmp_path_factory.mktemp("runs") / "toy")
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


def test_the_toy_says_that_it_is_one_and_nothing_else_does(run: Path) -> None:
    results = collect_results(run)
    assert "toy" in markdown(results).split("## Results")[0]
    real = {**results, "built_in_world": False, "run": {**results["run"], "name": "real"}}
    assert "toy" not in markdown(real)


def test_samples_are_limited_and_say_of_how_many(page: str) -> None:
    assert page.count("40 of 60") == 3  # training records and two benchmarks
    assert page.count("<details") == 120


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
    assert plots.loss_chart({}) == plots.loss_chart({"cgd": []}) == ""
