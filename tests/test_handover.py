"""Claims: what is made here works elsewhere as the guide says: transformers, vLLM, `load_dataset`, the hub's cards.

The guide's own blocks of Python are run as they stand, in a folder that has the files of a quickstart.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from handed_over import (
    EXPORT,
    RECORDS,
    VLLM,
    guide_code,
    make_quickstart,
    needs_vllm,
    records,
    world_prompts,
)
from huggingface_hub import DatasetCard, ModelCard
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.model_card import read_settings, writer, writers
from launch.export_records import Wanted, export_records

START_SECONDS = 400


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = make_quickstart(tmp_path_factory.mktemp("handover"), patch)
        patch.setattr("datasets.config.HF_DATASETS_CACHE", folder / "cache")
        export_records(RECORDS, "quickstart: records", Wanted(folder=Path("shared")))
        yield folder


def greedy(prompts: list[str]) -> list[tuple[str, int]]:
    """Each answer as text and its last token id, by AutoModelForCausalLM with no stop but the folder's own."""
    tokenizer = AutoTokenizer.from_pretrained(EXPORT)
    model = AutoModelForCausalLM.from_pretrained(EXPORT)
    answers = []
    for prompt in prompts:
        inputs = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        output = model.generate(**inputs, max_new_tokens=200, do_sample=False)
        ids = output[0, inputs["input_ids"].shape[1] :]
        answers.append((tokenizer.decode(ids, skip_special_tokens=True), int(ids[-1])))
    return answers


# ---- the model --------------------------------------------------------------------------------------


def test_the_guides_pipeline_says_what_the_model_says_and_stops(work: Path) -> None:
    found: dict[str, Any] = {}
    exec(guide_code("python", "pipeline("), found)
    ((text, last),) = greedy([found["chat"][0]["content"]])
    assert found["reply"] == {"role": "assistant", "content": text}
    assert last == AutoTokenizer.from_pretrained(EXPORT).convert_tokens_to_ids("<|im_end|>")


@needs_vllm
def test_vllm_serve_says_the_same_and_stops(work: Path) -> None:
    """The guide's command, on a free port and with what a CPU needs; no stop is given in the request."""
    assert VLLM
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = next(
        line for line in guide_code("bash", "vllm serve").splitlines() if "vllm serve" in line
    )
    vllm, *arguments = command.split("#")[0].split()
    on_cpu = ["--dtype", "float32", "--enforce-eager", "--host", "127.0.0.1", "--port", str(port)]
    with (work / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [str(Path(VLLM).with_name(vllm)), *arguments, *on_cpu],
            env=os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    prompts = world_prompts("test", 8)
    try:
        until = time.monotonic() + START_SECONDS
        while not answers(port):
            assert server.poll() is None, (work / "server.log").read_text(errors="replace")[-4000:]
            assert time.monotonic() < until, "the server did not start in time"
            time.sleep(0.5)
        replies = [chat(port, prompt) for prompt in prompts]
    finally:
        end(server)
    assert [reason for _, reason in replies] == ["stop"] * len(prompts)
    assert [text for text, _ in replies] == [text for text, _ in greedy(prompts)]


def answers(port: int) -> bool:
    """Whether the server is up."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
        return True
    return False


def chat(port: int, prompt: str) -> tuple[str, str]:
    """One chat completion over HTTP: text, and why it ended."""
    body = {"model": "cgd", "messages": [{"role": "user", "content": prompt}], "temperature": 0}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as reply:
        choice = json.load(reply)["choices"][0]
    return choice["message"]["content"], choice["finish_reason"]


def end(server: subprocess.Popen[bytes]) -> None:
    """Ends the server with those that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(timeout=30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


# ---- the records ------------------------------------------------------------------------------------


def test_the_guides_load_dataset_finds_what_the_student_was_shown(work: Path) -> None:
    found: dict[str, Any] = {}
    exec(guide_code("python", '"records"'), found)
    expected = records(12)
    assert [row["completion"][0]["content"] for row in found["rows"]] == [
        row["refined_answer"] for row in expected
    ]
    shown = found["rows"][0]["prompt"][0]["content"]
    assert all(expected[0][name] in shown for name in ("prompt", "student_answer", "critique"))
    assert [row["critique"] for row in found["records"]] == [row["critique"] for row in expected]


# ---- the cards --------------------------------------------------------------------------------------


def test_the_hubs_library_reads_both_cards(work: Path) -> None:
    model = ModelCard.load(EXPORT / "README.md")
    assert model.data.library_name == "transformers"
    assert model.data.pipeline_tag == "text-generation"
    assert "license" not in model.data.to_dict(), "the packaged student's card names none"
    data = DatasetCard.load(work / "shared" / "README.md")
    assert data.data.pretty_name == "quickstart: records"
    assert data.data.size_categories == ["n<1K"]
    assert {config["config_name"] for config in data.data.configs} >= {"records", "sft", "cgd"}


@pytest.mark.parametrize("card", [EXPORT / "README.md", Path("shared") / "README.md"], ids=str)
def test_a_cards_tables_are_whole(work: Path, card: Path) -> None:
    lines = card.read_text(encoding="utf-8").splitlines()
    tables = [list(g) for g in grouped(lines)]
    assert len(tables) >= 3
    for head, rule, *rows in tables:
        width = cells(head)
        assert all(cell.strip() for cell in head.strip("|").split("|")), "an empty head is a bar"
        assert re.fullmatch(r"\|( --- \|)+", rule)
        assert rows
        assert {cells(row) for row in rows} == {width}


def grouped(lines: list[str]) -> Iterator[list[str]]:
    """The runs of lines that make a table."""
    table: list[str] = []
    for line in [*lines, ""]:
        if line.startswith("|"):
            table.append(line)
        elif table:
            yield table
            table = []


def cells(line: str) -> int:
    """How many cells a row has; an escaped bar ends none."""
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def test_the_model_card_names_who_wrote_the_texts(work: Path) -> None:
    card = (EXPORT / "README.md").read_text(encoding="utf-8")
    assert "| student's answers by | student (12) |" in card
    assert "| critiques by | some-lab/some-teacher (12) |" in card
    assert "| refined answers by | some-lab/some-teacher (12) |" in card
    assert str(work) not in card


def test_writers_of_other_data_are_not_named(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = EXPORT.parent
    settings = read_settings(training)
    assert [name for name, _ in writers(training, settings)][1] == "critiques by"
    others = json.dumps({**records(1)[0], "critique": "another one"})
    (work / "others.jsonl").write_text(others, encoding="utf-8")
    monkeypatch.setitem(settings["train"], "data", "others.jsonl")
    assert list(writers(training, settings)) == []
    monkeypatch.setitem(settings["train"], "data", "gone.jsonl")
    assert list(writers(training, settings)) == []


@pytest.mark.parametrize(
    ("provenance", "name"),
    [
        ({"critique": {"model": "some-lab/some-teacher"}}, "some-lab/some-teacher"),
        ({"critique": {"model": "/srv/models/teacher"}}, "teacher"),
        ({"critique": {"model": "~/teacher"}}, "teacher"),
        ({"critique": {"model": 7}}, ""),
        ({"critique": "by hand"}, ""),
        ("by hand", ""),
        (None, ""),
    ],
)
def test_a_writer_is_a_hub_id_or_the_last_part_of_a_path(provenance: Any, name: str) -> None:
    assert writer(provenance, "critique") == name
