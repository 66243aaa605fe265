"""Which frames of a dataset take part, and how their numbers translate."""

from dataclasses import dataclass

import numpy as np

from robomix.formats.base import Episodes, bounds_of

NO_ROWS = np.empty((0, 2), dtype=np.int64)
"""No stretch of rows at all."""


@dataclass(frozen=True)
class FrameTable:
    """The chosen episodes of a dataset, numbered 0.. in the order chosen; frames are numbered through them.

    Three numberings meet here: a *frame* counts through the chosen episodes, a *row* is the dataset's own, and a
    *drawable* frame counts only those that may start a sample. Drawable frames lie in runs, one for each episode, or
    several where some of its frames are left out; memory grows with episodes and runs, not with frames.
    """

    ids: np.ndarray
    """(E,) int64: the dataset's own numbers of the chosen episodes."""
    first_rows: np.ndarray
    """(E,) int64: dataset row of each episode's first frame."""
    bounds: np.ndarray
    """(E + 1,) int64: episode e has frames bounds[e] to bounds[e + 1] - 1."""
    run_frames: np.ndarray
    """(R,) int64: the first frame of each run of drawable ones, in order."""
    drawable_bounds: np.ndarray
    """(R + 1,) int64: run r has drawable frames drawable_bounds[r] to drawable_bounds[r + 1] - 1, perhaps none."""

    @classmethod
    def of(
        cls, episodes: Episodes, ordinals: np.ndarray, drop_n_last_frames: int, left_out: np.ndarray = NO_ROWS
    ) -> "FrameTable":
        """The table of the episodes at `ordinals`, whose last `drop_n_last_frames` frames start no sample.

        `left_out` (S, 2) are stretches of rows that start none either, each the first row and the one after the last,
        in order, each within one episode.
        """
        starts, lengths = episodes.starts[:-1][ordinals], episodes.lengths[ordinals]
        bounds = bounds_of(lengths)
        # A run starts with its episode or after a stretch left out, and stops before the next stretch or the end.
        first, stop = (np.searchsorted(left_out[:, 0], rows) for rows in (starts, starts + lengths))
        runs = stop - first + 1
        episode = np.repeat(np.arange(len(ordinals)), runs)
        place = np.arange(len(episode)) - np.repeat(bounds_of(runs)[:-1], runs)  # of each run in its episode
        stretch = first[episode] + place
        begins, ends = starts[episode], (starts + np.maximum(lengths - drop_n_last_frames, 0))[episode]
        after, before = place > 0, place < runs[episode] - 1
        begins[after] = left_out[stretch[after] - 1, 1]
        ends[before] = np.minimum(ends[before], left_out[stretch[before], 0])
        return cls(
            ids=episodes.ids[ordinals],
            first_rows=starts,
            bounds=bounds,
            run_frames=bounds[episode] + begins - starts[episode],
            drawable_bounds=bounds_of(np.maximum(ends - begins, 0)),
        )

    @property
    def num_frames(self) -> int:
        return int(self.bounds[-1])

    @property
    def num_drawable(self) -> int:
        return int(self.drawable_bounds[-1])

    @property
    def drawable_of_episodes(self) -> np.ndarray:
        """(E + 1,) int64: episode e has drawable frames drawable_of_episodes[e] to drawable_of_episodes[e + 1] - 1."""
        return self.drawable_bounds[np.searchsorted(self.run_frames, self.bounds)]

    def from_drawable(self, drawable: np.ndarray) -> np.ndarray:
        """Frame numbers of drawable frames."""
        run = _holder(self.drawable_bounds, drawable)
        return self.run_frames[run] + drawable - self.drawable_bounds[run]

    def rows(self, frames: np.ndarray) -> np.ndarray:
        """The dataset's rows of frames."""
        episode, place = self.locate(frames)
        return self.first_rows[episode] + place

    def locate(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For frames: their episode (position among the chosen) and their place in it."""
        episode = _holder(self.bounds, frames)
        return episode, frames - self.bounds[episode]


def _holder(bounds: np.ndarray, number: np.ndarray) -> np.ndarray:
    return np.searchsorted(bounds, number, side="right") - 1
