"""Claims: the generation bench compares like with like and says so; vLLM itself is not needed for that."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from datagen.arithmetic import problems
from datagen.generators import Completion, Failure, Outcome, Request, Sampling
from launch.bench_generate import Turn, as_json, back_to_back, in_waves, ours, outcomes, table
from launch.cli import parser

OPTIONS = parser().parse_args(["bench", "generate", "--prompts", "3", "--rounds", "2"])


class Pen:
    """A session that writes one text after the other, the newest request first."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.waiting: list[int] = []
        self.is_closed = False

    def submit(self, ticket: int, request: Request, sampling: Sampling) -> None:
        self.asked.append(request)
        self.waiting.append(ticket)

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        ticket = self.waiting.pop()
        return [(ticket, Completion(f"text {ticket}", "stop", 100, 10, 0.1, 60))]

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def pen() -> Pen:
    return Pen()


@pytest.fixture
def bench(pen: Pen) -> Any:
    records = [problem.record() for problem in problems("train", 3)]
    return SimpleNamespace(records=records, sampling=Sampling(), session=lambda: pen)


def test_back_to_back_goes_on_with_each_critique_at_once(bench: Any, pen: Pen) -> None:
    turn = back_to_back(bench)
    refinements = [request for request in pen.asked if len(request.messages) == 3]
    assert len(pen.asked) == 6
    assert [r.messages[1]["content"] for r in refinements] == ["text 2", "text 1", "text 0"]
    assert refinements[0].messages[0] == pen.asked[2].messages[0]
    assert (turn.completion_tokens, turn.prompt_tokens, turn.cached_tokens) == (60, 300, 180)
    assert pen.is_closed


def test_waves_show_the_critique_in_a_new_chat(bench: Any, pen: Pen) -> None:
    turn = in_waves(bench)
    assert [len(request.messages) for request in pen.asked] == [1] * 6
    for index, request in enumerate(pen.asked[3:]):
        assert f"text {index}" in request.messages[0]["content"]
    assert (turn.completion_tokens, turn.prompt_tokens) == (60, 300)


def test_every_text_of_ours_is_counted(bench: Any, pen: Pen) -> None:
    asked = [Request(f"r{i}", ({"role": "user", "content": "So?"},), seed=i) for i in range(4)]
    turn = ours(bench, asked)
    assert (turn.completion_tokens, turn.prompt_tokens, turn.cached_tokens) == (40, 400, 240)


def test_a_text_that_fails_ends_the_bench(monkeypatch: pytest.MonkeyPatch, pen: Pen) -> None:
    monkeypatch.setattr(pen, "collect", lambda timeout: [(0, Failure("too long", "no room"))])
    with pytest.raises(ValueError, match="too long: no room"):
        list(outcomes(pen, 1))  # type: ignore[arg-type]


def test_the_share_is_that_of_the_same_round() -> None:
    sides = {
        "ours": [Turn(1.0, 90, 50, 0), Turn(10.0, 99, 50, 0)],
        "LLM.generate": [Turn(1.0, 100, 50, 0), Turn(10.0, 100, 50, 0)],
    }
    cache = {"back to back": [Turn(1.0, 10, 200, 150)], "in waves": [Turn(1.0, 10, 100, 10)]}
    figures = {"speed": sides, "cache": cache}
    text = table(figures, OPTIONS)
    assert "ours has 94.5% (90.0%-99.0%) of the raw engine's tokens/s" in text
    assert "75.0%" in text
    told = json.loads(as_json(figures, OPTIONS))
    assert told["settings"]["prompts"] == 3
    assert told["speed"]["ours"][1]["completion_tokens"] == 99
