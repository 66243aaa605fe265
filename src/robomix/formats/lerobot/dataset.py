"""A LeRobot dataset of any readable version, opened through the column cache."""

import threading
import warnings
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robomix.errors import FormatError, did_you_mean
from robomix.features import Feature
from robomix.files import scan
from robomix.formats.base import Dataset, Episodes, FrameGroup
from robomix.formats.columns import Entry, build, entry_folder, lookup
from robomix.formats.lerobot.build import fill_cache
from robomix.formats.lerobot.cameras import Camera, PictureCamera, VideoCamera
from robomix.formats.lerobot.info import read_info

READER = "lerobot-1"
"""Version of what `build` puts into the cache; a new one makes every dataset be read again."""


def is_lerobot(path: Path) -> bool:
    """Whether the folder looks like a LeRobot dataset, of whatever version and health."""
    return (path / "meta" / "info.json").exists()


def open_lerobot(path: Path) -> "LeRobotDataset":
    """Open the dataset at `path`, reading its files into the cache if that has not happened yet.

    Raises FormatError for what cannot be read; warns about what is left out.
    """
    dataset = _open(path)
    for text in dataset.left_out:
        warnings.warn(f"{path}: {text}.", stacklevel=3)
    return dataset


def _open(path: Path) -> "LeRobotDataset":
    root = path.resolve()
    info = read_info(root)
    listing = scan(root, info.folders())
    folder = entry_folder(root, listing.key(READER))
    return LeRobotDataset(path, lookup(folder) or build(folder, partial(fill_cache, info, listing)))


class LeRobotDataset(Dataset):
    """See `Dataset`. Everything but video frames comes from one entry of the column cache."""

    def __init__(self, path: Path, entry: Entry) -> None:
        meta = entry.meta
        self.path = path
        self.format: str = meta["format"]
        self.fps = Fraction(*meta["fps"])
        self.robot_type: str | None = meta["robot_type"]
        self.features = {key: _feature(spec) for key, spec in meta["features"].items()}
        self.episodes = Episodes(entry.array("ids"), entry.array("starts"))
        self.tasks = tuple(meta["tasks"])
        self.fingerprint: str = meta["fingerprint"]
        self.left_out: tuple[str, ...] = tuple(meta["warnings"])
        """What of the dataset robomix does not read, and why."""
        self._entry = entry
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()

    def column(self, key: str) -> np.ndarray:
        self._expect(key, "numeric", "a column of numbers")
        return self._once(f"column {key}", lambda: self._entry.array(f"column {key}"))

    def task_indices(self) -> np.ndarray:
        return self._once("tasks", lambda: self._entry.array("tasks"))

    def frame_groups(self, key: str, rows: np.ndarray) -> list[FrameGroup]:
        self._expect(key, "camera", "a camera")
        rows = np.asarray(rows, np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= self.num_frames):
            raise IndexError(f"{self.path} has rows 0 to {self.num_frames - 1}, asked for {rows.min()} to {rows.max()}")
        return self._once(f"camera {key}", lambda: self._camera(key)).groups(rows)

    def _camera(self, key: str) -> Camera:
        if self.features[key].storage == "video":
            return VideoCamera(key, self.path, self.episodes, self._entry)
        return PictureCamera(key, self.path, self._entry)

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    def _expect(self, key: str, kind: str, what: str) -> None:
        known = [name for name, feature in self.features.items() if feature.kind == kind]
        if key not in known:
            found = f"is {self.features[key].kind}, not {what}" if key in self.features else "does not exist"
            choice = ", ".join(known) or "none"
            raise FormatError(f"{self.path}: {key!r} {found}. There is {choice}.{did_you_mean(key, known)}")

    def __reduce__(self) -> tuple[Callable[..., "LeRobotDataset"], tuple[Any, ...]]:
        return _arrive, (self.path, self._entry.folder, self.fingerprint)

    def __repr__(self) -> str:
        size = f"{self.num_episodes} episodes, {self.num_frames} frames, {float(self.fps):g} fps"
        return f"LeRobotDataset({str(self.path)!r}, {self.format}, {size}, {len(self.features)} features)"


def _arrive(path: Path, folder: Path, fingerprint: str) -> LeRobotDataset:
    """A dataset in the process it was sent to: from the same cache entry if that is still there."""
    entry = lookup(folder)
    dataset = LeRobotDataset(path, entry) if entry else _open(path)
    if dataset.fingerprint != fingerprint:
        raise FormatError(f"{path} has changed since it was opened. Start again, so that all processes see the same.")
    return dataset


def _feature(spec: dict[str, Any]) -> Feature:
    names = spec["names"]
    return Feature(**spec | {"shape": tuple(spec["shape"]), "names": None if names is None else tuple(names)})
