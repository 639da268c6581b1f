"""Only the critique differs between the conditions A, B and C, down to the tokens that are trained on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from datagen.arithmetic import problems, teacher
from datagen.critique_content import CONTENTS, GENERIC, in_ring, unrelated_donors, with_critiques
from datagen.records import Record, read_records, write_records
from engine.examples import Example, load_examples
from launch.mixture import main

STUDENT = Path(__file__).parent.parent / "launch" / "student"


def world(count: int) -> list[Record]:
    """Records of the built-in world whose student answers are right and wrong in turn."""
    records = []
    for number, problem in enumerate(problems("train", count)):
        right = number % 2 == 0
        text = problem.answer if right else f"It is \\boxed{{{problem.final + 1}}}."
        record = problem.record().with_stage("answer", {"model": "s"}, student_answer=text)
        vars(record).update(student_correct=right, extra={"topic": problem.family})
        for stage, name in (("critique", "critique"), ("refine", "refined_answer")):
            made = teacher(stage, record, number)
            record = record.with_stage(stage, {"model": "t", "seed": number}, **{name: made})
        records.append(record)
    return records


@pytest.fixture(scope="module")
def mixtures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of A, B and C, made of one source by the command."""
    folder = tmp_path_factory.mktemp("mixtures")
    write_records(folder / "source.jsonl", world(40))
    files = {content: folder / f"{content}.jsonl" for content in CONTENTS}
    asked = ["--seed", "3", "--correct-share", "0.25", "--total", "24"]
    for content, file in files.items():
        source = str(folder / "source.jsonl")
        assert main([source, str(file), *asked, "--critiques", content]) == 0
    return files


def without_critique(record: Record) -> dict[str, object]:
    values = record.to_json()
    values["provenance"].pop("critique")
    del values["critique"]
    return values


def test_only_the_critique_differs(mixtures: dict[str, Path]) -> None:
    read = {content: read_records(file) for content, file in mixtures.items()}
    assert [len(records) for records in read.values()] == [24, 24, 24]
    for records in zip(*read.values(), strict=True):
        assert (
            without_critique(records[0])
            == without_critique(records[1])
            == without_critique(records[2])
        )
    assert {record.critique for record in read["generic"]} == {GENERIC}
    given, real = ([r.critique for r in read[content]] for content in ("unrelated", "real"))
    assert Counter(given) == Counter(real)
    assert sum(record.student_correct is True for record in read["real"]) == 6


def middle(one: Example, other: Example) -> tuple[list[int], list[int]]:
    """What is left of two contexts without the tokens they begin with and end with together."""
    a, b = (list(map(int, e.token_ids[: e.num_context])) for e in (one, other))
    first = next(i for i in range(len(a)) if a[i] != b[i])
    last = next(i for i in range(1, len(a)) if a[-i] != b[-i]) - 1
    return a[first : len(a) - last], b[first : len(b) - last]


@pytest.mark.parametrize("layout", ["single_turn", "multi_turn"])
def test_tokens_outside_the_critique_are_the_same(mixtures: dict[str, Path], layout: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(STUDENT)
    real, *others = (
        load_examples(mixtures[content], tokenizer, "cgd", layout, 4096).examples
        for content in CONTENTS
    )
    for name, examples in zip(CONTENTS[1:], others, strict=True):
        critiques = {r.id: f" {r.critique}" for r in read_records(mixtures[name])}
        own = {r.id: f" {r.critique}" for r in read_records(mixtures["real"])}
        for one, other in zip(real, examples, strict=True):
            assert one.id == other.id
            assert list(one.token_ids[one.num_context :]) == list(
                other.token_ids[other.num_context :]
            )
            a, b = middle(one, other)
            assert tokenizer.decode(a) in own[one.id]
            assert tokenizer.decode(b) in critiques[other.id]


@pytest.mark.parametrize("objective", ["sft", "cgd_no_critique"])
def test_what_shows_no_critique_is_the_same_text(mixtures: dict[str, Path], objective: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(STUDENT)
    real, *others = (
        load_examples(file, tokenizer, objective, "single_turn", 4096).examples
        for file in mixtures.values()
    )
    for examples in others:
        for one, other in zip(real, examples, strict=True):
            assert (one.id, list(one.token_ids)) == (other.id, list(other.token_ids))


def test_provenance_says_whose_critique_it_is() -> None:
    records = world(6)
    by_id = {record.id: record for record in records}
    for record in with_critiques(records, "unrelated", 0).records:
        told = record.provenance["critique"]
        donor = by_id[told["written_for"]]
        assert record.critique == donor.critique
        assert told["content"] == "unrelated"
        assert told["seed"] == donor.provenance["critique"]["seed"]
    (first, *_) = with_critiques(records, "generic", 0).records
    assert first.provenance["critique"] == {"content": "generic"}
    assert with_critiques(records, "real", 0).records == records


@given(st.lists(st.integers(0, 4), min_size=2, max_size=14), st.integers(0, 3), st.randoms())
def test_no_record_gets_a_critique_of_its_own_prompt(prompts: list[int], seed: int, random) -> None:
    records = [Record(id=f"r{i}", prompt=f"p{p}", critique=f"c{i}") for i, p in enumerate(prompts)]
    if 2 * max(Counter(prompts).values()) > len(records):
        with pytest.raises(ValueError, match="share one prompt"):
            unrelated_donors(records, seed)
        return
    donors = unrelated_donors(records, seed)
    assert all(donors[record.id].prompt != record.prompt for record in records)
    assert sorted(d.id for d in donors.values()) == sorted(donors)
    shuffled = random.sample(records, len(records))
    assert {k: d.id for k, d in unrelated_donors(shuffled, seed).items()} == {
        k: d.id for k, d in donors.items()
    }


def test_the_seed_decides_who_gets_whose() -> None:
    records = world(12)
    given = [[d.id for d in unrelated_donors(records, seed).values()] for seed in (0, 0, 1)]
    assert given[0] == given[1]
    pairs = [{(k, d.id) for k, d in unrelated_donors(records, s).items()} for s in (0, 1)]
    assert len(pairs[0] & pairs[1]) < 6
    assert in_ring(records, 0) != records


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twin = Record(id="a", prompt="p1", critique="Wrong.")
    pool = [twin, Record(id="b", prompt="p2", critique="Wrong."), Record(id="c", prompt="p3")]
    source, out = tmp_path / "source.jsonl", tmp_path / "deep" / "out.jsonl"
    write_records(source, pool)
    command = [str(source), str(out), "--seed", "0", "--critiques", "unrelated"]
    assert main(command) == 0
    said = capsys.readouterr().out
    for words in ("2 of 3 records", "left out: 1 records", "2 unrelated critiques read exactly"):
        assert words in said
    written = out.stat().st_mtime_ns
    assert main(command) == 0
    assert "complete, nothing to do" in capsys.readouterr().out
    assert out.stat().st_mtime_ns == written
    assert main([str(source), str(out), "--seed", "0"]) == 0  # other contents replace the file
    assert [r.critique for r in read_records(out)] == ["Wrong.", "Wrong."]


def test_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "source.jsonl", tmp_path / "out.jsonl"
    write_records(
        source, [Record(id="a", prompt="p", critique="c"), Record(id="b", prompt="p", critique="d")]
    )
    mistakes = [
        ([source, source], "is the source itself"),
        ([tmp_path / "none.jsonl", out], "there is no file"),
        ([source, out, "--critiques", "unrelated"], "share one prompt"),
        ([source, out, "--correct-share", "2"], "must lie in"),
        ([source, out, "--total", "3"], "3 records asked for, there are 2"),
    ]
    for arguments, words in mistakes:
        assert main([*map(str, arguments), "--seed", "0"]) == 2
        assert words in capsys.readouterr().err
    assert not out.exists()
    write_records(source, [Record(id="a", prompt="p", critique="  ")])
    assert main([str(source), str(out), "--seed", "0"]) == 2
    assert "none of 1 records has a critique" in capsys.readouterr().err
