"""`cgd bench fleet`: does a run's own flow keep many servers busy? Real scheduling, simulated servers, no waiting.

    prompts -> run_flow (desks, chains, journal) -> SimulatedSession (pool) -> replicas on a virtual clock -> shares

Student and teacher have replicas of their own, and all stages overlap. A replica is busy by the share of its slots
that hold a text, from the beginning until the last text of its model is done, so waiting for the first answers and the
long texts at the end count as idle. The flow's processor time is measured, too: it is not part of the virtual time.
"""

from __future__ import annotations

import json
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from datagen.flow import run_flow
from datagen.generators import Completion, Request, Sampling
from datagen.sessions import write_all
from datagen.stages import GenerateConfig, StageConfig
from launch.fleet import LONGEST_TOKENS, Fleet, Lengths, Replica, SimulatedSession, Speed

STUDENT = Speed(slots=64, base=0.008, each=0.00005)
TEACHER = Speed(slots=64, base=0.025, each=0.0001)
"""About an 8B and a 70B model on one and on four GPUs of today, at 5,700 and 2,000 tokens/s."""
LENGTHS = {
    "answer": Lengths(median=300, sigma=0.6),
    "critique": Lengths(median=400, sigma=0.5),
    "refine": Lengths(median=350, sigma=0.5),
}
PROMPT = "A shop sells pens at 3 for $2. How much do {} pens cost? Show each step of the way.\n"
GOAL = 0.95


@dataclass(frozen=True)
class SimulatedGenerator:
    """Replicas of one model."""

    name: str
    session: SimulatedSession

    @property
    def identity(self) -> dict[str, str]:
        """That of a server."""
        return {"backend": "openai", "model": self.name, "address": "simulated"}

    def open(self) -> SimulatedSession:
        """The one session."""
        return self.session

    def generate(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        done: AbstractSet[int] = frozenset(),
    ) -> Iterator[tuple[int, Completion]]:
        """As in `generators.Generator`."""
        return write_all(self.session, requests, sampling, done)


def run_bench(options: Namespace) -> str:
    """One run, and the table."""
    for name in ("prompts", "students", "teachers"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name} must be 1 or more, got {getattr(options, name)}")
    fleet = Fleet()
    student = make(fleet, "student", options.students, STUDENT)
    teacher = make(fleet, "teacher", options.teachers, TEACHER)
    stage = StageConfig(max_tokens=LONGEST_TOKENS)
    config = GenerateConfig(answer=stage, critique=stage, refine=stage)
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder) / "prompts.jsonl"
        prompts.write_text("".join(lines(options.prompts)), encoding="utf-8")
        began = time.process_time()
        run_flow(
            prompts, Path(folder) / "data", student, teacher, config, seed=0, say=lambda _: None
        )
        seconds = time.process_time() - began
    return table([student, teacher], options.prompts, seconds)


def make(fleet: Fleet, name: str, replicas: int, speed: Speed) -> SimulatedGenerator:
    """So many replicas of a model."""
    machines = [Replica(fleet, speed) for _ in range(replicas)]
    return SimulatedGenerator(name, SimulatedSession(fleet, machines, speed, LENGTHS))


def lines(count: int) -> Iterator[str]:
    """A file of prompts."""
    for number in range(count):
        yield json.dumps({"id": f"p{number}", "prompt": PROMPT.format(number)}) + "\n"


def busy_shares(generator: SimulatedGenerator, slots: int) -> list[float]:
    """Of each replica, until the model's last text."""
    replicas = generator.session.replicas
    ended = max(replica.ended for replica in replicas)
    return [replica.slot_seconds / (slots * ended) for replica in replicas]


def table(generators: Sequence[SimulatedGenerator], prompts: int, seconds: float) -> str:
    """A line for each replica."""
    lines = [f"{prompts:,} prompts × 3 stages", f"{'':12}{'texts':>10}{'busy':>9}{'until':>11}"]
    shares: list[float] = []
    for generator, speed in zip(generators, (STUDENT, TEACHER), strict=True):
        own = busy_shares(generator, speed.slots)
        shares += own
        for number, (replica, share) in enumerate(
            zip(generator.session.replicas, own, strict=True), start=1
        ):
            name = f"{generator.name} {number}"
            until = f"{replica.ended:,.0f} s"
            lines.append(f"{name:12}{replica.texts:10,}{100 * share:7.1f} %{until:>11}")
    texts = 3 * prompts
    lines.append(
        f"least {100 * min(shares):.1f} %, mean {100 * sum(shares) / len(shares):.1f} %; goal: at least "
        f"{100 * GOAL:.0f} % each. Processor time of flow and simulation: {seconds:.0f} s, "
        f"{1e3 * seconds / texts:.2f} ms a text"
    )
    return "\n".join(lines)
