"""Claims: what `cgd inspect` shows is what the trainer consumes: mask, plan and losses; and it is safe to print."""

from __future__ import annotations

import io
import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_records
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

import engine.train
from engine.balance import plan_step
from engine.examples import Example, load_examples
from engine.marking import BOLD_GREEN, PLAIN, SEPARATOR, escaped, marked_lines, pieces
from engine.objectives import conversation
from engine.packing import make_pack, make_packs
from launch import cli
from launch.config import load_config
from launch.inspection import Inspection, Question, inspect_training
from launch.inspection_drawing import count_bar, row_bar
from launch.inspection_lengths import MOST_BINS, histogram
from launch.inspection_text import print_inspection

Inspect = Callable[..., str]
HOSTILE = "\x1b[31mred\x1b[0m \u202eleft \x07bell é 🦜 \\neq\tend\r"


@pytest.fixture
def config(tmp_path: Path, tiny_student: Path, records_file: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        f"""
        [run]
        name = "looked-at"
        dir = "{tmp_path / "run"}"
        seed = 3
        [student]
        model = "{tiny_student}"
        [train]
        data = "{records_file}"
        batch_size = 6
        max_steps = 2
        max_length = 600
        precision = "fp32"
        """
    )
    return path


@pytest.fixture
def inspect(config: Path, capsys: pytest.CaptureFixture[str]) -> Inspect:
    """Runs `cgd inspect` in this process; what it printed, after its exit code was checked."""

    def run(*arguments: object, code: int = 0) -> str:
        before = signal.getsignal(signal.SIGTERM)
        try:
            assert cli.main(["inspect", str(config), *map(str, arguments)]) == code
        finally:
            signal.signal(signal.SIGTERM, before)
        printed = capsys.readouterr()
        assert (printed.err == "") == (code == 0)
        return printed.out + printed.err

    return run


def inspected(config: Path, **asked: Any) -> Inspection:
    return inspect_training(load_config(config), Question(**asked))


def edit_records(path: Path, **fields: object) -> None:
    """The first record with other texts."""
    first, *others = make_records(20)
    rows = [first | fields, *others]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_the_mask_shown_is_the_one_of_the_packs_and_marks_the_target_alone(
    config: Path, tiny_student: Path, records_file: Path
) -> None:
    edit_records(records_file, prompt=HOSTILE, refined_answer="é 🦜 it is \\boxed{0}")
    shown = inspected(config).example
    tokenizer = AutoTokenizer.from_pretrained(tiny_student)
    examples = load_examples(records_file, tokenizer, "cgd", "single_turn", 600).examples
    (pack,) = make_packs([[0]], [0], examples, "token")
    learnt = [piece.learnt for piece in shown.pieces for _ in piece.ids]
    supervised = [False] * len(learnt)
    for position in pack.supervised_S.tolist():
        supervised[position + 1] = True
    assert learnt == supervised
    assert [i for piece in shown.pieces for i in piece.ids] == pack.token_ids_T.tolist()
    assert "".join(p.text for p in shown.pieces if p.learnt) == shown.target + "<|im_end|>"
    read = "".join(p.text for p in shown.pieces if not p.learnt)
    row = json.loads(records_file.read_text(encoding="utf-8").splitlines()[0])
    told = conversation(row, "cgd", "single_turn")
    rendered = tokenizer.apply_chat_template(
        list(told.context), tokenize=False, add_generation_prompt=True
    )
    assert read == rendered == shown.context
    assert shown.record == row
    assert [piece.text for piece in shown.pieces if piece.stops] == ["<|im_end|>"]
    assert shown.pieces[-1].stops
    assert shown.pieces[-1].learnt


def test_leading_spaces_survive_a_tokenizer_that_drops_them_when_decoding_alone() -> None:
    vocabulary = {"▁What": 0, "▁is": 1, "▁it": 2, "?": 3, "<unk>": 4}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    pack = make_pack([Example("a", np.array([0, 1, 2, 3], dtype=np.int32), 2)], [1.0])
    found = pieces(pack, PreTrainedTokenizerFast(tokenizer_object=tokenizer))
    assert [(p.text, p.learnt) for p in found] == [
        ("What", False),
        (" is", False),
        (" it", True),
        ("?", True),
    ]


def test_losses_are_those_of_transformers_and_the_plan_and_first_loss_those_of_training(
    config: Path, tiny_student: Path, records_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [inspected(config, step=step, losses=step == 1) for step in (1, 2)]
    losses = shown[0].losses
    assert losses is not None
    model = AutoModelForCausalLM.from_pretrained(tiny_student)
    tokenizer = AutoTokenizer.from_pretrained(tiny_student)
    loaded = load_examples(records_file, tokenizer, "cgd", "single_turn", 600).examples
    by_id = {example.id: example for example in loaded}
    assert len(losses.examples) == 6
    assert [e.loss for e in losses.examples] == sorted(e.loss for e in losses.examples)[::-1]
    for found in losses.examples:
        example = by_id[found.id]
        ids = torch.from_numpy(example.token_ids.astype(np.int64))[None]
        labels = ids.clone()
        labels[:, : example.num_context] = -100
        assert found.loss == pytest.approx(model(ids, labels=labels).loss.item(), rel=1e-5)
        assert found.nll == pytest.approx(found.loss * example.num_supervised)

    trained_on: list[list[tuple[str, ...]]] = []

    def noticed(rows: Any, of_step: Any, examples: Any, *others: Any) -> Any:
        trained_on.append([tuple(examples[i].id for i in row) for row in rows])
        return make_packs(rows, of_step, examples, *others)

    monkeypatch.setattr(engine.train, "make_packs", noticed)
    settings = load_config(config)
    engine.train.train(settings.run, settings.student, settings.train)
    assert trained_on == [[row.examples for row in one.plan.rows] for one in shown]
    metrics = settings.run.folder / "train" / "cgd" / "metrics.jsonl"
    first = json.loads(metrics.read_text().splitlines()[0])
    assert losses.step_loss == pytest.approx(first["loss"], rel=1e-6)
    assert shown[0].plan.efficiency == first["packing_efficiency"]
    assert shown[0].plan.supervised_tokens == first["supervised_tokens"]


def test_the_plan_is_shown_for_any_number_of_ranks(config: Path, records_file: Path) -> None:
    shown = inspected(config, world_size=4).plan
    assert [row.rank for row in shown.rows] == [0, 1, 2, 3]
    heaviest = max(row.work for row in shown.rows)
    for row, rank in zip(shown.rows, shown.ranks, strict=True):
        assert row.balance == pytest.approx(row.work / heaviest)
        assert row.fill == row.tokens / 600
        assert rank.busy == pytest.approx(row.balance)
    assert np.mean([rank.busy for rank in shown.ranks]) == pytest.approx(shown.efficiency)
    lengths = [row.tokens for row in shown.rows]
    assert sum(lengths) == shown.tokens
    alone = inspected(config, world_size=1).plan
    assert sorted(i for row in shown.rows for i in row.examples) == sorted(
        i for row in alone.rows for i in row.examples
    )
    assert plan_step([0], [1], 4, 8).rows[3] == ((),)
    few = inspected(config, world_size=8).plan
    assert [row.examples for row in few.rows].count(()) == 2


def test_everything_dropped_or_cut_is_counted_and_lengths_are_right(
    inspect: Inspect, records_file: Path
) -> None:
    edit_records(records_file, refined_answer=None)
    printed = inspect()
    assert "19 of 20 rows are trained on; 1 dropped: no supervised token" in printed
    assert re.search(r"^dropped    r0$", printed, re.M)
    found = json.loads(inspect("--json"))
    assert found["counts"]["no_target"] == 1
    assert found["lengths"]["shortest"] <= found["lengths"]["median"] <= found["lengths"]["longest"]
    assert f"{found['lengths']['supervised_share']:.1%}" in printed


def test_an_example_that_was_cut_has_no_end_of_turn(inspect: Inspect) -> None:
    whole = inspect("--example", "r3")
    assert len(re.findall(r"^LEARN <\|im_end\|>   ← stop token, id \d+$", whole, re.M)) == 1
    assert ": learnt at the end of 20 of 20 examples" in whole
    assert "cut to train.max_length" not in whole
    length = json.loads(inspect("--example", "r3", "--json"))["example"]["tokens"]
    settings = [f"train.max_length={length - 3}", "train.too_long=truncate"]
    chosen = ("--example", "r3", *(word for s in settings for word in ("--set", s)))
    cut = inspect(*chosen)
    assert "← stop token" not in cut
    assert "cut to train.max_length: no stop token is learnt" in cut
    found = json.loads(inspect(*chosen, "--json"))
    assert found["counts"]["truncated"] > 0
    assert found["stop"]["learnt_in"] == 20 - found["counts"]["truncated"]


def test_marks_stand_in_front_of_every_line_and_colours_only_on_a_terminal(
    inspect: Inspect, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = inspect()
    assert "\x1b" not in plain
    lines = plain.splitlines()
    for separated in (True, False):  # the tokens, and the text
        some = [line for line in lines if (SEPARATOR in line) is separated]
        assert any(line.startswith("LEARN") and "boxed" in line.replace("│", "") for line in some)
        assert any(
            line.startswith("read ") and "Question" in line.replace("│", "") for line in some
        )
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = inspected(config)
    coloured = printed_on(Terminal(), shown)
    marked = [line for line in coloured.splitlines() if re.match(r"(\x1b\S*)?LEARN ", line)]
    assert marked
    assert all(line.startswith(BOLD_GREEN) and PLAIN in line for line in marked)
    assert coloured.count(BOLD_GREEN) == coloured.count(PLAIN) == len(marked)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed_on(Terminal(), shown)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def printed_on(stream: io.StringIO, shown: Inspection, as_json: bool = False) -> str:
    print_inspection(shown, as_json, stream)
    return stream.getvalue()


def test_texts_of_others_cannot_steer_the_terminal(
    inspect: Inspect, records_file: Path, config: Path
) -> None:
    edit_records(records_file, id="r\x1b]0;title\x07", prompt=HOSTILE, refined_answer=HOSTILE)
    for printed in (
        inspect("--losses"),
        inspect("--json"),
        printed_on(Terminal(), inspected(config)),
    ):
        without_ours = printed.replace(BOLD_GREEN, "").replace(PLAIN, "")
        assert all(c.isprintable() or c == "\n" for c in without_ours)
    assert escaped(HOSTILE) == r"\x1b[31mred\x1b[0m \u202eleft \x07bell é 🦜 \neq⇥end\r"


def test_a_stream_without_unicode_gets_plain_signs_and_escapes(
    config: Path, records_file: Path
) -> None:
    edit_records(records_file, prompt="Wie viel wiegt der Käse?")
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_inspection(inspected(config), False, stream)
    printed = raw.getvalue().decode("ascii")
    assert "Wie viel wiegt der K\\xe4se?" in printed
    assert re.search(r" -+#+(-+#+)*\.* ", printed), "the rows' drawing"
    assert re.search(r"^read  <\|im_start\|>\|", printed, re.M), "the tokens' borders"
    assert "\\u25" not in printed


def test_json_holds_the_same_as_the_text(inspect: Inspect) -> None:
    found = json.loads(inspect("--json", "--world-size", 2, "--losses", "--example", "r4"))
    printed = inspect("--world-size", 2, "--losses", "--example", "r4")
    assert found["example"]["record"]["id"] == found["example"]["id"] == "r4"
    assert f"{found['losses']['step_loss']:.4f} nats for the step" in printed
    for row in found["plan"]["rows"]:
        assert f" {row['tokens']:7,d} {row['fill']:6.1%} {len(row['examples']):9,d}" in printed
    for group in found["lengths"]["histogram"]:
        assert re.search(
            rf"{group['first']} to +{group['last']} .*\b{group['examples']}\n", printed
        )
    for example in found["losses"]["examples"]:
        assert f"{example['loss']:12.4f}" in printed


def test_records_that_the_run_has_generated_are_found(
    inspect: Inspect, config: Path, records_file: Path, tmp_path: Path
) -> None:
    said = inspect("--set", "train.data=", code=2)
    assert "has generated no records yet" in said
    (tmp_path / "run" / "data").mkdir(parents=True)
    records_file.rename(tmp_path / "run" / "data" / "refinements.jsonl")
    assert "20 of 20 rows" in inspect("--set", "train.data=")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--example", "r33"], "no row of"),
        (["--example", "r33"], "the nearest is r3"),
        (["--step", 3], "--step 3: this training has steps 1 to 2"),
        (["--step", 0], "--step 0: this training has steps 1 to 2"),
        (["--world-size", 0], "--world-size must be positive, got 0"),
        (["--set", "train.data=absent.jsonl"], "train.data: there is no file absent.jsonl"),
        (["--set", "student.model=/absent/model"], "there is no folder /absent/model"),
    ],
)
def test_mistakes_are_answered_in_words(inspect: Inspect, arguments: list[Any], said: str) -> None:
    assert said in inspect(*arguments, code=2)


def test_half_a_character_is_answered_with_its_place(inspect: Inspect, records_file: Path) -> None:
    edit_records(records_file, critique="Wrong: \ud83e")
    said = inspect(code=2)
    assert rf"{records_file}:1: half a character (the lone surrogate '\ud83e') after" in said
    assert "Wrong: " in said


def test_an_example_that_was_dropped_is_told_apart_from_one_that_never_was(
    inspect: Inspect, records_file: Path
) -> None:
    edit_records(records_file, refined_answer="")
    said = inspect("--example", "r0", code=2)
    assert f"{records_file}:1 is read but not trained on" in said
    assert "1 dropped: no supervised token" in said


def test_other_objectives_of_the_run_are_named(config: Path) -> None:
    settings = load_config(config, ['pipeline.objectives=["cft", "cgd"]'])
    shown = inspect_training(settings, Question())
    assert shown.also_trained == ("cft",)
    assert "also trains cft" in printed_on(io.StringIO(), shown)
    other = replace(settings, train=replace(settings.train, objective="cft"))
    assert inspect_training(other, Question()).example.target.endswith("Conclusion: wrong")


def test_lines_are_no_wider_than_asked_for_and_lose_no_token(config: Path) -> None:
    shown = inspected(config).example
    lines = [*marked_lines(shown.pieces, width=60)]
    assert max(map(len, lines)) <= 60
    texts = [line.split("   ←")[0].split(" ", 1)[1].lstrip(" ") for line in lines]
    assert sum(text.count("│") + 1 for text in texts) == len(shown.pieces)
    joined = "".join(line[6:] for line in marked_lines(shown.pieces, separator=""))
    text = escaped("".join(piece.text for piece in shown.pieces))
    assert joined.split("   ←")[0] == text


def test_a_reader_who_stops_early_sees_no_error(config: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w", encoding="utf-8") as stream:
        print_inspection(inspected(config), False, stream)
        stream.write("and what comes after")


def test_the_record_is_shown_with_what_the_objective_does_with_each_field(inspect: Inspect) -> None:
    cgd = inspect()
    assert re.search(r"^  read  critique: ", cgd, re.M)
    assert re.search(r"^  LEARN refined_answer: ", cgd, re.M)
    assert re.search(r"^    -   answer: ", cgd, re.M)
    assert "sees prompt, student_answer, critique; writes refined_answer" in cgd
    sft = inspect("--objective", "sft")
    assert re.search(r"^    -   critique: ", sft, re.M)
    assert re.search(r"^  LEARN answer: ", sft, re.M)
    assert "train.objective" in inspect("--objective", "gcd", code=2)


def test_rows_of_plain_chat_data_are_shown_as_such(inspect: Inspect, records_file: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    pair = {"prompt": "Hi", "completion": "Hello"}
    for row, field in (({"messages": turns}, "messages"), (pair, "completion")):
        records_file.write_text(json.dumps(row) + "\n")
        printed = inspect("--objective", "sft", "--set", "train.max_steps=1")
        assert re.search(rf"^  LEARN {field}: ", printed, re.M)
        assert re.search(r"^LEARN Hello<\|im_end\|>$", printed, re.M)


def test_every_token_is_listed_once_with_its_id_and_its_mask(inspect: Inspect) -> None:
    found = json.loads(inspect("--json"))["example"]
    listed = re.findall(r"^ +(\d+) +(\d+)  (read |LEARN)  ", inspect("--tokens"), re.M)
    assert [int(position) for position, _, _ in listed] == list(range(found["tokens"]))
    ids = [(i, piece["learnt"]) for piece in found["pieces"] for i in piece["ids"]]
    assert [(int(token_id), mark == "LEARN") for _, token_id, mark in listed] == ids


def test_ends_of_the_data_and_of_the_losses_are_shown(inspect: Inspect) -> None:
    found = json.loads(inspect("--losses", "--json"))
    shown = {example["id"]: example for example in [found["example"], *found["others"]]}
    lengths, losses = found["lengths"], found["losses"]["examples"]
    for end, example_id in (
        ("the shortest", lengths["shortest_id"]),
        ("the longest", lengths["longest_id"]),
        ("the highest loss", losses[0]["id"]),
        ("the lowest loss", losses[-1]["id"]),
    ):
        assert end in shown[example_id]["why"]
    assert shown[lengths["longest_id"]]["tokens"] == lengths["longest"]
    printed = inspect("--losses")
    for example in found["others"]:
        assert f"{example['why']}: {example['id']}, {example['tokens']:,} tokens" in printed


def test_a_stop_token_inside_a_target_is_counted(inspect: Inspect, records_file: Path) -> None:
    assert "before the end" not in inspect()
    edit_records(records_file, refined_answer="It is 3.<|im_end|> It is 4.")
    assert "learnt before the end as well, where generation would stop, in 1 of them" in inspect()


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_histogram_counts_every_example_once(lengths: list[int]) -> None:
    bins = histogram(lengths)
    assert len(bins) <= MOST_BINS
    assert sum(group.examples for group in bins) == len(lengths)
    assert bins[0].first <= min(lengths) <= bins[0].last
    assert bins[-1].first <= max(lengths) <= bins[-1].last
    for group in bins:
        inside = [n for n in lengths if group.first <= n <= group.last]
        assert len(inside) == group.examples
    assert all(a.last + 1 == b.first for a, b in pairwise(bins))


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), max_size=8), st.integers(10, 60)
)
@settings(max_examples=60, deadline=None)
def test_a_row_is_drawn_to_scale(documents: list[tuple[int, int]], cells: int) -> None:
    tokens = sum(map(sum, documents))
    bar = row_bar(documents, capacity := tokens + 50, cells)
    assert len(bar) == cells
    cell = capacity / cells
    assert abs(bar.count("·") * cell - 50) <= cell
    read = sum(read for read, _ in documents)
    assert abs(bar.count("░") * cell - read) <= cell * max(1, len(documents))


def test_a_bar_is_as_long_as_its_share_and_a_broken_loss_has_none() -> None:
    assert [len(count_bar(count, 8, 40)) for count in (0, 0.01, 2, 8)] == [0, 1, 10, 40]
    for most in (float("inf"), float("nan")):
        assert count_bar(most, most, 40) == ""


def test_options_about_a_training_are_refused_beside_a_file_of_records(
    inspect: Inspect, records_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["inspect", str(records_file), "--losses", "--html", "page.html"]) == 2
    assert "--html, --losses: about a training" in capsys.readouterr().err
