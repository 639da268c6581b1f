"""Claims: every example exactly once, no row over budget, equally many rows a rank, order from the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.examples import Example
from engine.packing import (
    FixedShape,
    examples_of_step,
    make_pack,
    num_steps,
    plan_step,
    target_weights,
)

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=60)


@given(lengths=LENGTHS, world_size=st.integers(1, 9), slack=st.integers(0, 700))
def test_every_example_once_in_equal_rows_within_budget(
    lengths: list[int], world_size: int, slack: int
) -> None:
    row_tokens = max(lengths) + slack
    plan = plan_step(range(len(lengths)), lengths, world_size, row_tokens)
    assert sorted(plan.examples) == list(range(len(lengths)))
    assert len(plan.rows) == world_size
    assert len({len(rank) for rank in plan.rows}) == 1
    assert all(sum(lengths[i] for i in row) <= row_tokens for rank in plan.rows for row in rank)
    assert 0 < plan.efficiency(lengths) <= 1


@given(lengths=LENGTHS, world_size=st.integers(1, 4))
def test_plan_does_not_depend_on_the_order_of_the_batch(
    lengths: list[int], world_size: int
) -> None:
    forward = plan_step(range(len(lengths)), lengths, world_size, 600)
    assert forward == plan_step(range(len(lengths) - 1, -1, -1), lengths, world_size, 600)


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
