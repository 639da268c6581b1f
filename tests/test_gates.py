"""Gates: what each finds, and what a policy makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datagen.echoes import echoes
from datagen.gate_config import AnswerGates, CritiqueGates, SolutionGates
from datagen.gates import GateConfig, GateCounts, Ruling, check_share, rule
from datagen.records import Record
from engine.config import ConfigError, read_config
from launch.judging import AnswerJudge

JUDGE = AnswerJudge()
RECORD = Record(
    id="r1",
    prompt="Tom has 14 apples and buys 27 more. How many apples does he have?",
    final_answer="41",
    student_answer="14 + 27 = 42. The answer is 42.",
)
KEEP_ALL = GateConfig(
    critique=CritiqueGates(truncated="keep", empty="keep", refusal="keep"),
    refine=SolutionGates(truncated="keep", empty="keep", refusal="keep"),
)
REFUSAL = "I'm sorry, but I can't help with that."


def ruling(stage: str, text: str, reason: str = "stop", **changes: Any) -> Ruling:
    settings = {"attempt": 0, "config": KEEP_ALL, "judge": JUDGE} | changes
    return rule(stage, RECORD, text, reason, **settings)


@pytest.mark.parametrize(
    ("stage", "text", "reason", "found"),
    [
        ("answer", "14 + 27 = 41", "stop", ("right",)),
        ("answer", "14 + 27 =", "length", ("truncated",)),
        ("answer", " \n", "stop", ("empty",)),
        ("answer", " \n", "length", ("truncated", "empty")),
        ("answer", REFUSAL, "stop", ("refusal",)),
        ("answer", RECORD.prompt, "stop", ("echo",)),
        ("answer", "The answer is 42.", "stop", ()),
        ("critique", "The sum is wrong: it should be 41.", "stop", ("leak",)),
        ("critique", "The sum is wrong. Count once more.", "stop", ()),
        ("critique", RECORD.prompt, "stop", ()),
        ("critique", "", "stop", ("empty",)),
        ("refine", "14 + 27 = 41. The answer is 41.", "stop", ()),
        ("refine", "14 + 27 = 40. The answer is 40.", "stop", ("contradiction",)),
        ("refine", "We add them.", "stop", ()),
        ("refine", "The answer is 40, because", "length", ("truncated", "contradiction")),
        ("teach", "The answer is 40.", "stop", ("contradiction",)),
    ],
)
def test_each_gate_finds_its_fault_and_no_other(
    stage: str, text: str, reason: str, found: tuple[str, ...]
) -> None:
    assert ruling(stage, text, reason) == replace(
        Ruling("keep", found=found), correct=ruling(stage, text, reason).correct
    )


def test_a_ruling_says_whether_a_solution_is_right() -> None:
    assert ruling("answer", "The answer is 41.").correct is True
    assert ruling("refine", "The answer is 40.").correct is False
    assert ruling("answer", "I do not know").correct is False
    assert ruling("critique", "The answer is 41.").correct is None
    unreadable = replace(RECORD, final_answer=None, answer=None)
    assert rule("answer", unreadable, "41", "stop", 0, KEEP_ALL, JUDGE).correct is None
    assert ruling("answer", "The answer is 41.", judge=None).correct is None


def test_without_a_judge_the_gates_that_need_no_gold_still_work() -> None:
    assert ruling("critique", "It is 41.", judge=None).found == ()
    assert ruling("refine", "", judge=None).found == ("empty",)


@pytest.mark.parametrize(
    ("policy", "actions"),
    [
        ("keep", ["keep"]),
        ("drop", ["drop"]),
        ("retry then keep", ["retry", "retry", "keep"]),
        ("retry then drop", ["retry", "retry", "drop"]),
    ],
)
def test_a_policy_is_followed_attempt_by_attempt(policy: Any, actions: list[str]) -> None:
    config = GateConfig(refine=SolutionGates(empty=policy))
    rulings = [ruling("refine", "", attempt=n, config=config) for n in range(len(actions))]
    assert [(r.action, r.attempt) for r in rulings] == [(a, n) for n, a in enumerate(actions)]
    assert {r.found for r in rulings} == {("empty",)}
    assert [r.gate for r in rulings] == ["" if action == "keep" else "empty" for action in actions]


def test_no_retries_means_what_comes_then() -> None:
    config = GateConfig(retries=0)
    assert ruling("refine", "", config=config).action == "drop"


def test_only_a_cut_text_is_asked_for_again_with_more_room() -> None:
    config = GateConfig(truncated_max_tokens_factor=3.0)
    cut = ruling("refine", "so", "length", config=config, max_tokens=100)
    assert (cut.action, cut.max_tokens) == ("retry", 300)
    assert ruling("refine", "", config=config, max_tokens=100).max_tokens == 100
    twice = ruling("refine", "so", "length", config=config, max_tokens=300, attempt=1)
    assert twice.max_tokens == 900
    kept = replace(config, refine=SolutionGates(truncated="keep"))
    assert ruling("refine", "", "length", config=kept, max_tokens=100).max_tokens == 100


def test_the_strictest_of_several_policies_wins() -> None:
    config = GateConfig(refine=SolutionGates(truncated="drop", contradiction="retry then keep"))
    both = ruling("refine", "The answer is 40", "length", config=config)
    assert (both.action, both.gate) == ("drop", "truncated")
    config = GateConfig(refine=SolutionGates(truncated="retry then drop", contradiction="drop"))
    at_once = ruling("refine", "The answer is 40", "length", config=config)
    assert (at_once.action, at_once.gate) == ("drop", "contradiction")
    config = GateConfig(
        refine=SolutionGates(truncated="retry then keep", contradiction="retry then drop")
    )
    last = ruling("refine", "The answer is 40", "length", config=config, attempt=2)
    assert (last.action, last.gate) == ("drop", "contradiction")


def test_by_default_every_student_answer_stays_and_no_poor_target_does() -> None:
    default = GateConfig()
    for text, reason in [("", "stop"), (REFUSAL, "stop"), (RECORD.prompt, "stop"), ("a", "length")]:
        assert ruling("answer", text, reason, config=default).action == "keep"
    for stage in ("critique", "refine", "teach"):
        for text, reason in [("", "stop"), (REFUSAL, "stop"), ("a", "length")]:
            assert ruling(stage, text, reason, config=default, attempt=2).action == "drop"
        assert ruling(stage, "The answer is 40.", config=default).action == "keep"
    assert ruling("critique", "It should be 41.", config=default).action == "keep"


# ---- echoes ------------------------------------------------------------------------------------------

OPTIONS = "Which gas do plants take up from the air?\n(A) oxygen\n(B) the noble gas helium\n(C) CO2"
WORDED = (
    f"{RECORD.prompt}\n\nPlease reason step by step, and put your final answer within \\boxed{{}}."
)


@pytest.mark.parametrize(
    ("prompt", "answer", "is_echo"),
    [
        (RECORD.prompt, RECORD.prompt, True),
        (RECORD.prompt, f"Question: {RECORD.prompt.upper()}\nAnswer:", True),
        (RECORD.prompt, f"{RECORD.prompt}\n{RECORD.prompt}\n{RECORD.prompt[:30]}", True),
        (
            RECORD.prompt,
            "Tom has 14 apples and buys 27 more. How many apples does he have now?",
            True,
        ),
        (WORDED, RECORD.prompt, True),
        (RECORD.prompt, f"{RECORD.prompt} 41", False),
        (RECORD.prompt, f"{RECORD.prompt} He has 14 + 27 = 41.", False),
        (RECORD.prompt, "How many apples does he have?", True),
        (RECORD.prompt, "41", False),
        (OPTIONS, "(B) the noble gas helium", False),
        (OPTIONS, "C", False),
        ("Is it true or false that 2 is prime?", "It is true", False),
        ("2 + 2", "2 + 2", True),
        ("2 + 2", "2 + 2 = 4", False),
        ("What?", "", False),
    ],
)
def test_an_echo_repeats_the_prompt_and_adds_nothing(
    prompt: str, answer: str, is_echo: bool
) -> None:
    assert echoes(prompt, answer) is is_echo


# ---- shares ------------------------------------------------------------------------------------------


def counts(stage: str, gate: str, found: int, texts: int) -> GateCounts:
    counted = GateCounts()
    for index in range(texts):
        fired = (gate,) if index < found else ()
        counted.add(stage, f"r{index}", Ruling("keep", found=fired))
    return counted


def test_a_gate_that_finds_too_much_stops_the_run_and_says_what_to_do() -> None:
    config = GateConfig(critique=CritiqueGates(max_share={"leak": 0.3}))
    check_share(counts("critique", "leak", 30, 100), config)
    with pytest.raises(ValueError, match=r"^critique: the gate `leak` .* in 31 of 100") as error:
        check_share(counts("critique", "leak", 31, 100), config)
    for words in ("31 %", "first in r0", "generate.gates.critique.max_share.leak = 0.3", "reword"):
        assert words in str(error.value)


def test_further_attempts_make_no_share_larger() -> None:
    counted = counts("refine", "truncated", 50, 100)
    for attempt in (1, 2):
        cut = Ruling("retry", "truncated", 1, ("truncated",), attempt=attempt)
        counted.add("refine", "r0", cut)
    check_share(counted, GateConfig())
    assert ruling("refine", "so", "length", attempt=2).attempt == 2


def test_few_texts_stop_nothing() -> None:
    config = GateConfig(critique=CritiqueGates(max_share={"leak": 0.3}))
    check_share(counts("critique", "leak", 99, 99), config)


@pytest.mark.parametrize("stage", ["critique", "refine", "teach"])
@pytest.mark.parametrize("gate", ["truncated", "empty", "refusal"])
def test_a_teacher_that_says_nothing_stops_by_default(stage: str, gate: str) -> None:
    check_share(counts(stage, gate, 50, 100), GateConfig())
    with pytest.raises(ValueError, match=f"{stage}.max_share.{gate} = 0.5"):
        check_share(counts(stage, gate, 51, 100), GateConfig())


def test_what_only_counts_never_stops_by_default() -> None:
    for stage, gate in [("answer", "truncated"), ("answer", "empty"), ("answer", "refusal")]:
        check_share(counts(stage, gate, 100, 100), GateConfig())
    for stage, gate in [("critique", "leak"), ("refine", "contradiction"), ("answer", "echo")]:
        check_share(counts(stage, gate, 100, 100), GateConfig())
    with pytest.raises(ValueError, match=r"raise generate\.refine\.max_tokens"):
        check_share(counts("refine", "truncated", 51, 100), GateConfig())


def test_a_share_of_one_gate_says_nothing_of_the_others() -> None:
    config = GateConfig(refine=SolutionGates(max_share={"empty": 1.0}))
    check_share(counts("refine", "empty", 100, 100), config)
    with pytest.raises(ValueError, match="refusal"):
        check_share(counts("refine", "refusal", 60, 100), config)


# ---- settings ----------------------------------------------------------------------------------------


def read(tmp_path: Path, text: str) -> GateConfig:
    file = tmp_path / "gates.toml"
    file.write_text(f"[gates]\n{text}")
    config: GateConfig = read_config(file, {"gates": GateConfig})["gates"]
    return config


def test_policies_read_well_in_toml(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        'critique.leak = "retry then drop"\nrefine.max_share.truncated = 0.1\nretries = 3',
    )
    assert config == GateConfig(
        critique=CritiqueGates(leak="retry then drop"),
        refine=SolutionGates(max_share={"truncated": 0.1}),
        retries=3,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('critique.leak = "retry"', 'gates.critique.leak: expected one of "keep", "drop"'),
        ('answer.leak = "drop"', "gates.answer"),
        ("refine.max_share.leak = 0.1", "gates.refine.max_share.leak: the gates here are trunc"),
        ("refine.max_share.empty = 2", "max_share.empty must be a share between 0 and 1, got 2"),
        ("retries = -1", "retries must be 0 or more"),
        ("truncated_max_tokens_factor = 0.5", "must lie in [1, 64]"),
    ],
)
def test_mistakes_in_the_settings_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text)
    assert message in str(error.value)


def test_every_gate_that_can_fire_has_a_policy_and_a_remedy() -> None:
    assert AnswerGates().max_share == {}
    for stage in ("answer", "critique", "refine", "teach"):
        for text in ("", REFUSAL, RECORD.prompt, "The answer is 41.", "The answer is 40."):
            found = ruling(stage, text, "length").found
            assert all(hasattr(GateConfig().of(stage), gate) for gate in found)
            for gate in found:
                strict = {gate: 0.0}
                config = replace(
                    GateConfig(), **{stage: replace(KEEP_ALL.of(stage), max_share=strict)}
                )
                with pytest.raises(ValueError, match=gate):
                    check_share(counts(stage, gate, 1, 100), config)
