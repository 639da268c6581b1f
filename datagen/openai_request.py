"""The OpenAI protocol: a request becomes a JSON body, and a reply becomes a completion or a problem.

    Request + Sampling -> request_body -> attempt -> read_reply -> Completion | Problem

The limit is sent as `max_tokens`, which all servers know but some providers' reasoning models refuse: with
`omit = ["max_tokens"]` it is sent as `max_completion_tokens`, and with both names omitted not at all. What a
reasoning server puts apart (`reasoning_content`, `reasoning`) is joined in front of the text as `<think>…</think>`,
as models without such a server write it themselves; a text that was cut within its thoughts has no `</think>`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from datagen.backends import BackendConfig
from datagen.generators import Completion, Request, Sampling
from datagen.openai_http import HttpClient, NoConnection, Reply
from datagen.openai_retry import Problem, error_message, is_about_context, problem_of

CUT = frozenset({"length", "max_tokens", "model_length"})
"""Finish reasons that mean: the limit was reached."""
BROKEN_OFF = frozenset({"abort", "error"})
"""Finish reasons of a server that is shut down while it writes."""


@cache
def endpoint(base_url: str, path: str) -> str:
    """An address below a base URL, whose query is kept."""
    url = urlsplit(base_url)
    return url._replace(path=f"{url.path.rstrip('/')}/{path}").geturl()


def request_body(
    model: str, request: Request, sampling: Sampling, config: BackendConfig
) -> dict[str, Any]:
    """What is sent: all that the text depends on, less `omit`; `body` has the last word."""
    fields: dict[str, Any] = {
        "model": model,
        "messages": list(request.messages),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": request.seed,
    }
    if "max_tokens" in config.omit:
        fields["max_completion_tokens"] = sampling.max_tokens
    fields |= config.body
    return {name: value for name, value in fields.items() if name not in config.omit}


async def attempt(
    client: HttpClient, base_url: str, body: Mapping[str, Any], limit: float
) -> Completion | Problem:
    """One request to one server, and what came of it."""
    started = time.perf_counter()
    url, content = endpoint(base_url, "chat/completions"), json.dumps(body).encode()
    try:
        reply = await client.send("POST", url, content, limit)
    except TimeoutError:
        return Problem("timeout", f"no answer within {limit:g} s", "server", may_pass=True)
    except NoConnection as error:
        return Problem("connection", f"no connection: {error}", "server", may_pass=True)
    except OSError as error:
        return Problem("connection", str(error), "server", may_pass=True)
    return read_reply(reply, time.perf_counter() - started)


def read_reply(reply: Reply, seconds: float) -> Completion | Problem:
    """The text with its counts; a reply that holds none is a problem."""
    if reply.status != 200:
        return problem_of(reply.status, reply.headers, reply.body)
    try:
        value = json.loads(reply.body)
        choice = value["choices"][0]
        text = full_text(choice["message"], choice.get("finish_reason"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return unreadable(reply.body)
    reason = choice.get("finish_reason") or "stop"
    if reason == "content_filter":
        return Problem("refused", "the provider's content filter", "request", may_pass=False)
    if reason in BROKEN_OFF:
        return Problem("server", f"the server broke off ({reason})", "server", may_pass=True)
    usage = value.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Completion(
        text=text,
        finish_reason="length" if reason in CUT else str(reason),
        prompt_tokens=count(usage, "prompt_tokens"),
        completion_tokens=count(usage, "completion_tokens"),
        seconds=round(seconds, 6),
        cached_tokens=count(usage.get("prompt_tokens_details"), "cached_tokens"),
    )


def full_text(message: Mapping[str, Any], finish_reason: str | None) -> str:
    """The turn as one text, thoughts first. Where a provider declines, its words are the text."""
    content = message.get("content") or message.get("refusal") or ""
    thoughts = message.get("reasoning_content") or message.get("reasoning") or ""
    if not isinstance(content, str) or not isinstance(thoughts, str):
        raise TypeError("content must be a text")
    if not thoughts:
        return content
    if not content and finish_reason in CUT:
        return f"<think>\n{thoughts}"
    return f"<think>\n{thoughts.strip()}\n</think>\n\n{content.lstrip()}"


def unreadable(body: bytes) -> Problem:
    """A reply with status 200 that is torn, no JSON, or has no choices; some servers put errors into these."""
    said = error_message(body) or "nothing"
    if b'"error"' in body and b'"choices"' not in body and is_about_context(said):
        return Problem("too long", said, "request", may_pass=False)
    return Problem("bad reply", f"a reply without a text: {said}", "server", may_pass=True)


def count(usage: Any, name: str) -> int:
    """A count that a server reports, 0 where it does not."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
