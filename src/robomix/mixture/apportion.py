"""Turning probabilities into a table of slots that follows them exactly at every point, not only on average.

The table is a period of P draws. Source i gets n_i of them by largest remainder, and its j-th slot may lie anywhere
between the draw at which its exact share first exceeds j and the one at which it reaches j + 1. Giving every draw to
the eligible source whose window closes first meets all windows (earliest deadline first; it is the chairman assignment
problem of Tijdeman, 1980). So after any number k of draws each source has been drawn within one of k * n_i / P, and
in any run of draws, such as a batch, within two.
"""

import numpy as np

PERIOD = 1 << 16
LONG_PERIOD = 1 << 20
"""Used when some probability is below 1/4096, which the short period could only give coarsely."""


def slot_counts(probabilities: np.ndarray) -> np.ndarray:
    """Slots of each source in one period, (D,) int64: largest remainder, and at least one unless the share is 0."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    positive = probabilities > 0
    period = LONG_PERIOD if probabilities[positive].min() < 1 / 4096 else PERIOD
    exact = probabilities / probabilities.sum() * period
    counts = np.where(positive, np.maximum(np.floor(exact), 1), 0).astype(np.int64)
    missing = period - int(counts.sum())
    if missing >= 0:
        counts[np.argsort(-(exact - counts), kind="stable")[:missing]] += 1
    else:  # rounding tiny sources up to one slot took slots from nobody: the largest give them back
        for _ in range(-missing):
            counts[np.argmax(counts)] -= 1
    return counts


def slot_table(counts: np.ndarray) -> np.ndarray:
    """Source of each of the sum(counts) slots, (P,) int64, spread as evenly as integers allow."""
    counts = np.asarray(counts, dtype=np.int64)
    period, source = int(counts.sum()), np.repeat(np.arange(len(counts)), counts)
    j = np.arange(period) - (np.cumsum(counts) - counts)[source]
    released = j * period // counts[source]
    deadline = -(-(j + 1) * period // counts[source])  # the draw count by which the exact share reaches j + 1
    first_served = np.argsort(deadline * len(counts) + source)  # of equal deadlines the first source
    # Whoever is served first is not hindered by those served later. So, in this order, each takes the first slot from
    # its release on that is still free; from one that is taken, `following` leads towards it.
    following, taken = list(range(period + 1)), []
    for slot in released[first_served].tolist():
        while (further := following[slot]) != slot:
            following[slot] = following[further]  # halves the way for those to come (Tarjan and van Leeuwen, 1984)
            slot = further
        following[slot] = slot + 1
        taken.append(slot)
    table = np.empty(period, dtype=np.int64)
    table[taken] = source[first_served]
    return table


def ranks_in_table(table: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """For each slot, how many earlier slots of the period went to the same source, (P,) int64."""
    by_source = np.argsort(table, kind="stable")
    first = np.cumsum(counts) - counts
    ranks = np.empty(len(table), dtype=np.int64)
    ranks[by_source] = np.arange(len(table)) - first[table[by_source]]
    return ranks
