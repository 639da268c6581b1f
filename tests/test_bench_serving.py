"""Claims: the simulated servers keep to their model, the flow keeps them busy, and the client's time is measured."""

from __future__ import annotations

import statistics

import pytest

from datagen.generators import Completion, Request, Sampling
from launch.bench_client import Measured
from launch.bench_client import table as client_table
from launch.bench_fleet import LENGTHS, TEACHER, busy_shares, make, run_bench
from launch.cli import main, parser
from launch.fleet import NETWORK_SECONDS, Fleet, Lengths, Replica, Speed


def test_replicas_take_the_time_that_the_model_says() -> None:
    fleet, speed = Fleet(), Speed(slots=2, base=0.01, each=0.001)
    replica, ends = Replica(fleet, speed), []
    for steps in (100, 100, 50):
        replica.begin(steps, lambda: ends.append(fleet.now))
    fleet.wait(1e9, lambda: len(ends) == 3)
    two, one = 100 * 0.012, 50 * 0.011  # the third one waits for a slot, and is alone
    assert ends == pytest.approx([two, two, two + one])
    assert replica.slot_seconds == pytest.approx(2 * two + one)
    assert replica.texts == 3


def test_a_text_that_comes_later_slows_the_first_one_from_then_on() -> None:
    fleet, ends = Fleet(), []
    replica = Replica(fleet, Speed(slots=4, base=0.01, each=0.01))
    replica.begin(100, lambda: ends.append(fleet.now))
    fleet.later(1.0, lambda: replica.begin(1000, lambda: None))
    fleet.wait(1e9, lambda: bool(ends))
    assert ends == pytest.approx([1.0 + 50 * 0.03])


def test_lengths_are_those_of_the_law() -> None:
    drawn = [Lengths(median=300, sigma=0.6).draw(seed) for seed in range(4000)]
    assert statistics.median(drawn) == pytest.approx(300, rel=0.05)
    assert statistics.mean(drawn) == pytest.approx(359, rel=0.06)
    assert Lengths(median=300, sigma=0.6).draw(7) == drawn[7]


def test_time_goes_by_only_while_somebody_waits() -> None:
    fleet = Fleet()
    generator = make(fleet, "teacher", 1, TEACHER)
    session = generator.open()
    session.submit(1, Request("r", ({"role": "user", "content": "x"},), 5, "refine"), Sampling())
    assert fleet.now == 0.0
    assert session.collect(0.001) == []
    assert fleet.now == pytest.approx(0.001)
    ((ticket, completion),) = session.collect(1e9)
    assert ticket == 1
    assert isinstance(completion, Completion)
    assert completion.completion_tokens == LENGTHS["refine"].draw(5)
    alone = completion.completion_tokens * TEACHER.step_seconds(1)
    assert 0 < fleet.now - alone - 2 * NETWORK_SECONDS < 0.11


def test_two_sessions_share_the_clock() -> None:
    fleet = Fleet()
    one, other = (make(fleet, name, 1, TEACHER).open() for name in ("student", "teacher"))
    for session in (one, other):
        session.submit(
            0, Request("r", ({"role": "user", "content": "x"},), 5, "refine"), Sampling()
        )
    assert one.collect(1e9)
    now = fleet.now
    assert other.collect(1.0)
    assert fleet.now - now < 0.2


def test_the_bench_counts_every_text_and_the_idle_time() -> None:
    options = parser().parse_args(
        ["bench", "fleet", "--prompts", "150", "--students", "1", "--teachers", "2"]
    )
    lines = run_bench(options).splitlines()
    texts = [int(line.split()[2].replace(",", "")) for line in lines[2:5]]
    assert texts[0] == 150
    assert texts[1] + texts[2] == 300
    shares = [float(line.split()[3]) for line in lines[2:5]]
    assert all(10 < share < 100 for share in shares)


def test_busy_shares_are_of_all_slots_and_all_time() -> None:
    generator = make(Fleet(), "teacher", 2, TEACHER)
    for replica, slot_seconds, ended in zip(
        generator.session.replicas, (640.0, 320.0), (10.0, 8.0), strict=True
    ):
        replica.slot_seconds, replica.ended = slot_seconds, ended
    assert busy_shares(generator, 64) == [1.0, 0.5]


def test_the_client_is_measured_by_its_best_round() -> None:
    options = parser().parse_args(["bench", "client"])
    rounds = [Measured(1000, 10.0, user, 0.05, 0.99) for user in (0.25, 0.15, 0.35)]
    line = client_table({"ours": rounds}, options).splitlines()[2].split()
    assert line == ["ours", "100", "0.150", "0.050", "0.200", "2.00", "4.00", "99.0", "%"]


def test_both_clients_feed_the_servers_of_the_bench(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--rate", "60", "--text-seconds", "0.1", "--seconds", "0.5", "--servers", "2"]
    assert not main(["bench", "client", *sizes, "--rounds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["ours", "aiohttp"]
    assert all(float(line.split()[1]) > 10 for line in lines[2:])
