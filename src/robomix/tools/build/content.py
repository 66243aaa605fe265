"""What a dataset to be written consists of. Everything here pickles small and reads nothing until it is asked to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from robomix.video.remux import Clip

Declared = Mapping[str, Any]
"""A feature as info.json declares it: dtype, shape, names, and what else there is."""


class Rows(Protocol):
    """The rows of one episode, in frame order."""

    def table(self) -> pa.Table:
        """A column for each feature that is no video, but for pictures still to be encoded; none of bookkeeping."""

    @property
    def size(self) -> int:
        """About how many bytes they will take in a file."""


@dataclass(frozen=True)
class Drawn:
    """Frames that must be encoded."""

    frames: "FrameReader"
    rows: np.ndarray
    """(T,) int64: which of them, in order."""
    reason: str
    """Why what is there cannot be copied; for the report."""

    def __len__(self) -> int:
        return len(self.rows)


class FrameReader(Protocol):
    """Something that gives camera frames by number."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(n, 3, height, width) uint8, in the order asked."""


@dataclass(frozen=True)
class Origin:
    """Where an episode comes from."""

    dataset: str
    episode: int
    """Its `episode_index` there."""


@dataclass(frozen=True)
class Episode:
    """One episode of the new dataset; its index is its place."""

    length: int
    rows: Rows
    tasks: tuple[str, ...]
    """Its texts, each once."""
    videos: Mapping[str, Clip | Drawn]
    """By camera: its frames. Those of a camera kept as pictures are here while they are still to be encoded."""
    origin: Origin
    task_of: np.ndarray | None = None
    """(T,) int64: for each frame the position of its text in `tasks`; None: the first for all."""
    camera_stats: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Statistics of cameras that are known already, as LeRobot has them per episode."""
    carried: Mapping[str, Any] = field(default_factory=dict)
    """Further columns of the episode's metadata."""


@dataclass(frozen=True)
class Content:
    """A whole dataset to be written."""

    fps: Fraction
    robot_type: str | None
    features: Mapping[str, Declared]
    """In order, without the bookkeeping columns."""
    episodes: tuple[Episode, ...]
    info: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of info.json."""
    meta_files: Mapping[str, Path] = field(default_factory=dict)
    """Further files below meta/ to be copied, by their names there."""
    known_tasks: tuple[str, ...] = ()
    """Texts that come first, in this order, whether or not a frame has them: other columns may name them by number."""
    other_files: Mapping[str, Path] = field(default_factory=dict)
    """Files outside of meta/ to be copied, by their names in the dataset: a readme, a licence."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """Named ranges of episodes, as info.json has them; empty: all are `train`."""
    has_whole_stats: bool = False
    """Whether meta/stats.json is written even where the version does not demand it: v2.1."""
    meta_texts: Mapping[str, str] = field(default_factory=dict)
    """What further files below meta/ hold that are written by whoever asks for the dataset, by their names there."""

    @property
    def videos(self) -> list[str]:
        """Cameras kept as video."""
        return [key for key, spec in self.features.items() if spec["dtype"] == "video"]

    @property
    def columns(self) -> list[str]:
        """Features that have a column in the data files."""
        return [key for key, spec in self.features.items() if spec["dtype"] != "video"]

    @property
    def num_frames(self) -> int:
        return sum(episode.length for episode in self.episodes)

    @property
    def tasks(self) -> tuple[str, ...]:
        """All texts: those known, then others in the order in which they first occur."""
        used = (text for episode in self.episodes for text in episode.tasks)
        return tuple(dict.fromkeys([*self.known_tasks, *used]))
