"""Writing a frame store: its columns at once, its frames in stretches, by any number of processes."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from robomix.errors import FormatError
from robomix.features import Feature
from robomix.formats.base import Dataset
from robomix.formats.frame_store import HEADER, KIND, VERSION, array_file, column_array
from robomix.formats.publish import Stage
from robomix.formats.raw_frames import frames_array
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.markers import clear_but, marker_of
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
    """Writes stretches of a dataset's frames into the files of a store.

    The marker of a stretch holds the digest of its bytes: it is believed where these lie in the file.
    """

    dataset: Dataset
    root: Path
    done: Path
    """The folder of the markers."""

    def write(self, file: Stretch) -> str:
        """Writes a stretch in its place, unless it lies there already; the hex digest of its bytes."""
        marker = marker_of(self.done, f"{file.key} {file.first}")
        with open(self.root / array_file(frames_array(file.key)), "r+b") as target:
            if marker.exists() and marker.read_text() == (found := self._read_back(file, target)):
                return found
            marker.unlink(missing_ok=True)
            written = self._write(file, target)
        marker.write_text(written)
        return written

    def _write(self, file: Stretch, target: BinaryIO) -> str:
        digest = hashlib.blake2b(digest_size=16)
        target.seek(file.first * self._frame_bytes(file))
        for first in range(file.first, file.stop, _AT_ONCE):
            frames = self.dataset.read_frames(file.key, np.arange(first, min(first + _AT_ONCE, file.stop)))
            digest.update(frames.data)
            target.write(frames.data)
        return digest.hexdigest()

    def _read_back(self, file: Stretch, target: BinaryIO) -> str:
        digest = hashlib.blake2b(digest_size=16)
        target.seek(file.first * self._frame_bytes(file))
        for first in range(file.first, file.stop, _AT_ONCE):
            digest.update(target.read((min(first + _AT_ONCE, file.stop) - first) * self._frame_bytes(file)))
        return digest.hexdigest()

    def _frame_bytes(self, file: Stretch) -> int:
        return frame_bytes(self.dataset.features[file.key])


def frame_bytes(camera: Feature) -> int:
    """Bytes of a frame of a camera."""
    return int(np.prod(camera.shape))


def store_bytes(dataset: Dataset) -> int:
    """Bytes of the files of `dataset` as a frame store, but its header."""
    each = 8 + sum(int(np.prod(f.shape)) * np.dtype(f.dtype).itemsize for f in dataset.features.values())
    return each * dataset.num_frames + 8 * (2 * dataset.num_episodes + 1)


def write_frame_store(dataset: Dataset, stage: Stage, engine: Engine, title: str) -> None:
    """Writes `dataset` as a frame store into the folder `stage.root`; the same bytes whatever the `engine`.

    Frames that a process which was stopped has written there are taken as they lie. Raises OSError where the disk has
    no room, and what reading the dataset raises.
    """
    root, cameras = stage.root, [key for key, feature in dataset.features.items() if feature.is_camera]
    clear_but(root, {root / array_file(frames_array(key)) for key in cameras})
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
    for key in cameras:
        feature, name = dataset.features[key], frames_array(key)
        _reserve(root / array_file(name), dataset.num_frames * frame_bytes(feature))
        arrays[name] = _spec(name, np.dtype(np.uint8), (dataset.num_frames, *feature.shape))
        stretches += _stretches(key, dataset.num_frames)
    for written in run(FrameFiles(dataset, root, stage.done), stretches, engine, title):
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
    """A file of `size` bytes, for which the disk has room; what it holds already stays."""
    with open(path, "ab") as file:
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        file.truncate(size)
