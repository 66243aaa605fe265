"""The end of filling a cache entry, the same for all formats: the small arrays, the metadata, the fingerprint."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction

import numpy as np

from robomix.features import Feature
from robomix.formats.columns import Builder

_HASHED_ROWS = 1 << 16
_HASHED_BYTES = 1 << 26


def complete(
    cache: Builder,
    arrays: Mapping[str, np.ndarray],
    *,
    format: str,
    features: Mapping[str, Feature],
    lengths: Sequence[int] | np.ndarray,
    tasks: Sequence[str],
    task_of_row: np.ndarray | None = None,
    fps: Fraction | None = None,
    robot_type: str | None = None,
    subsets: Mapping[str, Sequence[int]] | None = None,
    warnings: Sequence[str] = (),
) -> None:
    """Finish an entry whose large `arrays`, by their names in the cache, are filled already.

    `lengths` (E,) are the episodes' rows, which get the ids 0 to E - 1; without `task_of_row` (N,) all rows have the
    first of `tasks`. The fingerprint covers what a reader gets, not paths or times.
    """
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.zeros(starts[-1], np.int64) if task_of_row is None else task_of_row
    small = {"ids": np.arange(len(lengths)), "starts": starts, "tasks": rows}
    for name, values in small.items():
        cache.array(name, np.dtype(np.int64), values.shape)[...] = values
    cache.meta |= {
        "format": format,
        "fps": None if fps is None else [fps.numerator, fps.denominator],
        "robot_type": robot_type,
        "features": {key: asdict(feature) for key, feature in features.items()},
        "tasks": list(tasks),
        "subsets": {name: list(ids) for name, ids in (subsets or {}).items()},
        "warnings": list(warnings),
    }
    cache.meta["fingerprint"] = _fingerprint(cache.meta, {**arrays, **small})


def _fingerprint(meta: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([meta[name] for name in ("fps", "robot_type", "features", "tasks", "subsets")]).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        rows = max(1, min(_HASHED_ROWS, _HASHED_BYTES // max(1, array[:1].nbytes)))
        for begin in range(0, len(array), rows):
            digest.update(np.ascontiguousarray(array[begin : begin + rows]))
    return digest.hexdigest()
