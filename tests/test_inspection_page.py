"""Claims: the page of `cgd inspect` is one offline file that shows what the terminal does, and no record harms it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import make_records

from engine.marking import escaped
from evals.report_page import csp_hash
from launch.config import load_config
from launch.inspection import Inspection, Question, inspect_training
from launch.inspection_page import page, write_page

TAGS = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'></pre></style><style>*{display:none}"
)
CONTROL = "\x1b[31mred\x1b]0;title\x07 \u202eoverride\u202c \u2066iso\u200b \x00\x9b2J\rback"
WORD = "W" * 500
HOSTILE = f"{TAGS} {CONTROL} {{{{ 7 * 7 }}}} {{% raw %}} {WORD}"


class Elements(HTMLParser):
    """What a browser would make of a page, as far as a test asks."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.style = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        self.open.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.open.append(f"/{tag}")


def inspected(tmp_path: Path, student: Path, rows: list[dict[str, object]]) -> Inspection:
    data = tmp_path / "records.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
        [run]
        name = "looked <b>at</b>"
        dir = "{tmp_path / "run"}"
        [student]
        model = "{student}"
        [train]
        data = "{data}"
        batch_size = 6
        max_length = 9000
        precision = "fp32"
        """
    )
    return inspect_training(load_config(config), Question(world_size=2, losses=True))


@pytest.fixture
def ordinary(tmp_path: Path, tiny_student: Path) -> Inspection:
    return inspected(tmp_path, tiny_student, make_records(20))


@pytest.fixture
def hostile(tmp_path: Path, tiny_student: Path) -> Inspection:
    first, *others = make_records(4)
    fields = ("prompt", "student_answer", "critique", "refined_answer", "answer")
    row = {**first, **dict.fromkeys(fields, HOSTILE), "id": HOSTILE, HOSTILE: [HOSTILE]}
    return inspected(tmp_path, tiny_student, [row, *others])


def test_the_page_shows_what_the_terminal_shows(ordinary: Inspection) -> None:
    found = Elements(page(ordinary, every_token=True))
    for piece in ordinary.example.pieces:
        assert escaped(piece.text) in found.text
    for text in (ordinary.example.target, ordinary.stop.text, ordinary.lengths.longest_id):
        assert text in found.text
    assert ordinary.losses is not None
    assert f"{ordinary.losses.step_loss:.4f}" in found.text
    bars = [attributes for _, attributes in found.tags if attributes.get("class") == "lane"]
    assert len(bars) == len(ordinary.plan.rows)
    learns = [attributes for _, attributes in found.tags if attributes.get("class") == "learns"]
    assert len(learns) == 1 + ordinary.plan.examples, "one for each example, and one for the legend"
    cells = r'<td class="figure">\d+</td><td class="figure">[\d ]+</td><td>(\w+)'
    rows = re.findall(cells, page(ordinary, every_token=True))
    learnt = sum(piece.learnt for piece in ordinary.example.pieces)
    assert rows.count("LEARN") == learnt
    assert rows.count("read") == len(ordinary.example.pieces) - learnt


def test_the_mask_is_marked_by_words_and_lines_and_not_by_colour_alone(
    ordinary: Inspection,
) -> None:
    found = Elements(page(ordinary))
    assert "ONLY READ" in found.text
    assert "LEARNT" in found.text
    assert re.search(r"\.learnt \.t \{[^}]*border-bottom: 2px solid", found.style)
    stops = [attributes for _, attributes in found.tags if attributes.get("class") == "t stop"]
    assert len(stops) == 1 + len(ordinary.others)


@pytest.mark.parametrize("which", ["ordinary", "hostile"])
def test_the_page_loads_nothing_and_runs_no_script(
    which: str, request: pytest.FixtureRequest
) -> None:
    found = Elements(page(request.getfixturevalue(which), every_token=True))
    assert {tag for tag, _ in found.tags}.isdisjoint(
        {"script", "img", "link", "iframe", "object", "form", "base"}
    )
    for _, attributes in found.tags:
        assert not [key for key in attributes if key.startswith("on") or key in {"src", "style"}]
        assert attributes.get("href", "#").startswith("#")
    (policy,) = [a["content"] for _, a in found.tags if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src '{csp_hash(found.style)}'" in policy
    assert "url(" not in found.style
    assert "@import" not in found.style
    assert [tag for tag, _ in found.tags].count("style") == 1


def test_a_hostile_record_is_shown_as_the_text_it_is(hostile: Inspection) -> None:
    text = page(hostile, every_token=True)
    found = Elements(text)
    assert "looked <b>at</b>: cgd" in found.text
    assert hostile.example.id == HOSTILE
    assert TAGS in found.text
    assert escaped(CONTROL) in found.text
    assert "{{ 7 * 7 }} {% raw %}" in found.text
    assert re.search(r'<span class="t"[^>]*>&lt;\|im_start\|&gt;', text), (
        "a token is escaped as well"
    )
    assert all(c.isprintable() or c == "\n" for c in text)
    assert re.search(r"pre \{[^}]*overflow-wrap: anywhere", found.style), "long words are broken"
    headings = [part for part in re.findall(r"<code>([^<]*)</code>", text) if "WWW" in part]
    assert not headings, "a long id is cut where it is only named"


def test_the_page_is_written_whole_or_not_at_all(ordinary: Inspection, tmp_path: Path) -> None:
    write_page(ordinary, tmp_path / "new" / "page.html")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["page.html"]
    written = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert written.startswith("<!doctype html>")
    assert written.rstrip().endswith("</html>")
    with pytest.raises(ValueError, match="this is a folder; name a file"):
        write_page(ordinary, tmp_path / "new")
