"""Summaries of a source on disk, under a key made of everything they depend on.

The key hashes the dataset's content fingerprint, the chosen episodes and frames, the feature map, the transforms with
their source text, and the version of this code; so nothing in the cache can be stale, and what is damaged is computed
again.
"""

import hashlib
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from robomix.caches import cache_dir
from robomix.errors import ConfigError
from robomix.mixture.frames import FrameTable
from robomix.mixture.source import Source
from robomix.mixture.transforms import Windows
from robomix.summaries import POINTS, Summary

_VERSION = 2


def source_key(source: Source, windows: Windows, *, by_step: bool = False) -> str:
    """Hex key of a source's summaries; those of the keys in `windows` are over the windows of all drawable frames.

    `by_step` is for summaries that keep the steps of the windows apart.
    """
    config = source.config
    parts = {
        "version": _VERSION,
        "points": POINTS,
        "content": source.dataset.fingerprint,
        "episodes": source.frames.ids.tolist(),
        "feature_map": dict(config.feature_map),
        "transforms": [[t.type, dict(t.kwargs)] for t in config.transforms],
        "code": source.transforms_source(),
        "by_step": by_step,
        "windows": {key: list(window or ()) for key, window in windows.items()},
        "drawable": _runs(source.frames) if windows else None,
        "counted": _runs(source.counted) if source.num_idle else None,
    }
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def load_summaries(key: str) -> dict[str, list[Summary]] | None:
    """What `save_summaries` kept under `key`; None where there is nothing, or nothing readable."""
    try:
        with np.load(_path(key), allow_pickle=False) as file:
            names = [str(name) for name in file["names"]]
            return {name: _unpack(file[f"moments{i}"], file[f"points{i}"], file[f"sizes{i}"])
                    for i, name in enumerate(names)}  # fmt: skip
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def save_summaries(key: str, summaries: dict[str, list[Summary]]) -> None:
    """Keeps `summaries`: written aside and renamed, so that a reader never sees half of it."""
    path = _path(key)
    arrays: dict[str, np.ndarray] = {"names": np.array(list(summaries), dtype=np.str_)}
    for i, entries in enumerate(summaries.values()):
        rows = [[s.count, s.mean, s.squares, s.minimum, s.maximum] for s in entries]
        arrays[f"moments{i}"] = np.array(rows, dtype=np.float64).reshape(-1, 5)
        arrays[f"sizes{i}"] = np.array([len(s.points) for s in entries], dtype=np.int64)
        arrays[f"points{i}"] = np.concatenate(
            [np.stack([s.points, s.weights]) for s in entries] or [np.empty((2, 0))], 1
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as aside:
            np.savez(f"{aside}/summaries.npz", allow_pickle=False, **arrays)
            os.replace(f"{aside}/summaries.npz", path)
    except OSError as error:
        raise ConfigError(
            f"Cannot write the cache below {cache_dir()}: {error.strerror}. "
            "Point the environment variable ROBOMIX_CACHE to a folder you can write, on a disk with room."
        ) from error


def _runs(frames: FrameTable) -> list[list[int]]:
    return [frames.run_frames.tolist(), frames.drawable_bounds.tolist()]


def _unpack(moments: np.ndarray, points: np.ndarray, sizes: np.ndarray) -> list[Summary]:
    ends = np.cumsum(sizes)
    return [
        Summary(row[0], row[1], row[2], row[3], row[4], points[0, end - size : end], points[1, end - size : end])
        for row, size, end in zip(moments.tolist(), sizes, ends, strict=True)
    ]


def _path(key: str) -> Path:
    return cache_dir() / "statistics" / f"{key}.npz"
