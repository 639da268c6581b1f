"""Claims: what `cgd inspect` shows is what the trainer consumes: mask, plan and losses; and it is safe to print."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_records
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

import engine.train
from engine.balance import plan_step
from engine.examples import Example, load_examples
from engine.marking import BOLD_GREEN, PLAIN, escaped, marked_lines, pieces
from engine.packing import make_pack, make_packs
from launch import cli
from launch.config import load_config
from launch.inspection import Inspection, Question, inspect_training
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
    rendered = tokenizer.apply_chat_template(
        list(shown.context), tokenize=False, add_generation_prompt=True
    )
    assert read == rendered
    assert shown.num_stop_ids == 1


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
    found = json.loads(inspect("--json"))
    assert found["counts"]["no_target"] == 1
    assert found["lengths"]["shortest"] <= found["lengths"]["median"] <= found["lengths"]["longest"]
    assert f"{found['lengths']['supervised_share']:.1%}" in printed


def test_an_example_that_was_cut_has_no_end_of_turn(inspect: Inspect) -> None:
    whole = inspect("--example", "r3")
    assert whole.count("← end of turn") == 1
    assert "cut to train.max_length" not in whole
    length = json.loads(inspect("--example", "r3", "--json"))["example"]["tokens"]
    settings = [f"train.max_length={length - 3}", "train.too_long=truncate"]
    cut = inspect("--example", "r3", *(word for s in settings for word in ("--set", s)))
    assert "← end of turn" not in cut
    assert "cut to train.max_length: no end of turn" in cut


def test_marks_stand_in_front_of_every_line_and_colours_only_on_a_terminal(
    inspect: Inspect, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = inspect()
    assert "\x1b" not in plain
    lines = plain.splitlines()
    assert any(line.startswith("LEARN") and "boxed" in line.replace("│", "") for line in lines)
    assert any(line.startswith("read ") and "Question" in line.replace("│", "") for line in lines)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = inspected(config)
    coloured = printed_on(Terminal(), shown)
    marked = [line for line in coloured.splitlines() if "LEARN " in line]
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


def test_a_stream_without_unicode_gets_escapes(config: Path) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_inspection(inspected(config), False, stream)
    assert rb"\u2502" in raw.getvalue()


def test_json_holds_the_same_as_the_text(inspect: Inspect) -> None:
    found = json.loads(inspect("--json", "--world-size", 2, "--losses", "--example", "r4"))
    printed = inspect("--world-size", 2, "--losses", "--example", "r4")
    assert found["example"]["record"]["id"] == found["example"]["id"] == "r4"
    assert f"{found['losses']['step_loss']:.4f} nats for the step" in printed
    for row in found["plan"]["rows"]:
        assert " ".join(row["examples"]) in printed
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
    lines = [*marked_lines(shown.pieces, width=60, num_stop_ids=1)]
    assert max(map(len, lines)) <= 60
    texts = [line.split("   ←")[0].split(" ", 1)[1].lstrip(" ") for line in lines]
    assert sum(text.count("│") + 1 for text in texts) == len(shown.pieces)


def test_a_reader_who_stops_early_sees_no_error(config: Path) -> None:
    command = f"{sys.executable} -m launch.cli inspect {config} | head -c 0"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stderr == ""
