"""Statistics that LeRobot datasets carry, per episode and for the whole: moments and exact quantiles.

Numbers go through robomix.summaries. Camera frames are sampled, and counted in one histogram of 256 bins per channel:
pixels are whole numbers, so the histogram is the exact distribution of the sample, whatever its size.
"""

import numpy as np

from robomix.summaries import QUANTILES, stats_of_values

Stats = dict[str, np.ndarray]
SAMPLED_FRAMES = 100
"""Frames of an episode that enter camera statistics."""
SAMPLED_SIDE = 150
"""Pictures are thinned to about this many pixels on the longer side."""


def column_stats(values: np.ndarray, shape: tuple[int, ...]) -> Stats:
    """Statistics of `values` (N, ...), each of the feature's `shape` ((1,) for scalars), float64; `count` is (1,)."""
    stats = stats_of_values(values.reshape(len(values), -1))
    return {name: value if name == "count" else value.reshape(shape or (1,)) for name, value in stats.items()}


def sampled_frames(length: int) -> set[int]:
    """Indices of evenly spaced frames of an episode, first and last among them."""
    return set(np.linspace(0, length - 1, min(length, SAMPLED_FRAMES)).round().astype(int).tolist())


class PixelCounts:
    """How often each value 0..255 occurs in each channel of the frames it has seen."""

    def __init__(self) -> None:
        self.counts = np.zeros((3, 256), dtype=np.int64)
        self.frames = 0

    def add(self, image: np.ndarray) -> None:
        """Count the pixels of `image` (3, H, W) uint8, thinned."""
        step = max(1, max(image.shape[1:]) // SAMPLED_SIDE)
        for channel, pixels in enumerate(image[:, ::step, ::step]):
            self.counts[channel] += np.bincount(pixels.reshape(-1), minlength=256)
        self.frames += 1

    def merge(self, other: "PixelCounts") -> None:
        self.counts += other.counts
        self.frames += other.frames

    def stats(self) -> Stats:
        """LeRobot's camera statistics: (3, 1, 1) float64 in [0, 1]; `count` is the number of frames seen, (1,)."""
        values = np.arange(256)
        total = self.counts.sum(axis=1)
        mean = self.counts @ values / total
        variance = (self.counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
        stats = {
            "min": (self.counts > 0).argmax(axis=1),
            "max": 255 - (self.counts[:, ::-1] > 0).argmax(axis=1),
            "mean": mean,
            "std": np.sqrt(variance),
        }
        stats |= {name: self._quantile(q, total) for name, q in QUANTILES.items()}
        scaled = {name: np.asarray(value, dtype=np.float64).reshape(3, 1, 1) / 255 for name, value in stats.items()}
        return scaled | {"count": np.array([self.frames], dtype=np.int64)}

    def _quantile(self, q: float, total: np.ndarray) -> np.ndarray:
        """Linear between the two order statistics around rank q * (n - 1), as numpy's default."""
        cumulative = np.cumsum(self.counts, axis=1)
        rank = q * (total - 1)
        low, high = np.floor(rank), np.ceil(rank)
        below = np.array([np.searchsorted(c, r, side="right") for c, r in zip(cumulative, low, strict=True)])
        above = np.array([np.searchsorted(c, r, side="right") for c, r in zip(cumulative, high, strict=True)])
        return below + (above - below) * (rank - low)
