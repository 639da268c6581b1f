"""What `test_vllm_engine.py` lets vLLM's environment do: `python vllm_program.py MODEL OUT.json`.

It runs where there is no pytest, on one engine that is started twice: by a list of requests, and by a session.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

from datagen.arithmetic import problems
from datagen.backends import TeacherConfig, make_generator
from datagen.generators import Completion, Outcome, Request, Sampling, Session

GREEDY = Sampling(temperature=0.0, max_tokens=48)
SAMPLED = Sampling(temperature=0.9, top_p=0.95, max_tokens=48)


def requests() -> list[Request]:
    """A dozen problems of the packaged student's world, each with a seed of its own."""
    texts = [problem.record().prompt for problem in problems("test", 12, 0)]
    return [chat(text, seed=(1 << 62) + i) for i, text in enumerate(texts)]


def chat(*turns: str, seed: int = 0) -> Request:
    """A chat that begins with the user's turn, and in which the model's is the next one."""
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(turns)]
    return Request(f"r{seed}", tuple(messages), seed)


def written(session: Session, work: list[Request], sampling: Sampling) -> list[Outcome]:
    """What becomes of the requests, in their order."""
    for ticket, request in enumerate(work):
        session.submit(ticket, request, sampling)
    found: dict[int, Outcome] = {}
    while len(found) < len(work):
        found |= dict(session.collect(1.0))
    return [found[ticket] for ticket in sorted(found)]


def write_down(model: str) -> dict[str, Any]:
    """Everything that is claimed about the engine, done once."""
    work, said = requests(), dict[str, Any]()
    generator = make_generator(TeacherConfig(backend="vllm", model=model, max_model_len=512))
    for name, sampling in (("greedy", GREEDY), ("sampled", SAMPLED)):
        said[name] = [vars(text) for _, text in sorted(generator.generate(work, sampling))]
    session = generator.open()
    last = [written(session, [request], SAMPLED)[0] for request in work[:-6:-1]]
    said["alone"] = [vars(text) for text in reversed(last)]
    mixed = written(session, [work[0], chat("so " * 2000), work[1]], GREEDY)
    said["mixed"] = [type(outcome).__name__ for outcome in mixed]
    question = "What is 2 + 3? " * 20
    [first] = written(session, [chat(question)], GREEDY)
    assert isinstance(first, Completion)
    [then] = written(session, [chat(question, first.text, "And 5 + 7?")], GREEDY)
    said["continued"] = vars(then)
    crowd = [chat(f"{i} " + question, seed=i) for i in range(30)]  # more than one step can read
    said["crowd"] = [type(outcome).__name__ for outcome in written(session, crowd, SAMPLED)]
    return said | killed(session, work)


def killed(session: Session, work: list[Request]) -> dict[str, Any]:
    """What is said when the engine's process dies while it writes."""
    for ticket, request in enumerate(work):
        session.submit(ticket, request, GREEDY)
    session.collect(0.0)
    processes = multiprocessing.active_children()
    for process in processes:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    try:
        while True:
            session.collect(1.0)
    except ValueError as error:
        message = str(error)
    session.close()
    left_over = len(multiprocessing.active_children())
    return {"processes": len(processes), "dead": message, "left over": left_over}


if __name__ == "__main__":  # vLLM starts processes that import this file
    Path(sys.argv[2]).write_text(json.dumps(write_down(sys.argv[1])), encoding="utf-8")
