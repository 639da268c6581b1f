"""Claims: what vLLM's engine writes for us in process: the texts of transformers and of vLLM's own server.

vLLM lives in an environment of its own, whose Python is named by CGD_VLLM_PYTHON (`bash launch/test.sh --with-vllm`
makes one). One process there, `vllm_program.py`, does everything that is claimed about the engine and writes down
what came of it; another one is the server. The model is the packaged student, with sampling defaults of its own that
nobody asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import vllm_program
from vllm_program import GREEDY, SAMPLED, requests

import launch
from datagen.backends import TeacherConfig, make_generator
from datagen.generators import Completion
from datagen.transformers_generator import TransformersGenerator

VLLM_PYTHON = os.environ.get("CGD_VLLM_PYTHON")
pytestmark = pytest.mark.skipif(
    VLLM_PYTHON is None, reason="CGD_VLLM_PYTHON names no Python that has vLLM"
)
ROOT = Path(launch.__file__).parents[1]
START_SECONDS = 240


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged student; its folder asks for penalties that no request of ours asks for."""
    folder = tmp_path_factory.mktemp("vllm") / "student"
    shutil.copytree(ROOT / "launch" / "student", folder)
    path = folder / "generation_config.json"
    defaults = {"repetition_penalty": 1.5, "top_k": 2, "temperature": 0.1, "do_sample": True}
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | defaults))
    return folder


def start(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A process of vLLM's environment, whose output goes into a file."""
    assert VLLM_PYTHON is not None
    settings = {
        "PYTHONPATH": str(ROOT),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [VLLM_PYTHON, *arguments],
            env=os.environ | settings,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[str]:
    """vLLM's own server of the model; it starts while the engine does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = f"--host 127.0.0.1 --port {port} --served-model-name student --max-model-len 512"
    process = start(
        model.parent,
        "server",
        *("-m", "vllm.entrypoints.openai.api_server", "--model", str(model), *options.split()),
        *("--dtype", "float32", "--enforce-eager", "--generation-config", "vllm"),
    )
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        end(process)


@pytest.fixture(scope="module")
def said(model: Path, server: str) -> dict[str, Any]:
    """What the program wrote down."""
    out = model.parent / "said.json"
    process = start(model.parent, "program", vllm_program.__file__, str(model), str(out))
    try:
        code = process.wait(timeout=START_SECONDS)
    finally:
        end(process)
    log = (model.parent / "program.log").read_text(encoding="utf-8", errors="replace")
    assert code == 0, log[-4000:]
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) | {"log": log}
    return found


@pytest.fixture(scope="module")
def served(model: Path, server: str, said: dict[str, Any]) -> dict[str, list[Completion]]:
    """The same requests through the server, greedy and sampled."""
    until = time.monotonic() + START_SECONDS
    while not answers(server):
        log = (model.parent / "server.log").read_text(encoding="utf-8", errors="replace")
        assert time.monotonic() < until, log[-4000:]
        time.sleep(0.5)
    generator = make_generator(TeacherConfig(base_url=(server,)))
    return {
        name: [text for _, text in sorted(generator.generate(requests(), sampling))]
        for name, sampling in (("greedy", GREEDY), ("sampled", SAMPLED))
    }


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process with those that it started, where it still runs."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(server: str) -> bool:
    """Whether the server is up."""
    try:
        with urllib.request.urlopen(f"{server}/models", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def test_greedy_texts_are_those_of_the_transformers_generator(
    said: dict[str, Any], model: Path
) -> None:
    generator = TransformersGenerator(str(model), device="cpu")
    expected = [text for _, text in sorted(generator.generate(requests(), GREEDY))]
    told = ("text", "finish_reason", "prompt_tokens", "completion_tokens")
    for ours, theirs in zip(said["greedy"], expected, strict=True):
        assert [ours[name] for name in told] == [getattr(theirs, name) for name in told]
    assert {text["finish_reason"] for text in said["greedy"]} == {"stop", "length"}


def test_greedy_texts_are_those_of_vllms_server(
    said: dict[str, Any], served: dict[str, list[Completion]]
) -> None:
    told = ("text", "finish_reason", "prompt_tokens", "completion_tokens")
    for ours, theirs in zip(said["greedy"], served["greedy"], strict=True):
        assert [ours[name] for name in told] == [getattr(theirs, name) for name in told]


def test_sampled_texts_are_those_of_vllms_server(
    said: dict[str, Any], served: dict[str, list[Completion]]
) -> None:
    pairs = zip(said["sampled"], served["sampled"], strict=True)
    agreed = sum(ours["text"] == theirs.text for ours, theirs in pairs)
    assert agreed >= 11, f"{agreed} of 12"  # rounding in another batch may turn one token


def test_a_sampled_text_depends_on_its_seed_and_not_on_its_company(said: dict[str, Any]) -> None:
    together, alone, greedy = (
        [text["text"] for text in said[name]] for name in ("sampled", "alone", "greedy")
    )
    assert alone == together[-5:]
    assert together != greedy


def test_a_chat_that_is_too_long_fails_alone(said: dict[str, Any]) -> None:
    assert said["mixed"] == ["Completion", "Failure", "Completion"]


def test_more_seeded_chats_than_one_step_can_read_are_all_written(said: dict[str, Any]) -> None:
    assert said["crowd"] == ["Completion"] * 30


def test_a_chat_that_goes_on_finds_its_beginning_in_the_cache(said: dict[str, Any]) -> None:
    continued = said["continued"]
    assert continued["cached_tokens"] >= 128  # a block of vLLM's CPU build
    assert continued["cached_tokens"] < continued["prompt_tokens"]


def test_an_engine_that_dies_is_one_clean_error_and_leaves_no_process(said: dict[str, Any]) -> None:
    assert said["processes"] >= 1
    assert "vLLM's engine stopped while it wrote" in said["dead"]
    assert said["left over"] == 0


def test_vllms_own_log_does_not_appear(said: dict[str, Any]) -> None:
    assert "INFO" not in said["log"]
    assert "Processed prompts" not in said["log"]
