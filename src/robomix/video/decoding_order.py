"""In which order the packets of a video are decoded, and so where it can be cut.

A stretch of a file can be cut out where decoding and presentation agree at both ends (a *closed* cut): it begins with
a key frame, and no frame of it is decoded outside of it.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from av.video.codeccontext import VideoCodecContext

from robomix.errors import FormatError
from robomix.video.mp4 import read_sample_table
from robomix.video.timeline import open_video, packet_times

_IDR = 5
"""H.264's unit type of a picture before which a decoder forgets everything (ITU-T H.264, table 7-1)."""
_DRIFT = 0.01
"""30 and 29.97 frames per second are a tenth of this apart."""


class CutError(FormatError):
    """Frames that cannot be cut out or joined as they are: they must be encoded again."""


@dataclass(frozen=True)
class Pace:
    """At which rate the frames of a file are shown."""

    usual: float
    """Frames per second by the step from frame to frame that is in the middle of all."""
    mean: float
    """Frames per second by the first and the last frame."""
    finest: float
    """Seconds of the file's unit of time, to which steps are rounded."""

    def differs(self, fps: float) -> bool:
        """Whether it is another rate than `fps`, by more than rounding and a clock's drift explain."""
        rounding = self.finest * fps
        return abs(fps / self.usual - 1) > _DRIFT + rounding and abs(fps / self.mean - 1) > _DRIFT


@dataclass(frozen=True)
class DecodingOrder:
    """The packets of a file in the order they are decoded."""

    rank: np.ndarray
    """(n,) int64: the place of each packet's frame in the order of presentation."""
    is_key: np.ndarray
    """(n,) bool."""
    pace: Pace | None = None
    """When frames are shown, where the file's index says it."""

    @property
    def ahead(self) -> int:
        """By how many places decoding runs ahead of presentation at most."""
        return int((np.arange(len(self.rank)) - self.rank).max(initial=0))

    @cached_property
    def _is_closed(self) -> np.ndarray:
        """(n + 1,) bool: whether the first i packets are the first i frames."""
        latest = np.maximum.accumulate(self.rank)
        return np.concatenate([[True], latest == np.arange(len(self.rank))])

    def can_cut(self, frame: int) -> bool:
        """Whether the file can be parted before this frame, and both parts be decoded."""
        if frame >= len(self.rank):
            return frame == len(self.rank)
        return bool(self.is_key[frame] and self.rank[frame] == frame and self._is_closed[frame])

    def obstacle(self, start: int, stop: int) -> str | None:
        """Why frames start to stop - 1 cannot be cut out, told of them; None where they can."""
        inside = self.rank[start:stop]
        if not self.is_key[start] or self.rank[start] != start:
            return "their first is no key frame of a closed group"
        if inside.min() != start or inside.max() != stop - 1:
            return "their last are decoded together with those that follow (an open group)"
        return None


def decoding_order(path: Path) -> DecodingOrder:
    """The packets of a file, from its index where that is simple, else by walking them.

    Raises CutError for a file whose packets do not say when their frames are shown.
    """
    try:
        samples = read_sample_table(path)
    except FormatError:
        samples = None  # cut off; what is there of it may still be copied
    if samples is not None:
        times, is_key = samples.times, samples.is_key
    else:
        found, keys = packet_times(path)
        if any(time is None for time in found):
            raise CutError(f"{path} does not say when its frames are shown, so it cannot be cut without encoding.")
        times, is_key = np.array(found, np.int64), np.array(keys, bool)
    order = np.argsort(times, kind="stable")
    if len(times) == 0 or (np.diff(times[order]) <= 0).any():
        raise CutError(f"{path} shows two frames at one time, or none, so it cannot be cut without encoding.")
    rank = np.empty(len(times), np.int64)
    rank[order] = np.arange(len(times))
    return DecodingOrder(rank, is_key, None if samples is None else _pace(times[order], samples.timescale))


def _pace(times: np.ndarray, timescale: int) -> Pace | None:
    """Of rising times in units of 1 / timescale seconds; None for a single frame."""
    if len(times) < 2:
        return None
    return Pace(
        timescale / float(np.median(np.diff(times))),
        timescale * (len(times) - 1) / float(times[-1] - times[0]),
        1 / timescale,
    )


def false_starts(path: Path) -> frozenset[int]:
    """Packets, by their place, that are marked as key frames though decoding cannot start with them.

    In H.264 points from which a picture only recovers bit by bit (intra refresh) are marked so too. Walks the file.
    """
    with open_video(path) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name != "h264":
            return frozenset()
        packets = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
        found = [
            place
            for place, packet in enumerate(packets)
            if place and packet.is_keyframe and not starts_afresh(bytes(packet), stream.codec_context)
        ]
    return frozenset(found)


def starts_afresh(packet: bytes, context: VideoCodecContext) -> bool:
    """Whether decoding can start with a packet that is marked as a key frame.

    H.264's packets hold units, each after its size (ISO/IEC 14496-15) or after a start code.
    """
    if context.name != "h264":
        return True
    extradata = context.extradata or b""
    if extradata[:1] != b"\x01":
        return any(unit[0] & 31 == _IDR for unit in packet.split(b"\0\0\1")[1:] if unit)
    size, place = (extradata[4] & 3) + 1, 0
    while place + size < len(packet):
        if packet[place + size] & 31 == _IDR:
            return True
        place += size + int.from_bytes(packet[place : place + size])
    return False
