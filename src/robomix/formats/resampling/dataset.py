"""A dataset seen at another rate. What comes after the formats need not know that it was recorded at its own.

Resampled columns lie in the column cache like those of any format, made once and mapped into memory; pictures and texts
are those of the nearest recorded frame, read where they lie.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from robomix.errors import FormatError, did_you_mean
from robomix.formats.base import Dataset, FrameGroup
from robomix.formats.columns import Builder, build, entry_folder, lookup
from robomix.formats.resampling.columns import fill_column
from robomix.formats.resampling.grid import TimeGrid
from robomix.formats.resampling.plan import Plan, Rules, plans_of

VERSION = "resampled-2"
"""Of what is put into the cache; a new one makes every dataset be resampled again."""
_TASKS = "tasks"


def resampled(dataset: Dataset, rate: Fraction, rules: Rules, where: str) -> Dataset:
    """`dataset` at `rate` frames per second; itself, where that is its own rate.

    `rules` say how its features are resampled where that is not plain, see `plan`. Raises ConfigError, speaking of
    `where`, for rules that do not fit the dataset, whatever its rate.
    """
    plans = plans_of(dataset.features, rules, where)
    return dataset if dataset.fps == rate else ResampledDataset(dataset, rate, plans)


class ResampledDataset(Dataset):
    """See `Dataset`. Frame k of an episode lies at time k / rate; `TimeGrid` says where that is in the recording."""

    def __init__(self, recorded: Dataset, rate: Fraction, plans: Mapping[str, Plan]) -> None:
        self.recorded = recorded
        self.path = recorded.path
        self.format = f"{recorded.format}, resampled"
        self.fps = rate
        self.robot_type = recorded.robot_type
        self.features = recorded.features
        self.env_args = recorded.env_args
        self.tasks = recorded.tasks
        self.subsets = recorded.subsets
        self.fingerprint = _digest(recorded, rate, plans)
        self._plans = plans
        self._grid = TimeGrid(recorded.episodes, recorded.fps, rate)
        self.episodes = self._grid.episodes
        # A folder for each rate and rule: the cache takes old neighbours in it for those of files that have changed.
        folder = entry_folder(recorded.path / _digest(None, rate, plans), self.fingerprint)
        self._entry = lookup(folder) or build(folder, partial(_fill, recorded, self._grid, plans))
        self.unusable = {**recorded.unusable, **{int(e): text for e, text in self._entry.meta["unusable"].items()}}
        self._arrays: dict[str, np.ndarray] = {}

    @property
    def recording(self) -> Dataset:
        return self.recorded.recording

    @property
    def cache_folder(self) -> Path:
        return self._entry.folder

    @property
    def recorded_fps(self) -> Fraction:
        return self.recorded.recorded_fps

    def column(self, key: str) -> np.ndarray:
        if key not in self._plans:
            known = ", ".join(self._plans) or "none"
            hint = did_you_mean(key, self._plans)
            raise FormatError(f"{self.path}: {key!r} is no column of numbers.{hint} There is {known}.")
        return self._array(_column(key))

    def task_indices(self) -> np.ndarray:
        return self._array(_TASKS)

    def frame_groups(self, key: str, rows: np.ndarray) -> list[FrameGroup]:
        rows = np.asarray(rows, np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= self.num_frames):
            raise IndexError(f"{self.path} has rows 0 to {self.num_frames - 1}, asked for {rows.min()} to {rows.max()}")
        return self.recorded.frame_groups(key, self._grid.nearest(rows))

    @property
    def is_far(self) -> bool:
        return self.recorded.is_far

    def fetches(self, key: str, rows: np.ndarray) -> list[Callable[[], int]]:
        return self.recorded.fetches(key, self._grid.nearest(np.asarray(rows, np.int64)))

    def _array(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            self._arrays[name] = self._entry.array(name)
        return self._arrays[name]

    def __reduce__(self) -> tuple[Callable[..., "ResampledDataset"], tuple[Any, ...]]:
        return ResampledDataset, (self.recorded, self.fps, self._plans)

    def __repr__(self) -> str:
        return f"ResampledDataset({self.recorded!r}, {float(self.fps):g} fps)"


def _digest(recorded: Dataset | None, rate: Fraction, plans: Mapping[str, Plan]) -> str:
    content = [recorded.fingerprint, str(recorded.fps)] if recorded else []
    text = json.dumps([VERSION, *content, str(rate), {key: asdict(plan) for key, plan in plans.items()}])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _column(key: str) -> str:
    return f"column {key}"


def _fill(recorded: Dataset, grid: TimeGrid, plans: Mapping[str, Plan], cache: Builder) -> None:
    unusable: dict[int, str] = {}
    progress = tqdm(plans.items(), desc=f"Resampling {recorded.path.name} once", unit="column", delay=2, disable=None)
    for key, plan in progress:
        column = recorded.column(key)
        shape = (int(grid.episodes.starts[-1]), *column.shape[1:])
        unusable |= fill_column(key, plan, column, grid, cache.array(_column(key), column.dtype, shape))
    tasks = recorded.task_indices()[grid.nearest(np.arange(grid.episodes.starts[-1]))]
    cache.array(_TASKS, tasks.dtype, tasks.shape)[...] = tasks
    cache.meta["unusable"] = unusable
