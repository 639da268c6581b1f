"""Mixtures hold the share that was asked for, and say when it cannot be had."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from datagen.mixtures import MixtureConfig, choose, fits, largest_total
from datagen.records import Record


def pool(right: int, wrong: int, unknown: int = 0) -> list[Record]:
    known = [True] * right + [False] * wrong + [None] * unknown
    records = [Record(id=f"r{i}", prompt="p", student_correct=k) for i, k in enumerate(known)]
    return sorted(records, key=lambda record: record.id[::-1])


def num_right(records: list[Record]) -> int:
    return sum(record.student_correct is True for record in records)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_papers_mixtures(share: float) -> None:
    chosen = choose(pool(40, 40), share, 40, seed=0)
    assert (len(chosen), num_right(chosen)) == (40, 40 * share)


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0, 1), st.integers(0, 3))
def test_as_many_as_the_share_allows_and_in_their_order(
    right: int, wrong: int, share: float, seed: int
) -> None:
    records = pool(right, wrong, unknown=3)
    most = largest_total(right, wrong, share)
    assert not any(fits(n, right, wrong, share) for n in range(most + 1, right + wrong + 1))
    assume(most)
    chosen = choose(records, share, None, seed)
    assert len(chosen) == most
    assert abs(num_right(chosen) - share * most) <= 0.5 + 1e-9
    assert [r for r in records if r in chosen] == chosen
    assert all(record.student_correct is not None for record in chosen)


@given(st.permutations(range(20)))
def test_order_and_company_change_nothing(order: list[int]) -> None:
    records = pool(10, 10)
    chosen = choose(records, 0.5, 10, seed=1)
    again = choose([records[i] for i in order], 0.5, 10, seed=1)
    assert {r.id for r in again} == {r.id for r in chosen}
    less = [r for r in records if r in chosen or r.id == "r3"]
    assert {r.id for r in choose(less, 0.5, 10, seed=1)} == {r.id for r in chosen}


def test_the_seed_chooses() -> None:
    chosen = [{r.id for r in choose(pool(30, 30), 0.5, 10, seed=seed)} for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_without_a_share_any_records_will_do() -> None:
    assert choose(pool(2, 2, 2), None, None, 0) == pool(2, 2, 2)
    assert len(choose(pool(2, 2, 2), None, 4, 0)) == 4
    with pytest.raises(ValueError, match="7 records asked for, there are 6"):
        choose(pool(2, 2, 2), None, 7, 0)


def test_too_few_are_named_with_what_can_be_had() -> None:
    with pytest.raises(ValueError, match="need 8 right") as error:
        choose(pool(6, 50, 4), 0.5, 16, seed=0)
    for words in ("8 wrong ones", "6 right, 50 wrong", "4 of which nobody", "at most 12 records"):
        assert words in str(error.value)
    with pytest.raises(ValueError, match="at most 0 records"):
        choose(pool(0, 5), 1.0, None, seed=0)


def test_settings_have_bounds() -> None:
    with pytest.raises(ValueError, match="correct_share"):
        MixtureConfig(correct_share=1.5)
    with pytest.raises(ValueError, match="total"):
        MixtureConfig(total=0)
