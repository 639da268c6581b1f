"""Entropy, gradient norms, RGNR and overlap against values that are worked out the long way."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_records, make_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from datagen.records import Record
from engine.examples import load_examples
from evals.diagnostics import entropy, gradients, overlap
from evals.diagnostics.diagnosis import LEFT_OUT, Diagnosis, Row
from evals.diagnostics.model import load_model, load_tokenizer, training_example
from evals.diagnostics.moments import moments

RECORDS = tuple(Record.from_json(values) for values in make_records(4))


@pytest.fixture
def task(tmp_path: Path, tiny_student: Path) -> Diagnosis:
    return Diagnosis(
        model=tiny_student,
        chat_template=None,
        layout="single_turn",
        records=RECORDS,
        seed=0,
        max_tokens=8,
        max_length=1024,
        batch_size=2,
        device="cpu",
        folder=tmp_path,
        judge=None,
        say=print,
    )


def chat(record: Record, with_critique: bool) -> str:
    """The conditioning as a person would write it down."""
    told = f"\n\nCritique: {record.critique}" if with_critique else ""
    asked = f"Question: {record.prompt}\n\nStudent's Initial Answer: {record.student_answer}{told}"
    return f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"


def test_the_conditioning_is_written_out_as_expected(task: Diagnosis) -> None:
    tokenizer = load_tokenizer(task)
    for objective in ("cgd", "cgd_no_critique"):
        example = training_example(task, tokenizer, RECORDS[1], objective)
        context, target = np.split(example.token_ids, [example.num_context])
        assert tokenizer.decode(context) == chat(RECORDS[1], objective == "cgd")
        assert tokenizer.decode(target) == f"{RECORDS[1].refined_answer}<|im_end|>"


@pytest.mark.parametrize("layout", ["single_turn", "multi_turn"])
def test_the_tokens_are_those_of_training(task: Diagnosis, tmp_path: Path, layout: str) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(r.to_json()) + "\n" for r in RECORDS))
    task = replace(task, layout=layout)
    tokenizer = load_tokenizer(task)
    for objective in ("cgd", "cgd_no_critique"):
        trained_on = load_examples(file, make_tokenizer(), objective, layout, 1024).examples
        for record, expected in zip(RECORDS, trained_on, strict=True):
            example = training_example(task, tokenizer, record, objective)
            assert example.num_context == expected.num_context
            assert example.token_ids.tolist() == expected.token_ids.tolist()


def test_a_chat_template_of_ones_own_is_used(task: Diagnosis, tmp_path: Path) -> None:
    template = tmp_path / "own.jinja"
    template.write_text(
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    task = replace(task, chat_template=str(template))
    tokenizer = load_tokenizer(task)
    example = training_example(task, tokenizer, RECORDS[0], "cgd")
    assert tokenizer.decode(example.token_ids).startswith("user: Question: What is 0 + 0?")


# ---- entropy -------------------------------------------------------------------------------------------


def test_entropy_is_that_of_the_softmax_at_the_last_context_position(task: Diagnosis) -> None:
    model = AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.float64)
    tokenizer = make_tokenizer()
    for record, row in zip(RECORDS, entropy.measure(task, RECORDS), strict=True):
        ids = tokenizer(chat(record, True), add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1].numpy()
        p = np.exp(logits) / np.exp(logits).sum()
        assert row["entropy"] == pytest.approx(-sum(p * np.log(p)), rel=1e-6)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6))
@settings(max_examples=50, deadline=None)
def test_entropy_lies_between_certainty_and_indifference(logits: list[float]) -> None:
    assert -1e-6 <= entropy.entropy_of(torch.tensor(logits)) <= log(len(logits)) + 1e-5


def test_entropy_of_the_certain_and_of_the_indifferent() -> None:
    assert entropy.entropy_of(torch.tensor([0.0, float("-inf")])) == 0
    assert entropy.entropy_of(torch.zeros(8, dtype=torch.bfloat16)) == pytest.approx(log(8))


def test_entropies_are_summed_up(task: Diagnosis) -> None:
    result = entropy.summarise(task, [{"entropy": value} for value in (1.0, 2.0, 6.0)])
    assert result.figures["entropy.mean"] == 3
    assert result.figures["entropy.sd"] == pytest.approx(sqrt(7))
    assert result.figures["entropy.se"] == pytest.approx(sqrt(7 / 3))
    assert moments("x", [2.0]) == {"x.mean": 2.0}


# ---- gradients -----------------------------------------------------------------------------------------


def flat_gradient_norm(
    model: torch.nn.Module, tokenizer: object, context: str, target: str
) -> float:
    """Of the mean NLL of the target's tokens, from one long vector."""
    context_ids = tokenizer(context, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
    target_ids = tokenizer(target, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
    ids = torch.tensor([*context_ids, *target_ids])
    log_p = torch.log_softmax(model(ids[None]).logits[0, :-1], dim=-1)
    nll = -log_p[range(len(ids) - 1), ids[1:]][-len(target_ids) :].mean()
    parts = torch.autograd.grad(nll, [*model.parameters()])
    return float(torch.cat([part.flatten() for part in parts]).norm())


@pytest.mark.parametrize("family", ["llama", "qwen2", "olmo2", "mixtral"])
def test_gradient_norms_are_those_of_the_flattened_gradient(
    task: Diagnosis, tiny_models: dict[str, Path], family: str
) -> None:
    """Qwen2's embedding and head are one matrix here, which must count once."""
    task = replace(task, model=tiny_models[family])
    model = AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.float32)
    tokenizer = make_tokenizer()
    rows = list(gradients.measure(task, RECORDS[:2]))
    for record, row in zip(RECORDS, rows, strict=False):
        target = f"{record.refined_answer}<|im_end|>"
        for name, shown in (("with_critique", True), ("without_critique", False)):
            expected = flat_gradient_norm(model, tokenizer, chat(record, shown), target)
            assert row[name] == pytest.approx(expected, rel=1e-4)
        assert row["target_tokens"] == len(tokenizer(target)["input_ids"])
    assert rows[0]["with_critique"] != pytest.approx(rows[0]["without_critique"], rel=1e-3)


def test_one_gradient_lives_at_a_time_and_dropout_is_off(task: Diagnosis) -> None:
    model = load_model(task, attention_dropout=0.5)
    gradients.recompute_activations(model)
    alive: list[int] = []
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(
            lambda _: alive.append(sum(other.grad is not None for other in model.parameters()))
        )
    squared = gradients.SquaredNorm(model)
    example = training_example(task, load_tokenizer(task), RECORDS[0], "cgd")
    seen = []
    for _ in range(2):
        gradients.mean_nll(model, example).backward()
        seen.append(squared.pop())
    assert seen[0] == seen[1] > 0
    assert squared.pop() == 0
    assert alive == [1] * 2 * len(list(model.parameters()))


def test_rgnr_worked_out_by_hand(task: Diagnosis) -> None:
    pairs = [(10.0, 8.0), (20.0, 19.0), (30.0, 21.0)]
    rows: list[Row] = [
        {"without_critique": base, "with_critique": cgd, "target_tokens": 2} for base, cgd in pairs
    ]
    result = gradients.summarise(task, rows)
    figures = result.figures
    assert figures["without_critique.mean"] == 20
    assert figures["with_critique.mean"] == 16
    assert figures["summed.with_critique.mean"] == 32
    assert figures["difference.mean"] == 4
    assert figures["rgnr"] == pytest.approx(4 / 20)
    assert figures["rgnr_per_record.mean"] == pytest.approx((2 / 10 + 1 / 20 + 9 / 30) / 3)
    # residuals of cgd - 0.8 base: 0, 3, -3; their standard error over the mean base, times t(2) = 4.3027
    reach = 4.302653 * sqrt((0 + 9 + 9) / 2) / sqrt(3) / 20
    assert figures["rgnr.low"] == pytest.approx(0.2 - reach, rel=1e-6)
    assert figures["rgnr.high"] == pytest.approx(0.2 + reach, rel=1e-6)
    assert figures["t"] == pytest.approx(4 / (sqrt(19) / sqrt(3)))
    assert "RGNR 20.0%" in result.notes[0]
    assert "receptive to critiques" in result.notes[0]


@pytest.mark.parametrize(
    ("rgnr", "meaning"), [(0.1, "10 % or more"), (0.05, "between 5 and 10 %"), (0.0499, "below")]
)
def test_rgnr_is_read_as_in_the_paper(rgnr: float, meaning: str) -> None:
    assert gradients.meaning(rgnr).startswith(meaning)


def test_the_interval_of_a_ratio_holds_it_as_often_as_it_says() -> None:
    """Of log-normal norms whose true ratio of means is 0.8."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        base = rng.lognormal(sigma=0.6, size=100)
        cgd = 0.8 * base * rng.lognormal(mean=-(0.3**2) / 2, sigma=0.3, size=100)
        known = gradients.ratio_interval(base, cgd)
        held += known.low <= 0.2 <= known.high
    assert 0.91 <= held / 400 <= 0.98


@pytest.mark.parametrize("measure", [entropy.measure, gradients.measure])
def test_what_training_would_not_take_is_left_out(task: Diagnosis, measure: object) -> None:
    tokenizer = load_tokenizer(task)
    lengths = [len(training_example(task, tokenizer, record, "cgd")) for record in RECORDS]
    task = replace(task, max_length=max(lengths) - 1)
    rows = list(measure(task, RECORDS))  # type: ignore[operator]
    assert [LEFT_OUT in row for row in rows] == [n == max(lengths) for n in lengths]


# ---- overlap -------------------------------------------------------------------------------------------


def test_overlap_worked_out_by_hand(task: Diagnosis) -> None:
    record = replace(
        RECORDS[0],
        critique="Add 12 and 8, then halve.",
        refined_answer="Add 12 and 12: 24. Halve 24!",
    )
    (row,) = overlap.measure(task, [record])
    # add 12 and 12 24 halve 24: all but the two 24s; add-12 and 12-and of six pairs
    assert row["token"] == pytest.approx(5 / 7)
    assert row["bigram"] == pytest.approx(2 / 6)


def test_overlap_is_the_mean_over_records(task: Diagnosis) -> None:
    rows = [{"token": 1.0, "bigram": 0.5}, {"token": 0.0, "bigram": 0.1}]
    figures = overlap.summarise(task, rows * 10).figures
    assert figures["token"] == 0.5
    assert figures["bigram"] == pytest.approx(0.3)
    assert 0 < figures["token.low"] < 0.5 < figures["token.high"] < 1


def test_a_refinement_of_one_word_is_left_out_of_overlap(task: Diagnosis) -> None:
    (row,) = overlap.measure(task, [replace(RECORDS[0], refined_answer="42")])
    assert LEFT_OUT in row


@given(st.text(), st.text())
@settings(max_examples=50, deadline=None)
def test_a_text_overlaps_with_itself_and_what_holds_it(text: str, more: str) -> None:
    words = overlap.words_of(text)
    if words:
        assert overlap.share_in(words, overlap.words_of(f"{more} {text}")) == 1
