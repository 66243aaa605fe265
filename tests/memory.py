"""A dataset in memory, behind the same contract as those on disk: for tests of what comes after the formats."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from robomix.config import MixtureConfig
from robomix.features import Feature
from robomix.formats.base import Dataset, Episodes, FrameGroup
from robomix.mixture.alignment import align
from robomix.mixture.dataset import Mixture
from robomix.mixture.source import Source


class ArrayDataset(Dataset):
    """Columns and camera frames given as arrays (num_frames, ...); uint8 arrays of rank 4 are cameras."""

    format = "memory"

    def __init__(
        self,
        columns: Mapping[str, np.ndarray],
        lengths: Sequence[int],
        *,
        fps: int = 10,
        tasks: Sequence[str] = ("task",),
        task_of_row: np.ndarray | None = None,
        robot_type: str | None = None,
        ids: Sequence[int] | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.path = Path("memory")
        self.fps = Fraction(fps)
        self.robot_type = robot_type
        self.tasks = tuple(tasks)
        self._columns = dict(columns)
        self.features = {key: _feature(value) for key, value in columns.items()}
        for key, of_entries in (names or {}).items():
            self.features[key] = replace(self.features[key], names=tuple(of_entries))
        numbers = np.arange(len(lengths)) if ids is None else np.array(ids)
        self.episodes = Episodes(numbers, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
        self._task_of_row = np.zeros(self.num_frames, dtype=np.int64) if task_of_row is None else task_of_row
        self.fingerprint = f"{hash(tuple(sorted((k, v.tobytes()) for k, v in columns.items()))):x}"

    def column(self, key: str) -> np.ndarray:
        return self._columns[key]

    def task_indices(self) -> np.ndarray:
        return self._task_of_row

    def frame_groups(self, key: str, rows: np.ndarray) -> list[FrameGroup]:
        """Two groups, so that what reads them must put frames where they belong."""
        halves = np.array_split(np.arange(len(rows)), 2)
        return [FrameGroup(where, _Reader(self._columns[key], rows, where)) for where in halves if len(where)]


class _Reader:
    def __init__(self, frames: np.ndarray, rows: np.ndarray, where: np.ndarray) -> None:
        self.frames, self.rows, self.where = frames, rows, where

    def __call__(self, out: np.ndarray) -> None:
        out[self.where] = self.frames[self.rows[self.where]]


def _feature(value: np.ndarray) -> Feature:
    if value.dtype == np.uint8 and value.ndim == 4:
        return Feature("camera", "uint8", value.shape[1:], storage="array")
    return Feature("numeric", value.dtype.name, value.shape[1:])


def source(
    dataset: Dataset, name: str = "a", drop: int = 0, *, normalize_by: str = "global", **config: object
) -> Source:
    """`dataset` as a source of a mixture; `config` as in the entries of a mixture file."""
    entry = {"root": name, "name": name, **config}
    made = MixtureConfig.from_dict({"datasets": [entry, {"root": "a companion"}]}).datasets[0]
    return Source(dataset, made, name=name, normalize_by=normalize_by, drop_n_last_frames=drop)


def mixture(*sources: Source, features: str = "union", **settings: object) -> Mixture:
    """The mixture of `sources`."""
    return Mixture(sources, align(sources, features), **settings)
