"""What frames take that must be encoded: some of them are encoded beforehand, to judge all by these.

It depends on the pictures, the encoder and the machine: lossless video of a camera takes 20 times the bytes of H.264,
a small picture more per pixel than a large one, and AV1 twice the time of H.264.
"""

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from robomix.errors import RobomixError
from robomix.formats.lerobot.write_videos import png_bytes
from robomix.tools.build.content import Drawn
from robomix.video.encode import VideoEncoder

_SPOTS, _IN_A_ROW = 4, 4
"""Places of which frames are taken, and how many of each: groups of frames are of two, so this is two whole groups."""
_INDEX = 16
"""Bytes that an mp4's index has for a frame."""
_PIXELS_PER_SECOND = 20_000_000
"""Of frames that are read and encoded, where none could be tried."""
_H5PY_LEVEL = 4
"""h5py's own, of gzip."""


@dataclass(frozen=True)
class Trial:
    """What a frame takes, on average."""

    bytes: float
    seconds: float
    """Of one process, to read and to encode it."""


Pack = Callable[[Sequence[np.ndarray]], int]
"""The bytes that some stretches of frames, (n, 3, H, W) uint8 each, take in a file."""


def tried(parts: Sequence[Drawn], pack: Pack, per_pixel: float) -> Trial:
    """What a frame of `parts` takes, which are of one camera, when it is written as `pack` does.

    Frames that cannot be read or packed are judged by rough rates, such as so many bytes `per_pixel`: writing them will
    say what is wrong.
    """
    try:
        spots, reading = _frames(parts)
        begun = time.perf_counter()
        size, count = pack(spots), sum(map(len, spots))
        return Trial(size / count, reading + (time.perf_counter() - begun) / count)
    except (RobomixError, OSError):
        pixels = parts[0].frames.height * parts[0].frames.width
        return Trial(per_pixel * pixels, pixels / _PIXELS_PER_SECOND)


def reading_seconds(parts: Sequence[Drawn]) -> float:
    """Seconds that reading one frame of `parts` takes, on average; by a rough rate where none can be read."""
    try:
        return _frames(parts)[1]
    except (RobomixError, OSError):
        return parts[0].frames.height * parts[0].frames.width / _PIXELS_PER_SECOND


def _frames(parts: Sequence[Drawn]) -> tuple[list[np.ndarray], float]:
    """Frames (n, 3, H, W) of each spot, and the seconds that reading one takes once the place in its file is found."""
    spots, seconds, timed = [], 0.0, 0
    for part, rows in _spots(parts):
        first = part.frames.read(rows[:1])
        begun = time.perf_counter()
        spots.append(np.concatenate([first, part.frames.read(rows[1:])]) if len(rows) > 1 else first)
        seconds, timed = seconds + time.perf_counter() - begun, timed + len(rows) - 1
    return spots, seconds / max(1, timed)


def _spots(parts: Sequence[Drawn]) -> Iterator[tuple[Drawn, np.ndarray]]:
    """Places spread over all frames: the part, and a few of its rows that follow each other."""
    ends = np.cumsum([len(part) for part in parts])
    for number in range(_SPOTS):
        place = (2 * number + 1) * int(ends[-1]) // (2 * _SPOTS)
        chosen = int(np.searchsorted(ends, place, side="right"))
        part = parts[chosen]
        first = max(0, min(place - int(ends[chosen]) + len(part), len(part) - _IN_A_ROW))
        yield part, part.rows[first : first + _IN_A_ROW]


def as_video(spots: Sequence[np.ndarray], fps: Fraction, codec: str) -> int:
    """A `Pack`."""
    _, _, height, width = spots[0].shape
    with TemporaryDirectory() as folder:
        with VideoEncoder(Path(folder) / "trial.mp4", height=height, width=width, fps=fps, codec=codec) as encoder:
            for frames in spots:
                for i, image in enumerate(frames):
                    encoder.add(image, key_frame=i == 0)
        return encoder.expected_size(0) + _INDEX * encoder.frames


def as_png(spots: Sequence[np.ndarray]) -> int:
    """A `Pack`."""
    return sum(len(png_bytes(image)) for frames in spots for image in frames)


def as_gzip(spots: Sequence[np.ndarray]) -> int:
    """A `Pack`: pixels one after another, as h5py compresses them, each frame by itself."""
    return sum(len(zlib.compress(image.transpose(1, 2, 0).tobytes(), _H5PY_LEVEL)) for f in spots for image in f)
