"""Rows of local files and of the hub: any common format, any number of files, samples without reading all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen import row_files
from datagen.records import Record
from datagen.row_files import find_files
from datagen.row_sampling import first_rows, priorities_of
from datagen.sources import DataConfig, load_prompts

ROWS = [{"problem": f"What is {i} plus {i}?", "answer": str(2 * i)} for i in range(40)]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]], group: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=group)
    return path


def load(prompts: object, seed: int = 0, **config: Any) -> list[Record]:
    return load_prompts(DataConfig(prompts=str(prompts), **config), seed, say=lambda line: None)


def texts(records: list[Record]) -> list[str]:
    return [record.prompt for record in records]


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_format_gives_the_same_records(tmp_path: Path, shuffle: bool) -> None:
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "set.json").write_text(json.dumps(ROWS, indent=1))
    files = (
        write_jsonl(tmp_path / "set.jsonl", ROWS),
        tmp_path / "list" / "set.json",
        write_parquet(tmp_path / "set.parquet", ROWS),
    )
    lines, as_list, table = (load(file, shuffle=shuffle, limit=15) for file in files)
    assert texts(lines) == texts(as_list) == texts(table)
    assert [r.id for r in lines] == [r.id for r in table]
    assert (texts(lines) == [row["problem"] for row in ROWS[:15]]) is not shuffle


def test_a_folder_and_a_pattern_read_their_files_in_the_order_of_names(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for part in (2, 5, 0, 4, 1, 3):
        write_parquet(folder / f"part-{part}.parquet", ROWS[5 * part : 5 * part + 5])
    (folder / "README.md").write_text("not rows")
    write_jsonl(tmp_path / "one.jsonl", ROWS[:30])
    whole, by_pattern = load(folder), load(folder / "part-*.parquet")
    assert texts(whole) == texts(by_pattern) == texts(load(tmp_path / "one.jsonl"))
    assert [record.id for record in whole] == [f"many-{i}" for i in range(30)]
    sampled = load(folder, limit=8, shuffle=True)
    assert texts(sampled) == texts(load(tmp_path / "one.jsonl", limit=8, shuffle=True))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_samples_are_nested_and_depend_on_the_seed(tmp_path: Path, kind: str) -> None:
    write = write_jsonl if kind == "jsonl" else write_parquet
    path = write(tmp_path / f"set.{kind}", ROWS)
    few, many = load(path, limit=6, shuffle=True), load(path, limit=25, shuffle=True)
    assert many[:6] == few
    assert len(set(texts(many))) == 25
    assert load(path, limit=6, shuffle=True, seed=1) != few
    assert load(path, limit=6, shuffle=True) == few


def test_appended_rows_reorder_no_sample(tmp_path: Path) -> None:
    old = texts(load(write_jsonl(tmp_path / "set.jsonl", ROWS[:30]), limit=20, shuffle=True))
    new = texts(load(write_jsonl(tmp_path / "set.jsonl", ROWS), limit=20, shuffle=True))
    known = [text for text in new if text in {row["problem"] for row in ROWS[:30]}]
    assert known == old[: len(known)]
    assert 0 < len(known) < 20


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 2**63))
def test_a_sample_is_the_smallest_priorities_in_order(total: int, count: int, seed: int) -> None:
    numbers = first_rows(total, count, seed).tolist()
    everything = sorted(range(total), key=dict(enumerate(priorities(total, seed))).__getitem__)
    assert numbers == everything[:count]


def priorities(total: int, seed: int) -> list[int]:
    return priorities_of(first_rows(total, total, None), seed).tolist()


def test_blocks_of_row_numbers_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = first_rows(1000, 50, 3).tolist()
    monkeypatch.setattr("datagen.row_sampling.BLOCK", 64)
    assert first_rows(1000, 50, 3).tolist() == whole


def test_a_sample_is_even() -> None:
    """Each tenth of the rows holds about a tenth of the sample: 1,000 +- 30 expected, 5 sigma allowed."""
    counts = [0] * 10
    for number in first_rows(100_000, 10_000, 0).tolist():
        counts[number // 10_000] += 1
    assert all(850 < count < 1150 for count in counts)


def test_lines_that_are_not_chosen_are_not_parsed(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", ROWS)
    chosen = {record.id for record in load(path, limit=5, shuffle=True)}
    lines = path.read_text().splitlines()
    spoilt = [line if f"set-{i}" in chosen else "{" for i, line in enumerate(lines)]
    path.write_text("\n".join(spoilt))
    assert {record.id for record in load(path, limit=5, shuffle=True)} == chosen


def test_row_groups_without_a_chosen_row_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_parquet(tmp_path / "set.parquet", ROWS, group=1)
    read: list[int] = []

    class Watched(pyarrow.parquet.ParquetFile):
        def read_row_group(self, group: int) -> Any:  # type: ignore[override]
            read.append(group)
            return super().read_row_group(group)

    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", Watched)
    chosen = load(path, limit=5, shuffle=True)
    assert sorted(f"set-{group}" for group in read) == sorted(record.id for record in chosen)


def test_rows_that_are_left_out_are_made_up_for(tmp_path: Path) -> None:
    rows = [{"problem": f"What is {i // 300}?"} for i in range(1200)]
    path = write_jsonl(tmp_path / "set.jsonl", rows)
    assert len(load(path, limit=4, shuffle=True)) == 4
    assert texts(load(path, limit=3)) == ["What is 0?", "What is 1?", "What is 2?"]


def test_equal_texts_are_duplicates_whatever_their_case_and_spacing(tmp_path: Path) -> None:
    same = ["What is  2 + 2?", "what is 2 + 2?", " What is\n2 + 2? ", "What is ２ + 2?"]
    rows = [{"problem": text} for text in (*same, "What is 2 - 2?")]
    said: list[str] = []
    kept = load_prompts(
        DataConfig(prompts=str(write_jsonl(tmp_path / "set.jsonl", rows))), 0, said.append
    )
    assert texts(kept) == ["What is  2 + 2?", "What is 2 - 2?"]
    assert "3 exact duplicates" in said[0]
    backwards = write_jsonl(tmp_path / "back.jsonl", rows[::-1])
    assert len(load(backwards)) == 2


def test_near_duplicates_are_left_out_where_asked_for(tmp_path: Path) -> None:
    story = "Anna has {} apples and gives two of them to her brother Max, who eats one at once."
    rows = [{"problem": story.format(n)} for n in (7, 9)] + [{"problem": "What is 3 times 4?"}]
    path, said = str(write_jsonl(tmp_path / "set.jsonl", rows)), []
    assert len(load(path)) == 3
    config = DataConfig(prompts=path, near_duplicates=0.6)
    assert len(load_prompts(config, 0, said.append)) == 2
    assert "1 near duplicates left out" in said[0]
    with pytest.raises(ValueError, match=r"near_duplicates must lie in \[0.5, 1\], got 0.2"):
        DataConfig(near_duplicates=0.2)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("set.jsonl", b"", "holds no rows"),
        ("set.jsonl", b"\xef\xbb\xbf\n\n", "holds no rows"),
        ("set.json", b"[]", "holds no rows"),
        ("set.json", b"[{]", r"set\.json: not valid JSON"),
        ("set.json", b"[1]", r"set\.json, item 1: expected a JSON object, got int"),
        ("set.jsonl", b"{\n", r"set\.jsonl:1: not a line of JSON"),
        ("set.jsonl", b"\n3\n", r"set\.jsonl:2: expected a JSON object, got int"),
        ("set.jsonl", b"\x00\x01\x02", "it holds binary data"),
        ("set.parquet", b"problem,answer\n", r"no Parquet file"),
        ("set.parquet", b"PAR1 and then nothing PAR1", r"set\.parquet: this Parquet file cannot"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / name)


def test_a_parquet_file_without_a_problem_column_says_which_it_has(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "set.parquet", [{"text": "Q", "label": "a"}])
    with pytest.raises(ValueError, match=r"set\.parquet, row 1: no problem found.*text, label"):
        load(path)
    assert load(path, prompt_field="text", answer_field="label")[0].answer == "a"


def test_a_folder_of_several_kinds_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", ROWS)
    write_parquet(tmp_path / "b.parquet", ROWS)
    with pytest.raises(ValueError, match=r"several kinds \(a.jsonl, b.parquet\); name one kind"):
        load(tmp_path)
    assert len(load(tmp_path / "*.parquet")) == 40


def test_patterns_and_folders_without_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file matches '.*nothing-\*\.jsonl'"):
        load(tmp_path / "nothing-*.jsonl")
    with pytest.raises(ValueError, match=r"the folder .* holds no JSONL, JSON or Parquet files"):
        load(tmp_path)
    assert find_files("absent/name") is None


def test_a_list_in_a_jsonl_file_is_read_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text(" " + json.dumps(ROWS[:3]))
    assert row_files.kind_of(tmp_path / "set.jsonl") == "JSON"
    assert len(load(tmp_path / "set.jsonl")) == 3
