"""Statistics of camera images, from a bounded sample of frames."""

import numpy as np

from robomix.summaries import Summary, merge, stats_of_entries

SAMPLED_FRAMES = 128
"""Per camera and source: evenly spaced over all its frames; fewer where there are fewer."""
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""Of ImageNet's images scaled to [0, 1], red, green, blue: what pretrained vision backbones expect."""


def sampled_frames(num_frames: int) -> np.ndarray:
    """Frame numbers, evenly spaced, at most `SAMPLED_FRAMES` of them, (n,) int64."""
    n = min(num_frames, SAMPLED_FRAMES)
    return ((np.arange(n) + 0.5) * num_frames / n).astype(np.int64)


def histogram(images: np.ndarray) -> np.ndarray:
    """How often each grey level occurs in each channel of `images` (n, C, H, W) uint8: (C, 256) int64."""
    channels = images.shape[1]
    return np.stack([np.bincount(images[:, c].reshape(-1), minlength=256) for c in range(channels)])


def summarize_histogram(counts: np.ndarray) -> list[Summary]:
    """One exact Summary per channel of a histogram (C, 256), of grey levels scaled to [0, 1]."""
    levels = np.arange(256) / 255
    return [merge([_of_level(level, n) for level, n in zip(levels, row, strict=True) if n]) for row in counts]


def camera_stats(channels: list[Summary]) -> dict[str, np.ndarray]:
    """LeRobot's statistics of a camera: each name to (C, 1, 1), in [0, 1]; `count` to (1,)."""
    stats = stats_of_entries(channels)
    return {name: value if name == "count" else value.reshape(-1, 1, 1) for name, value in stats.items()}


def with_imagenet(stats: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`stats` of a colour camera with mean and standard deviation replaced by ImageNet's."""
    replaced = {name: np.array(values).reshape(3, 1, 1) for name, values in IMAGENET.items()}
    return stats | replaced if len(stats["mean"]) == 3 else stats


def _of_level(level: float, count: int) -> Summary:
    """`count` equal values; with points at the first and the last of them, quantiles stay exact between levels."""
    weights = np.ones(count) if count < 3 else np.array([1.0, count - 2.0, 1.0])
    return Summary(float(count), level, 0.0, level, level, np.full(len(weights), level), weights)
