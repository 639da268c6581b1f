"""Claims: whatever servers do, every request ends exactly once, with the text it should have or with a reason."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from typing import Any

import pytest
from faulty_server import FAULTS, FaultyServer, digest, scripted_text

from datagen.backends import TeacherConfig, make_generator
from datagen.generators import Completion, Failure, Outcome, Request, Sampling
from datagen.openai_generator import OpenAIGenerator
from datagen.openai_loop import OTHER_FILES, allow_connections
from datagen.openai_retry import RetryPolicy
from datagen.openai_session import ServerSession

KEY = "sk-secret-0123456789"
FAST = RetryPolicy(max_retries=12, first_seconds=0.01, longest_seconds=0.05)
SAMPLING = Sampling(temperature=0.7, max_tokens=64)


def requests(count: int) -> list[Request]:
    return [
        Request(f"r{i}", ({"role": "user", "content": f"What is {i}?"},), seed=i)
        for i in range(count)
    ]


def expected(request: Request) -> str:
    return scripted_text(list(request.messages), request.seed)


def generator(
    *servers: FaultyServer, policy: RetryPolicy = FAST, say: Any = lambda _: None, **settings: Any
) -> OpenAIGenerator:
    config = TeacherConfig(base_url=tuple(s.base_url for s in servers), model="tiny", **settings)
    return OpenAIGenerator(config, policy, say, random.Random(0))


def finish(session: ServerSession, count: int, seconds: float = 20.0) -> dict[int, Outcome]:
    """All outcomes; each ticket comes once."""
    outcomes: dict[int, Outcome] = {}
    end = time.monotonic() + seconds
    while len(outcomes) < count and time.monotonic() < end:
        for ticket, outcome in session.collect(0.2):
            assert ticket not in outcomes
            outcomes[ticket] = outcome
    assert session.collect(0.05) == []
    return outcomes


def run(session: ServerSession, work: list[Request]) -> dict[int, Outcome]:
    try:
        for ticket, request in enumerate(work):
            session.submit(ticket, request, SAMPLING)
        return finish(session, len(work))
    finally:
        session.close()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


def test_every_request_is_answered_exactly_once_under_faults_of_every_kind() -> None:
    work = requests(400)
    with FaultyServer(fault_rate=0.3) as one, FaultyServer(fault_rate=0.3, seed=1) as other:
        made = generator(one, other, concurrency=32, timeout_seconds=1.0)
        session = made.open()
        outcomes = run(session, work)
        texts = {t: o.text for t, o in outcomes.items() if isinstance(o, Completion)}
        assert texts == {i: expected(request) for i, request in enumerate(work)}
        assert set(one.failed) | set(other.failed) == set(FAULTS)
        assert session.accounts.completions == 400
        assert session.accounts.failures == 0
        assert session.accounts.failed_attempts > 100


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "slow"])
def test_each_fault_passes_with_another_attempt(server: FaultyServer, fault: str) -> None:
    session = generator(server, timeout_seconds=0.5).open()
    server.plan = lambda _, attempt: fault if attempt < 2 else None
    (request,) = requests(1)
    outcomes = run(session, [request])
    assert isinstance(outcomes[0], Completion)
    assert outcomes[0].text == expected(request)
    assert server.attempts[digest([list(request.messages), request.seed])] == 3


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("500", "server"), ("silence", "timeout"), ("reset", "connection"), ("torn", "bad reply")],
)
def test_a_fault_that_stays_is_a_failure_of_its_request_alone(
    server: FaultyServer, fault: str, kind: str
) -> None:
    few = RetryPolicy(max_retries=2, first_seconds=0.01, longest_seconds=10)
    session = generator(server, policy=few, timeout_seconds=0.4).open()
    server.plan = lambda body, _: fault if body["messages"][0]["content"] == "What is 1?" else None
    outcomes = run(session, requests(20))
    failed = outcomes.pop(1)
    assert isinstance(failed, Failure)
    assert (failed.kind, failed.attempts) == (kind, 3)
    assert all(isinstance(outcome, Completion) for outcome in outcomes.values())
    assert (session.accounts.completions, session.accounts.failures) == (19, 1)


def test_being_busy_hardly_costs_attempts(server: FaultyServer) -> None:
    session = generator(
        server, policy=RetryPolicy(max_retries=1, first_seconds=0.01, longest_seconds=1.0)
    ).open()
    server.retry_after_seconds = 0.02
    server.plan = lambda _, attempt: "429 seconds" if attempt < 8 else None
    assert isinstance(run(session, requests(1))[0], Completion)


def test_retry_after_holds_for_the_whole_server(server: FaultyServer) -> None:
    session = generator(server, concurrency=4).open()
    server.retry_after_seconds = 0.6
    arrivals: list[float] = []

    def plan(_: dict[str, Any], attempt: int) -> str | None:
        arrivals.append(time.monotonic())
        return "429 seconds" if len(arrivals) <= 4 else None

    server.plan = plan
    outcomes = run(session, requests(12))
    assert all(isinstance(outcome, Completion) for outcome in outcomes.values())
    assert arrivals[3] - arrivals[0] < 0.3
    assert arrivals[4] - arrivals[3] > 0.55


def test_a_chat_that_is_too_long_is_paid_for_once(server: FaultyServer) -> None:
    session = generator(server).open()
    server.context_tokens = 70
    long = Request("long", ({"role": "user", "content": "word " * 20},), seed=1)
    before = len(server.bodies)
    outcomes = run(session, [*requests(2), long])
    assert isinstance(outcomes[2], Failure)
    assert (outcomes[2].kind, outcomes[2].attempts) == ("too long", 1)
    assert "maximum context length is 70" in outcomes[2].message
    assert len(server.bodies) - before == 3


def test_concurrency_is_bounded_and_used(server: FaultyServer) -> None:
    session = generator(server, concurrency=5).open()
    server.latency_seconds = 0.05
    server.most_in_flight = 0
    run(session, requests(40))
    assert server.most_in_flight == 5


def test_room_is_what_servers_take_and_a_little_more(server: FaultyServer) -> None:
    session = generator(server, concurrency=8).open()
    server.latency_seconds = 0.3
    assert session.room() == 9
    for ticket, request in enumerate(requests(6)):
        session.submit(ticket, request, SAMPLING)
    assert session.room() == 3
    finish(session, 6)
    assert session.room() == 9
    session.submit(0, requests(1)[0], SAMPLING, done=True)
    assert session.room() == 9
    session.close()


def test_a_dead_server_is_set_aside_its_work_goes_on_and_it_comes_back() -> None:
    said: list[str] = []
    with FaultyServer() as healthy, FaultyServer() as dying:
        for one in (healthy, dying):
            one.latency_seconds = 0.02
        session = generator(healthy, dying, concurrency=4, say=said.append).open()
        dying.down = True
        work = requests(300)
        for ticket, request in enumerate(work[:100]):
            session.submit(ticket, request, SAMPLING)
        first = finish(session, 100)
        assert all(isinstance(outcome, Completion) for outcome in first.values())
        assert any("set aside" in line and dying.base_url in line for line in said)
        dying.down = False
        served = dying.served.total()
        for ticket, request in enumerate(work[100:]):
            session.submit(ticket, request, SAMPLING)
        finish(session, 200)
        session.close()
        assert dying.served.total() - served > 40
        assert any("is back" in line for line in said)


def test_no_server_for_too_long_ends_the_session_and_what_is_finished_comes_first(
    server: FaultyServer,
) -> None:
    policy = RetryPolicy(max_retries=3, first_seconds=0.01, longest_seconds=0.3)
    session = generator(server, policy=policy, concurrency=4).open()
    for ticket, request in enumerate(requests(4)):
        session.submit(ticket, request, SAMPLING)
    finish(session, 4)
    server.down = True
    for ticket, request in enumerate(requests(40)):
        session.submit(ticket, request, SAMPLING)
    with pytest.raises(ValueError, match=r"no server has answered for .* is safe: run the same"):
        finish(session, 40)
    assert session.room() == 0
    session.close()
    session.close()


def test_a_key_that_is_no_longer_accepted_ends_the_session_without_showing_it(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    server.key = KEY
    session = generator(server, api_key_env="TEST_KEY").open()
    server.key = "another"
    session.submit(0, requests(1)[0], SAMPLING)
    with pytest.raises(ValueError, match="HTTP 401") as error:
        finish(session, 1)
    assert KEY not in str(error.value)
    session.close()


def test_the_key_is_sent_and_shows_up_nowhere(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEST_KEY", f"{KEY}\n")
    server.key = KEY
    said: list[str] = []
    made = generator(server, api_key_env="TEST_KEY", say=said.append)
    session = made.open()
    assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"
    server.refuses = ("seed",)
    session.submit(0, requests(1)[0], SAMPLING)
    with pytest.raises(ValueError, match="Unsupported parameter") as error:
        finish(session, 1)
    session.close()
    shown = f"{made.identity} {said} {error.value} {capfd.readouterr()}"
    assert KEY not in shown


def test_a_key_that_a_server_repeats_is_blotted_out(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "maximum")
    session = generator(server, api_key_env="TEST_KEY").open()
    server.context_tokens = 10
    outcome = run(session, requests(1))[0]
    assert isinstance(outcome, Failure)
    assert "This model's *** context length" in outcome.message


def test_no_key_no_header(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    generator(server).open().close()
    assert "Authorization" not in server.headers[-1]


def test_identity_is_all_that_texts_depend_on(server: FaultyServer) -> None:
    made = generator(server, body={"b": 1, "a": [2]}, omit=("seed", "max_tokens"))
    assert made.identity == {
        "backend": "openai",
        "model": "tiny",
        "address": server.base_url,
        "body": '{"a": [2], "b": 1}',
        "omit": "max_tokens seed",
    }
    assert generator(server, address="pool").identity["address"] == "pool"


def test_generate_yields_what_is_not_done_and_names_what_failed(server: FaultyServer) -> None:
    made = generator(server)
    work = requests(10)
    written = dict(made.generate(work, SAMPLING, done={0, 4}))
    assert written.keys() == set(range(10)) - {0, 4}
    assert all(written[i].text == expected(work[i]) for i in written)
    asked = len(server.bodies)
    assert list(made.generate(work, SAMPLING, done=set(range(10)))) == []
    assert len(server.bodies) == asked  # nothing left to do: no preflight
    server.context_tokens = 68
    long = Request("long", ({"role": "user", "content": "word " * 20},), seed=1)
    with pytest.raises(ValueError, match="1 of 2 requests failed; the first, long: too long"):
        list(made.generate([work[0], long], SAMPLING))


def test_greedy_texts_do_not_depend_on_order_or_concurrency(server: FaultyServer) -> None:
    work = requests(30)
    greedy = Sampling(max_tokens=16)
    alone = dict(generator(server, concurrency=1).generate(work, greedy))
    many = dict(generator(server, concurrency=16).generate(work[::-1], greedy))
    assert [alone[i].text for i in range(30)] == [many[29 - i].text for i in range(30)]
    assert {body["temperature"] for body in server.bodies[-30:]} == {0.0}


def test_money_is_booked_as_texts_are_collected(server: FaultyServer) -> None:
    session = generator(
        server, usd_per_million_prompt_tokens=1e6, usd_per_million_completion_tokens=2e6
    ).open()
    outcomes = run(session, requests(5))
    done = [outcome for outcome in outcomes.values() if isinstance(outcome, Completion)]
    tokens = [(one.prompt_tokens, one.completion_tokens) for one in done]
    assert session.accounts.usd == pytest.approx(sum(prompt + 2 * out for prompt, out in tokens))
    assert session.accounts.total_tokens == sum(map(sum, tokens))
    assert session.accounts.cached_tokens == 5


def test_closing_leaves_nothing_behind(server: FaultyServer) -> None:
    session = generator(server, concurrency=4).open()
    server.plan = lambda _, __: "silence"
    for ticket, request in enumerate(requests(10)):
        session.submit(ticket, request, SAMPLING)
    time.sleep(0.1)
    started = time.monotonic()
    session.close()
    assert time.monotonic() - started < 1.0
    time.sleep(0.1)
    assert server.in_flight == 0


def test_the_config_makes_this_generator(server: FaultyServer) -> None:
    made = make_generator(TeacherConfig(base_url=(server.base_url,)))
    assert isinstance(made, OpenAIGenerator)
    assert made.identity["model"] == "tiny"


def test_more_connections_than_files_are_refused_before_any_work() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 250), hard))
        allow_connections(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300 + OTHER_FILES, hard)
        with pytest.raises(ValueError, match="lower concurrency, or raise the limit"):
            allow_connections(1 << 40)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
