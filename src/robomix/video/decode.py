"""One open video file, read by frame number.

Frames are asked for in any order and decoded in rising order: a group of pictures is decoded once, and decoding runs
on where that is no dearer than a jump to the next key frame. Every decoded frame is identified by its time stamp in
the file's `Timeline`, so a jump that lands elsewhere, or a frame the decoder lost, is noticed.
"""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av import VideoFrame

from robomix.errors import FormatError
from robomix.video.rgb import PlanarRgb
from robomix.video.timeline import Timelines, open_video, stat_video


class FrameError(FormatError):
    """A frame that a video file does not give; `frame` is its number in the file."""

    def __init__(self, message: str, frame: int) -> None:
        super().__init__(message)
        self.frame = frame


class Decoder:
    """An open video file. Belongs to one thread at a time and to the process that opened it."""

    device = "cpu"
    """What decodes."""

    def __init__(self, path: Path, timelines: Timelines) -> None:
        self.path = path
        self.key = (str(path), *stat_video(path))
        """What the file was when it was opened: path, size, time of change."""
        self._timelines = timelines
        self.timeline = timelines.get(path)
        self.decoded = 0
        """Frames decoded so far, wanted or passed over."""
        self._rgb = PlanarRgb()
        self._open()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the file declares."""
        return self._stream.height, self._stream.width

    def close(self) -> None:
        self._container.close()

    def read_into(self, frames: np.ndarray, out: np.ndarray, positions: np.ndarray) -> None:
        """Decode `frames` (n,) int64, any order, repeats allowed, into out[positions], (3, H, W) uint8 each.

        Raises FrameError, a FormatError, for a frame the file does not give or that has another size.
        """
        done, slot = -1, -1
        for n in np.argsort(frames, kind="stable"):
            wanted, place = int(frames[n]), int(positions[n])
            if wanted == done:
                out[place] = out[slot]
                continue
            self._check_size(self._stream.height, self._stream.width, out.shape, wanted)
            frame = self._frame(wanted)
            self._check_size(frame.height, frame.width, out.shape, wanted)
            self._rgb.write(frame, out[place])
            done, slot = wanted, place

    def _check_size(self, height: int, width: int, shape: tuple[int, ...], wanted: int) -> None:
        if (3, height, width) != shape[1:]:
            raise FrameError(
                f"{self.path}: frame {wanted} is {width} x {height}, the dataset's frames of this camera are "
                f"{shape[3]} x {shape[2]} (width x height). Re-encode the file, or exclude its episodes.",
                wanted,
            )

    def _open(self) -> None:
        self._container = open_video(self.path)
        self._stream = self._container.streams.video[0]
        # One thread gives each frame at once; parallelism comes from several decoders.
        self._stream.codec_context.thread_count = 1
        self._decoded = self._decode()
        self._next: int | None = 0
        """The frame that decoding yields next; None after a jump, until a frame tells."""

    def _decode(self) -> Iterator[VideoFrame]:
        """Decode on from where the container stands."""
        frames: Iterator[VideoFrame] = self._container.decode(self._stream)
        return frames

    def _frame(self, wanted: int) -> VideoFrame:
        """Frame `wanted`, decoded; before giving up on it, from farther back, and with a timeline of all packets."""
        if not 0 <= wanted < self.timeline.count:
            raise FrameError(f"{self.path} has {self.timeline.count} frames, no frame {wanted}.", wanted)
        for approach in (self._nearest, self._from_earlier_key, self._from_the_start):
            try:
                approach(wanted)
                frame = self._advance(wanted)
            except (av.FFmpegError, OSError, FormatError):
                frame = None
            if frame is not None:
                return frame
            self._next = None
        raise FrameError(
            f"{self.path}: frame {wanted} of {self.timeline.count} cannot be decoded; the file is damaged there. "
            "Copy or download it again, or exclude the episode.",
            wanted,
        )

    def _nearest(self, wanted: int) -> None:
        """Stay where we are if going on is no dearer than a jump to the key frame before `wanted`, else jump."""
        key = int(self.timeline.key_before(wanted))
        if self._next is None or wanted < self._next or key > self._next + self.timeline.reorder:
            self._jump(key)

    def _from_earlier_key(self, wanted: int) -> None:
        """Jump farther back: some containers seek by decoding time and land behind the key frame asked for."""
        self._jump(int(self.timeline.key_before(int(self.timeline.key_before(wanted)) - 1)))

    def _from_the_start(self, wanted: int) -> None:
        self.timeline = self._timelines.get(self.path, walk=True)
        self.close()
        self._open()

    def _jump(self, key: int) -> None:
        if self.timeline.times is None:
            self.close()
            self._open()
        else:
            self._container.seek(int(self.timeline.times[key]), stream=self._stream)
            self._decoded = self._decode()
            self._next = None

    def _advance(self, wanted: int) -> VideoFrame | None:
        """Decode up to frame `wanted`; None if the stream ends or passes it."""
        for frame in self._decoded:
            self.decoded += 1
            number = self._number(frame)
            if not 0 <= number <= wanted:
                return None
            self._next = number + 1
            if number == wanted:
                return frame
        return None

    def _number(self, frame: VideoFrame) -> int:
        """Which frame of the file this is; -1 if its time stamp is not in the timeline."""
        if self.timeline.times is not None:
            return self.timeline.frame_at(frame.pts)
        return -1 if self._next is None else self._next
