"""Where the frames of one rate lie among those of another, in whole numbers.

Frame k of an episode at the new rate lies at time k / rate, which is k * step frames into the recording; step is
fps / rate, a fraction. An episode of L recorded frames has those k whose place is not beyond its last frame, from 0 to
floor((L - 1) / step). A frame stands for the time until the next one: its step, as a recorded frame's step is the time
until the next recorded frame. The last step ends with the last recorded one, if not before.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from robomix.formats.base import Episodes, bounds_of


@dataclass(frozen=True)
class Places:
    """Where n frames of the new rate lie among the recorded rows of their episodes."""

    row: np.ndarray
    """(n,) int64: the recorded row at each frame's time, or before it."""
    weight: np.ndarray
    """(n,) float64 in [0, 1): how far on the way from that row to the next."""
    end_row: np.ndarray
    """(n,) int64: the same for where the frame's step ends."""
    end_weight: np.ndarray
    """(n,) float64 in [0, 1]; 1 at the end of an episode's last row."""
    nearest: np.ndarray
    """(n,) int64: the recorded row nearest in time; of two, the earlier."""
    is_first: np.ndarray
    """(n,) bool: the frame begins an episode."""

    @property
    def next_row(self) -> np.ndarray:
        """(n,) int64: the recorded row at each frame's time, or after it."""
        return self.row + (self.weight > 0)

    @property
    def last_row(self) -> np.ndarray:
        """(n,) int64: the last recorded row whose step overlaps the frame's."""
        return self.end_row - (self.end_weight == 0)


class TimeGrid:
    """The frames of `recorded` episodes, made at `fps`, at another `rate`. `episodes` says where they lie there."""

    def __init__(self, recorded: Episodes, fps: Fraction, rate: Fraction) -> None:
        self.recorded = recorded
        step = fps / rate
        self._step = step.numerator, step.denominator
        self.episodes = Episodes(recorded.ids, bounds_of(self._lengths()))

    def nearest(self, rows: np.ndarray) -> np.ndarray:
        """(n,) int64 recorded rows nearest in time to `rows` (n,) of the new rate; of two, the earlier."""
        episode = np.searchsorted(self.episodes.starts, rows, side="right") - 1
        return self.recorded.starts[episode] + self._nearest(rows - self.episodes.starts[episode])

    def places(self, first: int, stop: int) -> Places:
        """Of all frames of the episodes `first` to `stop` - 1, counting recorded rows from the first of these."""
        frames, steps = np.diff(self.episodes.starts[first : stop + 1]), self.recorded.lengths[first:stop]
        k = np.arange(frames.sum()) - np.repeat(bounds_of(frames)[:-1], frames)
        start = np.repeat(bounds_of(steps)[:-1], frames)
        last = np.repeat(steps, frames) - 1
        p, q = self._step
        row, rest = np.divmod(k * p, q)
        end_row, end_rest = np.divmod((k + 1) * p, q)
        is_over = end_row > last
        return Places(
            row=start + row,
            weight=rest / q,
            end_row=start + np.where(is_over, last, end_row),
            end_weight=np.where(is_over, 1.0, end_rest / q),
            nearest=start + self._nearest(k),
            is_first=k == 0,
        )

    def _lengths(self) -> np.ndarray:
        p, q = self._step
        return np.maximum((self.recorded.lengths - 1) * q // p + 1, 0)

    def _nearest(self, k: np.ndarray) -> np.ndarray:
        """The whole number nearest to k * p / q, of two the smaller: the ceiling of k * p / q - 1 / 2."""
        p, q = self._step
        return (2 * k * p + q - 1) // (2 * q)
