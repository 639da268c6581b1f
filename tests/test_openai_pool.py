"""Claims: the least loaded server is chosen, the unwell are left alone and come back, and time comes from outside."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.openai_pool import (
    FAILURES_IN_A_ROW,
    FIRST_PROBE_SECONDS,
    HOME_SLACK,
    LONGEST_PROBE_SECONDS,
    Pool,
    Server,
)


def pool_of(count: int, concurrency: int = 8) -> Pool:
    return Pool([f"http://server{i}/v1" for i in range(count)], concurrency)


def take(pool: Pool, now: float = 0.0, home: int = 0) -> Server:
    server = pool.choose(now, home)
    assert server is not None
    return server


def fail(pool: Pool, server: Server, now: float, times: int = FAILURES_IN_A_ROW) -> None:
    for _ in range(times):
        server.in_flight += 1
        pool.release(server)
        pool.failed(server, now)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=200), st.integers(1, 5))
def test_load_stays_even_and_within_bounds(events: list[tuple[bool, int]], count: int) -> None:
    pool, running = pool_of(count), []
    for starts, which in events:
        if starts:
            server = pool.choose(0.0, which)
            if server is None:
                assert all(one.in_flight == 8 for one in pool.servers)
                continue
            others = [one.in_flight for one in pool.servers if one is not server]
            assert server.in_flight - 1 <= min(others, default=0) + HOME_SLACK * 8 or not others
            running.append(server)
        elif running:
            server = running.pop(which % len(running))
            pool.release(server)
            pool.succeeded(server)
        assert sum(one.in_flight for one in pool.servers) == len(running)
        assert all(0 <= one.in_flight <= 8 for one in pool.servers)


def test_the_emptiest_server_is_chosen() -> None:
    pool = pool_of(3)
    for server, load in zip(pool.servers, (5, 2, 4), strict=True):
        server.in_flight = load
    assert take(pool) is pool.servers[1]


def test_a_record_goes_home_unless_that_costs_balance() -> None:
    pool = pool_of(3)
    assert take(pool, home=2) is pool.servers[2]
    assert take(pool, home=2) is pool.servers[2]  # one more than the emptiest is within the slack
    assert take(pool, home=2) is not pool.servers[2]


def test_a_server_that_fails_in_a_row_is_set_aside_and_probed_by_one_request() -> None:
    pool = pool_of(2)
    first, second = pool.servers
    fail(pool, first, 10.0, FAILURES_IN_A_ROW - 1)
    assert first.well
    fail(pool, first, 10.0, 1)
    assert not first.well
    assert all(take(pool, 10.0) is second for _ in range(8))
    assert pool.choose(10.0) is None
    assert pool.next_opening(10.0) == 10.0 + FIRST_PROBE_SECONDS
    assert take(pool, 11.0) is first
    assert pool.choose(11.0) is None  # one probe, not eight


def test_a_single_success_forgives() -> None:
    pool = pool_of(1)
    (server,) = pool.servers
    for _ in range(10):
        fail(pool, server, 0.0, FAILURES_IN_A_ROW - 1)
        pool.succeeded(server)
    assert server.well


def test_pauses_between_probes_grow_up_to_a_bound_and_a_success_ends_them() -> None:
    pool = pool_of(1)
    (server,) = pool.servers
    fail(pool, server, 0.0)
    pauses, now = [], 0.0
    for _ in range(8):
        pauses.append(server.until - now)
        now = server.until
        probe = take(pool, now)
        pool.release(probe)
        pool.failed(probe, now)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST_PROBE_SECONDS
    probe = take(pool, server.until)
    pool.release(probe)
    assert pool.succeeded(probe)
    assert [pool.choose(now) for _ in range(8)] == [server] * 8


def test_failures_of_requests_that_were_on_their_way_do_not_lengthen_the_pause() -> None:
    pool = pool_of(1, concurrency=64)
    (server,) = pool.servers
    fail(pool, server, 0.0, 64)
    assert (server.asides, server.until) == (1, FIRST_PROBE_SECONDS)


def test_a_due_probe_comes_before_servers_with_room() -> None:
    pool = pool_of(2)
    fail(pool, pool.servers[0], 0.0)
    assert take(pool, 5.0) is pool.servers[0]


def test_a_busy_server_is_left_alone_as_long_as_it_asks_while_others_go_on() -> None:
    pool = pool_of(2)
    busy, other = pool.servers
    pool.asked_to_wait(busy, 0.0, 30.0)
    pool.succeeded(busy)  # a request that was on its way
    assert {take(pool, 29.0) for _ in range(8)} == {other}
    assert pool.choose(29.0) is None
    assert take(pool, 30.0) is busy


def test_a_busy_server_gets_less_at_a_time_and_then_more() -> None:
    pool = pool_of(1)
    (server,) = pool.servers
    for _ in range(8):
        pool.asked_to_wait(server, 0.0, 1.0)  # one wave
    assert server.limit == 4
    for _ in range(10):
        pool.succeeded(server)
    assert server.limit == 8


def test_capacity_is_that_of_the_servers_not_set_aside_and_a_little_ahead() -> None:
    pool = pool_of(2)
    assert pool.capacity() == 18
    fail(pool, pool.servers[0], 0.0)
    assert pool.capacity() == 9
    fail(pool, pool.servers[1], 0.0)
    assert pool.capacity() == 0


def test_silence_counts_from_the_moment_at_which_the_last_server_fell_ill() -> None:
    pool = pool_of(2)
    fail(pool, pool.servers[0], 0.0)
    assert pool.unwell_seconds(100.0) == 0.0
    fail(pool, pool.servers[1], 100.0)
    assert pool.unwell_seconds(130.0) == pytest.approx(30.0)
    working = take(pool, 130.0)
    assert pool.unwell_seconds(140.0) == 0.0  # nobody gives up while a request is at work
    pool.release(working)
    assert pool.unwell_seconds(140.0) == pytest.approx(40.0)
    pool.succeeded(working)
    assert pool.unwell_seconds(500.0) == 0.0
