"""The configuration reader: every mistake is reported, in words; what is written reads back."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import ConfigError, differences, flatten, read_config, to_toml


@dataclass(frozen=True)
class Wheel:
    size: int = 20
    spokes: tuple[str, ...] = ()
    rest: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Train:
    data: str
    batch_size: int = 64
    learning_rate: float = 1e-6
    layout: Literal["single_turn", "multi_turn"] = "single_turn"
    max_steps: int | None = None
    resume: bool = True
    front: Wheel = field(default_factory=Wheel)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")


@dataclass(frozen=True)
class Run:
    name: str = "run"


SECTIONS = {"train": Train, "run": Run}


@pytest.fixture
def read(tmp_path: Path):
    def read_text(text: str, *overrides: str, foreign: tuple[str, ...] = ()) -> dict[str, Any]:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return read_config(path, SECTIONS, overrides, foreign)

    return read_text


def problems_of(read, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, *overrides)
    for problem in caught.value.problems:
        assert problem in str(caught.value)
    return caught.value.problems


def test_values_arrive_in_the_types_of_the_fields(read) -> None:
    text = """
    [train]
    data = "d.jsonl"
    learning_rate = 1
    max_steps = 3
    layout = "multi_turn"
    [train.front]
    spokes = ["a", "b"]
    """
    assert read(text) == {
        "train": Train("d.jsonl", 64, 1.0, "multi_turn", 3, True, Wheel(20, ("a", "b"))),
        "run": Run(),
    }
    assert type(read(text)["train"].learning_rate) is float


def test_all_problems_are_reported_at_once(read) -> None:
    text = """
    batch_size = 3
    [train]
    learning_rat = 1e-5
    batch_size = "64"
    name = "x"
    [train.front]
    siz = 3
    [trian]
    x = 1
    """
    assert set(problems_of(read, text)) == {
        "batch_size: this key stands outside every section; did you mean train.batch_size?",
        "train.learning_rat: unknown key; did you mean train.learning_rate?",
        'train.batch_size: expected an integer, got "64" (text)',
        "train.name: unknown key; did you mean run.name?",
        "train.front.siz: unknown key; did you mean train.front.size?",
        "train.data: required, but not given",
        "trian: unknown section; did you mean [train]?",
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("batch_size = 64.0", "train.batch_size: expected an integer, got 64.0 (a number)"),
        ("batch_size = true", "train.batch_size: expected an integer, got true (a boolean)"),
        ("resume = 1", "train.resume: expected true or false, got 1 (an integer)"),
        (
            "learning_rate = nan",
            "train.learning_rate: expected a finite number, got nan (a number)",
        ),
        ("max_steps = []", "train.max_steps: expected an integer, got [] (a list)"),
        ("front = 3", "train.front: expected a section, got 3 (an integer)"),
        (
            "front.spokes = 1",
            "train.front.spokes: expected a list of text values, got 1 (an integer)",
        ),
        ("front.spokes = [1]", "train.front.spokes[0]: expected a text, got 1 (an integer)"),
        (
            'layout = "single_tur"',
            'train.layout: expected one of "single_turn", "multi_turn", got "single_tur" (text); '
            'did you mean "single_turn"?',
        ),
        ("batch_size = 0", "train.batch_size must be at least 1, got 0"),
    ],
)
def test_a_wrong_value_names_key_expectation_and_value(read, line: str, problem: str) -> None:
    assert problems_of(read, f'[train]\ndata = "d"\n{line}') == [problem]


def test_an_unknown_key_without_a_neighbour_lists_the_keys_there_are(read) -> None:
    assert problems_of(read, '[train]\ndata = "d"\n[run]\nzzz = 1') == [
        "run.zzz: unknown key; run knows name"
    ]


def test_foreign_sections_are_left_unread(read) -> None:
    text = '[train]\ndata = "d"\n[evaluate]\nanything = 1'
    assert read(text, "evaluate.more=2", foreign=("evaluate",))["train"].data == "d"
    assert "evaluate: unknown section" in problems_of(read, text)[0]


def test_overrides_are_toml_where_they_can_be_and_text_otherwise(read) -> None:
    text = '[train]\ndata = "d"\nmax_steps = 7'
    overrides = [
        "train.batch_size=32",
        "train.learning_rate=1e-5",
        "train.data=models/a b#1.jsonl",
        "run.name=name=with=equals",
        'train.front.spokes=["x"]',
        "train.max_steps=",
    ]
    config = read(text, *overrides)
    expected = Train("models/a b#1.jsonl", 32, 1e-5, front=Wheel(spokes=("x",)))
    assert config == {"train": expected, "run": Run("name=with=equals")}


def test_a_list_of_one_needs_no_brackets_and_a_free_table_is_taken_as_it_is(read) -> None:
    text = '[train]\ndata = "d"\nfront.spokes = "a"\nfront.rest = {x = 1, y = {z = "w"}}'
    wheel = read(text)["train"].front
    assert wheel == Wheel(spokes=("a",), rest={"x": 1, "y": {"z": "w"}})


@pytest.mark.parametrize("override", ["train.batch_size", "batch_size=3", "=3", "train.=3", ""])
def test_a_malformed_override_is_shown_with_the_form_it_should_have(read, override: str) -> None:
    (problem,) = problems_of(read, '[train]\ndata = "d"', override)
    assert problem.startswith(f'--set "{override}": expected SECTION.KEY=VALUE')


def test_an_override_is_checked_like_the_file(read) -> None:
    text = '[train]\ndata = "d"'
    assert problems_of(read, text, "train.batch_siz=3", "train.data.deep=1") == [
        '--set "train.data.deep=1": train.data is a value, not a section',
        "train.batch_siz: unknown key; did you mean train.batch_size?",
    ]


def test_a_file_that_is_not_toml_names_line_and_column(read) -> None:
    (problem,) = problems_of(read, "[train]\nbatch_size 3")
    assert "not valid TOML" in problem
    assert "line 2, column 12" in problem


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text("")
    with pytest.raises(ConfigError, match=r"no such file; did you mean quick\.toml\?"):
        read_config(tmp_path / "quik.toml", SECTIONS)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path, SECTIONS)


def test_bytes_that_are_not_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"a = \xff")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read_config(tmp_path / "x.toml", SECTIONS)


SCALARS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
TABLES = st.recursive(
    st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=3), max_size=3),
    lambda inner: st.dictionaries(KEYS, SCALARS | inner | st.lists(inner, max_size=2), max_size=3),
    max_leaves=6,
)


@given(TABLES)
def test_what_is_written_reads_back(tables: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(tables)) == tables


def test_a_resolved_config_reads_back_as_the_same_dataclasses(read) -> None:
    config = {"train": Train('d"\n', 3, 1e-5, max_steps=4, front=Wheel(3, ("é",))), "run": Run()}
    assert read(to_toml(config)) == config
    unset = {"train": Train("d"), "run": Run()}
    assert read(to_toml(unset)) == unset


def test_flatten_gives_dotted_leaves_and_leaves_out_what_is_unset() -> None:
    flat = flatten({"train": Train("d", front=Wheel(spokes=("x",)))})
    assert flat["train.front.spokes"] == ["x"]
    assert "train.max_steps" not in flat
    assert flatten(flat) == flat


def test_differences_name_key_old_and_new_but_not_what_is_harmless() -> None:
    old = {"train": Train("d", max_steps=3), "run": Run("a")}
    new = {"train": Train("d", batch_size=32, front=Wheel(9)), "run": Run("b")}
    assert differences(old, new, harmless=("train.front", "run.name")) == [
        "train.batch_size: 64 -> 32",
        "train.max_steps: 3 -> nothing",
    ]
    assert differences(old, tomllib.loads(to_toml(old))) == []
