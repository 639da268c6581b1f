"""Claims: what is sent, what a reply means, which failures may pass, and how long is waited."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.backends import TeacherConfig
from datagen.generators import Completion, Failure, Request, Sampling
from datagen.openai_accounts import Accounts
from datagen.openai_http import Reply
from datagen.openai_request import endpoint, read_reply, request_body
from datagen.openai_retry import Problem, RetryPolicy, asked_pause, error_message, problem_of

REQUEST = Request("r1", ({"role": "user", "content": "What is 2 + 2?"},), seed=7)
SAMPLING = Sampling(temperature=0.6, top_p=0.9, max_tokens=50)


def config(**settings: Any) -> TeacherConfig:
    return TeacherConfig(base_url=("http://127.0.0.1:1/v1",), model="tiny", **settings)


def read(
    message: Mapping[str, Any], reason: str | None = "stop", **rest: Any
) -> Completion | Problem:
    choice = {"message": message, "finish_reason": reason}
    body = json.dumps({"choices": [choice], **rest}).encode()
    return read_reply(Reply(200, {}, body), 1.5)


def error(status: int, message: str, code: str | None = None, **headers: str) -> Problem:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    return problem_of(status, {k.replace("_", "-"): v for k, v in headers.items()}, body)


def test_everything_a_text_depends_on_is_sent() -> None:
    assert request_body("tiny", REQUEST, SAMPLING, config()) == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "What is 2 + 2?"}],
        "temperature": 0.6,
        "top_p": 0.9,
        "max_tokens": 50,
        "seed": 7,
    }


def test_body_adds_and_omit_leaves_out() -> None:
    sent = request_body(
        "tiny",
        REQUEST,
        SAMPLING,
        config(body={"reasoning_effort": "low", "top_p": 1}, omit=("seed",)),
    )
    assert sent["reasoning_effort"] == "low"
    assert sent["top_p"] == 1
    assert "seed" not in sent


def test_an_omitted_max_tokens_is_sent_under_its_new_name() -> None:
    sent = request_body("tiny", REQUEST, SAMPLING, config(omit=("max_tokens",)))
    assert sent["max_completion_tokens"] == 50
    assert "max_tokens" not in sent
    both = ("max_tokens", "max_completion_tokens")
    assert not request_body("tiny", REQUEST, SAMPLING, config(omit=both)).keys() & set(both)


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("http://a:1/v1", "http://a:1/v1/models"),
        ("http://a:1/v1/", "http://a:1/v1/models"),
        ("https://a/x/v1?version=3", "https://a/x/v1/models?version=3"),
    ],
)
def test_addresses_lie_below_the_base_url(base_url: str, address: str) -> None:
    assert endpoint(base_url, "models") == address


def test_a_reply_becomes_a_completion() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 8},
    }
    assert read({"content": "4"}, usage=usage) == Completion("4", "stop", 9, 4, 1.5, 8)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": -1}, [1]])
def test_servers_that_count_nothing_are_read_too(usage: object) -> None:
    reply = read({"content": "4"}, usage=usage)
    assert isinstance(reply, Completion)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens) == (0, 0, 0)


@pytest.mark.parametrize(
    ("said", "mapped"),
    [("stop", "stop"), ("length", "length"), ("max_tokens", "length"), (None, "stop"), ("x", "x")],
)
def test_finish_reasons_are_mapped(said: str | None, mapped: str) -> None:
    reply = read({"content": "4"}, said)
    assert isinstance(reply, Completion)
    assert reply.finish_reason == mapped


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_stand_in_front_of_the_text(field: str) -> None:
    reply = read({"content": "\n\nIt is 4.", field: "2 + 2\n"})
    assert isinstance(reply, Completion)
    assert reply.text == "<think>\n2 + 2\n</think>\n\nIt is 4."


def test_a_text_cut_within_its_thoughts_does_not_close_them() -> None:
    reply = read({"content": None, "reasoning_content": "2 + "}, "length")
    assert isinstance(reply, Completion)
    assert reply.text == "<think>\n2 + "


def test_a_refusal_is_the_text() -> None:
    reply = read({"content": None, "refusal": "I cannot help."})
    assert isinstance(reply, Completion)
    assert reply.text == "I cannot help."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>oops</html>",
        b'{"choices": [{"message": {"content": "the context length is',
        b'{"error": null, "choices": [{"message": {"content": "the context length',
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": ["a"]}}]}',
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_replies_without_a_text_may_pass(body: bytes) -> None:
    problem = read_reply(Reply(200, {}, body), 0.0)
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.may_pass, problem.blame) == ("bad reply", True, "server")
    assert "\n" not in problem.message
    assert len(problem.message) < 400


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "message", "content", "finish_reason", "usage", "error"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([200, 400, 429, 500]),
)
def test_no_reply_raises(body: bytes, status: int) -> None:
    assert isinstance(read_reply(Reply(status, {}, body), 0.0), Completion | Problem)


def test_a_filtered_text_is_refused_and_a_broken_one_tried_again() -> None:
    filtered, aborted = read({"content": ""}, "content_filter"), read({"content": "4"}, "abort")
    assert isinstance(filtered, Problem)
    assert isinstance(aborted, Problem)
    assert (filtered.kind, filtered.may_pass) == ("refused", False)
    assert (aborted.kind, aborted.may_pass) == ("server", True)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 529])
def test_failures_that_may_pass(status: int) -> None:
    problem = error(status, "not now")
    assert problem.may_pass
    assert problem.blame == ("busy" if status == 429 else "server")
    assert str(status) in problem.message


@pytest.mark.parametrize(
    ("status", "blame"),
    [(400, "request"), (403, "request"), (422, "request"), (501, "request"), (301, "request"),
     (401, "run"), (402, "run"), (404, "run")],
)  # fmt: skip
def test_failures_that_never_pass(status: int, blame: str) -> None:
    problem = error(status, "no")
    assert (problem.kind, problem.may_pass, problem.blame) == ("refused", False, blame)


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens",
        "The decoder prompt (length 3000) is longer than the maximum model length of 2048.",
        "The input (3000 tokens) is longer than the model's context length (2048 tokens).",
        "the request exceeds the available context size. try increasing the context size",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input token count (9) exceeds the maximum number of tokens allowed",
    ],
)
def test_a_chat_that_is_too_long_is_final(message: str) -> None:
    for problem in (error(400, message), error(500, message)):
        assert (problem.kind, problem.may_pass) == ("too long", False)
    inside = read_reply(Reply(200, {}, json.dumps({"error": message}).encode()), 0.0)
    assert isinstance(inside, Problem)
    assert inside.kind == "too long"


def test_a_field_that_no_request_may_have_ends_the_run() -> None:
    assert error(400, "Unsupported parameter: 'seed'", "unsupported_parameter").blame == "run"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "a  b", "code": "c"}}', "a b (c)"),
        (b'{"error": "plain"}', "plain"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"object": "error", "message": "too much", "code": 400}', "too much"),
        (b"<html>\n<b>Bad</b>\n</html>", "<html> <b>Bad</b> </html>"),
        (b"", ""),
    ],
)
def test_errors_are_one_line(body: bytes, said: str) -> None:
    assert error_message(body) == said


NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "1e9"}, 3600.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
    ],
)
def test_pauses_that_servers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_pause(headers, NOW) == seconds


def test_pauses_double_are_bounded_and_repeat_with_their_source_of_chance() -> None:
    policy = RetryPolicy(first_seconds=1.0, longest_seconds=8.0)
    for failures, bound in enumerate([1, 2, 4, 8, 8, 8]):
        pauses = [policy.pause(failures, random.Random(seed)) for seed in range(200)]
        assert 0 <= min(pauses) < 0.1 * bound  # full jitter
        assert 0.9 * bound < max(pauses) <= bound
    assert policy.pause(3, random.Random(5)) == policy.pause(3, random.Random(5))


def test_accounts_add_up_to_what_was_collected() -> None:
    accounts = Accounts(usd_per_million_prompt_tokens=3.0, usd_per_million_completion_tokens=15.0)
    accounts.add(Completion("a", "stop", 1000, 200, 1.0, cached_tokens=4), failed_attempts=2)
    accounts.add(Completion("b", "stop", 0, 0, 1.0))
    accounts.add(Failure("timeout", "no answer", 7), failed_attempts=7)
    assert (accounts.completions, accounts.failures) == (2, 1)
    assert (accounts.failed_attempts, accounts.without_usage) == (9, 1)
    assert (accounts.prompt_tokens, accounts.cached_tokens) == (1000, 4)
    assert accounts.total_tokens == 1200
    assert accounts.usd == pytest.approx(0.006)
    assert "$0.01" in accounts.sentence()
