"""Statistics of camera pictures that were measured per episode, put together for the whole set."""

from collections.abc import Sequence

import numpy as np

from robomix.formats.lerobot.write_stats import Stats


def pooled(parts: Sequence[Stats]) -> Stats:
    """Mean, std, min and max of all parts together, exactly; quantiles are left out: they do not follow from parts's.

    Each part weighs its `count`, the number of pictures it was measured on. Arrays are (3, 1, 1), `count` (1,).
    """
    counts = np.array([float(np.asarray(part["count"]).reshape(-1)[0]) for part in parts])
    share = (counts / counts.sum()).reshape(-1, 1, 1, 1)
    mean = np.stack([np.asarray(part["mean"], np.float64).reshape(3, 1, 1) for part in parts])
    std = np.stack([np.asarray(part["std"], np.float64).reshape(3, 1, 1) for part in parts])
    whole = (mean * share).sum(0)
    variance = ((std**2 + (mean - whole) ** 2) * share).sum(0)
    lowest = np.stack([np.asarray(part["min"], np.float64).reshape(3, 1, 1) for part in parts]).min(0)
    highest = np.stack([np.asarray(part["max"], np.float64).reshape(3, 1, 1) for part in parts]).max(0)
    return {
        "min": lowest,
        "max": highest,
        "mean": whole,
        "std": np.sqrt(variance),
        "count": np.array([int(counts.sum())], np.int64),
    }
