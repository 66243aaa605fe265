"""Some episodes' numbers, as they are read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stretch:
    """Whole episodes, one behind the other."""

    episodes: np.ndarray
    """(E,) int64: their numbers."""
    starts: np.ndarray
    """(E + 1,) int64: episode e has rows starts[e] to starts[e + 1] - 1."""
    columns: Mapping[str, np.ndarray]
    """By feature, (rows, D) of any type of number."""

    def __iter__(self) -> Iterator[tuple[int, slice]]:
        """Each episode's number and rows."""
        for e, episode in enumerate(self.episodes.tolist()):
            yield episode, slice(int(self.starts[e]), int(self.starts[e + 1]))

    @property
    def owners(self) -> np.ndarray:
        """(rows,) int64: the number of each row's episode."""
        return np.repeat(self.episodes, np.diff(self.starts))
