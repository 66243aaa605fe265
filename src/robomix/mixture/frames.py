"""Which frames of a dataset take part, and how their numbers translate."""

from dataclasses import dataclass

import numpy as np

from robomix.formats.base import Episodes


@dataclass(frozen=True)
class FrameTable:
    """The chosen episodes of a dataset, numbered 0.. in the order chosen; frames are numbered through them.

    Three numberings meet here: a *frame* counts through the chosen episodes, a *row* is the dataset's own, and a
    *drawable* frame counts only those that may start a sample.
    """

    ids: np.ndarray
    """(E,) int64: the dataset's own numbers of the chosen episodes."""
    first_rows: np.ndarray
    """(E,) int64: dataset row of each episode's first frame."""
    bounds: np.ndarray
    """(E + 1,) int64: episode e has frames bounds[e] to bounds[e + 1] - 1."""
    drawable_bounds: np.ndarray
    """(E + 1,) int64: the same for drawable frames, of which each episode has its first ones."""

    @classmethod
    def of(cls, episodes: Episodes, ordinals: np.ndarray, drop_n_last_frames: int) -> "FrameTable":
        """The table of the episodes at `ordinals`, whose last `drop_n_last_frames` frames start no sample."""
        lengths = episodes.lengths[ordinals]
        drawable = np.maximum(lengths - drop_n_last_frames, 0)
        return cls(episodes.ids[ordinals], episodes.starts[:-1][ordinals], _bounds(lengths), _bounds(drawable))

    @property
    def num_frames(self) -> int:
        return int(self.bounds[-1])

    @property
    def num_drawable(self) -> int:
        return int(self.drawable_bounds[-1])

    def from_drawable(self, drawable: np.ndarray) -> np.ndarray:
        """Frame numbers of drawable frames."""
        episode = _episode(self.drawable_bounds, drawable)
        return self.bounds[episode] + drawable - self.drawable_bounds[episode]

    def locate(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For frames: their episode (position among the chosen) and their place in it."""
        episode = _episode(self.bounds, frames)
        return episode, frames - self.bounds[episode]


def _bounds(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _episode(bounds: np.ndarray, number: np.ndarray) -> np.ndarray:
    return np.searchsorted(bounds, number, side="right") - 1
