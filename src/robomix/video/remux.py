"""Cutting and joining videos without coding any frame again, exact to the frame.

Frames are named by their place in the order of presentation. A stretch of a file can be cut out where decoding and
presentation agree at both ends (a *closed* cut): it begins with a key frame, and no frame of it is decoded outside of
it. Files can be joined where a decoder is set up alike for both (`stream_key`).

In the new file frame i is shown at exactly i / fps. With r the place of a packet's frame and k the packet's own,
counted over the whole file, pts = r ticks and dts = k - delay ticks, where delay is the most that decoding runs ahead:
times that no muxer has to correct, whatever the clips are, with B-frames or without.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from robomix.errors import FormatError
from robomix.video.mp4 import read_sample_table
from robomix.video.timeline import open_video, packet_times

_SUBTICKS = 512
"""Units of the new file's time base per frame; FFmpeg's own choice for mp4."""
_IDR = 5
"""H.264's unit type of a picture before which a decoder forgets everything (ITU-T H.264, table 7-1)."""


class CutError(FormatError):
    """Frames that cannot be cut out or joined as they are: they must be encoded again."""


@dataclass(frozen=True)
class StreamKey:
    """What a decoder is set up with: clips of equal keys can share a file."""

    codec: str
    width: int
    height: int
    pix_fmt: str
    aspect: Fraction
    """Of a pixel."""
    colour: tuple[int, int, int, int]
    """Range, primaries, transfer and matrix, as FFmpeg numbers them."""
    extradata: str
    """Digest of the parameter sets. HEVC loses frames without a word where they differ inside a file."""


@dataclass(frozen=True)
class DecodingOrder:
    """The packets of a file in the order they are decoded."""

    rank: np.ndarray
    """(n,) int64: the place of each packet's frame in the order of presentation."""
    is_key: np.ndarray
    """(n,) bool."""

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


@dataclass(frozen=True)
class Clip:
    """A stretch of a video file."""

    path: Path
    start: int
    """Its first frame."""
    stop: int
    """One past its last frame."""

    def __len__(self) -> int:
        return self.stop - self.start


def stream_key(path: Path) -> StreamKey:
    """The key of a file's video stream. Raises FormatError for a file that is no video."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        key = StreamKey(
            context.name,
            context.width,
            context.height,
            str(context.pix_fmt),
            Fraction(stream.sample_aspect_ratio or 1),
            (context.color_range, context.color_primaries, context.color_trc, context.colorspace),
            hashlib.blake2b(context.extradata or b"", digest_size=16).hexdigest(),
        )
    return key


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
    return DecodingOrder(rank, is_key)


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
            if place and packet.is_keyframe and not _starts_afresh(bytes(packet), stream.codec_context)
        ]
    return frozenset(found)


def remux(clips: Sequence[Clip], target: Path, fps: Fraction) -> int:
    """Writes the frames of `clips`, one after another, to the new mp4 file `target`; the number of frames.

    The clips must have equal stream keys and closed cuts, or CutError is raised and no file is left. The file is
    flushed to the disk, under another name until it is complete.
    """
    orders = {clip.path: decoding_order(clip.path) for clip in clips}
    for clip in clips:
        if problem := orders[clip.path].obstacle(clip.start, clip.stop):
            raise CutError(
                f"{clip.path} cannot be cut at frames {clip.start} and {clip.stop}: of these frames {problem}."
            )
    keys = {path: stream_key(path) for path in orders}
    if other := next((path for path, key in keys.items() if key != keys[clips[0].path]), None):
        raise CutError(f"{other} and {clips[0].path} need decoders of different settings; keep them in two files.")
    delay = max(order.ahead for order in orders.values())
    target = Path(target).absolute()  # FFmpeg would read a relative `a:b.mp4` as a protocol.
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.partial")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    try:
        with av.open(str(unfinished), "w", format="mp4", options={"movflags": "faststart"}) as output:
            written = _copy(clips, orders, output, fps, delay)
        with open(unfinished, "rb") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    return written


def _copy(
    clips: Sequence[Clip], orders: dict[Path, DecodingOrder], output: OutputContainer, fps: Fraction, delay: int
) -> int:
    written = 0
    stream: VideoStream | None = None
    tick = _SUBTICKS * fps.denominator
    base = Fraction(1, fps.numerator * _SUBTICKS)
    for clip in clips:
        order = orders[clip.path]
        with open_video(clip.path) as source:
            origin = source.streams.video[0]
            if stream is None:
                stream = output.add_stream_from_template(origin, opaque=True)
                stream.time_base = base
            place = 0
            for packet in source.demux(origin):
                if not packet.size or packet.is_discard:
                    continue
                if place >= clip.stop:
                    break
                if place == clip.start > 0 and not _starts_afresh(bytes(packet), origin.codec_context):
                    raise CutError(f"{clip.path} cannot be cut at frame {place}: what it calls a key frame is none.")
                if place >= clip.start:
                    packet.stream = stream
                    packet.time_base = base
                    packet.pts = (written + int(order.rank[place]) - clip.start) * tick
                    packet.dts = (written + place - clip.start - delay) * tick
                    packet.duration = tick
                    output.mux_one(packet)
                place += 1
            if place < clip.stop:
                raise FormatError(f"{clip.path} gave {place} frames, expected at least {clip.stop}. Is it cut off?")
        written += len(clip)
    return written


def _starts_afresh(packet: bytes, context: VideoCodecContext) -> bool:
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
