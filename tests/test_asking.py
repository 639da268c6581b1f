"""Interviews: each is sent its own outcomes in the order it asked, whatever the session does."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.generators import Completion, Failure, Outcome, Request, Sampling
from evals.diagnostics.asking import IN_FLIGHT, Ask, Interview, conduct
from evals.diagnostics.diagnosis import Row


class Shuffling:
    """A generator and its session: echoes each request's id, in any order, as few at a time as it likes."""

    def __init__(self, seed: int, room: int, failures: dict[str, Failure]) -> None:
        self._chance, self._room, self._failures = Random(seed), room, failures
        self._held: list[tuple[int, str]] = []
        self.most_held = 0
        self.closed = False
        self.identity = {"backend": "test"}

    def open(self) -> Shuffling:
        return self

    def generate(self, *_: object) -> Iterator[tuple[int, Completion]]:
        raise NotImplementedError

    def room(self) -> int:
        return self._room - len(self._held)

    def submit(self, ticket: int, request: Request, sampling: Sampling, done: bool = False) -> None:
        self._held.append((ticket, request.id))
        self.most_held = max(self.most_held, len(self._held))

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        self._chance.shuffle(self._held)
        some = self._chance.randint(0, len(self._held))
        handed, self._held = self._held[:some], self._held[some:]
        return [(ticket, self._failures.get(name, echo(name))) for ticket, name in handed]

    def close(self) -> None:
        self.closed = True


def echo(name: str) -> Completion:
    return Completion(name, "stop", 1, 1, 0.0)


def ask(name: str) -> Ask:
    return Ask(Request(name, ({"role": "user", "content": "?"},), 0), Sampling())


def interview(name: str, rounds: list[int]) -> Interview:
    """Asks so many requests in each round, and ends early when one of them failed for good."""
    heard: list[str] = []
    for number, count in enumerate(rounds):
        names = [f"{name}/{number}/{place}" for place in range(count)]
        outcomes = yield [ask(each) for each in names]
        if any(isinstance(outcome, Failure) for outcome in outcomes):
            return {"id": name, "heard": None}
        assert [o.text for o in outcomes if isinstance(o, Completion)] == names
        heard += names
    return {"id": name, "heard": heard}


ROUNDS = st.lists(st.integers(1, 3), max_size=3)


@settings(max_examples=60)
@given(st.lists(ROUNDS, max_size=12), st.integers(0, 9), st.integers(1, 5))
def test_every_interview_gets_its_own_texts(plans: list[list[int]], seed: int, room: int) -> None:
    writer = Shuffling(seed, room, {})
    rows = list(conduct(writer, (interview(str(i), plan) for i, plan in enumerate(plans))))
    assert sorted(row["id"] for row in rows) == sorted(str(i) for i in range(len(plans)))
    assert all(len(row["heard"]) == sum(plans[int(row["id"])]) for row in rows)
    assert writer.closed


def test_a_final_failure_is_told_and_a_passing_one_costs_its_own_record_only() -> None:
    writer = Shuffling(0, 9, {"2/1/0": Failure("server", "gone"), "1/0/0": Failure("refused", "")})
    made: list[Row] = []
    with pytest.raises(ValueError, match="the first, 2/1/0: server: gone"):
        made.extend(conduct(writer, (interview(str(i), [2, 1]) for i in range(4))))
    assert {row["id"]: row["heard"] is None for row in made} == {"0": False, "1": True, "3": False}


def test_no_more_is_handed_in_than_the_bound() -> None:
    writer = Shuffling(0, 10**9, {})
    assert len(list(conduct(writer, (interview(str(i), [5]) for i in range(300))))) == 300
    assert IN_FLIGHT <= writer.most_held < IN_FLIGHT + 5
