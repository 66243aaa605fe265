"""Where the frames of a video file are: frame i is the i-th in presentation order, whatever its time stamp says.

A file's timeline comes from the MP4 index where that is simple, else from a walk through all packets. The decoder
looks up every frame it decodes in the timeline, so an index that lies is noticed and replaced by the walk.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from robomix.errors import FormatError
from robomix.files import damage
from robomix.remote.opening import RangeFile
from robomix.remote.stand_in import far_file
from robomix.video.mp4 import read_sample_table

_OPTIONS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts", "protocol_whitelist": "file"}
"""A file that calls itself video must not send FFmpeg to playlists, other files or the network."""
_CACHED_FRAMES = 1 << 22
"""Frames of all timelines kept in memory, at about 12 bytes each."""


@dataclass(frozen=True)
class Timeline:
    """The frames of one video file."""

    count: int
    times: np.ndarray | None
    """(count,) int64 time stamps in the stream's units, strictly rising; None where stamps do not tell frames apart."""
    keys: np.ndarray
    """(k,) int64, rising: frames where decoding can start; 0 only where `times` is None."""
    reorder: int
    """By how many frames decoding runs ahead of presentation at most (B-frames)."""

    def key_before(self, frame: np.ndarray | int) -> np.ndarray:
        """The last key frame at or before `frame`, elementwise."""
        places = np.searchsorted(self.keys, frame, side="right") - 1
        return self.keys[np.maximum(places, 0)]

    def decodes(self, frames: np.ndarray) -> int:
        """How many frames a decoder that stands elsewhere decodes to have `frames` (n,), of any order (`Decoder`)."""
        wanted = np.unique(frames)
        start = self.key_before(wanted)
        goes_on = start[1:] <= wanted[:-1] + 1 + self.reorder
        start[1:][goes_on] = wanted[:-1][goes_on] + 1
        return int((wanted - start + 1).sum())

    def frame_at(self, time: int | None) -> int:
        """The frame whose time stamp is `time`; -1 if there is none."""
        if self.times is None or time is None:
            return -1
        place = int(np.searchsorted(self.times, time))
        return place if place < self.count and self.times[place] == time else -1


class Timelines:
    """Timelines of many files, kept by path, size and time of change, the least recently used ones forgotten."""

    def __init__(self, frames: int = _CACHED_FRAMES) -> None:
        self._room, self._held = frames, 0
        self._kept: OrderedDict[tuple[str, int, int], Timeline] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, *, walk: bool = False) -> Timeline:
        """The timeline of `path`; `walk` reads all packets even where an index promised the answer."""
        stat = stat_video(path)
        key = (str(path), *stat)
        with self._lock:
            timeline = self._kept.get(key)
            if timeline is not None and not walk:
                self._kept.move_to_end(key)
                return timeline
        timeline = walk_packets(path) if walk else read_timeline(path)
        with self._lock:
            replaced = self._kept.pop(key, None)
            self._kept[key] = timeline
            self._held += timeline.count - (replaced.count if replaced else 0)
            while self._held > self._room and len(self._kept) > 1:
                self._held -= self._kept.popitem(last=False)[1].count
        return timeline


def stat_video(path: Path) -> tuple[int, int]:
    """(size, mtime in ns) of a video file. Raises FormatError where it is missing."""
    try:
        stat = path.stat()
    except OSError as error:
        raise FormatError(f"{path} {damage(path)}.") from error
    return stat.st_size, stat.st_mtime_ns


def open_video(path: Path, source: RangeFile | None = None) -> InputContainer:
    """Open a video file for reading, or for a stand-in the video far away, which `source` may have open already.

    Raises FormatError naming the file, what is wrong and what to do, and RemoteError for what cannot be fetched.
    """
    if source is None and (far := far_file(path)) is not None:
        source = RangeFile(far)
    if source is None and (problem := damage(path)):
        raise FormatError(f"{path} {problem}.")
    where = path if source is None else source.name
    try:
        container = av.open(str(path) if source is None else source, options=_OPTIONS)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise FormatError(
            f"{where} cannot be opened as a video ({error}): it is cut off, was never finished, or is no video. "
            "Copy or download it again; if it was recorded so, exclude its episodes."
        ) from error
    streams = [stream.type for stream in container.streams]
    if "video" in streams and container.streams.video[0].codec_context is not None:
        return container
    container.close()
    problem = "a video stream in an unknown codec" if "video" in streams else f"no video stream, only {streams}"
    raise FormatError(f"{where} has {problem}. Restore it, or exclude its episodes.")


def read_timeline(path: Path) -> Timeline:
    """The frames of a file, from its index where that is simple, else by walking its packets."""
    samples = read_sample_table(path)
    if samples is None:
        return walk_packets(path)
    with open_video(path) as container:
        start = container.streams.video[0].start_time
    # The index counts from the first sample; FFmpeg says what time it gives that one.
    times = samples.times - samples.times.min() + (start or 0)
    return _from_samples(times, samples.is_key)


def walk_packets(path: Path) -> Timeline:
    """The frames of a file by reading all its packets, without decoding them."""
    times, is_key = packet_times(path)
    if any(time is None for time in times):
        return Timeline(len(times), None, np.zeros(1, np.int64), 0)
    return _from_samples(np.array(times, np.int64), np.array(is_key, bool))


def packet_times(path: Path) -> tuple[list[int | None], list[bool]]:
    """Presentation time and whether it is a key frame, of each packet that shows a frame, in decoding order."""
    times: list[int | None] = []
    is_key = []
    with open_video(path) as container:
        try:
            for packet in container.demux(container.streams.video[0]):
                if packet.is_corrupt:
                    break  # the file is cut off here
                if packet.size and not packet.is_discard:
                    times.append(packet.pts)
                    is_key.append(packet.is_keyframe)
        except av.FFmpegError as error:
            raise FormatError(f"{path} is damaged after {len(times)} frames: {error}. Download it again.") from error
    return times, is_key


def _from_samples(times: np.ndarray, is_key: np.ndarray) -> Timeline:
    """The timeline of samples given in decoding order."""
    order = np.argsort(times, kind="stable")
    times, count = times[order], len(times)
    if count == 0 or (np.diff(times) <= 0).any():
        return Timeline(count, None, np.zeros(1, np.int64), 0)
    keys = np.flatnonzero(is_key[order])
    reorder = int((order - np.arange(count)).max())
    return Timeline(count, times, keys if len(keys) else np.zeros(1, np.int64), reorder)
