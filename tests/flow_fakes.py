"""Stand-ins for the flow's tests: generators whose texts tell what they were made of, on a clock of their own.

Batches    writes waves, as transformers do; may die after so many texts
Server     streams: every text takes `seconds` of a shared virtual `Clock`; may fail what `fails` names
Flow       a folder, its prompts, and what was said
"""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datagen.finished import Published
from datagen.flow import run_flow
from datagen.gates import Judge
from datagen.generators import Completion, Failure, Outcome, Request, Sampling, what_matters
from datagen.plan import digest
from datagen.records import Record, read_records, write_records
from datagen.sessions import BatchSession
from datagen.stages import GenerateConfig

PLAIN = GenerateConfig()
STAGES = ("answer", "critique", "refine")
TEXT_FIELDS = ("student_answer", "critique", "refined_answer", "teacher_answer")


class Killed(Exception):
    """Stands for the end of the process."""


Text = Callable[[Request], str]


def echo(request: Request, *depends_on: object) -> str:
    """What the text was made of, with characters that trip line readers."""
    made_of = digest([request.messages, repr(depends_on)])[:8]
    asked = request.messages[-1]["content"][-60:]
    return f"{request.stage} of {asked}\u2028 {made_of} seed {request.seed}\n{{critique}}"


def text_of(
    text: Text | None, request: Request, sampling: Sampling, identity: dict[str, str]
) -> str:
    """By default another text for everything that a text depends on."""
    if text is not None:
        return text(request)
    return echo(request, sampling, sorted(what_matters(identity).items()))


def completion(text: str, reason: str = "stop", seconds: float = 0.5) -> Completion:
    return Completion(text, reason, 3, 5, seconds)


class Batches:
    """A generator of batches; its texts end in any order."""

    def __init__(
        self,
        model: str = "echo",
        dies_after: int | None = None,
        text: Text | None = None,
        reason: Callable[[Request], str] = lambda request: "stop",
    ) -> None:
        self.identity = {"backend": "scripted", "model": model, "revision": ""}
        self.written: list[str] = []
        """`stage id`, in order."""
        self.waves: list[list[str]] = []
        self._dies_after, self._text, self._reason = dies_after, text, reason

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, done: AbstractSet[int] = frozenset()
    ) -> Iterator[tuple[int, Completion]]:
        self.waves.append([f"{request.stage} {request.id}" for request in requests])
        order = [index for index in range(len(requests)) if index not in done]
        random.Random(7).shuffle(order)
        for index in order:
            if self._dies_after is not None and len(self.written) >= self._dies_after:
                raise Killed
            request = requests[index]
            self.written.append(f"{request.stage} {request.id}")
            yield (
                index,
                completion(
                    text_of(self._text, request, sampling, self.identity), self._reason(request)
                ),
            )

    def open(self) -> BatchSession:
        return BatchSession(self.generate)


@dataclass
class Clock:
    """Virtual seconds, shared by servers."""

    now: float = 0.0


class Server:
    """A remote model with so many places; a virtual clock decides what has finished."""

    def __init__(
        self,
        clock: Clock,
        model: str = "remote",
        seconds: Callable[[Request], float] = lambda request: 1.0,
        places: int = 4,
        fails: Callable[[Request], Failure | None] = lambda request: None,
        text: Text | None = None,
        dies_at: float = float("inf"),
    ) -> None:
        self.identity = {"backend": "openai", "model": model, "address": "there"}
        self.clock, self.places = clock, places
        self.seconds, self.fails, self.text = seconds, fails, text
        self.dies_at = dies_at
        self.log: list[tuple[float, float, str]] = []
        """(began, ended, `stage id`)."""
        self.opened = 0

    @property
    def written(self) -> list[str]:
        return [what for _, _, what in self.log]

    def open(self) -> ServerSession:
        self.opened += 1
        return ServerSession(self)


class ServerSession:
    """A server at work."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.running: list[tuple[float, int, float, Request, Sampling]] = []
        self.most = 0

    def room(self) -> int:
        return self.server.places - len(self.running)

    def submit(self, ticket: int, request: Request, sampling: Sampling, done: bool = False) -> None:
        assert not done
        now = self.server.clock.now
        entry = (now + self.server.seconds(request), ticket, now, request, sampling)
        heapq.heappush(self.running, entry)
        assert len(self.running) <= self.server.places, "more than there is room for"

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        clock = self.server.clock
        first = self.running[0][0] if self.running else float("inf")
        if first > clock.now:
            clock.now = min(first, clock.now + timeout)
        if clock.now >= self.server.dies_at:
            raise Killed
        finished: list[tuple[int, Outcome]] = []
        while self.running and self.running[0][0] <= clock.now:
            ended, ticket, began, request, sampling = heapq.heappop(self.running)
            failure = self.server.fails(request)
            if failure is None:
                self.server.log.append((began, ended, f"{request.stage} {request.id}"))
            server = self.server
            text = text_of(server.text, request, sampling, server.identity)
            finished.append((ticket, failure or completion(text)))
        return finished

    def close(self) -> None:
        self.running = []


def records(count: int) -> list[Record]:
    return [Record(id=f"r{i}", prompt=f"P{i} ü {{x}}", extra={"level": i}) for i in range(count)]


class Flow:
    """A folder with prompts, and what came of it."""

    def __init__(self, folder: Path, prompts: Sequence[Record]) -> None:
        self.folder, self.prompts = folder, folder / "prompts.jsonl"
        self.said: list[str] = []
        self.write_prompts(prompts)

    def write_prompts(self, prompts: Sequence[Record]) -> None:
        write_records(self.prompts, prompts)

    def __call__(
        self,
        student: Any = None,
        teacher: Any = None,
        config: GenerateConfig = PLAIN,
        seed: int = 0,
        stages: Sequence[str] = STAGES,
        judge: Judge | None = None,
        worker: tuple[int, int] = (0, 1),
        **more: Any,
    ) -> list[str]:
        """Runs the flow; what was written now, as `stage id`."""
        student = student or Batches("student")
        teacher = teacher or Batches("teacher")
        before = [list(getattr(writer, "written", ())) for writer in (student, teacher)]
        self.published: Published | None = run_flow(
            self.prompts,
            self.folder,
            student,
            teacher,
            config,
            seed,
            stages,
            judge,
            worker,
            self.said.append,
            **more,
        )
        after = [list(getattr(writer, "written", ())) for writer in (student, teacher)]
        new = [one[len(other) :] for one, other in zip(after, before, strict=True)]
        return sorted(new[0] if student is teacher else new[0] + new[1])

    @property
    def journal(self) -> Path:
        return self.folder / "journal" / "0-of-1.jsonl"

    def rows(self, name: str = "refinements") -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in (self.folder / f"{name}.jsonl").read_bytes().splitlines()
        ]

    def ids(self, name: str = "refinements") -> list[str]:
        return [record.id for record in read_records(self.folder / f"{name}.jsonl")]

    def files(self) -> dict[str, bytes]:
        """Every stage's file and what was left out."""
        return {file.name: file.read_bytes() for file in sorted(self.folder.glob("*.jsonl"))}


def bare(record: Record) -> Record:
    """The record without what the stages add."""
    return replace(record, **dict.fromkeys(TEXT_FIELDS), provenance={}, student_correct=None)
