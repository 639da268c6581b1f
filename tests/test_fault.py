"""Claim: however often a 2-rank training is killed, and whenever, it ends with the weights of an undisturbed one.

`pytest tests/test_fault.py --runs 100 -s` makes a campaign of it; the kills land at other moments with every `--seed`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import make_records, save_tiny_model

RUNS_IN_CI = 6
KILLS_PER_RUN = 4
SECONDS_PER_RUN = 60


def test_killed_training_ends_bit_for_bit_like_an_undisturbed_one(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    runs = pytestconfig.getoption("--runs") or RUNS_IN_CI
    save_tiny_model(tmp_path / "student")
    records = "".join(json.dumps(record) + "\n" for record in make_records(20))
    (tmp_path / "records.jsonl").write_text(records, encoding="utf-8")
    program = Path(__file__).with_name("faults.py")
    seed = str(pytestconfig.getoption("--seed"))
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path), "--runs", str(runs), "--seed", seed],
        capture_output=True,
        text=True,
        timeout=SECONDS_PER_RUN * (runs + 1),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    kills = outcome["kills"]
    print(f"\n{sum(kills.values())} kills in {runs} trainings: {kills}")
    assert outcome["differing"] == []
    assert sum(kills.values()) >= KILLS_PER_RUN * runs
    # Kills are aimed at all four phases; on a machine of another speed one of them may escape six trainings.
    assert sum(map(bool, kills.values())) >= 3, f"too few phases were hit: {kills}"
