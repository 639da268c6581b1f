"""What a server's failure means: whether the same request may pass later, and how long to wait.

    status, headers, body -> Problem(kind, blame, may_pass, pause) -> the pool, and the request's next attempt

A failure has one of three culprits. The *request* may be at fault: a chat beyond the context is final, and is paid
for once. The *server* may be unwell: then it is the server that is avoided, too. Or the server is well and *busy*
(429): it said so to spare itself, so it is left alone for as long as it asks, and the request has hardly used up an
attempt. The blame `run` marks what would befall every other request as well: a key that is no longer accepted.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Literal

Blame = Literal["request", "server", "busy", "run"]

PASSES_LATER = frozenset({408, 409, 425})
NEVER_PASSES = frozenset({501, 505})
STOPS_THE_RUN = frozenset({401, 402, 404})
"""Key, account or model are gone: no request can pass."""

CONTEXT_WORDS = (
    "context length",
    "context size",
    "context window",
    "context_length",
    "maximum model length",
    "prompt is too long",
    "input is too long",
    "input token count",
    "max_new_tokens",
    "sequence length",
)
"""Of errors that say: this chat is too long. vLLM, SGLang, llama.cpp, TGI, OpenAI, Anthropic and Gemini use these."""
PARAMETER_CODES = ("unsupported_parameter", "unsupported_value", "unknown_parameter")
"""Of errors that name a field which the server does not take."""

MESSAGE_CHARS = 300
LONGEST_ASKED_SECONDS = 3600.0
"""A longer pause than this is not believed."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long to wait, and when to give up."""

    max_retries: int = 6
    """Further attempts of one request."""
    first_seconds: float = 1.0
    """The first pause lasts up to this; each further one up to twice as long."""
    longest_seconds: float = 60.0
    """No pause of a request lasts longer."""
    busy_share: float = 0.1
    """Of an attempt, that a request has used up when the server was merely busy."""

    def pause(self, failures: int, chance: random.Random) -> float:
        """Seconds until the next attempt, after so many earlier failures: any time up to a bound that doubles. What
        failed together does not come back together."""
        return chance.uniform(0, min(self.longest_seconds, self.first_seconds * 2.0**failures))

    @property
    def patience_seconds(self) -> float:
        """How long no server at all may be well: with the default long enough for a restart."""
        return max(1, self.max_retries) * self.longest_seconds


@dataclass(frozen=True)
class Problem:
    """Why an attempt brought no text."""

    kind: str
    """As in `generators.Failure`."""
    message: str
    """One line for people."""
    blame: Blame
    may_pass: bool
    """The same request may succeed later."""
    pause: float | None = None
    """Seconds that the server asked for."""
    status: int = 0
    """Of the reply, where there was one that is an error."""


def problem_of(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """The meaning of a reply that is an error; header names are in lower case."""
    said = error_message(body)
    message = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    pause = asked_pause(headers, datetime.now(UTC))
    passes, final = (
        partial(Problem, status=status, may_pass=True, pause=pause),
        partial(Problem, status=status, may_pass=False),
    )
    if status == 429:
        return passes("server", message, "busy")
    if status == 413 or (status >= 400 and is_about_context(said)):
        return final("too long", message, "request")
    if status in PASSES_LATER:
        return passes("timeout" if status == 408 else "server", message, "server")
    if status >= 500 and status not in NEVER_PASSES:
        return passes("server", message, "server" if pause is None else "busy")
    everyone = status in STOPS_THE_RUN or any(code in said for code in PARAMETER_CODES)
    return final("refused", message, "run" if everyone else "request")


def is_about_context(message: str) -> bool:
    """True where an error says that the chat is too long for the model."""
    lowered = message.lower()
    return any(words in lowered for words in CONTEXT_WORDS)


def error_message(body: bytes) -> str:
    """What an error says, on one line: of JSON its message and code, of a page its beginning."""
    text = body[: 1 << 16].decode(errors="replace")
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        error = value.get("error") or value.get("detail") or value
        if isinstance(error, dict):
            code = error.get("code") or error.get("type")
            said = str(error.get("message") or error)
            text = f"{said} ({code})" if isinstance(code, str) and code not in said else said
        else:
            text = str(error)
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_CHARS else f"{text[:MESSAGE_CHARS]}…"


def asked_pause(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that a reply asks to wait: `retry-after-ms`, or Retry-After in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            seconds = _until(value, now)
        if seconds == seconds:  # not NaN
            return min(max(seconds, 0.0), LONGEST_ASKED_SECONDS)
    return None


def _until(date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return float("nan")
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
