"""A dataset whose numbers lie in the column cache: what all formats that build an entry share.

A format fills an entry with the arrays `column <key>` (N, *shape), `tasks` (N,), `ids` (E,) and `starts` (E + 1,), and
with the metadata that `CachedDataset` reads; how its camera frames are read is its own. `meta["fps"]` is (numerator,
denominator), or null where the files do not say. Optional: `meta["subsets"]` maps a name to episode ids,
`meta["env_args"]` is what the files say of the simulator.
"""

import threading
from abc import abstractmethod
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from robomix.errors import FormatError, did_you_mean
from robomix.features import Feature
from robomix.formats.base import Dataset, Episodes, FrameGroup
from robomix.formats.columns import Entry, lookup
from robomix.formats.rate import settled_rate


class Camera(Protocol):
    """Gives the frames of all rows of a dataset."""

    def groups(self, rows: np.ndarray) -> list[FrameGroup]: ...


class CachedDataset(Dataset):
    """See `Dataset`. Everything but camera frames comes from one entry of the column cache."""

    def __init__(self, path: Path, entry: Entry, fps: float | None = None) -> None:
        """`fps` is what the user says of the rate; `meta["fps"]` what the files say, null where they do not."""
        meta = entry.meta
        self.path = path
        self.format: str = meta["format"]
        self.fps = settled_rate(Fraction(*meta["fps"]) if meta["fps"] else None, fps, path)
        self.robot_type: str | None = meta["robot_type"]
        self.env_args = meta.get("env_args")
        self.features = {key: _feature(spec) for key, spec in meta["features"].items()}
        self.episodes = Episodes(entry.array("ids"), entry.array("starts"))
        self.tasks = tuple(meta["tasks"])
        self.subsets = {name: np.array(ids, np.int64) for name, ids in meta.get("subsets", {}).items()}
        self.fingerprint: str = meta["fingerprint"]
        self.left_out: tuple[str, ...] = tuple(meta["warnings"])
        """What of the dataset robomix does not read, and why."""
        self._entry = entry
        self._given: dict[str, Any] = {"fps": fps}  # with what, beside the path, it was asked for
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def cache_folder(self) -> Path | None:
        return self._entry.folder

    @classmethod
    @abstractmethod
    def opened(cls, path: Path, fps: float | None = None) -> Self:
        """The dataset at `path`, its files read into the cache if that has not happened yet. Raises FormatError."""

    @abstractmethod
    def camera(self, key: str) -> Camera:
        """A reader of the camera `key`; made once per process."""

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
        return self._once(f"camera {key}", lambda: self.camera(key)).groups(rows)

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

    def __reduce__(self) -> tuple[Callable[..., "CachedDataset"], tuple[Any, ...]]:
        return _arrive, (type(self), self.path, self._given, self._entry.folder, self.fingerprint)

    def __repr__(self) -> str:
        size = f"{self.num_episodes} episodes, {self.num_frames} frames, {float(self.fps):g} fps"
        return f"{type(self).__name__}({str(self.path)!r}, {self.format}, {size}, {len(self.features)} features)"


def _arrive(
    kind: type[CachedDataset], path: Path, given: dict[str, Any], folder: Path, fingerprint: str
) -> CachedDataset:  # fmt: skip
    """A dataset in the process it was sent to: from the same cache entry if that is still there."""
    entry = lookup(folder)
    dataset = kind(path, entry, **given) if entry else kind.opened(path, **given)
    if dataset.fingerprint != fingerprint:
        raise FormatError(f"{path} has changed since it was opened. Start again, so that all processes see the same.")
    return dataset


def _feature(spec: dict[str, Any]) -> Feature:
    names = spec["names"]
    return Feature(**spec | {"shape": tuple(spec["shape"]), "names": None if names is None else tuple(names)})
