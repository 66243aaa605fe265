"""Cutting and joining videos without coding any frame again, exact to the frame.

Frames are named by their place in the order of presentation. A stretch of a file can be cut out where decoding and
presentation agree at both ends (a *closed* cut): it begins with a key frame, and no frame of it is decoded outside of
it. Files can be joined where a decoder is set up alike for both (`stream_key`).

In the new file frame i is shown at exactly i / fps. With r the place of a packet's frame and k the packet's own,
counted over the whole file, pts = r ticks and dts = k - delay ticks, where delay is the most that decoding runs ahead:
times that no muxer has to correct, whatever the clips are, with B-frames or without.

Out of MP4 files with a simple index, packets are copied as bytes (`mp4_write`); out of others FFmpeg reads each.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from robomix.errors import FormatError
from robomix.video.decoding_order import CutError, DecodingOrder, decoding_order, starts_afresh
from robomix.video.mp4 import read_stored_samples
from robomix.video.mp4_write import Piece, Timing, write_mp4
from robomix.video.timeline import open_video

_UNITS_PER_SECOND = 10_000
"""At least so many has an mp4 that FFmpeg writes (libavformat/movenc.c, mov_init)."""
_MAX_UNITS = 1 << 31
"""FFmpeg takes units per second, and per frame, as signed 32 bits."""


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


def remux(clips: Sequence[Clip], target: Path, fps: Fraction) -> int:
    """Writes the frames of `clips`, one after another, to the new mp4 file `target`; the number of frames.

    The clips must have equal stream keys and closed cuts, or CutError is raised and no file is left. The file has
    another name until it is complete; it is not flushed to the disk.
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
    target = Path(target).absolute()  # FFmpeg would read a relative `a:b.mp4` as a protocol.
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.partial")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    pieces = _pieces(clips, orders)
    try:
        if pieces is not None and _subticks(fps) * max(fps.numerator, fps.denominator) < _MAX_UNITS:
            _expect_fresh_starts(pieces)
            timing = _timing(clips, orders, fps)
            write_mp4(unfinished, pieces, timing)
            _expect_packets(unfinished, pieces, timing)
        else:
            delay = max(order.ahead for order in orders.values())
            with av.open(str(unfinished), "w", format="mp4", options={"movflags": "faststart"}) as output:
                _copy(clips, orders, output, fps, delay)
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    return sum(map(len, clips))


def _pieces(clips: Sequence[Clip], orders: dict[Path, DecodingOrder]) -> list[Piece] | None:
    """The packets of the clips as bytes of their files; None where an index does not say where all of them lie."""
    stored = {path: read_stored_samples(path) for path in orders}
    pieces = []
    for clip in clips:
        samples = stored[clip.path]
        if samples is None or len(samples.sizes) != len(orders[clip.path].rank):
            return None
        pieces.append(Piece(clip.path, samples, clip.start, clip.stop))
    return pieces


def _timing(clips: Sequence[Clip], orders: dict[Path, DecodingOrder], fps: Fraction) -> Timing:
    starts = np.cumsum([0, *map(len, clips)])[:-1] - [clip.start for clip in clips]
    shown = [orders[c.path].rank[c.start : c.stop] + start for c, start in zip(clips, starts, strict=True)]
    is_key = [orders[clip.path].is_key[clip.start : clip.stop] for clip in clips]
    subticks = _subticks(fps)
    return Timing(subticks * fps.numerator, subticks * fps.denominator, np.concatenate(shown), np.concatenate(is_key))


def _subticks(fps: Fraction) -> int:
    """How fine the time base of the new file is: in 1 / fps, as FFmpeg makes it for frames that it encodes.

    LeRobot's merge joins files with FFmpeg's `concat`, which takes the time base of the first for that of all.
    """
    return 1 << max(0, (-(-_UNITS_PER_SECOND // fps.numerator) - 1).bit_length())


def _expect_fresh_starts(pieces: Sequence[Piece]) -> None:
    """Raises CutError for a piece whose first packet decoding cannot start with."""
    for piece in (piece for piece in pieces if piece.start and piece.samples.kind in (b"avc1", b"avc3")):
        with open_video(piece.path) as container:
            if not starts_afresh(piece.first(), container.streams.video[0].codec_context):
                raise _no_key(piece.path, piece.start)


def _expect_packets(path: Path, pieces: Sequence[Piece], timing: Timing) -> None:
    """Raises FormatError unless FFmpeg finds as many packets, and the first of each piece at its time, as it was.

    That one sample lies where the index puts it tells that all before it do.
    """
    done = 0
    with open_video(path) as container:
        stream = container.streams.video[0]
        for piece in pieces:
            container.seek((done - timing.delay) * timing.tick, stream=stream)  # to a key frame there or before
            packet = next((p for p in container.demux(stream) if p.pts == done * timing.tick), None)
            if packet is None or bytes(packet) != piece.first():
                raise FormatError(f"{path}: read back, its frame {done} is not frame {piece.start} of {piece.path}.")
            done += piece.stop - piece.start
        if stream.frames != done:
            raise FormatError(f"{path}: read back, it has {stream.frames} frames, expected {done}.")


def _no_key(path: Path, place: int) -> CutError:
    return CutError(f"{path} cannot be cut at frame {place}: what it calls a key frame is none.")


def _copy(
    clips: Sequence[Clip], orders: dict[Path, DecodingOrder], output: OutputContainer, fps: Fraction, delay: int
) -> None:
    written = 0
    stream: VideoStream | None = None
    tick = _subticks(fps) * fps.denominator
    base = Fraction(1, fps.numerator * _subticks(fps))
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
                if place == clip.start > 0 and not starts_afresh(bytes(packet), origin.codec_context):
                    raise _no_key(clip.path, place)
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
