"""Which bytes of a video far away are read to decode some of its frames: what read-ahead fetches.

A frame needs its file to be opened, the packets from the key frame before it to its own, those that a decoder takes in
before it gives the frame out, and what FFmpeg's buffer reads beyond them.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robomix.remote.blocks import block_cache
from robomix.remote.opening import RangeFile
from robomix.remote.stand_in import far_file
from robomix.remote.stores import FarFile
from robomix.video.mp4 import SampleTable, read_sample_table, read_stored_samples
from robomix.video.timeline import open_video, stat_video

_BUFFER = 1 << 15
"""Bytes FFmpeg reads at a time."""
_DELAY = 4
"""Packets a decoder takes in beyond those that reordering needs."""
_CACHED_FRAMES = 1 << 22
"""Frames of all layouts kept in memory, at about 24 bytes each."""


@dataclass(frozen=True)
class FarLayout:
    """Where the frames of a video far away lie in it."""

    file: FarFile
    opening: np.ndarray
    """(k,) int64: the blocks that opening the file reads."""
    starts: np.ndarray | None
    """(n,) int64: the first byte of each packet, in decoding order; None where only a walk finds the packets."""
    stops: np.ndarray
    """(n,) int64: the byte after each packet."""
    place: np.ndarray
    """(n,) int64: for each frame its packet."""
    keys: np.ndarray
    """(m,) int64, rising: the frames where decoding can start."""
    delay: int
    """Packets read beyond a frame's own before it comes out."""

    def blocks(self, frames: np.ndarray, size: int) -> np.ndarray:
        """The blocks of `size` bytes, rising, that opening the file and decoding `frames` (n,) read."""
        if self.starts is None:
            return np.arange(-(-self.file.size // size))
        key = self.keys[np.maximum(np.searchsorted(self.keys, frames, side="right") - 1, 0)]
        found = [self.opening]
        for first in np.unique(key):
            last = int(self.place[first : frames[key == first].max() + 1].max()) + self.delay
            packets = slice(int(self.place[first]), last + 1)
            begin, end = int(self.starts[packets].min()), int(self.stops[packets].max()) + _BUFFER
            found.append(np.arange(begin // size, -(-min(end, self.file.size) // size)))
        return np.unique(np.concatenate(found))


def hold_frames(path: Path, frames: np.ndarray) -> int:
    """Have the bytes at hand that decoding `frames` (n,) of a stand-in reads; how many. None for other files.

    Raises RemoteError for what cannot be fetched, FormatError for a file that is no video.
    """
    if (layout := _layouts.get(path)) is None:
        return 0
    cache = block_cache()
    blocks = layout.blocks(frames, cache.block)
    cache.hold(layout.file, blocks.tolist())
    return len(blocks) * cache.block


def read_far_layout(path: Path, file: FarFile) -> FarLayout:
    """The layout of the video `file` that `path` stands in for."""
    index, video = RangeFile(file), RangeFile(file)
    table = read_sample_table(path, index)
    with open_video(path, video):
        opening = np.array(sorted(index.touched | video.touched), np.int64)
    stored = read_stored_samples(path, RangeFile(file))
    if table is None or stored is None:
        nothing = np.zeros(0, np.int64)
        return FarLayout(file, opening, None, nothing, nothing, nothing, 0)
    place = np.argsort(table.times, kind="stable")
    delay = 2 * int((place - np.arange(len(place))).max()) + _DELAY
    stops = stored.offsets + stored.sizes
    return FarLayout(file, opening, stored.offsets, stops, place, _keys(table, place), delay)


def _keys(table: SampleTable, place: np.ndarray) -> np.ndarray:
    keys = np.flatnonzero(table.is_key[place])
    return keys if len(keys) else np.zeros(1, np.int64)


class _Layouts:
    """Layouts of many stand-ins, the least recently used ones forgotten. Any thread may ask."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, int], FarLayout | None] = OrderedDict()
        self._frames = 0
        self._lock = threading.Lock()

    def get(self, path: Path) -> FarLayout | None:
        """The layout of what `path` stands in for; None where it is a file itself."""
        key = (str(path), *stat_video(path))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        file = far_file(path)
        layout = None if file is None else read_far_layout(path, file)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = layout
                self._frames += _length(layout)
            while self._frames > _CACHED_FRAMES and len(self._kept) > 1:
                self._frames -= _length(self._kept.popitem(last=False)[1])
        return layout


def _length(layout: FarLayout | None) -> int:
    return 1 if layout is None else 1 + len(layout.place)


_layouts = _Layouts()
"""Those of this process."""
