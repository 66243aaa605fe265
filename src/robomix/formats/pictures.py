"""Frames of one camera by row, from encoded pictures that the column cache holds end to end."""

from functools import partial
from pathlib import Path

import numpy as np

from robomix.formats.base import FrameGroup
from robomix.formats.columns import Entry
from robomix.video.pictures import decode_picture
from robomix.video.spread import MIN_SHARE


class PictureCamera:
    """A camera kept as encoded pictures, which the column cache holds end to end."""

    def __init__(self, key: str, root: Path, entry: Entry) -> None:
        self._key, self._root = key, root
        self._bytes = entry.array(f"bytes {key}")
        self._start, self._size = entry.array(f"start {key}"), entry.array(f"size {key}")

    def groups(self, rows: np.ndarray) -> list[FrameGroup]:
        """Groups of neighbouring rows."""
        order = np.argsort(rows, kind="stable")
        cuts = [cut for cut in range(MIN_SHARE, len(order), MIN_SHARE) if rows[order[cut]] != rows[order[cut - 1]]]
        parts = np.split(order, cuts) if len(order) else []
        return [FrameGroup(positions, partial(self._read, rows[positions], positions)) for positions in parts]

    def encoded(self, row: int) -> bytes:
        """The picture of a row as it is stored: a PNG, JPEG, ... file."""
        start, size = self._start[row], self._size[row]
        return self._bytes[start : start + size].tobytes()

    def _read(self, rows: np.ndarray, positions: np.ndarray, out: np.ndarray) -> None:
        done, slot = -1, -1
        for row, place in zip(rows.tolist(), positions.tolist(), strict=True):
            if row == done:
                out[place] = out[slot]
                continue
            where = f"{self._root}: the picture of camera {self._key!r} in row {row}"
            decode_picture(self.encoded(row), out[place], where)
            done, slot = row, place
