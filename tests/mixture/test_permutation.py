"""The keyed permutation: a bijection, well mixed, and the same forever."""

import numpy as np
import pytest
from scipy.stats import chi2

from robomix.mixture.permutation import key_of, permute, shuffled, subkeys


def one_permutation(n: int, key: int) -> np.ndarray:
    return permute(np.arange(n), np.full(n, n), np.full(n, key))


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 255, 256, 257, 1000, 65_537, 1_000_003])
def test_every_element_comes_once(n: int) -> None:
    assert np.array_equal(np.sort(one_permutation(n, 42)), np.arange(n))


def test_golden_vectors() -> None:
    """These numbers are the order of existing runs: if they change, so must schedule.VERSION."""
    assert one_permutation(10, 1).tolist() == GOLDEN_10
    assert one_permutation(1000, 7)[:8].tolist() == GOLDEN_1000
    assert permute(np.array([123_456_789]), np.array([10**9]), np.array([99])).tolist() == GOLDEN_BILLION
    assert shuffled(8, 5).tolist() == GOLDEN_SHUFFLED
    assert key_of(0, "me/so100", "order") == GOLDEN_KEY


GOLDEN_10 = [0, 8, 1, 7, 4, 6, 5, 9, 3, 2]
GOLDEN_1000 = [696, 255, 234, 298, 322, 346, 770, 458]
GOLDEN_BILLION = [692287789]
GOLDEN_SHUFFLED = [3, 4, 2, 5, 0, 7, 1, 6]
GOLDEN_KEY = 3980355021106997371


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 8, 12, 20])
def test_over_many_keys_each_element_is_equally_likely_at_each_position(n: int) -> None:
    keys = subkeys(3, np.arange(20_000))
    counts = np.stack(
        [np.bincount(permute(np.full(len(keys), p), np.full(len(keys), n), keys), minlength=n) for p in range(n)]
    )
    expected = len(keys) / n
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert chi2.sf(statistic, (n - 1) ** 2) > 1e-4


def test_neighbours_in_position_are_not_neighbours_in_the_data() -> None:
    order = one_permutation(100_000, 11)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.02
    assert np.mean(np.abs(np.diff(order)) < 10) < 0.001


def test_parts_of_a_key_are_not_run_together() -> None:
    assert key_of(1, 23) != key_of(12, 3)
    assert key_of("a", "bc") != key_of("ab", "c")
    assert key_of(1, 0) != key_of(0, 1)
