"""Decoded frames to planar RGB, equal bit for bit to `frame.to_ndarray(format="rgb24")`, at a third of the cost.

FFmpeg can convert YUV to interleaved RGB (rgb24) or to planes (gbrp). Models want planes; interleaved pixels must be
pulled apart, which takes longer than the conversion. The planar route is the same arithmetic on common processors,
but FFmpeg does not promise that, so it is compared once, on noise, for every kind of picture that comes along.
"""

from functools import lru_cache

import numpy as np
from av import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

_EIGHT_BIT = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "gbrp")
_GBR = (2, 0, 1)
"""Where red, green and blue lie among the planes of gbrp."""


class PlanarRgb:
    """Converts frames of one decoder; not for several threads at once."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def write(self, frame: VideoFrame, out: np.ndarray) -> None:
        """Write `frame` into `out`, (3, height, width) uint8 of the frame's size."""
        if planar_is_exact(frame.format.name, frame.width, frame.height):
            _write_planar(self._reformatter, frame, out)
        else:
            _write_interleaved(self._reformatter, frame, out)


@lru_cache(maxsize=256)
def planar_is_exact(pixel_format: str, width: int, height: int) -> bool:
    """Whether both routes agree on noise of this kind and size."""
    if pixel_format not in _EIGHT_BIT:
        return False
    noise = VideoFrame(width, height, pixel_format)
    rng = np.random.default_rng(0)
    for plane in noise.planes:
        plane.update(rng.bytes(plane.buffer_size))
    planar, interleaved = np.empty((2, 3, height, width), np.uint8)
    _write_planar(VideoReformatter(), noise, planar)
    _write_interleaved(VideoReformatter(), noise, interleaved)
    return bool(np.array_equal(planar, interleaved))


def _write_planar(reformatter: VideoReformatter, frame: VideoFrame, out: np.ndarray) -> None:
    planes = reformatter.reformat(frame, format="gbrp").planes
    for channel, plane in enumerate(_GBR):
        out[channel] = _rows(planes[plane])[:, : frame.width]


def _write_interleaved(reformatter: VideoReformatter, frame: VideoFrame, out: np.ndarray) -> None:
    rows = _rows(reformatter.reformat(frame, format="rgb24").planes[0])
    out[...] = rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3).transpose(2, 0, 1)


def _rows(plane: VideoPlane) -> np.ndarray:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
