"""Mergeable summaries of columns of numbers: exact moments and quantiles of bounded rank error.

A summary of n values keeps count, mean, sum of squared deviations, minimum and maximum in float64 (merged by the
pairwise update of Chan, Golub and LeVeque, 1979), and for quantiles up to `POINTS` order statistics, evenly spaced
in rank, each standing for an equal share of the values. While n <= POINTS the points are all the values and every
quantile equals numpy's linear interpolation. Beyond that a quantile's rank is off by at most 1 / POINTS of n. Merging
pools the points with their weights, so a merge of any number of summaries keeps that bound: each part errs by at most
1 / POINTS of its own share. Nothing depends on the scale or shape of the distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

POINTS = 4096
"""Order statistics kept per entry and part; the rank error of a quantile is at most 1 / POINTS."""
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
"""The quantiles LeRobot's normalization modes can ask for, by LeRobot's names."""
_BLOCK_VALUES = 1 << 24
_SORTED_TOGETHER = 1 << 18
"""Values of several entries that are in memory once more, sorted."""


@dataclass(frozen=True)
class Summary:
    """Summary of the values of one entry (a single dimension), weighted."""

    count: float
    """Number of values, or their total weight."""
    mean: float
    squares: float
    """Weighted sum of squared deviations from the mean."""
    minimum: float
    maximum: float
    points: np.ndarray
    """(P,) float64, sorted: order statistics."""
    weights: np.ndarray
    """(P,) float64: how many values each point stands for; sums to `count`."""

    @property
    def std(self) -> float:
        """Population standard deviation, as LeRobot and numpy compute it."""
        return float(np.sqrt(self.squares / self.count)) if self.count else float("nan")

    def quantile(self, q: float) -> float:
        """Value at quantile `q` in [0, 1]; linear between points, as numpy's default."""
        if not self.count:
            return float("nan")
        centres = np.cumsum(self.weights) - self.weights / 2 - 0.5
        value = np.interp(q * (self.count - 1), centres, self.points)
        return float(np.clip(value, self.minimum, self.maximum))

    def scaled(self, factor: float) -> "Summary":
        """The same distribution, standing for `factor` times as many values.

        Merged with others, half the weight of one of its points is added to a quantile's rank error.
        """
        return Summary(self.count * factor, self.mean, self.squares * factor, self.minimum, self.maximum,
                       self.points, self.weights * factor)  # fmt: skip

    def stats(self) -> dict[str, float]:
        """LeRobot's names: mean, std, min, max and the quantiles of `QUANTILES`."""
        moments = {"min": self.minimum, "max": self.maximum, "mean": self.mean, "std": self.std}
        return moments | {name: self.quantile(q) for name, q in QUANTILES.items()}


EMPTY = Summary(0.0, 0.0, 0.0, np.inf, -np.inf, np.empty(0), np.empty(0))


def summarize(values: np.ndarray) -> Summary:
    """Summary of `values`, any shape and real dtype, every value weighing 1. Raises ValueError on NaN or infinity."""
    flat = np.asarray(values).reshape(-1)
    blocks = [flat[i : i + _BLOCK_VALUES] for i in range(0, len(flat), _BLOCK_VALUES)]
    return merge([_summarize_block(block) for block in blocks])


def merge(parts: Sequence[Summary]) -> Summary:
    """Summary of all values of `parts` together."""
    parts = [part for part in parts if part.count]
    if len(parts) <= 1:
        return parts[0] if parts else EMPTY
    counts = np.array([part.count for part in parts])
    means = np.array([part.mean for part in parts])
    count = counts.sum()
    mean = float(means @ counts / count)
    squares = sum(part.squares for part in parts) + float(((means - mean) ** 2) @ counts)
    points = np.concatenate([part.points for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    order = np.argsort(points, kind="stable")
    minimum, maximum = min(p.minimum for p in parts), max(p.maximum for p in parts)
    return Summary(float(count), mean, squares, minimum, maximum, points[order], weights[order])


def summarize_entries(values: np.ndarray) -> list[Summary]:
    """One Summary for each entry of a column `values` (N, D)."""
    return [summarize(values[:, d]) for d in range(values.shape[1])]


def stats_of_entries(entries: Sequence[Summary]) -> dict[str, np.ndarray]:
    """LeRobot's statistics of a vector: each name to (D,) float64, and `count` to (1,) int64.

    An entry without values (padding everywhere) gets mean 0, std 1, minimum and low quantiles -1, maximum and high
    quantiles 1, median 0: normalized zeros stay zeros in every mode.
    """
    neutral = {"min": -1.0, "max": 1.0, "mean": 0.0, "std": 1.0}
    neutral |= {name: float(np.sign(q - 0.5)) for name, q in QUANTILES.items()}
    rows = [entry.stats() if entry.count else neutral for entry in entries]
    stats = {name: np.array([row[name] for row in rows]) for name in neutral}
    stats["count"] = np.array([round(max((entry.count for entry in entries), default=0))], dtype=np.int64)
    return stats


def stats_of_values(values: np.ndarray) -> dict[str, np.ndarray]:
    """`stats_of_entries(summarize_entries(values))` of a column `values` (N, D), to the last bit, and much faster.

    Every entry has the same N values, of which the points stand for equal shares; so all are looked at together.
    """
    n, width = values.shape
    if not 0 < n <= _BLOCK_VALUES or not width:
        return stats_of_entries(summarize_entries(values))
    each = max(1, _SORTED_TOGETHER // n)
    parts = [_stats_of_block(values[:, begin : begin + each]) for begin in range(0, width, each)]
    stats = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return stats | {"count": np.array([n], dtype=np.int64)}


def _stats_of_block(values: np.ndarray) -> dict[str, np.ndarray]:
    """As `stats_of_entries`, of (N, D) values, without the count."""
    ordered = np.sort(np.ascontiguousarray(values.T), axis=1).astype(np.float64)  # else numpy adds in another order
    if not (np.isfinite(ordered[:, 0]).all() and np.isfinite(ordered[:, -1]).all()):
        raise ValueError("NaN or infinite values")
    n, mean, low, high = ordered.shape[1], ordered.mean(axis=1), ordered[:, 0], ordered[:, -1]
    squares = ((ordered - mean[:, None]) ** 2).sum(axis=1)
    weights = _weights(n)
    points, centres = ordered[:, _ranks(n)], np.cumsum(weights) - weights / 2 - 0.5
    at = np.array(list(QUANTILES.values())) * (n - 1)
    found = np.stack([np.interp(at, centres, own) for own in points])
    quantiles = np.clip(found, low[:, None], high[:, None])
    moments = {"min": low, "max": high, "mean": mean, "std": np.sqrt(squares / n)}
    return moments | dict(zip(QUANTILES, quantiles.T, strict=True))


def _ranks(n: int) -> np.ndarray:
    """Which of `n` sorted values are the points of a summary."""
    return np.arange(n) if n <= POINTS else ((np.arange(POINTS) + 0.5) * (n / POINTS)).astype(np.int64)


def _weights(n: int) -> np.ndarray:
    """How many of `n` values each of the points stands for."""
    return np.ones(n) if n <= POINTS else np.full(POINTS, n / POINTS)


def _summarize_block(values: np.ndarray) -> Summary:
    ordered = np.sort(values).astype(np.float64)
    if not (np.isfinite(ordered[0]) and np.isfinite(ordered[-1])):
        raise ValueError("NaN or infinite values")
    n = len(ordered)
    mean = float(ordered.mean())
    squares = float(((ordered - mean) ** 2).sum())
    points, weights = ordered[_ranks(n)], _weights(n)
    return Summary(float(n), mean, squares, float(ordered[0]), float(ordered[-1]), points, weights)
