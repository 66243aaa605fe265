"""Statistics that no normalization mode explodes on: what becomes of constants, tiny ranges and padding.

LeRobot divides by std + 1e-8 (MEAN_STD), max - min (MIN_MAX), q99 - q01 (QUANTILES) or q90 - q10 (QUANTILE10), where 0
becomes 1e-8: a simulated joint that trembles by 1e-7 becomes noise of size 10, a constant that is off by 0.001 becomes
200,000. What `safe_stats` gives instead is finite in every mode, and unnormalizing returns the value:

| entry | std | bounds of the three other modes |
|---|---|---|
| padding in the whole group | 1, with mean 0 | -1 and 1: zeros stay zeros |
| hardly varies (`hardly_varies`) | 1 | mean - 1 and mean + 1: about 0 |
| varies, but two bounds coincide, as q01 and q99 under a spike | its own | mean - std and mean + std, for these two |
"""

import numpy as np

TINY_BESIDE_OTHERS = 1e-4
"""An entry whose deviation is below this share of its vector's largest one is noise on a constant."""
TINY_BESIDE_ITSELF = 1e-6
"""So is one below this share of its own magnitude: float32 has no more digits."""
TINY = 1e-6
"""So is one below this, in its own unit: beside the 1e-8 that LeRobot adds to it, it would come back changed."""
FLAT = 1e-5
"""Two bounds coincide where they are less than this share of the deviation apart: no more, for quantiles that lie close
together beside outliers of 1e6 are right to."""
BOUNDS = (("min", "max"), ("q01", "q99"), ("q10", "q90"))
"""What LeRobot's modes MIN_MAX, QUANTILES and QUANTILE10 map to -1 and 1."""


def safe_stats(stats: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """`stats` with entries that hardly vary made harmless: they map to about 0 in every mode, and back to their value.

    Which statistics there are stays as it is: `mean` and `std`, and pairs of `BOUNDS`.
    """
    return {key: _safe(of_key) for key, of_key in stats.items()}


def is_padding(stats: dict[str, np.ndarray]) -> np.ndarray:
    """Which entries have the neutral statistics of padding; they say nothing of scale."""
    neutral = (stats["mean"] == 0) & (stats["std"] == 1)
    for low, high in _pairs(stats):
        neutral &= (stats[low] == -1) & (stats[high] == 1)
    return neutral


def hardly_varies(stats: dict[str, np.ndarray]) -> np.ndarray:
    """Which entries of a feature's statistics are taken for constants: of deviation 0, or noise on a constant."""
    std, padding = stats["std"], is_padding(stats)
    largest = std[~padding].max(initial=0.0)
    magnitude = np.abs(stats["mean"])
    for pair in _pairs(stats):
        magnitude = np.maximum(magnitude, np.maximum(*(np.abs(stats[name]) for name in pair)))
    tiny = (std <= TINY_BESIDE_OTHERS * largest) | (std <= TINY_BESIDE_ITSELF * magnitude) | (std <= TINY)
    return ~padding & tiny


def _safe(stats: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    mean, constant = stats["mean"], hardly_varies(stats)
    std = np.where(constant, 1.0, stats["std"])
    safe = stats | {"std": std}
    for low, high in _pairs(stats):
        width, magnitude = stats[high] - stats[low], np.maximum(np.abs(stats[low]), np.abs(stats[high]))
        flat = constant | (width <= FLAT * std) | (width <= TINY_BESIDE_ITSELF * magnitude)
        safe |= {low: np.where(flat, mean - std, stats[low]), high: np.where(flat, mean + std, stats[high])}
    return safe


def _pairs(stats: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    return [pair for pair in BOUNDS if all(name in stats for name in pair)]
