"""Statistics of cameras that nobody knows yet: measured on some frames of each episode, from what was just written."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from robomix.formats.lerobot.write_stats import PixelCounts, sampled_frames
from robomix.tools.build.frames import file_frames
from robomix.video.pictures import decode_picture, picture_size

_AT_ONCE = 16
"""Frames in memory."""


def count_video(path: Path, starts: Sequence[int]) -> list[PixelCounts]:
    """The pixels of sampled frames of each episode in a file; episode i has frames starts[i] to starts[i + 1] - 1."""
    frames, made = file_frames(path), []
    for start, stop in pairwise(starts):
        counts = PixelCounts()
        chosen = start + np.array(sorted(sampled_frames(stop - start)), np.int64)
        for begin in range(0, len(chosen), _AT_ONCE):
            for image in frames.read(chosen[begin : begin + _AT_ONCE]):
                counts.add(image)
        made.append(counts)
    return made


def count_pictures(counts: PixelCounts, column: pa.ChunkedArray, first: int, length: int, where: str) -> None:
    """Adds the pixels of sampled pictures of an episode of `length` frames, of which a column holds some encoded.

    `first` is the frame with which the column begins.
    """
    for i in sorted(sampled_frames(length)):
        if first <= i < first + len(column):
            data = column[i - first].as_py()["bytes"]
            image = np.empty((3, *picture_size(data, where)), np.uint8)
            decode_picture(data, image, where)
            counts.add(image)


def merged(parts: Sequence[PixelCounts]) -> PixelCounts:
    """All that the parts have counted."""
    whole = PixelCounts()
    for part in parts:
        whole.merge(part)
    return whole
