"""Stages: no text is lost, doubled or misplaced, whenever a run is killed and whatever is changed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datagen.generators import Completion, Request, Sampling
from datagen.journal import read_journal
from datagen.records import Record, read_records, write_records
from datagen.stages import GenerateConfig, StageConfig, run_stage

PLAIN = StageConfig()


class Killed(Exception):
    """Stands for the end of the process."""


class Echo:
    """A generator whose texts tell what they were made of; it dies after so many of them."""

    def __init__(self, model: str = "echo", dies_after: int | None = None) -> None:
        self.identity = {"backend": "test", "model": model, "revision": ""}
        self.written: list[str] = []
        self._dies_after = dies_after

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, done: AbstractSet[int] = frozenset()
    ) -> Iterator[tuple[int, Completion]]:
        order = [index for index in range(len(requests)) if index not in done]
        random.Random(7).shuffle(order)  # texts may finish in any order
        for index in order:
            if self._dies_after is not None and len(self.written) >= self._dies_after:
                raise Killed
            request = requests[index]
            self.written.append(request.id)
            text = f"{request.messages[-1]['content']}\u2028 seed {request.seed}\n{{critique}}"
            yield index, Completion(text, "stop", 3, 5, 0.5)


def records(count: int) -> list[Record]:
    return [Record(id=f"r{i}", prompt=f"P{i} ü {{x}}", extra={"level": i}) for i in range(count)]


class Run:
    """A folder with a source, a target, and what was said."""

    def __init__(self, folder: Path, source: Sequence[Record]) -> None:
        self.source, self.target = folder / "in.jsonl", folder / "out.jsonl"
        self.partial = folder / "out.jsonl.partial"
        self.manifest = folder / "out.jsonl.manifest.json"
        self.said: list[str] = []
        self.write_source(source)

    def write_source(self, source: Sequence[Record]) -> None:
        write_records(self.source, source)

    def __call__(
        self,
        generator: Any = None,
        config: StageConfig = PLAIN,
        stage: str = "answer",
        seed: int = 0,
        **more: Any,
    ) -> list[str]:
        """Runs the stage; the ids of the records that were written now."""
        generator = generator or Echo()
        self.report = run_stage(
            stage, self.source, self.target, generator, config, seed, say=self.said.append, **more
        )
        return sorted(getattr(generator, "written", []))

    def texts(self) -> dict[str, str | None]:
        return {record.id: record.student_answer for record in read_records(self.target)}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path, records(8))


ALL = [f"r{i}" for i in range(8)]


def test_a_stage_fills_its_field_in_the_order_of_the_input(run: Run) -> None:
    assert run() == ALL
    written = read_records(run.target)
    assert [record.id for record in written] == ALL
    for before, after in zip(records(8), written, strict=True):
        assert after.student_answer is not None
        assert after.student_answer.startswith(before.prompt + "\u2028")
        assert replace(after, student_answer=None, provenance={}) == before


def test_the_provenance_says_who_wrote_the_text_and_how(run: Run) -> None:
    run(config=StageConfig(temperature=0.5, max_tokens=9), stage="teach", seed=3)
    provenance = read_records(run.target)[0].provenance["teach"]
    named = ("model", "backend", "template", "finish_reason", "prompt_tokens", "completion_tokens")
    assert [provenance[n] for n in named] == ["echo", "test", "teach", "stop", 3, 5]
    assert provenance["sampling"] == {"temperature": 0.5, "top_p": 1.0, "max_tokens": 9}
    assert {"revision", "template_sha256", "seed", "key", "seconds"} <= provenance.keys()


def test_a_finished_stage_does_nothing_and_says_so(run: Run) -> None:
    run()
    stamps = [path.stat().st_mtime_ns for path in (run.target, run.manifest)]
    first = run.report
    assert run() == []
    assert run.said[-1] == "answer: 8 records, complete, nothing to do"
    assert [path.stat().st_mtime_ns for path in (run.target, run.manifest)] == stamps
    assert run.report == replace(first, written=0)
    assert not run.partial.exists()


@pytest.mark.parametrize("safe", range(9))
def test_a_killed_stage_resumes_without_losing_or_doubling(run: Run, safe: int) -> None:
    dying = Echo(dies_after=safe)
    if safe < 8:
        with pytest.raises(Killed):
            run(dying)
        assert not run.target.exists()
        assert not run.manifest.exists()
    else:
        run(dying)
    second = run()
    assert sorted(dying.written + second) == ALL
    undisturbed = Run(run.source.parent / "other", records(8))
    undisturbed()
    assert run.target.read_bytes() == undisturbed.target.read_bytes()


def test_a_journal_cut_at_any_byte_keeps_every_whole_line(tmp_path: Path) -> None:
    run = Run(tmp_path, records(4))
    with pytest.raises(Killed):
        run(Echo(dies_after=3))
    whole = run.partial.read_bytes()
    entries = read_journal(run.partial, run.said.append)
    line_ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    clean = {0, *line_ends, *(end + 1 for end in line_ends)}
    for size in range(len(whole) + 1):
        run.partial.write_bytes(whole[:size])
        run.said.clear()
        safe = sum(end <= size for end in line_ends)  # a line counts without its line break
        assert read_journal(run.partial, run.said.append) == entries[:safe]
        assert (size not in clean) == any("torn last line" in line for line in run.said)
        assert run.partial.read_bytes() == whole[: line_ends[safe - 1] + 1 if safe else 0]


def test_a_stage_resumes_from_a_journal_cut_anywhere(tmp_path: Path) -> None:
    run = Run(tmp_path, records(4))
    with pytest.raises(Killed):
        run(Echo(dies_after=3))
    whole = run.partial.read_bytes()
    undisturbed = Run(tmp_path / "other", records(4))
    undisturbed()
    line_ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    sizes = {*range(line_ends[1] - 2, len(whole), 23), *line_ends, len(whole) - 2, len(whole), 0, 1}
    for size in sorted(sizes):
        run.partial.write_bytes(whole[:size])
        for leftover in (run.target, run.manifest):
            leftover.unlink(missing_ok=True)
        assert len(run()) == 4 - sum(end <= size for end in line_ends)
        assert run.target.read_bytes() == undisturbed.target.read_bytes()


def test_a_damaged_line_in_the_middle_costs_that_text_alone(run: Run) -> None:
    with pytest.raises(Killed):
        run(Echo(dies_after=5))
    lines = run.partial.read_bytes().split(b"\n")
    lines[2] = lines[2][:-9]
    run.partial.write_bytes(b"\n".join(lines))
    assert len(run()) == 4
    assert any("1 damaged lines are left out" in line for line in run.said)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(12)), st.integers(1, 12), st.integers(0, 12))
def test_a_reordered_grown_or_shrunk_input_writes_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], size: int, killed_after: int
) -> None:
    pool = records(12)
    run = Run(tmp_path_factory.mktemp("run"), pool[:8])
    first = Echo(dies_after=killed_after)
    try:
        run(first)
    except Killed:
        assert killed_after < 8
    chosen = [pool[i] for i in order[:size]]
    run.write_source(chosen)
    second = run()
    assert sorted(second) == sorted({record.id for record in chosen} - set(first.written))
    assert [record.id for record in read_records(run.target)] == [record.id for record in chosen]
    alone = Run(tmp_path_factory.mktemp("run"), chosen)
    alone()
    assert alone.target.read_bytes() == run.target.read_bytes()


def test_what_does_not_concern_the_text_is_taken_over_without_writing(run: Run) -> None:
    run()
    run.write_source([replace(record, answer="new gold") for record in records(8)])
    assert run() == []
    assert {record.answer for record in read_records(run.target)} == {"new gold"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"config": StageConfig(temperature=0.1)}, "temperature"),
        ({"config": StageConfig(top_p=0.5, max_tokens=7)}, "max_tokens, top_p"),
        ({"generator": Echo("other")}, "model"),
        ({"seed": 1}, "seed"),
    ],
)
def test_a_changed_setting_writes_all_again_and_says_why(
    run: Run, changes: dict[str, Any], reason: str
) -> None:
    run()
    assert run(**changes) == ALL
    assert f"answer: 8 of 8 texts are written again (changed: {reason})" in run.said


def test_a_changed_wording_writes_all_again(run: Run, tmp_path: Path) -> None:
    wording = tmp_path / "mine.txt"
    wording.write_text("Solve {problem}")
    config = StageConfig(template=str(wording))
    assert run(config=config, stage="teach") == ALL
    assert run(config=config, stage="teach") == []
    wording.write_text("Please solve {problem}")
    assert run(config=config, stage="teach") == ALL
    assert "teach: 8 of 8 texts are written again (changed: wording)" in run.said


def test_one_changed_prompt_writes_one_text_again(run: Run) -> None:
    run()
    changed = records(8)
    changed[3] = replace(changed[3], prompt="another one")
    run.write_source(changed)
    assert run() == ["r3"]
    assert "answer: 1 of 8 texts are written again (changed: input)" in run.said


def test_a_moved_model_folder_is_the_same_model(run: Run) -> None:
    first, moved, other = Echo("runs/a"), Echo("/elsewhere/a"), Echo("runs/a")
    first.identity["fingerprint"] = moved.identity["fingerprint"] = "sha256:1"
    other.identity["fingerprint"] = "sha256:2"
    assert run(first) == ALL
    assert run(moved) == []
    assert run(other) == ALL


def test_a_run_killed_while_publishing_is_completed(run: Run) -> None:
    run()
    run.manifest.unlink()  # killed between the file and its manifest
    assert run() == []
    assert run.manifest.exists()
    manifest = json.loads(run.manifest.read_text())
    assert manifest["records"] == 8
    assert manifest["finish_reasons"] == {"stop": 8}


def test_a_file_that_was_changed_after_its_manifest_is_made_again(run: Run) -> None:
    run()
    before = run.target.read_bytes()
    run.target.write_bytes(before[: before.index(b"\n") + 1])
    assert len(run()) == 7
    assert run.target.read_bytes() == before


def test_each_stage_shows_what_the_method_shows(tmp_path: Path) -> None:
    record = Record(id="a", prompt="PROMPT", student_answer="ATTEMPT", critique="ADVICE")
    shown = {
        "answer": ("PROMPT",),
        "critique": ("PROMPT", "ATTEMPT"),
        "refine": ("PROMPT", "ATTEMPT", "ADVICE"),
        "teach": ("PROMPT",),
    }
    fields = dict(
        zip(shown, ("student_answer", "critique", "refined_answer", "teacher_answer"), strict=True)
    )
    for stage, words in shown.items():
        run = Run(tmp_path / stage, [record])
        run(stage=stage)
        text = str(getattr(read_records(run.target)[0], fields[stage]))
        assert {word for word in ("PROMPT", "ATTEMPT", "ADVICE") if word in text} == set(words)
        if stage in ("answer", "teach"):
            assert text.startswith("PROMPT\u2028")


def test_a_stage_out_of_order_says_which_one_is_missing(run: Run) -> None:
    with pytest.raises(ValueError, match=r"8 of 8 records .* have no `student_answer`") as error:
        run(stage="critique")
    assert "the stage `answer` writes it" in str(error.value)


def test_cut_and_empty_texts_are_kept_and_counted(run: Run) -> None:
    class Poor(Echo):
        def generate(self, requests: Any, sampling: Any, done: Any = frozenset()) -> Any:
            for index in range(len(requests)):
                text, reason = (" \n", "stop") if index == 0 else ("so", "length")
                yield index, Completion(text, reason, 1, 1, 0.0)

    run(Poor())
    assert (run.report.truncated, run.report.empty) == (7, 1)
    assert "7 cut at max_tokens, 1 empty" in run.said[-1]
    assert len(read_records(run.target)) == 8
    assert json.loads(run.manifest.read_text())["finish_reasons"] == {"length": 7, "stop": 1}


def test_annotations_are_in_the_file(run: Run) -> None:
    run(annotate=lambda record: replace(record, student_correct=record.id == "r2"))
    right = [record.id for record in read_records(run.target) if record.student_correct]
    assert right == ["r2"]


def test_two_processes_do_not_write_one_file(run: Run) -> None:
    class Second(Echo):
        def generate(self, *args: Any) -> Any:
            with pytest.raises(ValueError, match="another process is writing"):
                run()
            yield from super().generate(*args)

    assert run(Second()) == ALL


def test_bad_files_are_refused(run: Run) -> None:
    with pytest.raises(ValueError, match="cannot be both"):
        run_stage("answer", run.source, run.source, Echo(), PLAIN, 0)
    run.source.write_text("")
    with pytest.raises(ValueError, match="holds no records"):
        run()


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="temperature"):
        StageConfig(temperature=-1)
    with pytest.raises(ValueError, match=r"data\.wording"):
        GenerateConfig(answer=StageConfig(template="boxed"))
    with pytest.raises(ValueError, match="batch_size"):
        GenerateConfig(batch_size=0)


SLOW_STAGE = """
import sys, time
from pathlib import Path
from datagen.generators import Completion
from datagen.stages import StageConfig, run_stage

class Slow:
    identity = {"backend": "test", "model": "slow", "revision": ""}
    def generate(self, requests, sampling, done=frozenset()):
        for index, request in enumerate(requests):
            if index not in done:
                print("writing", request.id, flush=True)
                time.sleep(0.002)
                yield index, Completion(request.messages[0]["content"] * 50, "stop", 1, 1, 0.0)

run_stage("answer", Path(sys.argv[1]), Path(sys.argv[2]), Slow(), StageConfig(), 0)
"""


def test_a_process_killed_for_real_loses_no_more_than_the_text_it_was_writing(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path, records(60))
    command = [sys.executable, "-c", SLOW_STAGE, str(run.source), str(run.target)]
    began: list[str] = []
    for lines in (20, 15):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        while lines:
            line = process.stdout.readline().split()
            if line and line[0] == "writing":
                began.append(line[1])
                lines -= 1
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    safe = [entry.id for entry in read_journal(run.partial, say=run.said.append)]
    assert len(set(safe)) == len(safe)
    assert set(began[:19]) <= set(safe)
    subprocess.run(command, check=True, capture_output=True)
    assert [record.id for record in read_records(run.target)] == [f"r{i}" for i in range(60)]
