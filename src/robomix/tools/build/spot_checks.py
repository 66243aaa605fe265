"""A look at a few frames of a video that was copied: they decode, and to what they do in their source."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from robomix.errors import FormatError
from robomix.video.pool import DecoderPool
from robomix.video.remux import Clip

_decoders = DecoderPool(capacity=2)
"""The copy, and its last source, which may be that of the next copy; an idle decoder takes megabytes."""


def check_spots(clips: Sequence[Clip], path: Path) -> None:
    """Raises FormatError unless the last frame of the file at `path`, and the first of the clip in its middle, decode
    to the frames of `clips`, of which it consists.

    A last frame tells most: it needs all that its pictures refer to, and a file that was cut off lacks it. A middle
    tells whether the decoder goes from clip to clip; one clip has none. The sound part of a damaged source is copied
    where it cannot be read as a video any more; of such frames the copies decode.
    """
    starts = np.cumsum([0, *map(len, clips)])
    middle = len(clips) // 2
    if middle:
        _check(clips[middle].path, clips[middle].start, path, int(starts[middle]))
    _check(clips[-1].path, clips[-1].stop - 1, path, int(starts[-1]) - 1)


def _check(source: Path, frame: int, copy: Path, place: int) -> None:
    found = expected = _frame(copy, place)
    with suppress(FormatError):
        expected = _frame(source, frame)
    if not np.array_equal(found, expected):
        raise FormatError(
            f"{copy}: read back, its frame {place} is not frame {frame} of {source}, of which it is a copy. Is the "
            "disk full or faulty? Nothing was published."
        )


def _frame(path: Path, number: int) -> np.ndarray:
    """(1, 3, H, W) uint8."""
    with _decoders.lend(path) as decoder:
        image = np.empty((1, 3, *decoder.size), np.uint8)
        decoder.read_into(np.array([number]), image, np.array([0]))
    return image
