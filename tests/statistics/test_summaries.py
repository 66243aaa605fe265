"""Summaries: exact moments, quantiles within their stated rank error, merging that changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robomix.summaries import (
    EMPTY,
    POINTS,
    QUANTILES,
    merge,
    stats_of_entries,
    stats_of_values,
    summarize,
    summarize_entries,
)


def rank_error(values: np.ndarray, answer: float, q: float) -> float:
    """How far `answer` is from the q-quantile of `values`, in shares of their number: 0 if it could be the quantile."""
    below, up_to = np.mean(values < answer), np.mean(values <= answer)
    return float(max(0.0, below - q, q - up_to))


def distributions() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    n = 50_000
    return {
        "normal": rng.normal(size=n),
        "clusters 90/10": np.concatenate([rng.normal(size=9 * n // 10), rng.normal(10, 1, n // 10)]),
        "constant": np.full(n, 3.25),
        "spike and tail": np.where(rng.random(n) < 0.7, 0.0, rng.exponential(size=n)),
        "outliers of 1e6": np.concatenate([rng.normal(size=n - 20), np.full(20, 1e6)]),
        "two values": rng.integers(0, 2, n).astype(float),
        "offset 1e6": 1e6 + rng.normal(size=n),
    }


@pytest.mark.parametrize("name", distributions())
def test_moments_are_numpys_and_quantiles_within_the_stated_rank_error(name: str) -> None:
    values = distributions()[name]
    summary = merge([summarize(part) for part in np.array_split(values, [100, 20_000, 20_001])])
    assert summary.count == len(values)
    assert summary.mean == pytest.approx(values.mean(), rel=1e-12, abs=1e-12)
    assert summary.std == pytest.approx(values.std(), rel=1e-6, abs=1e-9)
    assert (summary.minimum, summary.maximum) == (values.min(), values.max())
    for q in QUANTILES.values():
        assert rank_error(values, summary.quantile(q), q) <= 1.5 / POINTS


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=200), st.integers(1, 199))
def test_up_to_points_values_quantiles_are_numpys_own(values: list[float], cut: int) -> None:
    data = np.array(values)
    summary = merge([summarize(data[:cut]), summarize(data[cut:])])
    for q in QUANTILES.values():
        assert summary.quantile(q) == pytest.approx(np.quantile(data, q), rel=1e-9, abs=1e-9)


def test_the_order_of_merging_does_not_matter() -> None:
    parts = [summarize(values) for values in np.array_split(np.random.default_rng(0).normal(size=30_000), 7)]
    one, other = merge(parts), merge([merge(parts[4:]), merge(parts[:4])])
    assert one.mean == pytest.approx(other.mean)
    assert one.squares == pytest.approx(other.squares)
    assert [one.quantile(q) for q in (0.01, 0.5)] == pytest.approx([other.quantile(q) for q in (0.01, 0.5)])


def test_a_scaled_summary_weighs_more_and_is_the_same_distribution() -> None:
    one, two = summarize(np.zeros(100)), summarize(np.ones(100))
    merged = merge([one.scaled(3.0), two])
    assert merged.mean == pytest.approx(0.25)
    assert merged.count == 400
    assert one.scaled(3.0).std == one.std


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        summarize(np.array([0.0, bad, 1.0]))


def test_an_entry_without_values_is_neutral() -> None:
    stats = stats_of_entries([summarize(np.array([1.0, 3.0])), EMPTY])
    assert stats["mean"].tolist() == [2.0, 0.0]
    assert stats["std"].tolist() == [1.0, 1.0]
    assert (stats["min"][1], stats["max"][1]) == (-1.0, 1.0)
    assert (stats["q01"][1], stats["q50"][1], stats["q99"][1]) == (-1.0, 0.0, 1.0)
    assert stats["count"].tolist() == [2]


@pytest.mark.parametrize("rows", [1, 2, 137, POINTS, POINTS + 1, 50_000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool", "uint8"])
def test_a_whole_column_has_the_very_statistics_of_its_entries(rows: int, dtype: str) -> None:
    values = (10 * np.random.default_rng(rows).normal(size=(rows, 7))).astype(dtype)
    found, expected = stats_of_values(values), stats_of_entries(summarize_entries(values))
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, name)
        assert found[name].dtype == value.dtype


def test_a_column_with_values_that_are_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        stats_of_values(np.array([[0.0, 1.0], [0.0, np.nan]]))
