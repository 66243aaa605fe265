"""Mean, spread, range and a few rows of numbers that come in blocks, in memory that does not grow with them.

Blocks are merged by the pairwise update of Chan, Golub and LeVeque (1979), in float64. The rows kept are every second,
fourth, ... one: the same however the blocks are cut, and as the order of draws is shuffled they stand for all.
"""

import numpy as np

KEPT = 1024
"""Rows kept at most."""


class RunningValues:
    """The values of one feature in the samples of one source."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.not_finite = 0
        self.mean = np.zeros(width)
        self.squares = np.zeros(width)
        self.minimum = np.full(width, np.inf)
        self.maximum = np.full(width, -np.inf)
        self.sample: np.ndarray = np.empty((0, width), dtype=np.float32)
        self._every = 1

    @property
    def std(self) -> np.ndarray:
        """(D,) population standard deviation; NaN without rows."""
        return np.sqrt(self.squares / self.count) if self.count else np.full(len(self.mean), np.nan)

    def add(self, rows: np.ndarray) -> None:
        """`rows` (n, D), all of them finite."""
        if not len(rows):
            return
        self._keep(rows)
        n, columns = (
            len(rows),
            np.ascontiguousarray(rows.T, dtype=np.float64),
        )  # numpy sums along rows, many times faster
        mean = columns.mean(axis=1)
        deviations = columns - mean[:, None]
        off, total = mean - self.mean, self.count + n
        self.squares += np.einsum("dn,dn->d", deviations, deviations) + off**2 * (self.count * n / total)
        self.mean += off * (n / total)
        self.count = total
        self.minimum = np.minimum(self.minimum, columns.min(axis=1))
        self.maximum = np.maximum(self.maximum, columns.max(axis=1))

    def _keep(self, rows: np.ndarray) -> None:
        """Keeps the rows whose number is a multiple of `_every`, which doubles when they become too many."""
        self.sample = np.concatenate([self.sample, rows[-self.count % self._every :: self._every].astype(np.float32)])
        while len(self.sample) > KEPT:
            self.sample = self.sample[::2]
            self._every *= 2
