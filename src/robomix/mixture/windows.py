"""Shuffling in windows: draws that follow each other come from few episodes, for data that is far away.

A source is cut into chunks, its episodes, of which long ones are cut further. In each of its epochs the chunks come in
an order of their own, window after window of them, and the frames of a window in an order of their own: permutations
on two levels, both keyed (`permutation`). So each frame still comes once per source epoch, draw j still depends on j
alone, and for as long as a window lasts no other episodes are needed.

Windows of one epoch have equal numbers of chunks, or one less than others: a last one of a few chunks left over would
mix badly. Where chunks lie in the order of an epoch takes a table of all of them, which is made when the first draw of
that epoch is asked for and kept until another epoch of the source is.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robomix.formats.base import bounds_of
from robomix.mixture.permutation import key_of, permute, shuffled, subkeys

CHUNK = 1000
"""Frames of a chunk at most; part of the order, so a change needs a new `schedule.VERSION`."""
_NONE = np.iinfo(np.int64).max
"""No epoch."""


@dataclass(frozen=True, eq=False)
class Window:
    """How a source is shuffled that is not shuffled as a whole."""

    size: int
    """Chunks of a window, at most."""
    chunks: np.ndarray
    """(C + 1,) int64: chunk c has the drawable frames chunks[c] to chunks[c + 1] - 1, at least one."""

    @property
    def count(self) -> int:
        """Windows of an epoch."""
        return -(-(len(self.chunks) - 1) // self.size)


def window_of(episodes: np.ndarray, size: int | None) -> Window | None:
    """Windows of `size` chunks over drawable frames; None where one window holds all, or `size` is None.

    `episodes` (E + 1,) int64 are the bounds of the drawable frames of each episode, which may have none.
    """
    if size is None:
        return None
    lengths = np.diff(episodes)
    parts = -(-lengths // CHUNK)
    episode = np.repeat(np.arange(len(lengths)), parts)
    part = np.arange(len(episode)) - bounds_of(parts)[episode]
    starts = episodes[episode] + part * lengths[episode] // parts[episode]
    return Window(size, np.append(starts, episodes[-1])) if len(starts) > size else None


class WindowOrder:
    """The frames of those sources that are shuffled in windows. May be asked by several threads.

    The sources lie one after another in flat tables: those of a batch are looked up together, however many they are.
    """

    def __init__(self, names: Sequence[str], windows: Sequence[Window | None], seed: int) -> None:
        """`windows` (D,) by source; a source of None is not asked for, and at least one is not None."""
        self._given = names, windows, seed
        self.is_windowed = np.array([window is not None for window in windows])
        """(D,) bool."""
        self._member = np.cumsum(self.is_windowed) - 1  # of a source, its place among those with windows
        self._windows = [window for window in windows if window is not None]
        own = [name for name, window in zip(names, windows, strict=True) if window is not None]
        self._chunk_keys = [key_of(seed, name, "chunks") for name in own]
        self._frame_keys = np.array([key_of(seed, name, "windows") for name in own], dtype=np.uint64)
        self._chunks = np.array([len(window.chunks) - 1 for window in self._windows])
        self._count = np.array([window.count for window in self._windows])
        self._first_chunk = bounds_of(self._chunks)
        self._first_frame = bounds_of(np.array([window.chunks[-1] for window in self._windows]))
        self._epoch = np.full(len(own), _NONE)
        """(M,): the epoch that the tables hold of each source."""
        self._bounds = np.append(np.repeat(self._first_frame[:-1], self._chunks), self._first_frame[-1])
        """Where chunks begin in the order of the epoch, frames counted through all sources; never falls."""
        self._begin = np.empty(self._first_chunk[-1], dtype=np.int64)
        """The first drawable frame of each of these chunks."""
        self._lock = threading.Lock()

    def frames(self, source: np.ndarray, epoch: np.ndarray, position: np.ndarray) -> np.ndarray:
        """(m,) int64: the drawable frames at `position` of `epoch` of `source`, all three (m,) int64."""
        member, frame = self._member[source], np.empty_like(position)
        waiting = np.arange(len(position))
        with self._lock:
            while len(waiting):
                is_held = self._epoch[member[waiting]] == epoch[waiting]
                ready, waiting = waiting[is_held], waiting[~is_held]
                frame[ready] = self._looked_up(member[ready], epoch[ready], position[ready])
                following = np.full(len(self._epoch), _NONE)
                np.minimum.at(following, member[waiting], epoch[waiting])
                for i in np.flatnonzero(following != _NONE):
                    self._lay_out(int(i), int(following[i]))
        return frame

    def __reduce__(self) -> tuple[Callable[..., "WindowOrder"], tuple[Any, ...]]:
        return WindowOrder, self._given

    def _lay_out(self, i: int, epoch: int) -> None:
        """Puts the chunks of the i-th of the sources into the tables, in their order in `epoch`."""
        chunks, own = self._windows[i].chunks, slice(self._first_chunk[i], self._first_chunk[i + 1])
        order = shuffled(self._chunks[i], int(subkeys(self._chunk_keys[i], epoch)[0]))
        self._begin[own] = chunks[order]
        ends = slice(own.start + 1, own.stop + 1)
        self._bounds[ends] = self._first_frame[i] + np.cumsum(chunks[order + 1] - chunks[order])
        self._bounds[own.start] = self._first_frame[i]
        self._epoch[i] = epoch

    def _looked_up(self, member: np.ndarray, epoch: np.ndarray, position: np.ndarray) -> np.ndarray:
        """The drawable frames at `position` of the `epoch` that the tables hold of `member`."""
        first, chunks, count = self._first_chunk[member], self._chunks[member], self._count[member]
        at = self._first_frame[member] + position
        place = self._holder(at) - first
        window = ((place + 1) * count - 1) // chunks  # w has the chunks w * C // count to (w + 1) * C // count - 1
        begin, end = (self._bounds[first + w * chunks // count] for w in (window, window + 1))
        key = subkeys(subkeys(self._frame_keys[member], epoch), window)
        at = begin + permute(at - begin, end - begin, key)
        chunk = self._holder(at)
        return self._begin[chunk] + at - self._bounds[chunk]

    def _holder(self, at: np.ndarray) -> np.ndarray:
        """Where in the tables the chunk is that holds each frame `at`."""
        order = np.argsort(at)  # looked up in this order, each lies near the one before: in the processor's cache
        chunk = np.empty_like(order)
        chunk[order] = np.searchsorted(self._bounds, at[order], side="right") - 1
        return chunk
