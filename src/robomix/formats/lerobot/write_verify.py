"""A last look at a dataset that was just written, before it gets its name: rows and packets where they should be."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
import pyarrow as pa

from robomix.errors import FormatError
from robomix.formats.lerobot.write_tables import read_column
from robomix.formats.lerobot.write_videos import VideoFile

_REMEDY = "Is the disk full or faulty? Nothing was published."


def verify_rows(root: Path, lengths: Sequence[int]) -> None:
    """Raise FormatError unless the data files, read back, hold exactly these episodes in this order."""
    expected = np.repeat(np.arange(len(lengths)), lengths)
    try:
        found = read_column(root, "episode_index")[:, 0]
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"{root / 'data'}: cannot be read back ({error}). {_REMEDY}") from error
    if not np.array_equal(found, expected):
        raise FormatError(
            f"{root / 'data'}: read back, it has {len(found)} rows that are not the {len(expected)} written. {_REMEDY}"
        )


def verify_video(file: VideoFile, fps: Fraction) -> None:
    """Raise FormatError unless the mp4 has its frames, at i / fps each, and a key frame at each episode start."""
    try:
        with av.open(str(file.path)) as container:
            stream = container.streams.video[0]
            found = [(packet.pts, packet.is_keyframe) for packet in container.demux(stream) if packet.size]
            frames_per_unit = stream.time_base * fps
    except av.error.FFmpegError as error:
        raise FormatError(f"{file.path}: cannot be read back ({error}). {_REMEDY}") from error
    found.sort()  # with B-frames they come in another order than they are shown
    times = np.array([time for time, _ in found], np.int64)
    on_grid = np.array_equal(times * frames_per_unit.numerator, np.arange(len(times)) * frames_per_unit.denominator)
    keys = {i for i, (_, is_key) in enumerate(found) if is_key}
    if len(found) != file.frames or not on_grid or not keys.issuperset(file.starts):
        raise FormatError(
            f"{file.path}: read back, it has {len(found)} frames ({'on' if on_grid else 'off'} the {float(fps):g} Hz "
            f"grid) and key frames at {sorted(keys)[:10]}; expected {file.frames} frames and key frames at "
            f"{file.starts[:10]}. {_REMEDY}"
        )
