"""Frames of one camera by row, from HDF5 files: as arrays of pixels, or as encoded pictures.

Frames are read where they lie, those of one request episode by episode. A chunk of the file that holds several of them
is decompressed once: the rows between its first and last wanted one are read in one piece.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robomix.errors import FormatError
from robomix.formats.base import Episodes, FrameGroup
from robomix.formats.hdf5 import Faults, checked_array, checked_storage
from robomix.formats.hdf5_handles import handles
from robomix.formats.hdf5_heap import HeapArray
from robomix.video.pictures import decode_picture

_PIECE = 1 << 27
"""Bytes of pictures read at once."""

Place = Callable[[int], tuple[Path, str]]
"""From an episode's ordinal to its file and the name of the camera's array in it."""


class Hdf5Camera:
    """A camera kept as one array for each episode, with a row for each frame."""

    def __init__(self, key: str, shape: tuple[int, ...], episodes: Episodes, place: Place, *, encoded: bool) -> None:
        """`shape` is (3, H, W). Where `encoded`, rows hold PNG or JPEG files, else (H, W, 3) uint8."""
        self._key, self._shape, self._episodes, self._place = key, shape, episodes, place
        self._check = checked_pictures if encoded else self._checked_pixels
        self._read = self._read_encoded if encoded else self._read_pixels

    def groups(self, rows: np.ndarray) -> list[FrameGroup]:
        """A group for each episode."""
        ordinals = np.searchsorted(self._episodes.starts, rows, side="right") - 1
        frames = rows - self._episodes.starts[ordinals]
        order = np.lexsort((frames, ordinals))
        bounds = np.flatnonzero(np.diff(ordinals[order], prepend=-1, append=len(self._episodes)))
        parts = [order[begin:end] for begin, end in pairwise(bounds.tolist())]
        return [FrameGroup(part, partial(self._read, int(ordinals[part[0]]), frames[part], part)) for part in parts]

    def _read_pixels(self, ordinal: int, frames: np.ndarray, positions: np.ndarray, out: np.ndarray) -> None:
        """`frames` (n,) are sorted, with repeats."""
        wanted, back = np.unique(frames, return_inverse=True)
        for begin, end in self._pieces(ordinal, wanted):
            low, high = int(wanted[begin]), int(wanted[end - 1]) + 1
            pixels = self._rows(ordinal, slice(low, high))
            inside = (back >= begin) & (back < end)
            out[positions[inside]] = pixels[frames[inside] - low].transpose(0, 3, 1, 2)

    def _read_encoded(self, ordinal: int, frames: np.ndarray, positions: np.ndarray, out: np.ndarray) -> None:
        done, slot = -1, -1
        for frame, position in zip(frames.tolist(), positions.tolist(), strict=True):
            if frame == done:
                out[position] = out[slot]
                continue
            where = f"{self._place(ordinal)[0]}: frame {frame} of camera {self._key!r}"
            decode_picture(picture_bytes(self._rows(ordinal, frame)), out[position], where)
            done, slot = frame, position

    def _rows(self, ordinal: int, rows: slice | int) -> Any:
        path, name = self._place(ordinal)
        with handles.lend(path) as handle, Faults(path, name):
            return self._array(handle.array(name, self._check), ordinal)[rows]

    def _pieces(self, ordinal: int, wanted: np.ndarray) -> Iterator[tuple[int, int]]:
        """Cuts distinct sorted frames where neither a chunk nor a run of neighbours goes on, or where it gets large."""
        path, name = self._place(ordinal)
        with handles.lend(path) as handle, Faults(path, name):
            chunks = self._array(handle.array(name, self._check), ordinal).chunks
        chunk = chunks[0] if chunks else 1
        most = max(1, _PIECE // int(np.prod(self._shape)))
        new = (np.diff(wanted // chunk) > 0) & (np.diff(wanted) > 1)
        begin = 0
        for end in [*(np.flatnonzero(new) + 1).tolist(), len(wanted)]:
            while begin < end:
                reach = int(np.searchsorted(wanted[begin:end], wanted[begin] + most)) + begin
                yield begin, reach
                begin = reach

    def _array(self, array: h5py.Dataset | HeapArray, ordinal: int) -> Any:
        length = int(self._episodes.lengths[ordinal])
        if array.shape[0] != length:
            raise FormatError(f"{self._place(ordinal)[0]} has changed since it was opened. Open the dataset again.")
        return array

    def _checked_pixels(self, found: h5py.Group | h5py.Dataset, path: Path) -> h5py.Dataset:
        array = checked_array(found, path)
        if array.shape[1:] != (*self._shape[1:], 3) or array.dtype != np.uint8:
            raise FormatError(f"{path} has changed since it was opened: {array.name}. Open the dataset again.")
        return array


def checked_pictures(found: h5py.Group | h5py.Dataset, path: Path) -> h5py.Dataset | HeapArray:
    """An array of encoded pictures: (T, most bytes) uint8 padded with zeros, (T,) of bytes, or of uint8 arrays."""
    with Faults(path, str(found.name)):
        kind = found.dtype if isinstance(found, h5py.Dataset) else None
        if kind is not None and h5py.check_vlen_dtype(kind) in (np.uint8, np.int8) and len(found.shape) == 1:
            return HeapArray(found, path)
        if kind is not None and kind.kind == "S" and len(found.shape) == 1:
            return checked_storage(found, path)
    array = checked_array(found, path)
    if array.dtype != np.uint8 or len(array.shape) != 2:
        raise FormatError(
            f"{path}: {array.name} is {array.shape} of {array.dtype}, which is neither pictures (frames, height, "
            "width, 3) of uint8 nor encoded ones (frames, bytes) of uint8."
        )
    return array


def picture_bytes(row: Any) -> bytes:
    """The encoded picture in one row of `checked_pictures`. Decoders ignore the zeros it is padded with."""
    return row.tobytes() if isinstance(row, np.ndarray) else bytes(row)
