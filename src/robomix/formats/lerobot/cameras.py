"""Frames of one camera by row, from videos of one episode or of many."""

import warnings
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from robomix.errors import FormatError
from robomix.formats.base import Episodes, FrameGroup
from robomix.formats.columns import Entry
from robomix.video.decode import Decoder, FrameError
from robomix.video.pool import decoders
from robomix.video.spread import MIN_SHARE, shares


class VideoCamera:
    """A camera kept as videos: frame i of episode e is frame first[e] + i of its file."""

    def __init__(self, key: str, root: Path, episodes: Episodes, entry: Entry) -> None:
        self._key, self._episodes = key, episodes
        self.paths = [root / name for name in entry.meta["videos"][key]]
        """The camera's files."""
        self._file_of, self._first = entry.array(f"file {key}"), entry.array(f"first {key}")
        self._needed = np.zeros(len(self.paths), np.int64)
        np.maximum.at(self._needed, self._file_of, self._first + episodes.lengths)

    def groups(self, rows: np.ndarray) -> list[FrameGroup]:
        """Groups of `rows` that lie in one file; those of a file with many are shared out."""
        ordinals = np.searchsorted(self._episodes.starts, rows, side="right") - 1
        files = self._file_of[ordinals]
        frames = self._first[ordinals] + rows - self._episodes.starts[ordinals]
        order = np.lexsort((frames, files))
        bounds = np.flatnonzero(np.diff(files[order], prepend=-1, append=len(self.paths)))
        groups: list[FrameGroup] = []
        for begin, end in pairwise(bounds.tolist()):
            positions = order[begin:end]
            groups += self._share(int(files[positions[0]]), frames[positions], positions, rows[positions])
        return groups

    def _share(self, file: int, frames: np.ndarray, positions: np.ndarray, rows: np.ndarray) -> Iterator[FrameGroup]:
        many = len(frames) >= 2 * MIN_SHARE
        for share in shares(frames, decoders.timeline(self.paths[file])) if many else [slice(None)]:
            yield FrameGroup(positions[share], partial(self._read, file, frames[share], positions[share], rows[share]))

    def _read(self, file: int, frames: np.ndarray, positions: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        try:
            with decoders.lend(self.paths[file]) as decoder:
                self._check_count(file, decoder, frames, rows)
                decoder.read_into(frames, out, positions)
        except FormatError as error:
            place = np.flatnonzero(frames == error.frame)[0] if isinstance(error, FrameError) else 0
            raise FormatError(f"{error} It was wanted for {self._place(int(rows[place]))}.") from error

    def _check_count(self, file: int, decoder: Decoder, frames: np.ndarray, rows: np.ndarray) -> None:
        count, needed = decoder.timeline.count, int(self._needed[file])
        if count >= needed:
            return
        lack = f"{decoder.path} has {count} frames, but the rows that point to it need {needed}"
        beyond = np.flatnonzero(frames >= count)
        if len(beyond):
            missing = int(frames[beyond[0]])
            raise FrameError(
                f"{lack}: there is no frame {missing}. Restore the video, or exclude the episode.", missing
            )
        warnings.warn(f"{lack}; reading the missing ones will fail. Restore the video.", stacklevel=2)

    def _place(self, row: int) -> str:
        ordinal = int(np.searchsorted(self._episodes.starts, row, side="right")) - 1
        frame = row - int(self._episodes.starts[ordinal])
        return f"row {row}, frame {frame} of episode {self._episodes.ids[ordinal]}, camera {self._key!r}"
