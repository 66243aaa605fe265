"""A mixture whose camera frames lie resized on the disk: what `robomix materialize` notes, and training from it.

    DIR/materialized.json                   which folder has which source
    DIR/<source>/meta/materialized.json     what the folder was made from, and what was applied
    DIR/<source>/...                        a dataset of its own: a frame store, or LeRobot v3.0
    DIR/mixture.yaml                        the mixture of these datasets

`materialized: DIR` in a mixture file leaves all as it is but the frames: numbers, tasks, episodes and filters are those
of the sources, which must be those that were materialized.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from robomix.config import SourceConfig, TransformConfig
from robomix.errors import ConfigError, FormatError, did_you_mean
from robomix.files import expanded, read_json
from robomix.formats.base import Dataset, FrameGroup
from robomix.formats.detect import open_dataset

INDEX = "materialized.json"
RECORD = Path("meta") / "materialized.json"
KIND, VERSION = "robomix materialized", 1
RESIZE = "resize_images"
_SHOWN = 10
_AGAIN = "Run `robomix materialize` again"

Storage = Literal["video", "frames"]


@dataclass(frozen=True)
class Record:
    """What a source was when it was materialized, and what was applied to it."""

    source: str
    """Its name in the mixture."""
    recording: str
    """Fingerprint of the dataset as recorded."""
    content: str
    """Fingerprint of the dataset at the mixture's rate."""
    fps: tuple[int, int]
    """That rate, as numerator and denominator."""
    episodes: tuple[int, ...]
    """The episodes stored, by the dataset's own `episode_index`, in the order in which they are stored."""
    cameras: tuple[str, ...]
    height: int
    width: int
    storage: Storage
    codec: str | None = None
    """Of `video`."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data; `read` of it in a file gives an equal record."""
        return {"format": KIND, "version": VERSION} | asdict(self)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The record of the source that lies in `folder`. Raises FormatError where it has none that can be used."""
        data = _document(folder / RECORD)
        try:
            lists = {name: tuple(data[name]) for name in ("fps", "episodes", "cameras")}
            return cls(**data | lists)
        except (TypeError, KeyError) as error:
            raise FormatError(f"{folder / RECORD} is not complete ({error}). {_AGAIN}.") from error


def with_resize(entry: SourceConfig, height: int, width: int) -> SourceConfig:
    """`entry` with pictures of that size: `resize_images` first among its transforms, unless it stands among them.

    Raises ConfigError, naming the source, where they make pictures of another size.
    """
    steps = [step for step in entry.transforms if step.type == RESIZE]
    for step in steps:
        size = step.kwargs.get("height"), step.kwargs.get("width")
        if size != (height, width):
            raise ConfigError(
                f"source {entry.name!r}: its {RESIZE} makes pictures of {size[0]}x{size[1]} (height x width), and "
                f"they are materialized at {height}x{width}. Materialize that size, or leave the transform out."
            )
    first = TransformConfig(RESIZE, {"height": height, "width": width})
    return entry if steps else replace(entry, transforms=(first, *entry.transforms))


def read_index(folder: Path) -> dict[str, Path]:
    """Source name to its folder, of the mixture materialized in `folder`. Raises ConfigError where there is none."""
    folder = expanded(folder)
    if not (folder / INDEX).is_file():
        raise ConfigError(
            f"dataset.materialized: {folder} has no {INDEX}, expected a folder that `robomix materialize` has finished."
        )
    named = _document(folder / INDEX).get("sources")
    if not isinstance(named, dict) or not all(isinstance(n, str) and Path(n).name == n for n in named.values()):
        raise FormatError(f"{folder / INDEX}: `sources` is {named!r}, expected a folder for each source. {_AGAIN}.")
    return {name: folder / own for name, own in named.items()}


def materialized(dataset: Dataset, entry: SourceConfig, folders: Mapping[str, Path]) -> tuple[Dataset, SourceConfig]:
    """`dataset`, at the mixture's rate, with its frames from where its source `entry` was materialized; and the entry.

    Raises ConfigError, naming all that has changed since, where the source is not what was materialized.
    """
    name = str(entry.name)
    if name not in folders:
        known = ", ".join(folders)
        raise ConfigError(
            f"source {name!r} is not among what was materialized: {known}.{did_you_mean(name, folders)} {_AGAIN}."
        )
    record = Record.read(folders[name])
    changes = _changes(dataset, entry, record)
    if changes:
        raise ConfigError(f"source {name!r} is not what was materialized in {folders[name]}: {changes}. {_AGAIN}.")
    stored = open_dataset(folders[name])
    return MaterializedDataset(dataset, stored, record), with_resize(entry, record.height, record.width)


def kept_cameras(dataset: Dataset, entry: SourceConfig) -> tuple[str, ...]:
    """The cameras of `dataset` that its source does not map to null."""
    cameras = (key for key, feature in dataset.features.items() if feature.is_camera)
    return tuple(key for key in cameras if entry.feature_map.get(key, key) is not None)


class MaterializedDataset(Dataset):
    """A dataset whose frames are read, resized, from another one that holds some of its episodes.

    Episodes that are not stored are `unusable`; so is, for want of frames, no camera that the source leaves out.
    """

    def __init__(self, original: Dataset, stored: Dataset, record: Record) -> None:
        """Raises FormatError where `stored` does not hold the frames that `record` says."""
        self.original, self.stored, self.record = original, stored, record
        self.path, self.format = original.path, f"{original.format}, frames from {stored.path}"
        self.fps, self.robot_type = original.fps, original.robot_type
        self.episodes, self.tasks = original.episodes, original.tasks
        self.subsets, self.env_args = original.subsets, original.env_args
        size = record.height, record.width
        self.features = {
            key: replace(feature, shape=(feature.shape[0], *size)) if key in record.cameras else feature
            for key, feature in original.features.items()
        }
        text = repr((original.fingerprint, stored.fingerprint, size, record.cameras))
        self.fingerprint = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        self._first_rows = self._find_episodes()
        lacking = original.episodes.ids[self._first_rows < 0].tolist()
        why = f"its frames are not in {stored.path}, which was materialized without it"
        self.unusable = dict.fromkeys(lacking, why) | dict(original.unusable)

    @property
    def recording(self) -> Dataset:
        return self.original.recording

    @property
    def recorded_fps(self) -> Fraction:
        return self.original.recorded_fps

    @property
    def cache_folder(self) -> Path | None:
        return self.original.cache_folder

    def column(self, key: str) -> np.ndarray:
        return self.original.column(key)

    def task_indices(self) -> np.ndarray:
        return self.original.task_indices()

    def frame_groups(self, key: str, rows: np.ndarray) -> list[FrameGroup]:
        if key not in self.record.cameras:
            return self.original.frame_groups(key, rows)
        rows = np.asarray(rows, np.int64)
        episode = np.searchsorted(self.episodes.starts, rows, side="right") - 1
        return self.stored.frame_groups(key, self._first_rows[episode] + rows - self.episodes.starts[episode])

    @property
    def is_far(self) -> bool:
        return self.original.is_far

    def fetches(self, key: str, rows: np.ndarray) -> list[Callable[[], int]]:
        return [] if key in self.record.cameras else self.original.fetches(key, rows)

    def _find_episodes(self) -> np.ndarray:
        """(E,) int64: the stored row of each episode's first frame; one before all rows where it is not stored."""
        record, stored, own = self.record, self.stored, self.original.episodes
        place = {int(episode): i for i, episode in enumerate(own.ids)}
        ordinals = np.array([place.get(episode, -1) for episode in record.episodes], np.int64)
        sound = len(ordinals) == len(stored.episodes) and (ordinals >= 0).all()
        if not sound or not np.array_equal(own.lengths[ordinals], stored.episodes.lengths):
            raise FormatError(f"{stored.path} does not hold the episodes that its {RECORD} names. {_AGAIN}.")
        for key in record.cameras:
            feature = stored.features.get(key)
            if feature is None or feature.shape != self.features[key].shape:
                raise FormatError(f"{stored.path} does not hold the camera {key!r} as its {RECORD} says. {_AGAIN}.")
        first = np.full(len(own), -(1 << 48), np.int64)
        first[ordinals] = stored.episodes.starts[:-1]
        return first

    def __reduce__(self) -> tuple[Callable[..., "MaterializedDataset"], tuple[Any, ...]]:
        return MaterializedDataset, (self.original, self.stored, self.record)

    def __repr__(self) -> str:
        return f"MaterializedDataset({self.original!r}, frames from {str(self.stored.path)!r})"


def _changes(dataset: Dataset, entry: SourceConfig, record: Record) -> str:
    """What is different from what was materialized, in words; empty if nothing is."""
    changes = []
    if dataset.recording.fingerprint != record.recording:
        changes.append(f"the content of {dataset.path} has changed")
    elif dataset.fps != (then := Fraction(*record.fps)):
        changes.append(f"it was at {float(then):g} frames per second, and is at {float(dataset.fps):g}")
    elif dataset.fingerprint != record.content:
        changes.append("`resample` has changed")
    lacking = [key for key in kept_cameras(dataset, entry) if key not in record.cameras]
    if lacking:
        changes.append(f"it has no frames of {', '.join(map(repr, lacking[:_SHOWN]))}, which `feature_map` keeps")
    return "; ".join(changes)


def _document(path: Path) -> dict[str, Any]:
    """A document of this kind, without what says so."""
    data = read_json(path)
    if (data.pop("format", None), data.pop("version", None)) != (KIND, VERSION):
        raise FormatError(f"{path} is not a {KIND!r} of version {VERSION}. Update robomix, or materialize again.")
    return data
