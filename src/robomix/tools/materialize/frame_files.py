"""Writing a frame store: its columns at once, its frames in stretches, by any number of processes."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robomix.errors import ConfigError, FormatError
from robomix.features import Feature
from robomix.formats.base import Dataset
from robomix.formats.frame_store import HEADER, KIND, VERSION, array_file, column_array
from robomix.formats.raw_frames import frames_array
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.write import run

_STRETCH = 1024
"""Frames that a process writes in one go."""
_AT_ONCE = 32
"""Frames in memory of a process."""
_ROWS = 1 << 16


@dataclass(frozen=True)
class Stretch:
    """Neighbouring frames of one camera."""

    key: str
    first: int
    stop: int


@dataclass(frozen=True)
class FrameFiles:
    """Writes stretches of a dataset's frames into the files of a store."""

    dataset: Dataset
    root: Path

    def write(self, file: Stretch) -> str:
        """Writes a stretch in its place; the hex digest of its bytes."""
        digest = hashlib.blake2b(digest_size=16)
        size = frame_bytes(self.dataset.features[file.key])
        with open(self.root / array_file(frames_array(file.key)), "r+b") as target:
            target.seek(file.first * size)
            for first in range(file.first, file.stop, _AT_ONCE):
                frames = self.dataset.read_frames(file.key, np.arange(first, min(first + _AT_ONCE, file.stop)))
                digest.update(frames.data)
                target.write(frames.data)
        return digest.hexdigest()


def frame_bytes(camera: Feature) -> int:
    """Bytes of a frame of a camera."""
    return int(np.prod(camera.shape))


def store_bytes(dataset: Dataset) -> int:
    """Bytes of the files of `dataset` as a frame store, but its header."""
    each = 8 + sum(int(np.prod(f.shape)) * np.dtype(f.dtype).itemsize for f in dataset.features.values())
    return each * dataset.num_frames + 8 * (2 * dataset.num_episodes + 1)


def write_frame_store(dataset: Dataset, root: Path, engine: Engine, title: str) -> None:
    """Writes `dataset` as a frame store into the folder `root`; the same bytes whatever the `engine`.

    Raises ConfigError where the disk has no room, and what reading the dataset raises.
    """
    for folder in ("columns", "cameras", HEADER.parent):
        (root / folder).mkdir(parents=True, exist_ok=True)
    arrays: dict[str, dict[str, Any]] = {}
    digest = hashlib.blake2b(digest_size=16)
    numeric = [key for key, feature in dataset.features.items() if not feature.is_camera]
    columns = {column_array(key): dataset.column(key) for key in numeric}
    index = {"ids": dataset.episodes.ids, "starts": dataset.episodes.starts, "tasks": dataset.task_indices()}
    columns |= {name: values.astype(np.int64) for name, values in index.items()}
    for name, values in columns.items():
        digest.update(_write_column(root / array_file(name), values))
        arrays[name] = _spec(name, values.dtype, values.shape)
    stretches: list[Stretch] = []
    for key in (key for key, feature in dataset.features.items() if feature.is_camera):
        feature, name = dataset.features[key], frames_array(key)
        _reserve(root / array_file(name), dataset.num_frames * frame_bytes(feature))
        arrays[name] = _spec(name, np.dtype(np.uint8), (dataset.num_frames, *feature.shape))
        stretches += _stretches(key, dataset.num_frames)
    for written in run(FrameFiles(dataset, root), stretches, engine, title):
        digest.update(written.encode())
    header = _header(dataset, arrays)
    digest.update(json.dumps(header).encode())
    text = json.dumps(header | {"fingerprint": digest.hexdigest()}, indent=2, ensure_ascii=False)
    (root / HEADER).write_text(text, encoding="utf-8")


def expect_equal(dataset: Dataset, stored: Dataset, rows: Sequence[int]) -> None:
    """Raises FormatError unless `stored` holds all numbers of `dataset`, and the same frames at `rows`."""
    for key, feature in dataset.features.items():
        if feature.is_camera:
            numbers = np.asarray(rows, np.int64)
            same = np.array_equal(stored.read_frames(key, numbers), dataset.read_frames(key, numbers))
        else:
            mine, own = stored.column(key), dataset.column(key)
            same = mine.dtype == own.dtype and np.array_equal(mine, own, equal_nan=own.dtype.kind == "f")
        if not same:
            raise FormatError(
                f"{stored.path}: read back, {key!r} is not what was written. Is the disk full or faulty? Nothing was "
                "published."
            )


def _header(dataset: Dataset, arrays: dict[str, dict[str, Any]]) -> dict[str, Any]:
    fps, recorded = dataset.fps, dataset.recorded_fps
    return {
        "format": KIND,
        "version": VERSION,
        "fps": [fps.numerator, fps.denominator],
        "recorded_fps": [recorded.numerator, recorded.denominator],
        "robot_type": dataset.robot_type,
        "env_args": dataset.env_args and dict(dataset.env_args),
        "features": {key: asdict(feature) for key, feature in dataset.features.items()},
        "tasks": list(dataset.tasks),
        "arrays": arrays,
    }


def _spec(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"file": array_file(name), "dtype": dtype.newbyteorder("<").str, "shape": list(shape)}


def _stretches(key: str, frames: int) -> list[Stretch]:
    return [Stretch(key, first, min(first + _STRETCH, frames)) for first in range(0, frames, _STRETCH)]


def _write_column(path: Path, values: np.ndarray) -> bytes:
    """Writes an array, a part at a time; the digest of its bytes."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "wb") as file:
        for first in range(0, len(values), _ROWS):
            data = np.ascontiguousarray(values[first : first + _ROWS], values.dtype.newbyteorder("<")).tobytes()
            digest.update(data)
            file.write(data)
    return digest.digest()


def _reserve(path: Path, size: int) -> None:
    """A new file of `size` bytes, for which the disk has room."""
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise ConfigError(f"{path} needs {size:,} bytes, and the disk has {free:,} free. Free some, or choose another.")
    with open(path, "wb") as file:
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
