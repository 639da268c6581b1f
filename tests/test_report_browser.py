"""The pages in a real browser: they open without a complaint, fit a phone, print, and the filters filter.

One browser is started for all of it, and everything that is observed is looked at by the tests below.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Tab, with_browser
from reported_run import METHODS, build_run, write_accounts

from evals.report import write_report
from evals.report_comparison import write_comparison
from evals.report_generation import read_last_records
from evals.report_results import collect_results
from evals.report_samples import Sample, sample_sets

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

HOSTILE = (
    "</pre></style><script>document.title='taken'</script><b onclick=x()>\u202eabc\x1b[31m\x00"
)
VISIBLE = """JSON.stringify([...document.querySelectorAll('#samples .s')]
  .filter(e => e.getClientRects().length).map(e => e.querySelector('h4 span').textContent))"""
OVERFLOW = """JSON.stringify([document.documentElement.scrollWidth - innerWidth,
  [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, nav, svg, .sr') &&
    e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + '.' + e.className).slice(0, 5)])"""
SHOWN_TEXTS = """[...document.querySelectorAll('#samples .s .texts')].filter(
  e => e.checkVisibility({contentVisibilityAuto: true}) && e.getClientRects().length).length"""
CLICKS = {
    "at first": [],
    "wrong before": ["before-no"],
    "and right after, any method": ["after-yes"],
    "and by cgd": ["method-3"],
    "all of them": ["show-all"],
    "wrong after by cgd": ["after-no"],
    "five": ["before-any", "after-any", "show-5"],
    "records": ["after-yes", "set-2"],
    "records, wrong before": ["before-no"],
    "records, refinement wrong": ["refined-no"],
    "the other benchmark": ["set-1", "method-any", "after-any"],
    "wrong after, any method": ["set-0", "before-yes", "after-no", "show-all"],
}
"""What is clicked one after the other; each goes on from the one before."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs, the first with an answer that wants to break the page."""
    root = tmp_path_factory.mktemp("runs")
    made = [build_run(root / "first"), build_run(root / "second", ("base", "cgd"), 20)]
    write_accounts(made[0], 60)
    path = made[0] / "evals" / "base" / "arithmetic.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [
        row | {"output": HOSTILE * 20_000 if place == 0 else HOSTILE}
        for place, row in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for run in made:
        write_report(run)
    write_comparison(made, root / "both.html")
    return made


@pytest.fixture(scope="module")
def seen(runs: list[Path]) -> dict[str, Any]:
    """Everything that is observed, in one visit."""

    async def visit(tab: Tab) -> dict[str, Any]:
        page, both = runs[0] / "report.html", runs[0].parent / "both.html"
        found: dict[str, Any] = {}
        for name, file, width in (("page", page, 390), ("both", both, 390), ("wide", both, 1280)):
            await tab.open(file, width)
            found[f"{name} overflow"] = json.loads(await tab.run(OVERFLOW))
        await tab.open(page, 1280, dark=True)
        found["overflow"] = json.loads(await tab.run(OVERFLOW))
        found["dark"] = await tab.run("getComputedStyle(document.body).backgroundColor")
        found["title"] = await tab.run("document.title")
        found["scripts"] = await tab.run("document.scripts.length")
        for name, buttons in CLICKS.items():
            for button in buttons:
                await tab.click(f"label[for={button}]")
            found[name] = json.loads(await tab.run(VISIBLE))
            found[f"{name}, said"] = await tab.run(
                "!!document.querySelector('.nothing').getClientRects().length"
            )
        await tab.click("label[for=set-1]")
        found["chosen"] = await tab.run("document.querySelector('[name=f-set]:checked').id")
        await tab.run("document.querySelector('#set-1').focus()")
        await tab.press("ArrowRight", 39)
        found["by key"] = await tab.run("document.querySelector('[name=f-set]:checked').id")
        found["nested"] = await tab.run("document.querySelectorAll('#samples .s .s, pre *').length")
        found["methods shown"] = await methods_shown(tab)
        found["folded"] = await tab.run(SHOWN_TEXTS)
        await tab.click("label[for=texts-open]")
        found["open"] = await tab.run(SHOWN_TEXTS)
        await tab.click("label[for=texts-folded]")
        found["pdf"] = await tab.pdf()
        await tab.call("Emulation.setEmulatedMedia", media="print")
        found["printed"] = await tab.run(SHOWN_TEXTS)
        found["print ground"] = await tab.run(
            "getComputedStyle(document.documentElement).getPropertyValue('--paper')"
        )
        found["complaints"] = tab.complaints
        return found

    return with_browser(visit)


async def methods_shown(tab: Tab) -> list[str]:
    """Titles of the answers of the first sample that are seen once sft is chosen."""
    for button in ("set-0", "before-any", "after-any", "method-0"):
        await tab.click(f"label[for={button}]")
    await tab.click("#samples .set-0 > summary")
    titles = await tab.run(
        "JSON.stringify([...document.querySelectorAll('#samples .set-0[open] .text h4')]"
        ".filter(e => e.getClientRects().length).map(e => e.textContent.split(' ').slice(0, 2).join(' ')))"
    )
    await tab.click("#samples .set-0 > summary")
    return list(json.loads(titles))


def samples_of(runs: list[Path], place: int) -> list[Sample]:
    """The samples of one set."""
    sets = sample_sets(runs[0], read_last_records(runs[0]), collect_results(runs[0]))
    return list(sets[place].samples)


def ids(samples: list[Sample]) -> list[str]:
    return [sample.id for sample in samples]


def test_nothing_is_complained_of_and_nothing_of_a_model_runs(seen: dict[str, Any]) -> None:
    assert seen["complaints"] == []
    assert seen["scripts"] == 0
    assert seen["title"].endswith("Critique-Guided Distillation")
    assert seen["nested"] == 0, "model text stays inside its own element"


def test_pages_fit_a_phone_and_a_desk(seen: dict[str, Any]) -> None:
    for name in ("page overflow", "both overflow", "wide overflow", "overflow"):
        assert seen[name] == [0, []], name


def test_the_filters_show_what_they_say(seen: dict[str, Any], runs: list[Path]) -> None:
    problems = samples_of(runs, 0)
    wrong = [s for s in problems if s.before is False]
    assert seen["at first"] == ids(problems)[:10]
    assert seen["wrong before"] == ids(wrong)[:10]
    by_any = [s for s in wrong if True in s.after.values()]
    assert seen["and right after, any method"] == ids(by_any)[:10]
    by_cgd = [s for s in wrong if s.after["cgd"] is True]
    assert seen["and by cgd"] == ids(by_cgd)[:10]
    assert seen["all of them"] == ids(by_cgd)
    assert 0 < len(by_cgd) < len(by_any) < len(wrong) < len(problems)
    assert seen["wrong after by cgd"] == ids([s for s in wrong if s.after["cgd"] is False])
    assert seen["five"] == ids(problems)[:5]


def test_records_are_filtered_by_what_they_have(seen: dict[str, Any], runs: list[Path]) -> None:
    records = samples_of(runs, 2)
    assert seen["records"] == ids(records)[:5], "what is asked of methods hides no record"
    assert seen["records, wrong before"] == ids([s for s in records if s.before is False])[:5]
    assert seen["records, refinement wrong"] == []
    assert seen["records, refinement wrong, said"] is True
    assert seen["records, said"] is False
    wrong = [s for s in samples_of(runs, 1) if s.before is False]
    assert seen["the other benchmark"] == ids(wrong)[:5], "nor does a refinement hide a problem"
    right = [s for s in samples_of(runs, 0) if s.before is True]
    spoilt = [s for s in right if False in s.after.values()]
    assert seen["wrong after, any method"] == ids(spoilt)
    assert spoilt != [s for s in right if True in s.after.values()]


def test_a_method_that_is_chosen_stands_alone_beside_the_student(seen: dict[str, Any]) -> None:
    assert next(name for name in METHODS if name != "base") == "sft"
    assert seen["methods shown"] == [
        "Question arithmetic-test-0-000000",
        "Gold answer",
        "Before training",
        "After sft",
    ]


def test_the_filters_are_for_the_keyboard_too(seen: dict[str, Any]) -> None:
    assert seen["chosen"] == "set-1"
    assert seen["by key"] == "set-2"


def test_texts_open_together_and_in_print(seen: dict[str, Any]) -> None:
    assert seen["folded"] == 0
    assert seen["open"] > 0
    assert seen["printed"] > 0
    assert seen["pdf"].startswith(b"%PDF")


def test_dark_is_dark_and_paper_is_not(seen: dict[str, Any]) -> None:
    red = int(seen["dark"].removeprefix("rgb(").split(",")[0])
    assert red < 60
    assert seen["print ground"].strip() == "#fbfaf7"
