"""A generation on a server that fails 30 % of its requests, killed over and over with changing numbers of workers.

    campaign(folder, kills, seed) -> Outcome          a life: N workers started, all killed with SIGKILL, and again
    python tests/flow_campaign.py work FOLDER URL K/N  one worker

Half of the kills land at a random moment, half when the journals have grown by a random number of bytes.
After some of them the end of a journal is lost as well, as when a machine loses its power.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from faulty_server import FaultyServer

from datagen.backends import TeacherConfig
from datagen.flow import run_flow
from datagen.openai_generator import OpenAIGenerator
from datagen.openai_retry import RetryPolicy
from datagen.records import Record, write_records
from datagen.stages import GenerateConfig

PROMPTS = 30
MOST_WORKERS = 3
SECONDS_PER_LIFE = 60.0
FILES = ("answers", "critiques", "refinements", "dropped", "failed")
SECONDS = re.compile(rb'"seconds": [0-9.e-]+')
"""The clock's part in a record: all else is the same whenever it was written."""


@dataclass
class Outcome:
    """What a campaign has shown."""

    kills: int
    writing: int
    """Of these, kills of workers that had written something."""
    torn: int
    """Lives that found a torn last line of the one before."""
    failures: int
    """Journalled failures."""
    same: bool
    """Whether all files are those of an undisturbed run."""
    twice: list[str]
    """Keys that were journalled more than once."""


def generator(url: str, model: str) -> OpenAIGenerator:
    """One of the two models of the server; its name stays when the server's port does not."""
    config = TeacherConfig(
        backend="openai",
        base_url=(url,),
        address="there",
        model=model,
        timeout_seconds=1.0,
        concurrency=8,
        max_retries=3,
    )
    policy = RetryPolicy(max_retries=3, first_seconds=0.02, longest_seconds=5.0)
    return OpenAIGenerator(config, policy, say=lambda text: None)


def work(folder: Path, url: str, worker: tuple[int, int]) -> None:
    """One worker, to its end."""
    prompts, config = folder / "prompts.jsonl", GenerateConfig()
    (folder / f"ready-{worker[0]}").touch()
    student, teacher = generator(url, "small"), generator(url, "large")
    run_flow(prompts, folder, student, teacher, config, 0, worker=worker)


def start(folder: Path, url: str, worker: tuple[int, int]) -> subprocess.Popen[bytes]:
    """A worker as a process."""
    command = [sys.executable, __file__, "work", str(folder), url, "/".join(map(str, worker))]
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def size_of_journals(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("journal/*.jsonl"))


def live(folder: Path, url: str, count: int, chance: random.Random | None) -> bool:
    """So many workers, killed at a moment of chance; True where they came to their end."""
    for path in folder.glob("ready-*"):
        path.unlink()
    processes = [start(folder, url, (number, count)) for number in range(count)]
    while len(list(folder.glob("ready-*"))) < count and None in [p.poll() for p in processes]:
        time.sleep(0.005)  # what it takes to start a process is not what we want to disturb
    began, size = time.monotonic(), size_of_journals(folder)
    seconds, growth = SECONDS_PER_LIFE, float("inf")
    if chance is not None:
        seconds = chance.uniform(0.0, 2.0)
        growth = chance.expovariate(1 / 12_000) if chance.random() < 0.5 else growth
    while None in [process.poll() for process in processes]:
        grown = size_of_journals(folder) - size
        if time.monotonic() - began > seconds or grown > growth:
            assert chance is not None, (folder / "log.txt").read_text()
            for process in processes:
                process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    codes = [process.wait() for process in processes]
    return not any(codes)


def lose_an_end(folder: Path, chance: random.Random) -> None:
    """Cuts off the last bytes of one of the journals."""
    journals = sorted(folder.glob("journal/*.jsonl"))
    if journals:
        path = chance.choice(journals)
        size = path.stat().st_size
        os.truncate(path, max(0, size - chance.randint(1, 2500)))


def content(folder: Path) -> dict[str, bytes]:
    """Every file, byte for byte but for the clock."""
    return {name: SECONDS.sub(b"", (folder / f"{name}.jsonl").read_bytes()) for name in FILES}


def lines(folder: Path) -> list[dict[str, object]]:
    """Every whole line of every journal."""
    raw = [
        line for path in folder.glob("journal/*.jsonl") for line in path.read_bytes().split(b"\n")
    ]
    return [json.loads(line) for line in raw if line]


def prepare(folder: Path) -> Path:
    """A folder with prompts."""
    folder.mkdir(parents=True)
    records = [
        Record(id=f"p{i}", prompt=f"What is {i} + {i} ×?", final_answer=str(2 * i))
        for i in range(PROMPTS)
    ]
    write_records(folder / "prompts.jsonl", records)
    return folder


def campaign(folder: Path, kills: int, seed: int) -> Outcome:
    """One run, killed so often, beside an undisturbed one."""
    chance = random.Random(seed)
    undisturbed, disturbed = prepare(folder / "undisturbed"), prepare(folder / "disturbed")
    models = ("small", "large")
    with FaultyServer(models=models) as sound:
        assert live(undisturbed, sound.base_url, 1, None), (undisturbed / "log.txt").read_text()
    options = {"models": models, "slow_seconds": 0.05, "latency_seconds": 0.02}
    with FaultyServer(fault_rate=0.3, seed=seed, **options) as server:
        done = writing = 0
        while done < kills:
            size = size_of_journals(disturbed)
            if live(disturbed, server.base_url, chance.randint(1, MOST_WORKERS), chance):
                for path in (*disturbed.glob("journal/*.jsonl"), disturbed / "summary.json"):
                    path.unlink(missing_ok=True)  # it came to its end: once more from the start
                continue
            done += 1
            writing += size_of_journals(disturbed) > size
            if chance.random() < 0.4:
                lose_an_end(disturbed, chance)
        for _ in range(20):  # what has failed for good is tried again by the next command
            if live(disturbed, server.base_url, chance.randint(1, MOST_WORKERS), None):
                break
    written = Counter(str(line["provenance"]["key"]) for line in lines(disturbed) if "text" in line)  # type: ignore[index]
    return Outcome(
        kills=done,
        writing=writing,
        torn=(disturbed / "log.txt").read_text().count("torn last line"),
        failures=sum("error" in line for line in lines(disturbed)),
        same=content(disturbed) == content(undisturbed),
        twice=[key for key, count in written.items() if count > 1],
    )


if __name__ == "__main__":
    _, _, where, address, share = sys.argv
    number, of = share.split("/")
    work(Path(where), address, (int(number), int(of)))
