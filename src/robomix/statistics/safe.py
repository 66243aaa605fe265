"""Statistics that no normalization mode explodes on: what becomes of constants, tiny ranges and padding.

LeRobot divides by std + 1e-8 (MEAN_STD), max - min (MIN_MAX), q99 - q01 (QUANTILES) or q90 - q10 (QUANTILE10), where 0
becomes 1e-8: a simulated joint that trembles by 1e-7 becomes noise of size 10, a constant that is off by 0.001 becomes
200,000. What `safe_stats` gives instead is finite in every mode, and unnormalizing returns the value:

| entry | std | bounds of the three other modes |
|---|---|---|
| padding in the whole group | 1, with mean 0 | -1 and 1: zeros stay zeros |
| hardly varies (`hardly_varies`) | 1, or 1e-4 of its magnitude | mean - std and mean + std: about 0 |
| varies, but two bounds coincide, as q01 and q99 under a spike | its own | mean - std and mean + std, for these two |

Each entry is judged by itself. Beside joints in degrees, a gripper in metres deviates by a ten-thousandth of what they
do, and still opens and closes.
"""

import numpy as np

TINY_BESIDE_ITSELF = 1e-6
"""An entry whose deviation is below this share of its magnitude is a constant: float32 has steps of up to 1.2e-7 of a
value, so what is left of such a signal is rounding. Offsets that are real, as a map's coordinates, are far from it."""
TINY = 1e-6
"""So is one below this, in its own unit: beside the 1e-8 that LeRobot adds to it, it would come back changed."""
FLAT = 1e-5
"""Two bounds coincide where they are less than this share of the deviation apart: no more, for quantiles that lie close
together beside outliers of 1e6 are right to."""
SCALE_OF_CONSTANTS = 1e-4
"""What a constant is divided by, as a share of its magnitude where that is more than 1: above 1e7, float32 knows no
mean - 1 and mean + 1, and the trembling that `TINY_BESIDE_ITSELF` permits would be many times 1."""
BOUNDS = (("min", "max"), ("q01", "q99"), ("q10", "q90"))
"""What LeRobot's modes MIN_MAX, QUANTILES and QUANTILE10 map to -1 and 1."""


def safe_stats(stats: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """`stats` with entries that hardly vary made harmless: they map to about 0 in every mode, and back to their value.

    Which statistics there are stays as it is: `mean` and `std`, and pairs of `BOUNDS`.
    """
    return {key: _safe(of_key) for key, of_key in stats.items()}


def hardly_varies(stats: dict[str, np.ndarray]) -> np.ndarray:
    """Which entries of a feature's statistics are taken for constants: of deviation 0, or noise on a constant."""
    return stats["std"] <= np.maximum(TINY, TINY_BESIDE_ITSELF * _magnitude(stats))


def _safe(stats: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    mean, constant = stats["mean"], hardly_varies(stats)
    std = np.where(constant, np.maximum(1.0, SCALE_OF_CONSTANTS * _magnitude(stats)), stats["std"])
    safe = stats | {"std": std}
    for low, high in _pairs(stats):
        width, magnitude = stats[high] - stats[low], np.maximum(np.abs(stats[low]), np.abs(stats[high]))
        flat = constant | (width <= FLAT * std) | (width <= TINY_BESIDE_ITSELF * magnitude)
        safe |= {low: np.where(flat, mean - std, stats[low]), high: np.where(flat, mean + std, stats[high])}
    return safe


def _magnitude(stats: dict[str, np.ndarray]) -> np.ndarray:
    """The largest absolute value that is known of each entry."""
    known = ("mean", *(name for pair in _pairs(stats) for name in pair))
    return np.max([np.abs(stats[name]) for name in known], axis=0)


def _pairs(stats: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    return [pair for pair in BOUNDS if all(name in stats for name in pair)]
