"""A look at every frame of a video: decoded once, in the order of the file, and kept as a tiny grey picture.

What is done to a frame besides decoding it takes a small part of the time that decoding takes: a few hundred of its
pixels are averaged to 8 x 8, and every eighth line goes into a checksum.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av import VideoFrame

from robomix.video.timeline import open_video

SIDE = 8
"""Height and width of the grey pictures."""
_GRAIN = 4
"""Pixels averaged to one, each way."""
_LINES = 8
_FULL = 2
"""FFmpeg's AVCOL_RANGE_JPEG."""
COLOURED = 16
"""Frames of a file of which the mean colour is taken, evenly spread."""


@dataclass(frozen=True)
class Glances:
    """The frames of one file that could be decoded, in order of presentation."""

    times: np.ndarray
    """(n,) int64: presentation times in the stream's units; -1 where a frame has none."""
    grey: np.ndarray
    """(n, 8, 8) uint8: brightness from 0, black, to 255."""
    checksums: np.ndarray
    """(n,) uint32: equal for equal pictures."""
    colours: np.ndarray
    """(m, 3) float64: mean red, green and blue, 0 to 1, of some of the frames."""
    problems: int
    """Packets that the decoder refused."""


def glance(path: Path, count: int) -> Glances:
    """Decode all frames of a video, of which there should be `count`. Raises FormatError for one that is no video."""
    times: list[int] = []
    grey: list[np.ndarray] = []
    checksums: list[int] = []
    colours: list[np.ndarray] = []
    every = max(1, count // COLOURED)
    problems = 0
    with open_video(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                break
            except av.EOFError:
                break
            except (av.FFmpegError, ValueError):
                problems += 1
                if problems > max(count, COLOURED):
                    break  # the file, not a packet, cannot be read
                continue
            for frame in frames:
                luma = _luma(frame)
                if len(times) % every == 0:
                    colours.append(_colour(frame))
                times.append(-1 if frame.pts is None else frame.pts)
                grey.append(_stretched(_small(luma), frame))
                checksums.append(zlib.crc32(np.ascontiguousarray(luma[::_LINES])))
    return Glances(
        np.array(times, np.int64),
        np.array(grey, np.uint8).reshape(-1, SIDE, SIDE),
        np.array(checksums, np.uint32),
        np.array(colours).reshape(-1, 3),
        problems,
    )


def _luma(frame: VideoFrame) -> np.ndarray:
    """(H, W) brightness: the first plane where it is that, without a copy."""
    name = frame.format.name
    if not name.startswith(("yuv", "gray", "nv12")) or frame.format.components[0].bits != 8:
        return frame.to_ndarray(format="gray")
    plane = frame.planes[0]
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return lines[: frame.height, : frame.width]


def _small(luma: np.ndarray) -> np.ndarray:
    """(8, 8) float32 from a grid of 32 x 32 pixels."""
    points = SIDE * _GRAIN
    rows = (np.arange(points) * luma.shape[0]) // points
    columns = (np.arange(points) * luma.shape[1]) // points
    grid = luma[rows][:, columns].reshape(SIDE, _GRAIN, SIDE, _GRAIN)
    return grid.mean((1, 3), dtype=np.float32)


def _stretched(grey: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """Brightness as uint8 over the full range; most videos code black as 16 and white as 235."""
    if int(frame.color_range) != _FULL and not frame.format.name.startswith(("yuvj", "gray", "rgb", "gbr")):
        grey = (grey - 16) * (255 / 219)
    return np.clip(grey, 0, 255).astype(np.uint8)


def _colour(frame: VideoFrame) -> np.ndarray:
    return frame.reformat(width=32, height=32, format="rgb24").to_ndarray().mean((0, 1)) / 255
