"""Episodes kept as groups of HDF5 arrays, one array for each quantity, into the column cache.

First all episodes are surveyed: which arrays do they share, of what type and width, and are all of an episode's arrays
of one length? Then the numbers are copied, episode by episode. Pictures stay where they are.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robomix.errors import FormatError
from robomix.features import BOOKKEEPING, Feature
from robomix.formats.columns import Builder
from robomix.formats.hdf5 import Faults, checked_array, find, members, storage_size
from robomix.formats.hdf5_handles import handles

_MAX_ARRAYS = 2000
"""Arrays of one episode; groups may hold each other without end."""
_MAX_DEPTH = 8
_MAX_ENTRIES = 4096
"""Numbers of one frame beyond which an array is a picture or a depth map, not a quantity."""
_BLOCK = 1 << 26
"""Bytes read at a time."""
_HASHED_ROWS = 1 << 16
_RESERVED = (*BOOKKEEPING, "dataset_index", "task")


@dataclass(frozen=True)
class EpisodeGroup:
    """Where one episode lies."""

    id: int
    path: Path
    group: str
    """Of the file at `path`; empty for the file itself."""

    @property
    def name(self) -> str:
        """For people, in errors."""
        return f"{self.path}: {self.group}" if self.group else str(self.path)


Naming = Callable[[str, bool], str | None]
"""From an array's name below its episode, and whether it holds pictures, to its key; None for what is not listed."""
Describe = Callable[[h5py.Dataset, str, EpisodeGroup], Feature | str]
"""What a frame of an array is, or in words why it is nothing to read; FormatError for an array that is not sound."""


@dataclass
class Survey:
    """What all episodes have."""

    ids: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    features: dict[str, Feature] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Key to the array's name below its episode."""
    media: list[int] = field(default_factory=list)
    """Bytes the pictures of each episode take, camera by camera."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Key to why it is not read."""


class Surveyor:
    """Looks at episodes one after the other, and keeps what they have in common."""

    def __init__(
        self, naming: Naming, describe: Describe, *, required: Sequence[str], strict: Callable[[str], bool]
    ) -> None:
        """Arrays named in `required` must be in all episodes, the first of them sets the number of frames.

        Those that are `strict` must be sound; others are left out, with the reason, where they are not.
        """
        self._naming, self._describe, self._required, self._strict = naming, describe, required, strict
        self.found = Survey()

    def add(self, episode: EpisodeGroup) -> None:
        """Raises FormatError, naming episode and array, for what cannot be used."""
        with handles.lend(episode.path) as handle:
            group = find(handle.file, episode.group, episode.path) if episode.group else handle.file
            if not isinstance(group, h5py.Group):
                raise FormatError(f"{episode.name} is not a group of arrays. Export the file again.")
            for name in self._required:
                if find(group, name, episode.path) is None:
                    raise FormatError(f"{episode.name} has no {name!r}. Exclude the episode, or export the file again.")
            arrays = dict(_walk(group, "", episode, [_MAX_ARRAYS], _MAX_DEPTH))
            length = len(checked_array(find(group, self._required[0], episode.path), episode.path))
            if not length:
                raise FormatError(f"{episode.name} has no frames. Remove the episode from the dataset.")
            self._merge(episode, self._features(episode, arrays, length), arrays)
            self.found.ids.append(episode.id)
            self.found.lengths.append(length)

    def _features(
        self, episode: EpisodeGroup, arrays: Mapping[str, h5py.Dataset], length: int
    ) -> dict[str, tuple[str, Feature]]:
        """Key to name and feature of what can be used in this episode."""
        features: dict[str, tuple[str, Feature]] = {}
        for name, array in arrays.items():
            key = self._naming(name, False)
            if key is None:
                continue
            try:
                feature = self._describe(array, name, episode)
                _check_length(array, length, name, episode)
            except FormatError as error:
                if self._strict(name):
                    raise
                self.found.left_out.setdefault(key, str(error).rstrip("."))
                continue
            if isinstance(feature, str) or is_reserved(key):
                why = feature if isinstance(feature, str) else "robomix fills a feature of this name itself"
                self.found.left_out.setdefault(key, f"{episode.name}/{name}: {why}")
                continue
            key = str(self._naming(name, feature.is_camera))
            if key in features:
                raise FormatError(
                    f"{episode.name}: both {features[key][0]!r} and {name!r} would be called {key!r}. Rename one."
                )
            features[key] = name, feature
        return features

    def _merge(
        self, episode: EpisodeGroup, here: Mapping[str, tuple[str, Feature]], arrays: Mapping[str, h5py.Dataset]
    ) -> None:
        """Keep what this episode has in common with those before it."""
        found = self.found
        if not found.ids:
            found.features = {key: feature for key, (_, feature) in here.items()}
            found.names = {key: name for key, (name, _) in here.items()}
        for key in here.keys() - found.features.keys():
            found.left_out.setdefault(key, f"not every episode has it; {episode.name} does")
        for key, before in list(found.features.items()):
            if key not in here or here[key][0] != found.names[key]:
                why = f"not every episode has it; {episode.name} does not"
            elif (here[key][1].kind, here[key][1].shape) != (before.kind, before.shape):
                why = f"it is {before.shape} before and {here[key][1].shape} in {episode.name}"
            else:
                dtype = np.result_type(before.dtype, here[key][1].dtype).name
                found.features[key] = replace(before, dtype=dtype)
                if before.is_camera:
                    found.media.append(storage_size(arrays[found.names[key]]))
                continue
            if found.names[key] in self._required:
                raise FormatError(f"{episode.name}: {found.names[key]!r} does not fit the other episodes: {why}.")
            found.left_out.setdefault(key, why)
            del found.features[key]


def is_reserved(key: str) -> bool:
    """Whether robomix fills a feature of that name itself."""
    return key in _RESERVED or key.endswith("_is_pad")


def fill_columns(cache: Builder, survey: Survey, episodes: Sequence[EpisodeGroup], meta: Mapping[str, Any]) -> None:
    """Copy the numbers of all episodes into `cache`, with `meta` and what the survey found. One task for all frames."""
    starts = np.concatenate([[0], np.cumsum(survey.lengths, dtype=np.int64)])
    total = int(starts[-1])
    numeric = {key: feature for key, feature in survey.features.items() if feature.kind == "numeric"}
    arrays = {
        key: cache.array(f"column {key}", np.dtype(feature.dtype), (total, *feature.shape))
        for key, feature in numeric.items()
    }
    for ordinal, episode in enumerate(episodes):
        with handles.lend(episode.path) as handle:
            for key, column in arrays.items():
                array = handle.array(path_of(episode, survey.names[key]), checked_array)
                read_rows(array, column[starts[ordinal] : starts[ordinal + 1]], episode.path)
    for name, values in {"ids": np.array(survey.ids), "starts": starts, "tasks": np.zeros(total, np.int64)}.items():
        cache.array(name, np.dtype(np.int64), values.shape)[...] = values
    cache.meta |= meta
    cache.meta["features"] = {key: asdict(feature) for key, feature in survey.features.items()}
    cache.meta["names"] = survey.names
    cache.meta["warnings"] = [f"left out {key!r}: {why}" for key, why in sorted(survey.left_out.items())]
    cache.meta["fingerprint"] = _fingerprint(cache.meta, arrays, survey)


def path_of(episode: EpisodeGroup, name: str) -> str:
    """Where the array `name` of an episode lies in its file."""
    return f"{episode.group}/{name}" if episode.group else name


def read_rows(array: h5py.Dataset, out: np.ndarray, path: Path) -> None:
    """All rows of `array` into `out`, of the same shape, a bounded piece at a time. Raises FormatError."""
    step = max(1, _BLOCK // max(1, out[:1].nbytes))
    if array.chunks is not None:
        step = -(-step // array.chunks[0]) * array.chunks[0]
    if array.shape != out.shape:
        raise FormatError(f"{path}: {array.name} has changed while it was read. Open the dataset again.")
    with Faults(path, str(array.name)):
        for begin in range(0, len(out) if out.size else 0, step):
            out[begin : begin + step] = array[begin : begin + step]


def described(array: h5py.Dataset, name: str, episode: EpisodeGroup) -> Feature | str:
    """A `Describe`: arrays (T, height, width, 3) of uint8 are cameras, others numbers if they are not too many."""
    array = checked_array(array, episode.path)
    return frame_feature(tuple(map(int, array.shape[1:])), array.dtype.newbyteorder("="))


def frame_feature(shape: tuple[int, ...], kind: np.dtype) -> Feature | str:
    """What rows of that shape and type are: pictures, or numbers; in words why they are neither."""
    entries = math.prod(shape)
    if len(shape) == 3 and shape[2] == 3 and kind == np.uint8 and entries:
        return Feature("camera", "uint8", (3, *shape[:2]), storage="array")
    if entries > _MAX_ENTRIES:
        return f"it is {shape} of {kind} per frame; of pictures, only (height, width, 3) of uint8 is read"
    return Feature("numeric", kind.name, shape) if entries else f"it is {shape} per frame, which holds no number"


def _walk(
    group: h5py.Group, prefix: str, episode: EpisodeGroup, left: list[int], depth: int
) -> Iterator[tuple[str, h5py.Dataset]]:
    """Names below the episode and arrays, nested groups included."""
    for name, found in members(group, episode.path):
        left[0] -= 1
        if left[0] < 0 or not depth:
            raise FormatError(
                f"{episode.name} holds more than {_MAX_ARRAYS:,} arrays, or groups more than {_MAX_DEPTH} deep. "
                "No recording has; export the file again."
            )
        if isinstance(found, h5py.Group):
            yield from _walk(found, f"{prefix}{name}/", episode, left, depth - 1)
        else:
            yield prefix + name, found


def _check_length(array: h5py.Dataset, length: int, name: str, episode: EpisodeGroup) -> None:
    if array.shape[0] != length:
        raise FormatError(
            f"{episode.name}: {name!r} has {array.shape[0]:,} rows, but the actions have {length:,}; all arrays of an "
            "episode must be of one length. Exclude the episode, or export the file again."
        )


def _fingerprint(meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray], survey: Survey) -> str:
    """Hex digest of the content: what a reader gets, and the sizes of the pictures; not paths or times."""
    digest = hashlib.blake2b(digest_size=16)
    described = [meta[name] for name in ("fps", "robot_type", "features", "tasks")]
    digest.update(json.dumps([*described, survey.ids, survey.lengths, survey.media]).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        for begin in range(0, len(array), _HASHED_ROWS):
            digest.update(np.ascontiguousarray(array[begin : begin + _HASHED_ROWS]))
    return digest.hexdigest()
