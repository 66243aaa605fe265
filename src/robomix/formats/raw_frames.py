"""Frames of one camera by row, from raw pixels in the column cache.

For formats that keep many frames in one compressed block, or as floats. Measured on two cores: 64 frames at random of
a zarr buffer with 96x96 pictures in chunks of 161 take 190 ms with zarr, which decompresses a chunk for each, and 1.5
ms from the cache; where each frame is a chunk of its own, zarr's own work still is some 10 ms a frame. The price is
disk: height * width * 3 bytes a frame.
"""

from functools import partial

import numpy as np

from robomix.formats.base import FrameGroup
from robomix.formats.columns import Builder, Entry
from robomix.video.spread import MIN_SHARE


def frames_array(key: str) -> str:
    """Name of the array of the cache that holds camera `key`: (N, C, H, W) uint8."""
    return f"frames {key}"


def new_frames(cache: Builder, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """A new array for the frames of camera `key`; `shape` is (N, C, H, W)."""
    return cache.array(frames_array(key), np.dtype(np.uint8), shape)


class RawCamera:
    """A camera whose frames the column cache holds decoded."""

    def __init__(self, key: str, entry: Entry) -> None:
        self._frames = entry.array(frames_array(key))

    def groups(self, rows: np.ndarray) -> list[FrameGroup]:
        """Groups of neighbouring rows."""
        order = np.argsort(rows, kind="stable")
        parts = np.split(order, range(MIN_SHARE, len(order), MIN_SHARE)) if len(order) else []
        return [FrameGroup(positions, partial(self._read, rows[positions], positions)) for positions in parts]

    def _read(self, rows: np.ndarray, positions: np.ndarray, out: np.ndarray) -> None:
        for row, place in zip(rows.tolist(), positions.tolist(), strict=True):
            out[place] = self._frames[row]
