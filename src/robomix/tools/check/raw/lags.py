"""By how many frames the state follows the action, where both name the same joints.

For each shift k the mean of (action[t] - state[t + k])^2 over all episodes is gathered. A robot that is told positions
follows them, so the best k is a frame or a few; 0 means that actions are copies of the state, 1 that they are the
states to come, and less than 0 that actions were recorded late.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

PAIRS = (("action", "observation.state"),)
"""Features that name the same joints where their widths, and names if any, are the same."""
EARLIEST, LATEST = -10, 30
_ROWS = 50_000
"""Rows that are enough to tell."""


@dataclass
class Lags:
    """Sums over the episodes seen so far."""

    shifts: np.ndarray = field(default_factory=lambda: np.arange(EARLIEST, LATEST + 1))
    errors: np.ndarray | None = None
    """(shifts, D): sums of squared differences; None: there is no pair of features that can be compared."""
    counts: np.ndarray = field(default_factory=lambda: np.zeros(LATEST - EARLIEST + 1))
    seen: int = 0
    variance: np.ndarray | None = None
    """(D,): sum over episodes of the state's variance times rows."""

    def add(self, columns: Mapping[str, np.ndarray], names: Mapping[str, tuple[str, ...] | None]) -> None:
        """One episode's columns, (rows, D) each."""
        for action_key, state_key in PAIRS:
            action, state = columns.get(action_key), columns.get(state_key)
            if action is None or state is None or action.shape != state.shape or action.dtype.kind != "f":
                continue
            if names.get(action_key) != names.get(state_key) or self.seen > _ROWS:
                continue
            if len(action) > 2 * LATEST and np.isfinite(action).all() and np.isfinite(state).all():
                self._add(action.astype(np.float64), state.astype(np.float64))

    def _add(self, action: np.ndarray, state: np.ndarray) -> None:
        if self.errors is None:
            self.errors, self.variance = np.zeros((len(self.shifts), action.shape[1])), np.zeros(action.shape[1])
        if self.errors.shape[1] != action.shape[1] or self.variance is None:
            return
        rows = len(action)
        for place, shift in enumerate(self.shifts):
            begin, end = max(0, -shift), min(rows, rows - shift)
            difference = action[begin:end] - state[begin + shift : end + shift]
            self.errors[place] += np.einsum("td,td->d", difference, difference)
            self.counts[place] += end - begin
        self.variance += state.var(0) * rows
        self.seen += rows

    def best(self) -> tuple[int, float] | None:
        """(shift, share of the state's variance that remains) where actions and states are most alike."""
        if self.errors is None or self.variance is None or not self.seen or not (self.variance > 0).any():
            return None
        moving = self.variance > 0
        remaining = (self.errors[:, moving] / self.counts[:, None]) / (self.variance[moving] / self.seen)
        typical = np.median(remaining, axis=1)
        place = int(np.argmin(typical))
        return int(self.shifts[place]), float(typical[place])
