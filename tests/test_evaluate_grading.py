"""Grading in worker processes: the same verdicts, and an answer that kills a worker kills nothing else."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from evals.grading_pool import CHUNK, DIED, TOO_SLOW, GradingPool
from evals.policy import Policy

MORTAL = """
import json, os, sys, time
print("ready", flush=True)
for line in sys.stdin:
    for case in json.loads(line):
        if case["prediction"] == "dies":
            os._exit(9)
        if case["prediction"] == "hangs":
            time.sleep(60)
        if case["prediction"].startswith("killed once "):
            mark = case["prediction"].removeprefix("killed once ")
            if not os.path.exists(mark):
                open(mark, "w").close()
                os._exit(9)
        print(json.dumps({"said": case["prediction"]}), flush=True)
"""
"""A worker that dies of one word and hangs on another."""


def case(prediction: str, gold: str = "2") -> dict[str, object]:
    return {"prediction": prediction, "gold": gold, "policy": asdict(Policy()), "compat": False}


def mortal(folder: Path) -> tuple[str, ...]:
    script = folder / "worker.py"
    script.write_text(MORTAL, encoding="utf-8")
    return (sys.executable, str(script))


def test_workers_say_what_this_process_would_say() -> None:
    texts = [f"so it is \\boxed{{{n}}}" for n in range(5)] + ["", "\ud800", "x" * 100_000]
    verdicts = []
    for workers in (0, 2):
        with GradingPool(workers) as pool:
            for index, text in enumerate(texts):
                pool.submit(index, case(text))
            verdicts.append(dict(pool.results()))
    assert verdicts[0] == verdicts[1]
    assert [verdicts[0][index]["correct"] for index in range(5)] == [n == 2 for n in range(5)]


def test_an_answer_that_kills_its_worker_is_named_and_the_rest_is_graded(tmp_path: Path) -> None:
    texts = [str(n) for n in range(3 * CHUNK)]
    deadly = [0, 5, 6, CHUNK - 1, 2 * CHUNK]
    for index in deadly:
        texts[index] = "dies"
    with GradingPool(2, command=mortal(tmp_path)) as pool:
        for index, text in enumerate(texts):
            pool.submit(index, case(text))
        verdicts = pool.results()
    assert verdicts.keys() == set(range(len(texts)))
    assert [i for i, v in sorted(verdicts.items()) if v.get("rule") == DIED] == deadly
    assert all(
        v["status"] == "undecided" and not v["correct"] for i in deadly if (v := verdicts[i])
    )
    assert all(verdicts[i] == {"said": t} for i, t in enumerate(texts) if i not in deadly)


def test_an_answer_whose_worker_was_killed_from_outside_is_graded_by_the_next(
    tmp_path: Path,
) -> None:
    texts = ["a", f"killed once {tmp_path / 'mark'}", "b"]
    with GradingPool(1, command=mortal(tmp_path)) as pool:
        for index, text in enumerate(texts):
            pool.submit(index, case(text))
        verdicts = pool.results()
    assert [verdicts[index] for index in range(3)] == [{"said": text} for text in texts]


def test_an_answer_that_holds_its_worker_is_given_up(tmp_path: Path) -> None:
    started = time.monotonic()
    with GradingPool(1, seconds_per_case=0.5, command=mortal(tmp_path)) as pool:
        for index, text in enumerate(["a", "hangs", "b"]):
            pool.submit(index, case(text))
        verdicts = pool.results()
    assert verdicts[0] == {"said": "a"}
    assert verdicts[1]["rule"] == TOO_SLOW
    assert verdicts[2] == {"said": "b"}
    assert time.monotonic() - started < 20


def test_a_worker_that_never_starts_is_an_error_and_no_verdict(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit(1)", encoding="utf-8")
    with GradingPool(1, command=(sys.executable, str(script))) as pool:
        pool.submit(0, case("2"))
        with pytest.raises(RuntimeError, match="does not start"):
            pool.results()


def test_leaving_early_waits_for_nothing(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        leave_early(mortal(tmp_path))
    assert time.monotonic() - started < 20


def leave_early(command: tuple[str, ...]) -> None:
    with GradingPool(1, 1.0, command) as pool:
        for index in range(50 * CHUNK):
            pool.submit(index, case("hangs"))
        raise KeyboardInterrupt
