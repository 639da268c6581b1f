"""Several runs on one page, and `cgd report` that makes it: differences, not names, are what is compared."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run
from reported_run import build_run

from evals.report_comparison import write_comparison
from evals.report_runs import (
    collect_comparison,
    labels_of,
    pair_rows,
    score_rows,
    settings_rows,
)
from launch import experiments
from launch.reporting import report_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of the same problems: the second has fewer methods, another seed, and cgd is wrong everywhere."""
    root = tmp_path_factory.mktemp("runs")
    first = build_run(root / "first", ("base", "cft", "cgd"), 30)
    second = build_run(root / "second", ("base", "cgd"), 30)
    config = (second / "config.toml").read_text()
    config = config.replace("seed = 0", "seed = 1").replace('"<b>toy</b> | one"', '"<i>other</i>"')
    (second / "config.toml").write_text(config)
    path = second / "evals" / "cgd" / "arithmetic.jsonl"
    rows = [json.loads(line) | {"correct": False} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [first, second]


def test_only_settings_that_differ_are_shown(runs: list[Path]) -> None:
    told = collect_comparison(runs)
    assert list(settings_rows(told)) == [["run.seed", "0", "1"]]
    assert told["settings_alike"] > 0


def test_later_runs_are_paired_with_the_first_on_the_same_problems(runs: list[Path]) -> None:
    told = collect_comparison(runs)
    pairs = {(one["benchmark"], one["method"]): one for one in told["comparisons"]}
    assert pairs.keys() == {("arithmetic", "cgd")}, "models that did alike have no difference"
    one = pairs["arithmetic", "cgd"]
    before = told["results"][0]["methods"]["cgd"]["scores"]["arithmetic"]["accuracy"]
    assert one["difference"] == pytest.approx(-before)
    assert (one["problems"], one["only_first"], one["verdict"]) == (30, 0, "lower")
    assert next(pair_rows(told))[2] == "<i>other</i> − <b>toy</b> | one"
    cft = next(row for row in score_rows(told) if row[:2] == ["arithmetic", "cft"])
    assert cft[3] == "-", "a method that one run lacks has a dash there"


def test_the_comparison_is_one_page_that_loads_nothing(runs: list[Path], tmp_path: Path) -> None:
    page = write_comparison(runs, tmp_path / "both.html").read_text(encoding="utf-8")
    assert "<i>other</i>" not in page
    assert "&lt;i&gt;other&lt;/i&gt;" in page
    assert "<script" not in page
    assert page.count('class="chart"') == 4, "two objectives, loss and gradient norm of each"
    titles = re.findall(r"<title>(cgd: loss[^<]*)</title>", page)
    assert len(titles) == 1
    assert titles[0].count(" to 0.355") == 2, "the curves of both runs"
    told = json.loads((tmp_path / "both.json").read_text(encoding="utf-8"))
    assert [run["label"] for run in told["runs"]] == ["<b>toy</b> | one", "<i>other</i>"]
    text = (tmp_path / "both.md").read_text(encoding="utf-8")
    assert "## Settings that differ\n\n| key | &lt;b>toy" in text
    assert "| run.seed | 0 | 1 |" in text


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    assert labels_of(folders, ["x", "y"]) == ["x", "y"]
    assert labels_of(folders, ["x", "x"]) == [f"x ({folder})" for folder in folders]


def test_report_writes_each_runs_page_and_the_one_of_all(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report_runs(runs, tmp_path / "both.html", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["comparison"] == str(tmp_path / "both.html")
    for one, run in zip(told["runs"], runs, strict=True):
        assert Path(one["page"]) == run / "report.html"
        assert all(Path(one[name]).is_file() for name in ("page", "text", "results"))
        assert one["headline"][0]["benchmark"] == "arithmetic"
        assert one["methods"]["cgd"]["arithmetic"].keys() == {"accuracy", "accuracy_interval"}
    report_runs(runs[:1], None, as_json=False)
    said = capsys.readouterr().out
    assert said.startswith(
        f"report: {runs[0] / 'report.html'}; not there yet: sft: not evaluated, "
    )


def test_report_of_a_reproduction_is_its_overview(tmp_path: Path, cgd: Run) -> None:
    kept = Path(experiments.__file__).parent / "results" / "mini"
    for name in ("table1.json", "figure3.json"):
        shutil.copy(kept / name, tmp_path)
    code, printed = cgd("report", tmp_path)
    assert code == 0
    assert printed.strip() == f"overview: {tmp_path / 'overview.html'}"
    page = (tmp_path / "overview.html").read_text(encoding="utf-8")
    assert "Ours, and the paper&#39;s in brackets" in page
    assert page.count('class="fig"') == 2
    assert "cgd &gt; distilled_sft" in page
    assert (tmp_path / "overview.md").is_file()


def test_report_says_what_it_cannot_report(runs: list[Path], tmp_path: Path, cgd: Run) -> None:
    page = tmp_path / "page.html"
    for arguments, said in (
        ([tmp_path / "absent"], "there is no such run folder"),
        ([tmp_path], "is no run folder"),
        ([Path(__file__)], "is a file; name a run folder"),
        ([runs[0], runs[0]], "is named twice"),
        ([runs[0], "--out", page], "the report of one run lies in its folder"),
        ([*runs, "--out", tmp_path / "page.txt"], "must end in .html"),
    ):
        code, printed = cgd("report", *arguments)
        assert code == 2
        assert said in printed
    assert not page.exists()


def test_reports_need_no_torch() -> None:
    program = "import sys, launch.reporting; print({'torch', 'transformers'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
