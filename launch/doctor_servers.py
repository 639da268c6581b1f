"""Servers that write texts: is one there, does it know the key, does it serve the model, may we have the connections?

    base_url → a connection (the preflight's check)        → the list of models (the doctor's)

No text is asked for here: that costs money. The run itself sends a tiny request before its first (openai_preflight.py).
"""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from datagen.backends import BackendConfig
from datagen.openai_connection import KeepAliveClient
from datagen.openai_generator import check_base_url, read_key
from datagen.openai_http import AiohttpClient, HttpClient
from datagen.openai_loop import OTHER_FILES
from datagen.openai_preflight import list_models, listed
from launch.config import Config
from launch.doctor_finding import Finding, error, ok, warn

CONNECT_SECONDS = 3.0
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def backends_of(
    config: Config, kinds: frozenset[str]
) -> dict[str, tuple[BackendConfig, str | None]]:
    """Section → its servers and the model they are asked for, for stages of these kinds."""
    found: dict[str, tuple[BackendConfig, str | None]] = {}
    if "data" in kinds:
        found["inference"] = config.inference, config.student.model or None
        found["teacher"] = config.teacher, config.teacher.model
    if "diagnose" in kinds and config.judge.named:
        found["judge"] = config.judge, config.judge.model
    return {name: pair for name, pair in found.items() if pair[0].base_url}


def connection_findings(section: str, config: BackendConfig) -> Iterator[Finding]:
    """Whether somebody listens. Of several servers some may be down for now; all of them may not."""
    what = f"{section}.base_url"
    for url in config.base_url:
        check_base_url(url)
    with ThreadPoolExecutor(max_workers=16) as pool:
        reasons = list(pool.map(why_closed, config.base_url))
    dead = [
        f"{url} cannot be reached: {why}"
        for url, why in zip(config.base_url, reasons, strict=True)
        if why
    ]
    if len(dead) == len(config.base_url):
        what_to_do = "start it, or mend the address; for vLLM: vllm serve MODEL --port PORT"
        yield error(what, listed(dead), what_to_do)
    elif dead:
        others = f"the other {len(config.base_url) - len(dead)} go on without it"
        yield warn(what, f"{listed(dead)}; {others}")
    else:
        yield ok(what, listed(config.base_url))
    yield from files_finding(what, config)


def why_closed(url: str) -> str:
    """Why there is no connection; empty where there is one."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=CONNECT_SECONDS):
            return ""
    except (OSError, UnicodeError) as failure:
        return getattr(failure, "strerror", None) or str(failure) or type(failure).__name__


def files_finding(what: str, config: BackendConfig) -> Iterator[Finding]:
    """Every connection is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = config.concurrency * len(config.base_url) + OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        detail = f"{needed:,} connections and files are needed, a process may have {hard:,} here"
        yield error(what, detail, f"lower concurrency, or: ulimit -n {needed}")


def key_finding(section: str, config: BackendConfig) -> Iterator[Finding]:
    """Providers ask for a key; servers of one's own seldom do."""
    variable = config.api_key_env
    if read_key(variable) is not None:
        yield ok(f"{section} key", f"{variable} is set")
    elif any(is_provider(url) for url in config.base_url):
        yield warn(
            f"{section} key",
            f"the environment variable {variable} is not set, and providers ask for a key",
            f"export {variable}=…",
        )


def is_provider(url: str) -> bool:
    """Whether the address is one of the open internet."""
    parts = urlsplit(url)
    return parts.scheme == "https" and parts.hostname not in LOCAL_HOSTS


def serving_findings(section: str, config: BackendConfig, model: str | None) -> Iterator[Finding]:
    """What each server says it serves. One that does not tell is fine: the first request decides."""
    what = f"{section} serves"
    answers = asyncio.run(ask_all(config))
    for url, names in answers.items():
        if isinstance(names, ValueError):
            yield error(what, str(names))
        elif names is not None and model is not None and model not in names:
            key = "student.model" if section == "inference" else f"{section}.model"
            yield error(
                what, f"{url} serves {listed(names)}, not {model!r}", f"--set {key}={names[0]}"
            )
        elif names is not None and model is None and len(names) > 1:
            yield error(what, f"{url} serves {listed(names)}", f"--set {section}.model={names[0]}")
        else:
            yield ok(what, f"{url}: {listed(names) if names else 'it does not say which'}")


async def ask_all(config: BackendConfig) -> dict[str, list[str] | ValueError | None]:
    """The names that each server gives, or what is wrong with it. Who does not answer was reported before."""
    key = read_key(config.api_key_env)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answers: dict[str, list[str] | ValueError | None] = {}
    for url in config.base_url:
        if why_closed(url):
            continue
        client: HttpClient = (
            AiohttpClient(headers) if url.startswith("https") else KeepAliveClient(headers)
        )
        try:
            answers[url] = await list_models(client, url, config)
        except ValueError as mistake:
            answers[url] = ValueError(str(mistake).replace(key, "***") if key else str(mistake))
        finally:
            await client.close()
    return answers
