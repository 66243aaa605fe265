"""Batches of sources with the same cameras: no sample in them has a black picture in place of one it lacks.

The sets take turns, batch by batch, in their shares, and in a batch the sources of its set are in theirs. The order is
that of weights that change (`moving`), whether they do or not: with the set as a whole shared out in batches, its
sources in samples.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robomix.mixture.moving import MovingOrder
from robomix.mixture.stages import Segment


class CameraSetOrder:
    """Which source each draw is from, in batches of one set of cameras each. Sources may be in any order."""

    def __init__(self, segments: Sequence[Segment], draws_per_step: int, cameras: Sequence[tuple[str, ...]]) -> None:
        """`segments` are those of the whole training, `cameras` (D,) those of each source."""
        sets = list(dict.fromkeys(cameras))
        numbers = np.array([sets.index(of_source) for of_source in cameras])
        self._places = np.argsort(numbers, kind="stable")
        """The sources, set after set: their positions in the mixture."""
        firsts = np.searchsorted(numbers[self._places], np.arange(len(sets))).tolist()
        nothing = [0] * len(cameras)
        ordered = [_in_order(segment, self._places) for segment in segments]
        self._moving = MovingOrder(ordered, draws_per_step, nothing, nothing, firsts)

    def before(self, step: int) -> np.ndarray:
        """(D,) int64: how often each source is drawn before `step`."""
        counts = np.empty(len(self._places), dtype=np.int64)
        counts[self._places] = self._moving.before(step)
        return counts

    def locate(self, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For draws of the training: their source, and how many draws that source had before."""
        place, ordinal = self._moving.locate(number)
        return self._places[place], ordinal


def _in_order(segment: Segment, places: np.ndarray) -> Segment:
    """`segment` with its sources in the order `places`."""

    def sums(of_segment: tuple[int, ...]) -> tuple[int, ...]:
        slots = np.diff(of_segment)[places]
        return tuple(int(total) for total in np.cumsum([0, *slots]))

    return replace(segment, before=sums(segment.before), after=sums(segment.after))
