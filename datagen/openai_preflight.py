"""Before any work is paid for: do the servers answer, know the key, and serve the model?

    list_models(server) -> names        what `GET /models` says
    choose_model(servers) -> name       where the config names none
    check_servers(servers, model) -> None, or one ValueError that says what to do

Each server gets one tiny request with all the fields that real ones will have, so that a field it does not take is
found here. A provider without `/models` is fine: the tiny request decides. Of several servers some may be down for
now; all of them may not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from difflib import get_close_matches

from datagen.backends import BackendConfig
from datagen.generators import Completion, Request, Sampling
from datagen.openai_http import HttpClient, NoConnection, Reply
from datagen.openai_request import attempt, endpoint, request_body
from datagen.openai_retry import Problem, error_message

PREFLIGHT_SECONDS = 120.0
"""A server may have a queue; `timeout_seconds` counts where it is shorter."""
PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each try, while the reply may be better a moment later."""
SHOWN_MODELS = 8
TINY = Request("preflight", ({"role": "user", "content": "Hi"},), seed=(1 << 62) + 1)
"""Its seed is as long as real ones are."""
TINY_SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_tokens=1)
TOO_TINY = "model output limit was reached"
"""Of reasoning models that cannot even think within one token: all else was fine."""


class Unreachable(ValueError):
    """The server does not answer; another one of the pool may."""


async def check_servers(
    client: HttpClient, base_urls: Sequence[str], model: str, config: BackendConfig
) -> list[str]:
    """What is wrong with the servers that do not answer, where at least one does. ValueError where none does, or
    where one says that the config is wrong."""
    results = await asyncio.gather(
        *(check_server(client, url, model, config) for url in base_urls), return_exceptions=True
    )
    errors = [result for result in results if isinstance(result, BaseException)]
    for error in errors:
        if not isinstance(error, Unreachable):
            raise error
    if len(errors) == len(base_urls):
        raise errors[0]
    return [str(error) for error in errors]


async def check_server(
    client: HttpClient, base_url: str, model: str, config: BackendConfig
) -> None:
    """ValueError where the server would not do its work."""
    served = await list_models(client, base_url, config)
    if served is not None and model not in served:
        near = get_close_matches(model, served, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"{base_url} does not serve {model!r}{hint}; it serves {listed(served)}")
    body = request_body(model, TINY, TINY_SAMPLING, config)
    for pause in PAUSES:
        await asyncio.sleep(pause)
        outcome = await attempt(client, base_url, body, time_limit(config))
        if isinstance(outcome, Completion):
            return
        if outcome.blame == "busy" or TOO_TINY in outcome.message:
            return
        if not outcome.may_pass:
            raise ValueError(f"{base_url}: {advice(outcome, config)}")
    assert isinstance(outcome, Problem)
    raise Unreachable(
        f"{base_url}: a tiny request failed {len(PAUSES)} times: {outcome.message}; "
        "is this the address of an OpenAI-compatible server?"
    )


def advice(problem: Problem, config: BackendConfig) -> str:
    """What the server said, and what the user can do about it."""
    said, status = problem.message, problem.status
    if status in (401, 403):
        return f"{said}; {key_advice(config)}"
    if status in (404, 405):
        return f"{said}; base_url must end where /chat/completions begins, mostly in /v1"
    if status == 402:
        return f"{said}; the account has no money left"
    if "max_completion_tokens" in said:
        return f'{said}; omit = ["max_tokens"] sends the limit as max_completion_tokens'
    return f'{said}; a field that the server does not take is left out with omit = ["NAME"]'


def key_advice(config: BackendConfig) -> str:
    """Where the key comes from; never the key."""
    return (
        f"the key is read from the environment variable {config.api_key_env} (api_key_env): "
        "is it set, and is it this server's?"
    )


async def list_models(client: HttpClient, base_url: str, config: BackendConfig) -> list[str] | None:
    """The names that a server serves; None where it does not tell."""
    url = endpoint(base_url, "models")
    reply = await ask(client, url, config)
    if reply.status == 401:
        raise ValueError(f"{base_url}: HTTP 401: {error_message(reply.body)}; {key_advice(config)}")
    if reply.status != 200:
        return None
    try:
        names = [entry["id"] for entry in json.loads(reply.body)["data"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        begins = reply.body[:40].decode(errors="replace").strip()
        raise ValueError(
            f"{url} sends no list of models but {begins!r}; base_url must be the address of an "
            "OpenAI-compatible server, mostly with /v1 at its end"
        ) from None
    return [name for name in names if isinstance(name, str)] or None


async def ask(client: HttpClient, url: str, config: BackendConfig) -> Reply:
    """A reply, whatever it says; Unreachable where there is none."""
    limit = time_limit(config)
    for pause in PAUSES:
        await asyncio.sleep(pause)
        try:
            return await client.send("GET", url, None, limit)
        except TimeoutError:
            why = f"no answer within {limit:g} s"
        except NoConnection as error:
            why = str(error)
            break
        except OSError as error:
            why = str(error)
    raise Unreachable(f"{url} cannot be reached: {why}; is the server running, and base_url right?")


def time_limit(config: BackendConfig) -> float:
    """Seconds for a tiny request."""
    return min(PREFLIGHT_SECONDS, config.timeout_seconds)


async def choose_model(client: HttpClient, base_urls: Sequence[str], config: BackendConfig) -> str:
    """The one model that the first server to answer serves."""
    error: ValueError | None = None
    for base_url in base_urls:
        try:
            served = await list_models(client, base_url, config)
        except Unreachable as unreachable:
            error = error or unreachable
            continue
        if served is None:
            raise ValueError(f"{base_url} does not tell which models it serves; name one: model")
        if len(served) > 1:
            raise ValueError(
                f"{base_url} serves {len(served)} models; name one of them, model = …: "
                f"{listed(served)}"
            )
        return served[0]
    assert error is not None
    raise error


def listed(names: Sequence[str]) -> str:
    """The first few names."""
    more = len(names) - SHOWN_MODELS
    return ", ".join(names[:SHOWN_MODELS]) + (f" and {more} more" if more > 0 else "")
