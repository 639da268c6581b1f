"""The journal: what was appended is there, wherever the file was cut, and whoever writes beside it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datagen import journal
from datagen.generators import Failure
from datagen.journal import Entry, FailedEntry, open_journal, open_journals, read_journals

KEYS = ["k0", "k1", "k2", "k3"]


def entry(key: str, text: str = "täxt\u2028 \n{x}") -> Entry:
    return Entry(
        "answer", f"r{key}", text, {"key": key, "prompt_tokens": 3, "completion_tokens": 5}
    )


def write(folder: Path, name: str, *lines: Entry | FailedEntry) -> Path:
    with open_journal(folder / name, [].append) as append:
        for line in lines:
            append(line)
    return folder / name


def texts(folder: Path, said: list[str] | None = None) -> list[str]:
    with read_journals(folder, ([] if said is None else said).append) as known:
        return sorted(known.texts)


def test_a_text_is_there_before_the_journal_is_closed(tmp_path: Path) -> None:
    with open_journal(tmp_path / "0-of-1.jsonl", [].append) as append:
        append(entry("k0"))
        assert json.loads((tmp_path / "0-of-1.jsonl").read_bytes())["text"] == entry("k0").text


def test_texts_failures_and_costs_are_read_back(tmp_path: Path) -> None:
    failure = Failure("timeout", "no answer", 7)
    write(tmp_path, "0-of-1.jsonl", entry("k0"), FailedEntry("refine", "r1", "k1", failure))
    with read_journals(tmp_path, [].append) as known:
        assert known.text("k0") == entry("k0")
        assert known.text("k1") is None
        assert known.failures == {"k1": failure}
        assert known.before("answer", "rk0") == entry("k0")
        assert known.before("refine", "r1") is None
        assert (known.spent["answer"].prompt, known.spent["answer"].completion) == (3, 5)


def test_what_is_appended_is_known_at_once(tmp_path: Path) -> None:
    write(tmp_path, "1-of-2.jsonl", entry("k0"))
    with open_journals(tmp_path, "0-of-2.jsonl", [].append) as (known, append):
        append(entry("k1"))
        append(entry("k1", "a second one"))
        assert known.text("k0") == entry("k0")
        assert known.text("k1") == entry("k1"), "the first of two counts"
        assert known.spent["answer"].completion == 15, "but both were paid for"


def test_cut_at_any_byte_every_whole_line_stays(tmp_path: Path) -> None:
    path = write(tmp_path, "0-of-1.jsonl", *map(entry, KEYS[:3]))
    whole = path.read_bytes()
    line_ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    clean = {0, *line_ends, *(end + 1 for end in line_ends)}
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        said: list[str] = []
        safe = sum(end <= size for end in line_ends)  # a line counts without its line break
        assert texts(tmp_path, said) == KEYS[:safe]
        assert (size not in clean) == any("torn last line" in line for line in said)
        assert path.read_bytes() == whole[: line_ends[safe - 1] + 1 if safe else 0]


def test_what_is_appended_behind_a_torn_line_is_not_lost(tmp_path: Path) -> None:
    path = write(tmp_path, "0-of-1.jsonl", entry("k0"), entry("k1", "x" * 100_000))
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) - 2, len(whole) - 90_000, 1):
        path.write_bytes(whole[:size])
        write(tmp_path, "0-of-1.jsonl", entry("k2"))
        kept = KEYS[: sum(end <= size for end in (whole.index(b"\n"), len(whole) - 1))]
        assert texts(tmp_path) == [*kept, "k2"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2), st.data())
def test_a_damaged_line_costs_itself_alone_and_is_counted(
    tmp_path: Path, number: int, data: st.DataObject
) -> None:
    path = write(tmp_path, "0-of-1.jsonl", *map(entry, KEYS[:3]))
    lines = path.read_bytes().splitlines(keepends=True)
    cut = data.draw(st.integers(1, len(lines[number]) - 2))
    lines[number] = lines[number][:cut] + b"\n"
    path.write_bytes(b"".join(lines))
    said: list[str] = []
    assert texts(tmp_path, said) == [key for i, key in enumerate(KEYS[:3]) if i != number]
    assert [line for line in said if "1 damaged lines" in line]
    path.unlink()


@pytest.mark.parametrize(
    "line",
    [b"[]", b"null", b'"x"', b"{}", b'{"stage": "answer", "id": "a"}', b"[" * 100_000,
     b'{"stage": "answer", "id": "a", "text": 5, "provenance": {"key": "k"}}',
     b'{"stage": "answer", "id": "a", "text": "", "provenance": {}}',
     b'{"stage": "answer", "id": "a", "key": "k", "error": {"kind": "x"}}',
     b'{"stage": "answer", "id": "a", "key": "k", "error": 5}', b"\xff\xfe"],
)  # fmt: skip
def test_strange_lines_are_damaged_lines(tmp_path: Path, line: bytes) -> None:
    path = write(tmp_path, "0-of-1.jsonl", entry("k0"))
    path.write_bytes(line + b"\n" + path.read_bytes())
    said: list[str] = []
    assert texts(tmp_path, said) == ["k0"]
    assert "damaged" in said[0]


def test_a_line_that_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "0-of-1.jsonl", entry("k0"))
    with open_journal(path, [].append):
        torn = path.read_bytes() + b'{"stage": "answer", "id'
        path.write_bytes(torn)
        said: list[str] = []
        assert texts(tmp_path, said) == ["k0"]
        assert said == []
        assert path.read_bytes() == torn


def test_the_disk_is_made_to_keep_texts_every_few_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, synced = [100.0], []
    monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(journal.os, "fsync", lambda number: synced.append(now[0]))
    with open_journal(tmp_path / "0-of-1.jsonl", [].append) as append:
        for _ in range(20):
            append(entry("k0"))
            now[0] += 1.0
    assert synced == [105.0, 110.0, 115.0, 120.0]


def test_only_our_own_share_is_kept_in_memory(tmp_path: Path) -> None:
    write(tmp_path, "0-of-1.jsonl", *map(entry, KEYS))
    with read_journals(tmp_path, [].append, lambda record_id: record_id == "rk2") as known:
        assert list(known.texts) == ["k2"]
        assert known.spent["answer"].tokens == 8


@pytest.mark.slow
def test_three_hundred_thousand_texts_are_read_in_seconds(tmp_path: Path) -> None:
    provenance = {"model": "m" * 30, "fingerprint": "f" * 64, "chat_template_sha256": "a" * 64}
    with open_journal(tmp_path / "0-of-1.jsonl", [].append) as append:
        for number in range(300_000):
            own = {"key": f"{number:064d}", "prompt_tokens": 100, "completion_tokens": 300}
            append(Entry("answer", f"id{number}", "word word " * 150, provenance | own))
    started = time.perf_counter()
    assert len(texts(tmp_path)) == 300_000
    assert time.perf_counter() - started < 30
