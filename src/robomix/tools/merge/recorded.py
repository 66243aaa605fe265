"""A LeRobot dataset for which a merge needs no column cache: its files are read once, as the content they become.

Of its numbers a merge needs little beforehand: the actions, by which copies of an episode are told, and what a filter
asks for. All others go from file to file. What transforms, other rates and large datasets need, the cache has.
"""

import math
import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from robomix.config import MixtureConfig, SourceConfig
from robomix.features import Feature
from robomix.formats import Dataset, open_dataset
from robomix.formats.base import Episodes, FrameGroup, bounds_of
from robomix.formats.gr00t import is_gr00t
from robomix.formats.lerobot.features import parse_features
from robomix.formats.lerobot.part import WHOLE
from robomix.formats.parquet import to_numpy
from robomix.formats.rate import settled_rate
from robomix.mixture.fetching import Located
from robomix.mixture.opening import opened as as_ever
from robomix.tools.build.content import Content
from robomix.tools.build.foreign import is_lerobot_folder
from robomix.tools.build.rows import ParquetRows
from robomix.tools.build.source import read_content

_IN_MEMORY = 1 << 26
"""Bytes of numbers up to which a dataset's columns may be held in memory; of two datasets at a time."""


class RecordedDataset(Dataset):
    """See `Dataset`. `content` is all of it, by its own names."""

    def __init__(self, path: Path, content: Content, fps: float | None = None) -> None:
        self.path, self.content = path, content
        self.format = "LeRobot"
        self.fps = settled_rate(content.fps, fps, path)
        self.robot_type = content.robot_type
        self.features, _ = parse_features(content.features, path / "meta" / "info.json")
        ids = np.array([episode.origin.episode for episode in content.episodes], np.int64)
        self.episodes = Episodes(ids, bounds_of(np.array([episode.length for episode in content.episodes])))
        self.tasks = content.tasks

    def column(self, key: str) -> np.ndarray:
        held = _held(self)
        if key not in held:
            held[key] = np.concatenate([self._values(key, ordinal) for ordinal in range(self.num_episodes)])
        return held[key]

    def task_indices(self) -> np.ndarray:
        number = {text: i for i, text in enumerate(self.tasks)}
        own = [np.array([number[text] for text in episode.tasks]) for episode in self.content.episodes]
        of = [np.zeros(e.length, np.int64) if e.task_of is None else e.task_of for e in self.content.episodes]
        return np.concatenate([numbers[places] for numbers, places in zip(own, of, strict=True)])

    def frame_groups(self, key: str, rows: np.ndarray) -> list[FrameGroup]:
        return open_dataset(self.path).frame_groups(key, rows)  # no merge asks: it copies videos as they lie

    def _values(self, key: str, ordinal: int) -> np.ndarray:
        """(T, *shape): a column of one episode; the file it lies in is kept until another is asked for."""
        rows = self.content.episodes[ordinal].rows
        assert isinstance(rows, ParquetRows), "see `opened`"
        column = ParquetRows(rows.spans, {key: key}, 0).table()[key].combine_chunks()
        return to_numpy(column, self.features[key].shape, f"column {key!r} of {rows.spans[0].file}")


def opened(config: MixtureConfig, entry: SourceConfig, found: Located) -> Dataset:
    """The dataset of `entry`, for a merge of `config`. Raises as `open_dataset` does, and warns alike."""
    path = Path(os.path.abspath(found.path))
    is_plain = not entry.transforms and config.rate == "native" and found.part == WHOLE
    if is_plain and is_lerobot_folder(path) and not is_gr00t(path):
        content = read_content(path, as_opened=True)
        dataset = RecordedDataset(path, content, entry.fps)
        own = all(isinstance(episode.rows, ParquetRows) for episode in content.episodes)
        if own and dataset.num_frames * sum(map(_bytes, dataset.features.values())) <= _IN_MEMORY:
            return dataset
    return as_ever(config, entry, found)


def _bytes(feature: Feature) -> int:
    """What a row's numbers take in memory."""
    return np.dtype(feature.dtype).itemsize * math.prod(feature.shape) if feature.kind == "numeric" else 0


@lru_cache(maxsize=2)
def _held(dataset: RecordedDataset) -> dict[str, np.ndarray]:
    """Columns of one dataset that are in memory; of two at a time, since episodes of two are compared."""
    return {}
