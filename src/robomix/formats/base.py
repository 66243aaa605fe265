"""The contract between the formats and the rest of the house: what a dataset on disk offers, whatever its format."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from robomix.features import Feature


@dataclass(frozen=True)
class Episodes:
    """Where each episode lies among a dataset's rows. Position in these arrays is the episode's ordinal."""

    ids: np.ndarray
    """(E,) int64: `episode_index` as the dataset names it; need not be 0..E-1."""
    starts: np.ndarray
    """(E + 1,) int64: episode e has rows starts[e] to starts[e + 1] - 1; starts[0] is 0."""

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class FrameGroup:
    """Some of the frames of one request that are read together, because they lie in one file."""

    positions: np.ndarray
    """(n,) int64: where in the request's output these frames go."""
    read_into: Callable[[np.ndarray], None]
    """Called with the request's whole output (N, C, H, W) uint8; writes out[positions]. Any thread may call it."""
    file: Path | None = None
    """Where they lie, if other groups may lie there too."""
    decodes: Callable[[], int] | None = None
    """How many frames are decoded to have these, by the file's key frames; None: only these themselves."""


def bounds_of(lengths: np.ndarray) -> np.ndarray:
    """(E + 1,) int64: where parts of `lengths` (E,) begin when they lie one after another, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


class Dataset(ABC):
    """One dataset as it lies on disk, read-only, in its own names.

    Rows are frames in episode order: row `episodes.starts[e] + i` is frame i of the e-th episode, whatever file it
    lies in. A Dataset pickles small (paths and metadata; arrays are re-mapped and decoders re-opened on arrival), and
    all of its methods may be called from several threads.
    """

    path: Path
    format: str
    """For people: `LeRobot v2.1` and so on."""
    fps: Fraction
    """Frames per second, exact."""
    robot_type: str | None
    features: Mapping[str, Feature]
    """By the dataset's own key, in its own order, without the bookkeeping columns."""
    episodes: Episodes
    tasks: tuple[str, ...]
    """Task texts; `task_indices` points into it."""
    subsets: Mapping[str, np.ndarray] = MappingProxyType({})
    """Named selections of episodes that the dataset brings along: name to (n,) int64 of episode ids."""
    env_args: Mapping[str, Any] | None = None
    """The simulator it was recorded in, as robomimic writes it (`env_name`, `type`, `env_kwargs`); None: not said."""
    unusable: Mapping[int, str] = MappingProxyType({})
    """Episodes, by id, whose numbers are not what they should be, and why: whoever chooses one is refused."""
    fingerprint: str
    """Hex digest of the content (columns, lengths, tasks, sizes of media files): equal on every machine."""

    @property
    def recording(self) -> "Dataset":
        """The dataset with its numbers as they were recorded, of which this may be a view; of the same episodes."""
        return self

    @property
    def recorded_fps(self) -> Fraction:
        """Frames per second of the recording, of which this may be a view at another rate."""
        return self.fps

    @property
    def cache_folder(self) -> Path | None:
        """Where in robomix's cache its numbers lie; None for a dataset that needs none."""
        return None

    @property
    def num_frames(self) -> int:
        return int(self.episodes.starts[-1])

    @property
    def num_episodes(self) -> int:
        return len(self.episodes)

    @abstractmethod
    def column(self, key: str) -> np.ndarray:
        """The numeric feature `key` of all rows: (num_frames, *shape), its stored dtype, memory-mapped, read-only.

        Raises FormatError for an unknown key or one that is not numeric.
        """

    @abstractmethod
    def task_indices(self) -> np.ndarray:
        """(num_frames,) int64: for each row the position of its task in `tasks`."""

    @abstractmethod
    def frame_groups(self, key: str, rows: np.ndarray) -> list[FrameGroup]:
        """How to read the frames of camera `key` at `rows` (n,) int64, in any order, repeats allowed.

        The groups partition range(n). Frames that appear twice in a group are decoded once. Raises FormatError for an
        unknown camera; a group's `read_into` raises it for a file that does not give the frame, naming file and row.
        """

    @property
    def is_far(self) -> bool:
        """Whether camera frames come over a network, so that fetching them ahead is worth while."""
        return False

    def fetches(self, key: str, rows: np.ndarray) -> list[Callable[[], int]]:
        """What brings the bytes near that reading the frames of camera `key` at `rows` (n,) int64 will need.

        Jobs that any thread may run, in any order; each returns the bytes it has seen to. They raise RemoteError for
        what cannot be fetched. A dataset that is not far away has none.
        """
        return []

    def read_frames(self, key: str, rows: np.ndarray) -> np.ndarray:
        """Frames of camera `key` at `rows`: (n, C, H, W) uint8, in the order asked."""
        rows = np.asarray(rows, dtype=np.int64)
        groups = self.frame_groups(key, rows)
        out = np.empty((len(rows), *self.features[key].shape), dtype=np.uint8)
        for group in groups:
            group.read_into(out)
        return out
