"""The summary: its counts are those of a plain recount, its table fits and shows them."""

from __future__ import annotations

import json
import time
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.accounts import Account, Price, quantile
from datagen.gates import Ruling
from datagen.records import Record
from datagen.summary import Summary
from datagen.summary_table import MAX_COLUMNS, table

STAGES = ("answer", "critique", "refine", "teach")
GATES = ("truncated", "empty", "leak")
Told = tuple[str, dict[str, Any], Ruling]

RULINGS = st.builds(
    lambda action, found, correct: Ruling(
        action, "leak" if action != "keep" else "", None, tuple(found), correct
    ),
    st.sampled_from(["keep", "retry", "drop"]),
    st.lists(st.sampled_from(GATES), unique=True),
    st.sampled_from([True, False, None]),
)
PROVENANCES = st.fixed_dictionaries(
    {
        "completion_tokens": st.integers(0, 9),
        "prompt_tokens": st.integers(0, 9),
        "cached_tokens": st.integers(0, 9),
        "seconds": st.sampled_from([0.0, 0.5, 36.0]),
        "backend": st.sampled_from(["vllm", "openai", "scripted"]),
    },
    optional={"attempt": st.integers(1, 3)},
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(STAGES), PROVENANCES, RULINGS), max_size=30))
def test_a_stages_figures_are_those_of_a_plain_recount(told: list[Told]) -> None:
    account = Account({"refine": Price(prompt=2.0, completion=8.0)}, devices={"refine": 4})
    for stage, provenance, ruling in told:
        account.add_text(stage, provenance, ruling, provenance.get("attempt", 0))
    summary = account.summary()
    assert [s.stage for s in summary.stages] == [s for s in STAGES if s in {t[0] for t in told}]
    for figures in summary.stages:
        own = [(p, r) for stage, p, r in told if stage == figures.stage]
        kept = [(p, r) for p, r in own if r.action == "keep"]
        lengths = sorted(p["completion_tokens"] for p, _ in kept)
        assert figures.texts == len(own)
        assert figures.into == sum("attempt" not in p for p, _ in own)
        assert figures.retried == sum("attempt" in p for p, _ in own)
        assert figures.out == len(kept)
        assert sum(figures.dropped.values()) == sum(r.action == "drop" for _, r in own)
        assert figures.found == Counter(gate for _, r in own for gate in r.found)
        assert figures.kept_with == Counter(gate for _, r in kept for gate in r.found)
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "seconds"):
            assert getattr(figures, name) == sum(p[name] for p, _ in own)
        if lengths:
            assert figures.tokens_mean == round(sum(lengths) / len(lengths), 1)
            assert figures.tokens_p50 == lengths[(len(lengths) - 1) // 2]
        local = [p["seconds"] for p, _ in own if p["backend"] == "vllm"]
        devices = 4 if figures.stage == "refine" else 1
        hours = round(sum(local) * devices / 3600, 6) if local else None
        assert figures.device_hours == hours
        read, written = figures.prompt_tokens, figures.completion_tokens
        priced = round((2 * read + 8 * written) / 1e6, 6) if figures.stage == "refine" else 0
        assert figures.usd == priced


@given(st.lists(st.integers(0, 50), min_size=1))
def test_a_quantile_is_a_value_that_the_share_does_not_exceed(values: list[int]) -> None:
    for share in (0.5, 0.95):
        found = quantile(Counter(values), share)
        assert found in values
        assert sum(v <= found for v in values) >= share * len(values)
        assert sum(v < found for v in values) < share * len(values)


def record(student: bool | None, verdict: str | None, critique: str | None = "c") -> Record:
    return Record(id="r", prompt="p", student_correct=student, verdict=verdict, critique=critique)


def test_rescued_and_broken_are_counted_where_both_are_known() -> None:
    account = Account()
    for student in (True, False, None):
        for refined in (True, False, None):
            for _ in range({True: 1, False: 2}.get(student, 3)):
                account.add_record(record(student, None), refined)
    summary = account.summary()
    assert (summary.rescued, summary.broken, summary.both_judged) == (2, 1, 6)
    assert summary.records == 18


def test_verdicts_meet_answer_matching_in_a_table() -> None:
    account = Account()
    account.add_record(record(True, "right"))
    account.add_record(record(False, "right"))
    account.add_record(record(False, "wrong"))
    account.add_record(record(None, "wrong"))
    account.add_record(record(False, None))
    account.add_record(record(False, None, critique=None))
    assert account.summary().verdicts == {
        "right": {"right": 1, "wrong": 1, "unknown": 0},
        "wrong": {"right": 0, "wrong": 1, "unknown": 1},
        "none": {"right": 0, "wrong": 1, "unknown": 0},
    }


def test_what_failed_counts_as_gone_in() -> None:
    account = Account()
    account.add_failure("refine", "timeout")
    account.add_text("refine", {}, Ruling("retry", "empty", found=("empty",)))
    account.add_failure("refine", "too long", attempt=1)
    (refine,) = account.summary().stages
    assert (refine.into, refine.out, refine.failed) == (2, 0, {"timeout": 1, "too long": 1})


def summary_of(num_records: int, seed: int = 0) -> Summary:
    rng = Random(seed)
    account = Account({"critique": Price(prompt=3.0, completion=15.0)})
    account.add_prompts(num_records)
    for _ in range(num_records):
        student, refined = rng.random() < 0.4, rng.random() < 0.9
        for stage in STAGES:
            backend = "vllm" if stage == "answer" else "openai"
            size = rng.randrange(50, 900)
            found = ("truncated",) if size > 880 else ()
            told = {"backend": backend, "completion_tokens": size, "prompt_tokens": 300}
            correct = {"answer": student, "refine": refined}.get(stage)
            account.add_text(
                stage, told | {"seconds": 0.1}, Ruling("keep", "", None, found, correct)
            )
        account.add_record(record(student, "right" if student else "wrong"), refined)
    return account.summary(1000.0, 500_000)


def test_the_table_fits_and_holds_the_figures() -> None:
    account = Account()
    account.add_prompts(100_000)
    dropped = Ruling(
        "drop", "contradiction", None, ("truncated", "contradiction", "refusal"), False
    )
    for _ in range(3):
        account.add_text("refine", {"completion_tokens": 12_345_678, "backend": "vllm"}, dropped)
    for kind in ("too long", "refused", "timeout", "connection", "server", "bad reply"):
        account.add_failure("refine", kind)
    for summary in (summary_of(300), account.summary(), Account().summary()):
        lines = table(summary).split("\n")
        assert all(len(line) <= MAX_COLUMNS for line in lines)
        assert json.loads(json.dumps(summary.to_json())) == summary.to_json() | {
            "stages": [vars(stage) for stage in summary.stages]
        }
    shown = table(account.summary())
    assert "contradiction 3" in shown
    assert all(word in shown for word in ("too long 1", "refused 1", "bad reply 1"))
    shown = table(summary_of(300))
    for words in ("rescued (wrong → right)", "critique concludes", "records: 300 of 300 prompts"):
        assert words in shown
    assert "device-h" in shown
    assert "500 tokens/s" in shown


def test_ten_thousand_records_take_a_second() -> None:
    started = time.perf_counter()
    summary = summary_of(10_000)
    assert time.perf_counter() - started < 3
    assert summary.completion_tokens == sum(s.completion_tokens for s in summary.stages)


@pytest.mark.parametrize("number", [0, 1])
def test_nothing_is_divided_by_nothing(number: int) -> None:
    assert table(summary_of(number)).endswith("tokens/s" if not number else "$0.01") or number
