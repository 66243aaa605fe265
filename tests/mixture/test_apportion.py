"""The slot table: exact shares in every prefix, whatever the number and size of the shares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robomix.mixture.apportion import LONG_PERIOD, PERIOD, ranks_in_table, slot_counts, slot_table


def largest_deviation(table: np.ndarray, counts: np.ndarray) -> float:
    """How far any source's count in any prefix of the table is from its exact share."""
    draws = np.arange(1, len(table) + 1)
    return max(
        float(np.abs(np.cumsum(table == i) - draws * count / len(table)).max()) for i, count in enumerate(counts)
    )


def test_two_to_one_repeats_every_three_draws() -> None:
    assert slot_table(np.array([4, 2])).tolist() == [0, 0, 1, 0, 0, 1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_every_prefix_is_within_one_draw_of_every_share(counts: list[int]) -> None:
    table = slot_table(np.array(counts))
    assert np.bincount(table, minlength=len(counts)).tolist() == counts
    assert largest_deviation(table, np.array(counts)) < 1


@pytest.mark.parametrize("sources", [2, 17, 60])
def test_full_periods_of_many_sources_keep_within_one_draw(sources: int) -> None:
    shares = np.random.default_rng(sources).random(sources) + 0.05
    counts = slot_counts(shares / shares.sum())
    assert counts.sum() == PERIOD
    assert largest_deviation(slot_table(counts), counts) < 1


def test_counts_are_the_nearest_whole_slots() -> None:
    counts = slot_counts(np.array([1.0, 0.5, 0.3]) / 1.8)
    assert np.abs(counts - np.array([1.0, 0.5, 0.3]) / 1.8 * PERIOD).max() < 1
    assert counts.sum() == PERIOD


def test_a_tiny_share_is_drawn_and_a_zero_share_is_not() -> None:
    counts = slot_counts(np.array([1 - 1e-9, 1e-9, 0.0]))
    assert counts.tolist() == [LONG_PERIOD - 1, 1, 0]


def test_many_tiny_shares_take_their_slots_from_the_largest() -> None:
    shares = np.array([1.0] + [1e-12] * 100)
    counts = slot_counts(shares / shares.sum())
    assert counts.tolist() == [LONG_PERIOD - 100] + [1] * 100


def test_ranks_count_earlier_slots_of_the_same_source() -> None:
    assert ranks_in_table(np.array([0, 1, 0, 0, 1, 0]), np.array([4, 2])).tolist() == [0, 0, 1, 2, 1, 3]
