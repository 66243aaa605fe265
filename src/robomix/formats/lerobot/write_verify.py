"""A last look at a dataset that was just written, before it gets its name: rows and packets where they should be."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
import pyarrow as pa
from av.container import InputContainer

from robomix.errors import FormatError
from robomix.formats.lerobot.write_tables import read_column
from robomix.formats.lerobot.write_videos import VideoFile
from robomix.video.mp4 import read_sample_table, read_stored_samples

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
    """Raise FormatError unless the mp4 has its frames, at i / fps each, and a key frame at each episode start.

    All packets are read.
    """
    with _read_back(file.path) as container:
        stream = container.streams.video[0]
        found = [(packet.pts, packet.is_keyframe) for packet in container.demux(stream) if packet.size]
        unit = Fraction(stream.time_base or 1)
    found.sort()  # with B-frames they come in another order than they are shown
    times, is_key = (np.array(column) for column in zip(*found, strict=True)) if found else (np.empty(0),) * 2
    _expect(file, fps, times, is_key, unit)


def verify_index(file: VideoFile, fps: Fraction) -> None:
    """As `verify_video`, by the mp4's index; for who reads the bytes of the file elsewhere.

    The index counts only where it is whole and each frame lies within the file, else packets are read.
    """
    try:
        samples, stored = read_sample_table(file.path), read_stored_samples(file.path)
    except (FormatError, OSError):
        samples = stored = None
    if samples is None or stored is None:
        verify_video(file, fps)
        return
    with _read_back(file.path) as container:  # what FFmpeg makes of the index: its unit, and when the first is shown
        stream = container.streams.video[0]
        unit, start = Fraction(stream.time_base or 1), stream.start_time
    order = np.argsort(samples.times, kind="stable")
    _expect(file, fps, samples.times[order] - samples.times.min() + (start or 0), samples.is_key[order], unit)


@contextmanager
def _read_back(path: Path) -> Iterator[InputContainer]:
    try:
        with av.open(str(path)) as container:
            yield container
    except av.error.FFmpegError as error:
        raise FormatError(f"{path}: cannot be read back ({error}). {_REMEDY}") from error


def _expect(file: VideoFile, fps: Fraction, times: np.ndarray, is_key: np.ndarray, unit: Fraction) -> None:
    """`times` (n,), rising, in `unit` seconds, and `is_key` (n,) are what was found."""
    step = unit * fps
    on_grid = np.array_equal(times * step.numerator, np.arange(len(times)) * step.denominator)
    keys = np.flatnonzero(is_key).tolist()
    if len(times) != file.frames or not on_grid or not set(keys).issuperset(file.starts):
        raise FormatError(
            f"{file.path}: read back, it has {len(times)} frames ({'on' if on_grid else 'off'} the {float(fps):g} Hz "
            f"grid) and key frames at {keys[:10]}; expected {file.frames} frames and key frames at "
            f"{file.starts[:10]}. {_REMEDY}"
        )
