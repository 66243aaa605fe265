"""LeRobot datasets with GR00T's `meta/modality.json`, which gives names to parts of vectors, cameras and annotations.

Beside all that the LeRobot dataset has: the part `left_arm` of the state becomes `observation.state.left_arm`, that of
the action `action.left_arm`, both views of the whole column; the video `ego_view` is `observation.images.ego_view`,
whatever its `original_key`; annotation columns, which hold numbers of tasks, become texts, and the first that describes
the task gives each row its task.
Format: https://github.com/NVIDIA/Isaac-GR00T, getting_started/data_preparation.md
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robomix.errors import FormatError, did_you_mean
from robomix.features import Feature
from robomix.files import read_json
from robomix.formats.cached import Camera
from robomix.formats.columns import Entry
from robomix.formats.lerobot import v2, v3
from robomix.formats.lerobot.cameras import VideoCamera
from robomix.formats.lerobot.dataset import LeRobotDataset, is_lerobot
from robomix.formats.lerobot.info import read_info
from robomix.formats.lerobot.part import WHOLE, Part
from robomix.formats.pictures import PictureCamera
from robomix.video.pool import DecodeDevice

_MODALITY = Path("meta") / "modality.json"
_WHOLE = {"state": "observation.state", "action": "action"}
"""The sections with parts of vectors, and the vector that is meant where an entry does not say."""
_CAMERA = "observation.images."
DESCRIBES_TASK = re.compile(r"task_description|instruction|coarse_action|task")


def is_gr00t(path: Path) -> bool:
    """Whether the folder looks like a LeRobot dataset with GR00T's modalities."""
    return (path / _MODALITY).exists() and is_lerobot(path)


class Gr00tDataset(LeRobotDataset):
    """Shares the cache entry of the LeRobot dataset; parts of vectors are views of its columns."""

    def __init__(
        self,
        path: Path,
        entry: Entry,
        fps: float | None = None,
        part: Part = WHOLE,
        decode_device: DecodeDevice = "cpu",
    ) -> None:
        super().__init__(path, entry, fps, part, decode_device)
        self._file = path.resolve() / _MODALITY
        modality = read_json(self._file)
        self.format += " with GR00T modalities"
        self.fingerprint = _digest(self.fingerprint, modality)
        self._stored_camera = self._cameras(modality)
        renamed = {stored: key for key, stored in self._stored_camera.items()}
        self.features = {renamed.get(key, key): feature for key, feature in self.features.items()}
        self._annotation_of = self._annotations(modality)
        for key in self._annotation_of.values():
            if key in self.features:
                self.features[key] = Feature("text", "str", ())
        self._parts = dict(self._find_parts(modality))
        for key, (whole, entries) in self._parts.items():
            self.features[key] = _part_of(self.features[whole], entries)

    def column(self, key: str) -> np.ndarray:
        """See `Dataset`; a part of a vector is a view of the memory-mapped whole."""
        if key not in self._parts:
            return super().column(key)
        whole, part = self._parts[key]
        return super().column(whole)[:, part]

    def task_indices(self) -> np.ndarray:
        described = [name for name in self._annotation_of if DESCRIBES_TASK.search(name)]
        return self.annotation(described[0]) if described else super().task_indices()

    def annotation(self, name: str) -> np.ndarray:
        """(num_frames,) int64: for each row the position in `tasks` of its text under the annotation `name`.

        Raises FormatError for an unknown annotation, and for numbers that are no task's.
        """
        if name not in self._annotation_of:
            known = ", ".join(self._annotation_of) or "none"
            raise FormatError(f"{self._file} declares no annotation {name!r} with a column. It declares {known}.")
        key = self._annotation_of[name]
        if key == "task_index":
            return super().task_indices()
        return self._once(f"annotation {name}", lambda: self._task_positions(key))

    @property
    def stored_cameras(self) -> dict[str, str]:
        """Camera to the key under which the dataset keeps it, of those that are called otherwise here."""
        return dict(self._stored_camera)

    def camera(self, key: str) -> Camera:
        stored = self._stored_camera.get(key, key)
        if self.features[key].storage == "video":
            return VideoCamera(stored, self.path, self.episodes, self._entry, self.decode_device)
        return PictureCamera(stored, self.path, self._entry)

    def _task_positions(self, key: str) -> np.ndarray:
        info = read_info(self.path.resolve())
        numbers = np.array(sorted((v3 if info.version == "v3.0" else v2).read_tasks(info)), np.int64)
        values = self._entry.array(f"column {key}").astype(np.int64, copy=False)
        places = np.searchsorted(numbers, values)
        unknown = ~np.isin(values, numbers)
        if unknown.any():
            raise FormatError(
                f"{self.path}: {key!r} is declared an annotation, but its value {values[unknown][0]} in row "
                f"{np.flatnonzero(unknown)[0]} is the number of no task. Correct the column, or meta/modality.json."
            )
        return values if np.array_equal(numbers, np.arange(len(numbers))) else places

    def _cameras(self, modality: Mapping[str, Any]) -> dict[str, str]:
        """Name to stored name of the cameras that are called otherwise here."""
        stored_of: dict[str, str] = {}
        for name, entry in self._section(modality, "video"):
            key = name if name.startswith(_CAMERA) else _CAMERA + name
            stored = self._original(entry, key, f"video {name!r}")
            if stored not in self.features and self._is_left_out(stored):
                continue
            if stored not in self.features or not self.features[stored].is_camera:
                cameras = [key for key, feature in self.features.items() if feature.is_camera]
                raise FormatError(
                    f"{self._file}: video {name!r} is {stored!r}, which is no camera of the dataset. It has "
                    f"{', '.join(cameras) or 'none'}.{did_you_mean(stored, cameras)}"
                )
            if key != stored:
                stored_of[key] = stored
        if len(set(stored_of.values())) < len(stored_of):
            raise FormatError(f"{self._file}: several videos have one original_key. Keep one of them.")
        for key, stored in stored_of.items():
            if key in self.features and key not in stored_of.values():
                raise FormatError(f"{self._file}: {stored!r} would be called {key!r}, but another camera is already.")
        return stored_of

    def _is_left_out(self, key: str) -> bool:
        return any(repr(key) in text for text in self.left_out)

    def _annotations(self, modality: Mapping[str, Any]) -> dict[str, str]:
        """Annotation to the column of task numbers that holds it; those without any column are noted as left out."""
        found = {}
        for name, entry in self._section(modality, "annotation"):
            key = self._original(entry, f"annotation.{name}", f"annotation {name!r}")
            if key == "task_index" or _holds_numbers(self.features.get(key)):
                found[name] = key
            elif key not in self.features and not self._is_left_out(key):
                self.left_out += (f"left out annotation {name!r}: the dataset has no column {key!r}",)
        return found

    def _find_parts(self, modality: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, slice]]]:
        """Each part of a vector: its key, with the vector's key and the entries it takes."""
        for section, default in _WHOLE.items():
            for name, entry in self._section(modality, section):
                where = f"{section} {name!r}"
                whole, key = self._original(entry, default, where), f"{default}.{name}"
                feature = self.features.get(whole)
                if feature is None or not feature.is_vector:
                    found = f"is {feature.kind} of shape {list(feature.shape)}" if feature else "does not exist"
                    raise FormatError(
                        f"{self._file}: {where} is part of {whole!r}, which {found}; expected a vector."
                        f"{did_you_mean(whole, self.features)}"
                    )
                start, end = entry.get("start"), entry.get("end")
                if type(start) is not int or type(end) is not int or not 0 <= start < end <= feature.shape[0]:
                    raise FormatError(
                        f"{self._file}: {where} is entries {start!r} to {end!r} of {whole!r}, which has "
                        f"{feature.shape[0]}; expected 0 <= start < end <= {feature.shape[0]}. Correct the file."
                    )
                if key == whole and (start, end) == (0, feature.shape[0]):
                    continue  # the dataset keeps the part as a column of its own
                if key in self.features:
                    raise FormatError(f"{self._file}: {where} would be called {key!r}, but another feature is already.")
                yield key, (whole, slice(start, end))

    def _section(self, modality: Mapping[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
        section = modality.get(name, {})
        entries = section.items() if isinstance(section, dict) else [("", None)]
        if not all(isinstance(entry, dict) for _, entry in entries):
            raise FormatError(f"{self._file}: {name!r} is no object of objects: {str(section)[:80]}. Restore the file.")
        return list(entries)

    def _original(self, entry: Mapping[str, Any], default: str, where: str) -> str:
        key = entry.get("original_key")
        if key is not None and not isinstance(key, str):
            raise FormatError(f"{self._file}: original_key of {where} is {key!r}, expected the name of a feature.")
        return default if key is None else key


def _holds_numbers(feature: Feature | None) -> bool:
    return feature is not None and feature.kind == "numeric" and feature.dtype.startswith("int") and not feature.shape


def _part_of(feature: Feature, part: slice) -> Feature:
    return replace(feature, shape=(part.stop - part.start,), names=feature.names and feature.names[part])


def _digest(fingerprint: str, modality: Mapping[str, Any]) -> str:
    text = json.dumps([fingerprint, modality], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
