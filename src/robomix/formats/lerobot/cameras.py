"""Frames of one camera by row, from videos of one episode or of many."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from robomix.errors import FormatError
from robomix.formats.base import Episodes, FrameGroup
from robomix.formats.columns import Entry
from robomix.video.byte_ranges import hold_frames
from robomix.video.decode import Decoder, FrameError
from robomix.video.pool import DecodeDevice, decoders
from robomix.video.spread import MIN_SHARE, shares


class VideoCamera:
    """A camera kept as videos: frame i of episode e is frame first[e] + i of its file."""

    def __init__(
        self, key: str, root: Path, episodes: Episodes, entry: Entry, decode_device: DecodeDevice = "cpu"
    ) -> None:
        self._key, self._episodes, self._device = key, episodes, decode_device
        self.paths = [root / name for name in entry.meta["videos"][key]]
        """The camera's files."""
        self._file_of, self._first = entry.array(f"file {key}"), entry.array(f"first {key}")
        self._needed = np.zeros(len(self.paths), np.int64)
        np.maximum.at(self._needed, self._file_of, self._first + episodes.lengths)

    def groups(self, rows: np.ndarray) -> list[FrameGroup]:
        """Groups of `rows` that lie in one file; those of a file with many are shared out."""
        groups: list[FrameGroup] = []
        for file, frames, positions in self._by_file(rows):
            groups += self._share(file, frames, positions, rows[positions])
        return groups

    def fetches(self, rows: np.ndarray) -> list[Callable[[], int]]:
        """Jobs that fetch what decoding `rows` reads, one for each file; see `Dataset.fetches`."""
        return [partial(hold_frames, self.paths[file], frames) for file, frames, _ in self._by_file(rows)]

    def _by_file(self, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Each file that has some of `rows`: its number, the frames of it in rising order, and their positions."""
        ordinals = np.searchsorted(self._episodes.starts, rows, side="right") - 1
        files = self._file_of[ordinals]
        frames = self._first[ordinals] + rows - self._episodes.starts[ordinals]
        order = np.lexsort((frames, files))
        bounds = np.flatnonzero(np.diff(files[order], prepend=-1, append=len(self.paths)))
        for begin, end in pairwise(bounds.tolist()):
            positions = order[begin:end]
            yield int(files[positions[0]]), frames[positions], positions

    def _share(self, file: int, frames: np.ndarray, positions: np.ndarray, rows: np.ndarray) -> Iterator[FrameGroup]:
        many = len(frames) >= 2 * MIN_SHARE
        for share in shares(frames, decoders.timeline(self.paths[file])) if many else [slice(None)]:
            yield FrameGroup(
                positions[share],
                partial(self._read, file, frames[share], positions[share], rows[share]),
                self.paths[file],
                partial(self._decodes, file, frames[share]),
            )

    def _decodes(self, file: int, frames: np.ndarray) -> int:
        return decoders.timeline(self.paths[file]).decodes(frames)

    def _read(self, file: int, frames: np.ndarray, positions: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        try:
            with decoders.lend(self.paths[file], self._device) as decoder:
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
