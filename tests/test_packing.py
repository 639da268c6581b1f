"""Claims: every example exactly once, no row over budget, equally many rows a rank, balance within the proven bound."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import example as tried
from hypothesis import given
from hypothesis import strategies as st

from engine.balance import (
    QUADRATIC_TOKENS,
    FixedShape,
    StepPlan,
    best_fit,
    deal,
    even_out,
    greedy,
    plan_step,
    row_work,
    work,
)
from engine.examples import Example
from engine.packing import examples_of_step, make_pack, num_steps, target_weights

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=60) | st.lists(
    st.sampled_from([900, 1000, 1100, 5000, 12_000, 30_000]), min_size=1, max_size=60
)  # of the second kind, long ones have far more work a token
ONE_GIANT = [500] + [1] * 30
ALL_EQUAL = [100] * 13
FEWER_THAN_RANKS = [300, 20]
NOT_DIVISIBLE = [50, 40, 30, 20, 10, 5, 5]


def slowest_of(plan: StepPlan, lengths: list[int]) -> int:
    """What a step takes: every rank waits for the heaviest row of each round."""
    rounds = zip(*plan.rows, strict=True)
    return sum(max(row_work(row, lengths) for row in rows) for rows in rounds)


def plan_of(lengths: list[int], world_size: int, row_tokens: int) -> StepPlan:
    return plan_step(range(len(lengths)), lengths, world_size, row_tokens)


@given(lengths=LENGTHS, world_size=st.integers(1, 9), slack=st.integers(0, 700) | st.just(20_000))
@tried(lengths=ONE_GIANT, world_size=4, slack=0)
@tried(lengths=ALL_EQUAL, world_size=4, slack=150)
@tried(lengths=FEWER_THAN_RANKS, world_size=8, slack=0)
@tried(lengths=NOT_DIVISIBLE, world_size=3, slack=10)
def test_every_example_once_in_equal_rows_within_budget(
    lengths: list[int], world_size: int, slack: int
) -> None:
    row_tokens = max(lengths) + slack
    plan = plan_of(lengths, world_size, row_tokens)
    assert sorted(plan.examples) == list(range(len(lengths)))
    assert len(plan.rows) == world_size
    assert len({len(rank) for rank in plan.rows}) == 1
    assert all(sum(lengths[i] for i in row) <= row_tokens for rank in plan.rows for row in rank)
    assert 0 < plan.efficiency(lengths) <= 1


@given(lengths=LENGTHS, world_size=st.integers(1, 9), slack=st.integers(0, 700) | st.just(20_000))
@tried(lengths=ONE_GIANT, world_size=4, slack=0)
@tried(lengths=ALL_EQUAL, world_size=4, slack=150)
@tried(lengths=FEWER_THAN_RANKS, world_size=8, slack=0)
@tried(lengths=NOT_DIVISIBLE, world_size=3, slack=10)
def test_the_slowest_rank_is_within_the_proven_bound(
    lengths: list[int], world_size: int, slack: int
) -> None:
    row_tokens = max(lengths) + slack
    plan = plan_of(lengths, world_size, row_tokens)
    works = [row_work(row, lengths) for rank in plan.rows for row in rank]
    above_mean = slowest_of(plan, lengths) * world_size - sum(works)  # times the world size
    assert above_mean <= world_size * (max(works) - min(works))
    assert above_mean <= world_size * row_tokens * (QUADRATIC_TOKENS + max(lengths))
    ordered = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    even = greedy(ordered, lengths, len(works), row_tokens)
    if even is not None:
        heaviest = max(even, key=lambda row: row_work(row, lengths))
        attention = sum(lengths[i] ** 2 for i in heaviest)
        assert above_mean <= world_size * (max(lengths) * QUADRATIC_TOKENS + attention)


@given(
    lengths=st.lists(st.integers(1, 30_000), min_size=1, max_size=5),
    world_size=st.integers(1, 3),
    slack=st.integers(0, 20_000),
)
@tried(lengths=[12_000, 9_000, 9_000, 7_000, 7_000], world_size=2, slack=0)
def test_no_plan_of_as_many_rows_is_faster_by_more_than_the_bound(
    lengths: list[int], world_size: int, slack: int
) -> None:
    row_tokens = max(lengths) + slack
    plan = plan_of(lengths, world_size, row_tokens)
    num_rows = sum(map(len, plan.rows))
    best = fastest_of_all(lengths, world_size, num_rows, row_tokens)
    found = slowest_of(plan, lengths)
    total = row_work(range(len(lengths)), lengths)
    assert found >= best >= max(total / world_size, work(max(lengths)))
    works = [row_work(row, lengths) for rank in plan.rows for row in rank]
    assert found <= best + max(works) - min(works)


def fastest_of_all(lengths: list[int], world_size: int, num_rows: int, row_tokens: int) -> int:
    """By trying every assignment of examples to rows."""
    fastest = None
    for assignment in product(range(min(num_rows, len(lengths))), repeat=len(lengths)):
        works, tokens = [0] * num_rows, [0] * num_rows
        for length, row in zip(lengths, assignment, strict=True):
            works[row] += work(length)
            tokens[row] += length
        if max(tokens) <= row_tokens:
            slowest = sum(sorted(works, reverse=True)[::world_size])
            fastest = slowest if fastest is None else min(fastest, slowest)
    assert fastest is not None
    return fastest


@given(lengths=st.lists(st.integers(1, 500), min_size=6, max_size=6))
def test_no_other_dealing_of_the_same_rows_is_faster(lengths: list[int]) -> None:
    def time(rounds: list[list[list[int]]]) -> int:
        return sum(max(row_work(row, lengths) for row in rows) for rows in rounds)

    rows = [[i] for i in range(6)]
    dealt = time(deal(rows, lengths, 2))
    assert dealt == min(
        time([[*order[:2]], [*order[2:4]], [*order[4:]]]) for order in permutations(rows)
    )


@given(lengths=st.lists(st.integers(1, 500), min_size=2, max_size=24), num_rows=st.integers(2, 5))
def test_swaps_only_ever_make_the_heaviest_row_lighter_and_the_lightest_heavier(
    lengths: list[int], num_rows: int
) -> None:
    rows = [[*range(first, len(lengths), num_rows)] for first in range(num_rows)]
    row_tokens = max(sum(lengths[i] for i in row) for row in rows)
    evened = even_out(rows, lengths, row_tokens)
    before, after = ([row_work(row, lengths) for row in r] for r in (rows, evened))
    assert sorted(i for row in evened for i in row) == [*range(len(lengths))]
    assert min(before) <= min(after)
    assert max(after) <= max(before)
    assert all(sum(lengths[i] for i in row) <= row_tokens for row in evened)


def test_rows_that_longest_first_leaves_uneven_are_evened_out() -> None:
    lengths = [8, 7, 6, 5, 4]
    assert greedy(range(5), lengths, 2, 100) == [[0, 3], [1, 2, 4]]  # 13 and 17 tokens
    plan = plan_of(lengths, 2, 100)
    assert sorted(sorted(row) for rank in plan.rows for row in rank) == [[0, 1], [2, 3, 4]]


def test_a_row_is_not_made_lighter_beyond_another_rows_budget() -> None:
    lengths = [10_000, 5_000] + [1_000] * 15  # both rows are full, the first has more work
    rows = [[0, 1], [*range(2, 17)]]
    assert even_out(rows, lengths, 15_000) == rows
    assert even_out(rows, lengths, 19_000) != rows


def test_several_examples_move_to_one_row_without_one_coming_back() -> None:
    evened = even_out([[*range(8)], []], [100] * 8, 800)
    assert [len(row) for row in evened] == [4, 4]


def test_others_have_as_much_to_do_while_they_wait_for_a_long_example() -> None:
    lengths = [10_000] + [1_000] * 20
    even = greedy(range(21), lengths, 4, 10_000)
    assert even is not None
    assert sorted(sum(lengths[i] for i in row) for row in even) == [6_000, 7_000, 7_000, 10_000]
    plan = plan_of(lengths, 2, 10_000)
    tokens = [[sum(lengths[i] for i in row) for row in rank] for rank in plan.rows]
    assert tokens == [[10_000, 5_000], [10_000, 5_000]]


def test_no_row_more_than_best_fit_needs() -> None:
    lengths = [
        6,
        5,
        5,
        4,
        4,
        3,
        3,
    ]  # 30 tokens: three rows of 10 hold them, the lightest-row rule does not
    ordered = [*range(7)]
    assert greedy(ordered, lengths, 3, 10) is None
    assert best_fit(ordered, lengths, 3, 10) is not None
    assert len(plan_of(lengths, 1, 10).rows[0]) == 3


def test_little_time_is_lost_on_lengths_like_those_of_the_method() -> None:
    """Prompt, answer, critique and refinement, on 8 ranks with the paper's batch of 64."""
    wasted = []
    for seed in range(20):
        draw = np.random.default_rng(seed)
        parts = [draw.lognormal(np.log(mean), 0.6, 64) for mean in (120, 450, 500, 450)]
        lengths = np.minimum(sum(parts), 8192).astype(int).tolist()
        wasted.append(1 - plan_of(lengths, 8, 8192).efficiency(lengths))
    assert np.mean(wasted) < 0.015


@given(lengths=LENGTHS, world_size=st.integers(1, 4))
def test_plan_does_not_depend_on_the_order_of_the_batch(
    lengths: list[int], world_size: int
) -> None:
    forward = plan_of(lengths, world_size, 30_000)
    assert forward == plan_of(lengths, world_size, 30_000)
    assert forward == plan_step(range(len(lengths) - 1, -1, -1), lengths, world_size, 30_000)


def test_plan_is_made_of_whole_numbers_so_all_machines_agree() -> None:
    assert type(work(8192)) is int
    assert work(QUADRATIC_TOKENS) == 2 * QUADRATIC_TOKENS * QUADRATIC_TOKENS


def test_an_example_twice_in_a_step_is_planned_twice() -> None:
    plan = plan_step([0, 1, 0, 1, 0], [30, 20], world_size=2, row_tokens=60)
    assert sorted(plan.examples) == [0, 0, 0, 1, 1]


def test_efficiency_is_the_share_of_time_that_no_rank_waits() -> None:
    lengths = [100, 60, 40, 20]
    even = StepPlan((((0,), (3,)), ((1, 2), ())))
    waits = 2 * (work(100) + work(20))
    assert even.efficiency(lengths) == pytest.approx(sum(map(work, lengths)) / waits)
    assert StepPlan((((0, 1, 2, 3),),)).efficiency(lengths) == 1
    assert StepPlan((((0,),), ((),))).efficiency(lengths) == 0.5


def test_efficiency_counts_padding_where_rows_are_padded() -> None:
    plan = StepPlan((((0,),), ((1,),)))
    room = work(50) + work(50)  # each row of 100: its document, and as long a one of padding
    padded = plan.efficiency([50, 50], FixedShape(tokens=100, documents=3))
    assert padded == pytest.approx(2 * work(50) / (2 * room))
    assert plan.efficiency([50, 50]) == 1


def test_more_ranks_than_examples_leaves_empty_rows() -> None:
    plan = plan_step([0, 1], [10, 20], world_size=4, row_tokens=64)
    assert sorted(len(row) for rank in plan.rows for row in rank) == [0, 0, 1, 1]


def test_example_longer_than_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match=r"101 tokens does not fit train\.pack_tokens = 100"):
        plan_step([0], [101], world_size=1, row_tokens=100)


@given(num_examples=st.integers(1, 40), batch_size=st.integers(1, 17), epochs=st.integers(1, 4))
def test_an_epoch_shows_every_example_once_and_its_end_is_no_special_case(
    num_examples: int, batch_size: int, epochs: int
) -> None:
    total = num_steps(num_examples, batch_size, epochs)
    steps = [examples_of_step(num_examples, batch_size, epochs, 3, step) for step in range(total)]
    assert all(len(step) == batch_size for step in steps[:-1])
    stream = [index for step in steps for index in step]
    for epoch in range(epochs):
        seen = stream[epoch * num_examples : (epoch + 1) * num_examples]
        assert sorted(seen) == list(range(num_examples))
    assert len(stream) == num_examples * epochs


def test_paper_run_has_1563_steps() -> None:
    assert num_steps(100_000, 64, 1) == 1563


def test_a_small_part_of_an_epoch_still_has_a_step() -> None:
    assert num_steps(1, 64, 0.5) == num_steps(20, 64, 0.01) == 1
    assert len(examples_of_step(20, 64, 0.01, 0, 0)) == 1


def test_order_depends_on_the_seed() -> None:
    orders = {tuple(examples_of_step(50, 50, 1, seed, 0)) for seed in range(5)}
    assert len(orders) == 5


def example(name: str, length: int, num_context: int) -> Example:
    return Example(name, np.arange(100, 100 + length, dtype=np.int32), num_context)


def test_pack_supervises_each_target_from_its_own_document() -> None:
    pack = make_pack([example("a", 5, 3), example("b", 4, 1)], [0.5, 0.25])
    assert pack.token_ids_T.tolist() == [100, 101, 102, 103, 104, 100, 101, 102, 103]
    assert pack.positions_T.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]
    assert pack.borders_N1.tolist() == [0, 5, 9]
    # position t predicts token t + 1: the last context token predicts the first target
    assert pack.supervised_S.tolist() == [2, 3, 5, 6, 7]
    assert pack.targets_S.tolist() == [103, 104, 101, 102, 103]
    assert pack.weights_S.tolist() == [0.5, 0.5, 0.25, 0.25, 0.25]


def test_fixed_shape_pads_with_an_unsupervised_document() -> None:
    examples = [example("a", 5, 3), example("b", 4, 1)]
    plain = make_pack(examples, [0.5, 0.25])
    padded = make_pack(examples, [0.5, 0.25], FixedShape(tokens=12, documents=5))
    assert padded.borders_N1.tolist() == [0, 5, 9, 12, 12, 12]
    assert len(padded.token_ids_T) == len(padded.positions_T) == padded.longest == 12
    assert padded.token_ids_T[:9].equal(plain.token_ids_T)
    assert padded.supervised_S.equal(plain.supervised_S)


def test_empty_row_is_one_unsupervised_token() -> None:
    pack = make_pack([], [])
    assert len(pack.token_ids_T) == 1
    assert len(pack.supervised_S) == len(pack.targets_S) == len(pack.weights_S) == 0


@pytest.mark.parametrize("reduction", ["token", "example"])
def test_weights_of_a_step_sum_to_one(reduction: str) -> None:
    examples = [example("a", 9, 2), example("b", 5, 4), example("c", 30, 1)]
    weights = target_weights(examples, reduction)
    assert sum(
        w * e.num_supervised for w, e in zip(weights, examples, strict=True)
    ) == pytest.approx(1)
    if reduction == "token":
        assert len(set(weights)) == 1
    else:
        shares = [w * e.num_supervised for w, e in zip(weights, examples, strict=True)]
        assert shares == pytest.approx([1 / 3] * 3)
