"""A store of camera frames as raw bytes, beside the columns: what `robomix materialize --as frames` writes.

    meta/frames.json            the header: what the dataset is, and which file holds which array
    columns/<name>.bin          an array: a numeric feature, or `ids`, `starts` and `tasks`
    cameras/<key>.bin           (N, C, H, W) uint8: frame i of the dataset begins at byte i * C * H * W

Files are arrays without a head, in C order, little-endian, and mapped into memory as they lie. Names of files are those
of the features, with what is not a letter, a digit or one of `_.-~` as %XX. The header's `arrays` maps `column <key>`
(N, *shape), `frames <key>`, `ids` (E,), `starts` (E + 1,) and `tasks` (N,), the last three int64, to file, dtype and
shape; `Dataset` and `Episodes` say what they mean. A store is written once and not changed: its fingerprint, of all its
bytes, is computed then.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import numpy as np

from robomix.errors import FormatError
from robomix.features import Feature
from robomix.files import damage, read_json
from robomix.formats.cached import CachedDataset, Camera
from robomix.formats.columns import Entry
from robomix.formats.raw_frames import RawCamera, frames_array

HEADER = Path("meta") / "frames.json"
KIND, VERSION = "robomix frames", 1
"""What the header calls the format, and the version of it that is written and read."""
_INDEX = ("ids", "starts", "tasks")
_AGAIN = "Copy the store again, or write it anew with `robomix materialize`"


def is_frame_store(path: Path) -> bool:
    """Whether the folder looks like a frame store, of whatever health."""
    return (path / HEADER).exists()


def column_array(key: str) -> str:
    """Name of the array that holds the numeric feature `key`."""
    return f"column {key}"


def array_file(name: str) -> str:
    """The file of the array `name`, relative to the store."""
    kind, _, key = name.rpartition(" ")
    return f"{'cameras' if kind == 'frames' else 'columns'}/{quote(key, safe='')}.bin"


class FrameStore(CachedDataset):
    """All of it is mapped into memory from where it lies; nothing is copied into the cache."""

    def __init__(self, path: Path, entry: Entry, fps: float | None = None) -> None:
        super().__init__(path, entry, fps)
        self._recorded_fps = Fraction(*entry.meta["recorded_fps"])

    @classmethod
    def opened(cls, path: Path, fps: float | None = None) -> Self:
        root = path.resolve()
        return cls(path, Entry(root, _checked(root, read_json(root / HEADER))), fps)

    @property
    def cache_folder(self) -> Path | None:
        return None

    @property
    def recorded_fps(self) -> Fraction:
        """That of the recording; the store may have been made at another."""
        return self._recorded_fps

    def camera(self, key: str) -> Camera:
        return RawCamera(key, self._entry)


def _checked(root: Path, header: Mapping[str, Any]) -> dict[str, Any]:
    """The header as `CachedDataset` takes it. Raises FormatError for one that its files do not bear out."""
    where = root / HEADER
    if header.get("format") != KIND or header.get("version") != VERSION:
        found = f"{header.get('format')!r} of version {header.get('version')!r}"
        raise FormatError(f"{where} says that it is {found}, expected {KIND!r} of version {VERSION}. Update robomix.")
    rates = [_rate(header.get(name), f"{where}: {name}") for name in ("fps", "recorded_fps")]
    features = _features(header.get("features"), where)
    tasks, arrays = header.get("tasks"), header.get("arrays")
    if not isinstance(tasks, list) or not tasks or not all(isinstance(text, str) for text in tasks):
        raise FormatError(f"{where}: tasks are {tasks!r}, expected a list of texts, at least one. {_AGAIN}.")
    texts = [header.get(name) for name in ("robot_type", "fingerprint")]
    env_args = header.get("env_args")
    if not isinstance(texts[0], str | None) or not isinstance(texts[1], str) or not isinstance(env_args, dict | None):
        raise FormatError(f"{where}: robot_type, fingerprint or env_args is missing or not of its kind. {_AGAIN}.")
    specs = {name: _array(root, name, arrays) for name in _arrays_of(features)}
    entry = Entry(root, {"arrays": specs})
    _check_index(entry, features, len(tasks), where)
    return {
        "arrays": specs,
        "format": "robomix frame store",
        "fps": rates[0],
        "recorded_fps": rates[1],
        "robot_type": texts[0],
        "env_args": env_args,
        "features": features,
        "tasks": tasks,
        "fingerprint": texts[1],
        "warnings": [],
    }


def _rate(value: Any, where: str) -> list[int]:
    if not isinstance(value, list) or len(value) != 2 or not all(type(n) is int and n > 0 for n in value):
        raise FormatError(f"{where} is {value!r}, expected frames per second as [numerator, denominator]. {_AGAIN}.")
    return value


def _features(declared: Any, where: Path) -> dict[str, dict[str, Any]]:
    known = {field.name for field in fields(Feature)}
    for key, spec in declared.items() if isinstance(declared, dict) else [("all", declared)]:
        sound = isinstance(spec, dict) and spec.keys() == known and spec["kind"] in ("numeric", "camera")
        if not sound or not _is_shape(spec["shape"]) or not _is_number(spec["dtype"]):
            raise FormatError(f"{where}: feature {key!r} is {spec!r}, expected {', '.join(sorted(known))}. {_AGAIN}.")
        if spec["kind"] == "camera" and (len(spec["shape"]) != 3 or spec["dtype"] != "uint8"):
            raise FormatError(f"{where}: camera {key!r} has {spec['dtype']} {spec['shape']}, expected uint8 [C, H, W].")
    return dict(declared)


def _arrays_of(features: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = [frames_array(key) if spec["kind"] == "camera" else column_array(key) for key, spec in features.items()]
    return [*names, *_INDEX]


def _array(root: Path, name: str, arrays: Any) -> dict[str, Any]:
    """What the header says of an array, once its file turns out to have that size and to lie in the store."""
    where = f"{root / HEADER}: array {name!r}"
    spec = arrays.get(name) if isinstance(arrays, dict) else None
    if not isinstance(spec, dict) or not _is_shape(spec.get("shape")) or not _is_number(spec.get("dtype")):
        raise FormatError(f"{where} is {spec!r}, expected its file, dtype and shape. {_AGAIN}.")
    if spec.get("file") != array_file(name):
        raise FormatError(f"{where} is said to lie in {spec.get('file')!r}, expected {array_file(name)!r}. {_AGAIN}.")
    path, size = root / spec["file"], math.prod(spec["shape"]) * np.dtype(spec["dtype"]).itemsize
    if not path.resolve().is_relative_to(root):
        raise FormatError(f"{path} leads out of the store. {_AGAIN}.")
    if not path.exists() or (size and (problem := damage(path))):
        raise FormatError(f"{path} {problem if path.exists() else 'does not exist'}. {_AGAIN}.")
    if (found := path.stat().st_size) != size:
        raise FormatError(
            f"{path} has {found:,} bytes, expected {size:,} for {spec['dtype']} {spec['shape']}. {_AGAIN}."
        )
    return spec


def _check_index(entry: Entry, features: Mapping[str, Mapping[str, Any]], tasks: int, where: Path) -> None:
    """Raises FormatError where episodes, rows and tasks do not fit together."""
    specs = entry.meta["arrays"]
    if any(np.dtype(specs[name]["dtype"]) != np.int64 or len(specs[name]["shape"]) != 1 for name in _INDEX):
        raise FormatError(f"{where}: {', '.join(_INDEX)} must be int64 with one axis. {_AGAIN}.")
    ids, starts, task = (entry.array(name) for name in _INDEX)
    if len(starts) != len(ids) + 1 or len(ids) < 1 or starts[0] != 0 or (np.diff(starts) < 1).any():
        raise FormatError(f"{where}: `starts` does not say where each of {len(ids)} episodes begins. {_AGAIN}.")
    if len(task) != starts[-1] or task.min() < 0 or task.max() >= tasks:
        raise FormatError(
            f"{where}: `tasks` does not name one of {tasks} texts for each of {starts[-1]} rows. {_AGAIN}."
        )
    for key, spec in features.items():
        name = frames_array(key) if spec["kind"] == "camera" else column_array(key)
        expected = [int(starts[-1]), *spec["shape"]]
        if specs[name]["shape"] != expected or np.dtype(specs[name]["dtype"]).name != spec["dtype"]:
            raise FormatError(
                f"{where}: {key!r} is stored as {specs[name]['dtype']} {specs[name]['shape']}, expected "
                f"{spec['dtype']} {expected}. {_AGAIN}."
            )


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in value)


def _is_number(dtype: Any) -> bool:
    try:
        return isinstance(dtype, str) and np.dtype(dtype).kind in "biuf"
    except TypeError:
        return False
