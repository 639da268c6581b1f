"""Claims: every training begins with its first example, exact and short, whatever the example holds."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import make_records
from transformers import AutoTokenizer, PreTrainedTokenizerBase

import engine.marking
from engine.examples import Example, end_of_turn_ids, load_examples
from engine.marking import LINES_AT_EACH_END, WIDTH, encodable, escaped, first_example
from engine.settings import RunConfig, StudentConfig, TrainConfig
from engine.train import train

HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202eoverride \x9b2J\r漢"


@pytest.fixture(scope="module")
def tokenizer(tiny_student: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_student)


@pytest.fixture
def example(tokenizer: PreTrainedTokenizerBase, records_file: Path) -> Example:
    return load_examples(records_file, tokenizer, "cgd", "single_turn", 600).examples[0]


def texts(lines: list[str], mark: str) -> list[str]:
    """What follows the mark, without the remark on the stop token."""
    marked = [line for line in lines if line.startswith(mark)]
    return [line[len(mark) + 1 :].split("   ←")[0] for line in marked]


def repeated(example: Example, tokenizer: PreTrainedTokenizerBase, times: int) -> Example:
    """The example with its context and its target said over and over."""
    stop_ids = end_of_turn_ids(tokenizer)
    context = [*example.token_ids[: example.num_context]] * times
    target = [*example.token_ids[example.num_context : -len(stop_ids)]] * times
    return replace(
        example,
        token_ids=np.array([*context, *target, *stop_ids], dtype=np.int32),
        num_context=len(context),
    )


def test_a_short_example_is_shown_whole(
    example: Example, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.marking, "LINES_AT_EACH_END", 50)
    lines = first_example([example], tokenizer)
    assert f"{example.id}: {len(example)} tokens, {example.num_supervised} of them" in lines[0]
    ids = example.token_ids.tolist()
    context, target = ids[: example.num_context], ids[example.num_context :]
    for mark, part in (("read ", context), ("LEARN", target)):
        assert "".join(texts(lines, mark)) == escaped(tokenizer.decode(part))
    assert re.fullmatch(r"LEARN <\|im_end\|>   ← stop token, id \d+", lines[-1])
    assert not any("left out" in line for line in lines)


def test_a_long_example_is_cut_in_the_middle_and_every_token_is_accounted_for(
    example: Example, tokenizer: PreTrainedTokenizerBase
) -> None:
    long = repeated(example, tokenizer, 90)
    lines = first_example([long], tokenizer)
    assert len(lines) <= 1 + 2 * (2 * LINES_AT_EACH_END + 1)
    assert all(len(line) <= WIDTH + len("   ← stop token, id 999999") for line in lines[1:])
    left_out = [int(n.replace(",", "")) for n in re.findall(r"… ([\d,]+) tokens", "\n".join(lines))]
    assert len(left_out) == 2
    ids = long.token_ids.tolist()
    parts = {"read ": ids[: long.num_context], "LEARN": ids[long.num_context :]}
    for (mark, part), missing in zip(parts.items(), left_out, strict=True):
        shown = texts(lines, mark)
        whole = escaped(tokenizer.decode(part))
        head, tail = "".join(shown[:LINES_AT_EACH_END]), "".join(shown[LINES_AT_EACH_END:])
        assert whole.startswith(head)
        assert whole.endswith(tail)
        counts = range(1, LINES_AT_EACH_END * WIDTH)
        starts = [n for n in counts if escaped(tokenizer.decode(part[:n])) == head]
        ends = [n for n in counts if escaped(tokenizer.decode(part[-n:])) == tail]
        assert len(part) - starts[0] - ends[0] == missing
    assert lines[-1].endswith(f"← stop token, id {ids[-1]}")


def test_only_the_ends_of_a_long_example_are_decoded(
    example: Example, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = 0
    added_text = engine.marking.added_text

    def counted(tokenizer: PreTrainedTokenizerBase, before: list[int], ids: list[int]) -> str:
        nonlocal decoded
        decoded += 1
        return added_text(tokenizer, before, ids)

    monkeypatch.setattr(engine.marking, "added_text", counted)
    first_example([repeated(example, tokenizer, 60)], tokenizer)
    assert decoded <= 4 * LINES_AT_EACH_END * WIDTH


def test_an_example_that_was_cut_says_so(
    example: Example, tokenizer: PreTrainedTokenizerBase
) -> None:
    cut = replace(example, token_ids=example.token_ids[:-2])
    lines = first_example([cut], tokenizer)
    assert lines[-1] == "      cut to train.max_length: no stop token is learnt from it"
    assert not any("←" in line for line in lines)


def test_what_is_printed_cannot_steer_a_terminal_and_fits_its_encoding(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    row = make_records(1)[0] | dict.fromkeys(("prompt", "critique", "refined_answer"), HOSTILE)
    data = tmp_path / "records.jsonl"
    data.write_text(json.dumps(row | {"id": HOSTILE * 50}) + "\n", encoding="utf-8")
    loaded = load_examples(data, tokenizer, "cgd", "single_turn", 600)
    text = "\n".join(first_example(loaded.examples, tokenizer))
    assert all(c.isprintable() or c == "\n" for c in text)
    assert r"\x1b[31mred" in text
    assert max(map(len, text.splitlines())) < 200
    assert encodable(text, "utf-8") == text
    plain = encodable(text, "ascii")
    assert plain.isascii()
    assert r"\u6f22" in plain
    assert "<- stop token" in plain


def test_every_start_of_a_training_prints_it_once(
    tmp_path: Path, tiny_student: Path, records_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunConfig(name="first", dir=str(tmp_path / "run"))
    student = StudentConfig(model=str(tiny_student))
    config = TrainConfig(
        data=str(records_file), batch_size=6, max_steps=1, max_length=600, precision="fp32"
    )
    train(run, student, config)
    started = capsys.readouterr().out
    assert started.count("cgd: the first example, r0: ") == 1
    assert len(re.findall(r"^LEARN <\|im_end\|>   ← stop token, id \d+$", started, re.M)) == 1
    train(run, student, config)
    assert "the first example" not in capsys.readouterr().out, "nothing is left to train"
