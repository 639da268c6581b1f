"""Claim: a generation that is killed over and over, on a server that fails 30 % of its requests, loses nothing.

`pytest tests/test_flow_faults.py --runs 60 -s` kills it 60 times; the moments are others with every `--seed`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from flow_campaign import campaign

KILLS_IN_CI = 6


def test_killed_generation_ends_with_the_files_of_an_undisturbed_one(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills = pytestconfig.getoption("--runs") or KILLS_IN_CI
    outcome = campaign(tmp_path, kills, pytestconfig.getoption("--seed"))
    print(f"\n{outcome}")
    assert outcome.kills == kills
    assert outcome.writing >= kills / 3, "the kills came too early to prove anything"
    assert outcome.twice == [], "what was safe was written again"
    assert outcome.same
