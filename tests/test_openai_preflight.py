"""Claims: what cannot work is said in one line, before any work is paid for; what can is not held up."""

from __future__ import annotations

import random
import socket
from typing import Any

import pytest
from aiohttp import web
from faulty_server import FaultyServer

from datagen import openai_preflight
from datagen.backends import TeacherConfig
from datagen.openai_generator import OpenAIGenerator
from datagen.openai_retry import RetryPolicy


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_preflight, "PAUSES", (0.0, 0.01, 0.01))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def generator(*urls: str, model: str | None = "tiny", **settings: Any) -> OpenAIGenerator:
    config = TeacherConfig(base_url=urls, model=model, **settings)
    return OpenAIGenerator(config, RetryPolicy(), said.append, random.Random(0))


said: list[str] = []


def refusal(made: OpenAIGenerator) -> str:
    with pytest.raises(ValueError, match=r"\S") as error:
        made.open()
    message = str(error.value)
    assert "\n" not in message
    return message


def dead_url() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def test_each_server_gets_one_tiny_request() -> None:
    with FaultyServer() as one, FaultyServer() as other:
        generator(one.base_url, other.base_url).open().close()
        for server in (one, other):
            (body,) = server.bodies
            assert body["max_tokens"] == 1
            assert {"temperature", "top_p", "seed"} <= body.keys()


def test_a_wrong_key_names_the_variable_and_not_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-wrong")
    with FaultyServer(key="right") as server:
        for lists_models in (True, False):
            server.lists_models = lists_models
            message = refusal(generator(server.base_url, api_key_env="MY_KEY"))
            assert server.base_url in message
            assert "HTTP 401" in message
            assert "MY_KEY" in message
            assert "sk-wrong" not in message


def test_a_model_that_is_not_served_lists_what_is() -> None:
    with FaultyServer(models=("qwen-7b", "llama-8b")) as server:
        message = refusal(generator(server.base_url, model="qwen-8b"))
        assert "does not serve 'qwen-8b' (did you mean 'qwen-7b'?)" in message
        assert "qwen-7b, llama-8b" in message


def test_a_provider_without_a_list_of_models_is_fine() -> None:
    with FaultyServer(lists_models=False) as server:
        generator(server.base_url).open().close()
        message = refusal(generator(server.base_url, model="other"))
        assert "The model `other` does not exist" in message


def test_a_lone_model_needs_no_name_and_several_are_listed() -> None:
    with FaultyServer() as server:
        assert generator(server.base_url, model=None).identity["model"] == "tiny"
        server.models = ("a", "b")
        with pytest.raises(ValueError, match=r"serves 2 models; name one .*: a, b"):
            _ = generator(server.base_url, model=None).identity
        server.lists_models = False
        with pytest.raises(ValueError, match="does not tell which models"):
            _ = generator(server.base_url, model=None).identity


def test_a_dead_server_is_named() -> None:
    url = dead_url()
    for model in ("tiny", None):
        message = refusal(generator(url, model=model))
        assert f"{url}/models cannot be reached" in message
        assert "is the server running" in message


def test_an_unknown_host_is_named() -> None:
    message = refusal(generator("http://no.such.host.invalid/v1"))
    assert "http://no.such.host.invalid/v1/models cannot be reached" in message


def test_a_server_that_never_answers_is_named() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        assert "no answer within 0.1 s" in refusal(generator(url, timeout_seconds=0.1))


def test_a_wrong_path_says_how_the_address_should_end() -> None:
    with FaultyServer() as server:
        message = refusal(generator(server.base_url.removesuffix("/v1")))
        assert "HTTP 404" in message
        assert "mostly in /v1" in message


def test_a_page_instead_of_json_is_no_server_of_texts() -> None:
    with FaultyServer(lists_models=False, plan=lambda _, __: "html") as server:
        message = refusal(generator(server.base_url))
        assert server.base_url in message
        assert "<html>" in message
        assert "is this the address of an OpenAI-compatible server?" in message


def test_a_list_of_models_that_is_a_page_is_no_server_of_texts() -> None:
    class Page(FaultyServer):
        async def _list_models(self, _: web.Request) -> web.Response:
            return web.Response(text="<html>Welcome</html>", content_type="text/html")

    with Page() as server:
        message = refusal(generator(server.base_url))
        assert "sends no list of models but '<html>Welcome</html>'" in message


def test_a_field_that_is_refused_names_the_setting_that_leaves_it_out() -> None:
    with FaultyServer(refuses=("seed",)) as server:
        message = refusal(generator(server.base_url))
        assert "Unsupported parameter: 'seed'" in message
        assert 'omit = ["NAME"]' in message
        generator(server.base_url, omit=("seed",)).open().close()


def test_a_server_that_fails_a_moment_is_waited_for() -> None:
    with FaultyServer(plan=lambda _, attempt: "503" if attempt < 2 else None) as server:
        generator(server.base_url).open().close()


def test_of_several_servers_some_may_be_down_but_not_all() -> None:
    url = dead_url()
    with FaultyServer() as server:
        said.clear()
        generator(url, server.base_url).open().close()
        assert len(said) == 1
        assert url in said[0]
    assert "cannot be reached" in refusal(generator(url, dead_url()))


def test_a_server_of_the_pool_with_another_model_is_an_error() -> None:
    with FaultyServer() as one, FaultyServer(models=("other",)) as other:
        message = refusal(generator(one.base_url, other.base_url))
        assert f"{other.base_url} does not serve 'tiny'" in message


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://", "no address"),
        ("http://host:port/v1", "no address"),
        ("http://a b/v1", "no address"),
        ("http://user:pass@host/v1", "must not hold a password"),
        ("http://host/v1/chat/completions", "leave out /chat/completions"),
    ],
)
def test_addresses_that_cannot_be_meant_are_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as error:
        generator(url)
    assert "pass@" not in str(error.value)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_with_odd_characters_is_refused_unseen(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ValueError, match="OPENAI_API_KEY holds no key") as error:
        generator("http://host/v1")
    assert key not in str(error.value)
