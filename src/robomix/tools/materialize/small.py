"""A source's dataset as it is materialized: the episodes that are used, in the order in which they are, small frames.

Frames go through the function of the transform `resize_images`, so that they are what a training would have made.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import torch

from robomix.formats.base import Dataset, Episodes, FrameGroup, bounds_of
from robomix.mixture.materialized import kept_cameras
from robomix.mixture.source import Source
from robomix.mixture.transforms.pictures import resized

CODEC = "h264"
"""Of `video`: key frames every second frame and no B-frames, so that any frame takes one or two to decode."""


class SmallDataset(Dataset):
    """The numeric features and those cameras of a source's dataset that it does not leave out; no texts."""

    def __init__(self, source: Source, height: int, width: int) -> None:
        """`source` has all of its episodes, those that are held out for validation among them."""
        own = source.dataset
        self.original, self.height, self.width = own, height, width
        self.path, self.format, self.fps = own.path, own.format, own.fps
        self.robot_type, self.tasks, self.env_args = own.robot_type, own.tasks, own.env_args
        self.cameras = kept_cameras(own, source.config)
        self.features = {
            key: replace(feature, shape=(feature.shape[0], height, width), storage="array")
            if feature.is_camera
            else feature
            for key, feature in own.features.items()
            if feature.kind == "numeric" or key in self.cameras
        }
        lengths = own.episodes.lengths[source.ordinals]
        self.episodes = Episodes(own.episodes.ids[source.ordinals], bounds_of(lengths))
        starts = own.episodes.starts[:-1][source.ordinals]
        self._rows = np.repeat(starts - self.episodes.starts[:-1], lengths) + np.arange(self.episodes.starts[-1])
        text = repr((own.fingerprint, self.episodes.ids.tolist(), self.cameras, height, width))
        self.fingerprint = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        self._columns: dict[str, np.ndarray] = {}

    @property
    def recorded_fps(self) -> Fraction:
        return self.original.recorded_fps

    def column(self, key: str) -> np.ndarray:
        if key not in self._columns:
            self._columns[key] = self._taken(self.original.column(key))
        return self._columns[key]

    def task_indices(self) -> np.ndarray:
        return self._taken(self.original.task_indices())

    def frame_groups(self, key: str, rows: np.ndarray) -> list[FrameGroup]:
        return [FrameGroup(np.arange(len(rows)), partial(self._read, key, np.asarray(rows, np.int64)))]

    def _read(self, key: str, rows: np.ndarray, out: np.ndarray) -> None:
        frames = torch.from_numpy(self.original.read_frames(key, self._rows[rows]))
        out[...] = resized(frames, self.height, self.width).numpy()

    def _taken(self, column: np.ndarray) -> np.ndarray:
        """The rows of the episodes that are used; where they are all rows in order, no copy."""
        everything = len(column) == len(self._rows) and bool((np.diff(self._rows) == 1).all())
        return column if everything else column[self._rows]

    def __getstate__(self) -> Mapping[str, Any]:
        return self.__dict__ | {"_columns": {}}
