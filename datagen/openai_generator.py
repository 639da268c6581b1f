"""The openai generator: any server that speaks the OpenAI protocol, or several of one model.

    OpenAIGenerator(config).open() -> preflight -> ServerSession

`identity` names the model and the server's `address`, never the key. The weights behind a served name are unknown here,
and so is the chat template: who changes them names another `address`.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from datagen.backends import TeacherConfig
from datagen.generators import Completion, Request, Sampling
from datagen.openai_http import HttpClient
from datagen.openai_preflight import check_servers, choose_model
from datagen.openai_retry import RetryPolicy
from datagen.openai_session import ServerSession
from datagen.progress_bar import Say, say_line
from datagen.sessions import write_all

T = TypeVar("T")


class OpenAIGenerator:
    """One or several servers of one model."""

    def __init__(
        self,
        config: TeacherConfig,
        policy: RetryPolicy | None = None,
        say: Say = say_line,
        chance: random.Random | None = None,
    ) -> None:
        for url in config.base_url:
            check_base_url(url)
        self._config = config
        self._policy = policy or RetryPolicy(max_retries=config.max_retries)
        self._say = say
        self._chance = chance or random.Random()
        self._key = read_key(config.api_key_env)

    @property
    def identity(self) -> dict[str, str]:
        """The model, under which address, and what every request brings along. Asks the server for its model's name
        where the config names none."""
        config = self._config
        identity = {
            "backend": "openai",
            "model": self.model,
            "address": config.address or config.base_url[0].rstrip("/"),
            "body": json.dumps(dict(config.body), sort_keys=True),
        }
        return identity | ({"omit": " ".join(sorted(config.omit))} if config.omit else {})

    @cached_property
    def model(self) -> str:
        """The name that the servers know."""
        if self._config.model is not None:
            return self._config.model
        session = self._session("")
        try:
            return self._run(session, self._choose_model)
        finally:
            session.close()

    async def _choose_model(self, client: HttpClient) -> str:
        return await choose_model(client, self._config.base_url, self._config)

    def open(self) -> ServerSession:
        """The servers at work, once a tiny request to each has shown that they are."""
        session = self._session(self.model)
        try:
            for ailing in self._run(session, self._check_servers):
                self._say(f"{self._hide(ailing)} The others go on without it")
        except BaseException:
            session.close()
            raise
        return session

    async def _check_servers(self, client: HttpClient) -> list[str]:
        return await check_servers(client, self._config.base_url, self.model, self._config)

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        done: AbstractSet[int] = frozenset(),
    ) -> Iterator[tuple[int, Completion]]:
        """All requests that are not done, as they finish."""
        if len(done) < len(requests):
            yield from write_all(self.open(), requests, sampling, done)

    def _session(self, model: str) -> ServerSession:
        chance = random.Random(self._chance.random())
        return ServerSession(model, self._config, self._policy, self._key, self._say, chance)

    def _run(
        self, session: ServerSession, work: Callable[[HttpClient], Coroutine[Any, Any, T]]
    ) -> T:
        try:
            return session.run(work)
        except ValueError as error:
            raise ValueError(self._hide(str(error))) from None

    def _hide(self, message: str) -> str:
        """Servers may repeat the key in what they say."""
        return message.replace(self._key, "***") if self._key else message


def check_base_url(url: str) -> None:
    """ValueError for what is no address of a server."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"base_url: {url!r} is no address: {error}") from None
    if not host or not url.isascii() or any(char.isspace() for char in url):
        raise ValueError(f"base_url: {url!r} is no address; write http://HOST:PORT/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            f"base_url must not hold a password (it is kept with every text): {host}; "
            "name the variable that holds the key: api_key_env"
        )
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise ValueError(f"base_url: {url} goes too far; leave out /chat/completions")


def read_key(variable: str) -> str | None:
    """The key, None where the variable is unset or empty: local servers need none."""
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"the environment variable {variable} holds no key: it has odd characters")
    return key or None
