"""What the rows of a dataset really hold: count, minimum, maximum, mean and standard deviation of each episode."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.owners import ends_of, owners
from robomix.tools.check.raw.padding import padding_columns, unpadded

MAX_VALUES = 1 << 25
"""Episodes times entries of a feature beyond which its moments are not computed, for memory's sake."""


@dataclass(frozen=True)
class Moments:
    """Of one feature with D entries, in float64. `std` is that of the population, as numpy's and LeRobot's."""

    ids: np.ndarray
    """(E,) int64: `episode_index`, rising."""
    count: np.ndarray
    """(E, 1)"""
    low: np.ndarray
    """(E, D), as are the next three."""
    high: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @property
    def total(self) -> "Moments":
        """Of all episodes together: one row. The parallel formula of Chan, Golub and LeVeque (1979)."""
        return pool(self)


def pool(each: Moments) -> Moments:
    """One row for all episodes of `each`."""
    count = each.count.sum(axis=0, keepdims=True)
    mean = (each.count * each.mean).sum(axis=0, keepdims=True) / count
    with np.errstate(invalid="ignore"):  # infinite values, which are told of elsewhere
        squares = (each.count * (each.std**2 + (each.mean - mean) ** 2)).sum(axis=0, keepdims=True)
    low, high = each.low.min(axis=0, keepdims=True), each.high.max(axis=0, keepdims=True)
    return Moments(np.zeros(1, np.int64), count, low, high, mean, np.sqrt(squares / count))


def moments(raw: RawLeRobot, keys: Sequence[str]) -> dict[str, Moments]:
    """Of those of the columns `keys` that are numbers of one width. Values that are not finite spread to their episode,
    and so does what the dataset says is padding: of these entries there nothing can be told.

    Each file is read once, some rows of it at a time.
    """
    of, frames = owners(raw), raw.frames
    begins = np.concatenate([[0], np.cumsum([file.num_rows for file in frames.files])])
    episodes = len(np.unique(of))
    parts: dict[str, list[Moments]] = {}
    padding = padding_columns(raw)
    read = list(dict.fromkeys([*keys, *(mask for key in keys for mask in padding.get(key, ()))]))
    for place, file in enumerate(frames.files):
        here = of[begins[place] : begins[place + 1]]
        first = 0
        for columns in raw.numbers_in(file, read, ends_of(here)):
            stop = first + len(next(iter(columns.values())))
            for key, values in columns.items():
                if key in keys and values.size // len(values) * episodes <= MAX_VALUES:
                    flat = values.reshape(len(values), -1).astype(np.float64)
                    real = unpadded(flat, padding.get(key, ()), columns)
                    parts.setdefault(key, []).append(_of_rows(here[first:stop], real))
            first = stop
    return {key: _joined(found) for key, found in parts.items() if len({part.mean.shape[1] for part in found}) == 1}


def _of_rows(of: np.ndarray, values: np.ndarray) -> Moments:
    """Of the rows `values` (n, D), which are of the episodes `of` (n,)."""
    if (of[1:] < of[:-1]).any():
        order = np.argsort(of, kind="stable")
        of, values = of[order], values[order]
    starts = np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]]))
    count = np.diff([*starts, len(of)])[:, None]
    with np.errstate(all="ignore"):
        mean = np.add.reduceat(values, starts, axis=0) / count
        squares = np.add.reduceat((values - np.repeat(mean, count[:, 0], axis=0)) ** 2, starts, axis=0)
        low, high = (reduce.reduceat(values, starts, axis=0) for reduce in (np.minimum, np.maximum))
        return Moments(of[starts], count, low, high, mean, np.sqrt(squares / count))


def _joined(parts: Sequence[Moments]) -> Moments:
    """Of episodes in several files; one that is in two of them is pooled."""
    every = Moments(*(np.concatenate([getattr(part, name) for part in parts]) for name in Moments.__dataclass_fields__))
    ids, where = np.unique(every.ids, return_inverse=True)
    if len(ids) == len(every.ids):
        order = np.argsort(every.ids)
        return Moments(*(getattr(every, name)[order] for name in Moments.__dataclass_fields__))
    rows = [pool(Moments(*(getattr(every, name)[rows] for name in Moments.__dataclass_fields__)))
            for rows in _places(where, len(ids))]  # fmt: skip
    joined = Moments(*(np.concatenate([getattr(row, name) for row in rows]) for name in Moments.__dataclass_fields__))
    return Moments(ids, joined.count, joined.low, joined.high, joined.mean, joined.std)


def _places(where: np.ndarray, count: int) -> Iterator[np.ndarray]:
    order = np.argsort(where, kind="stable")
    yield from np.split(order, np.searchsorted(where[order], np.arange(1, count)))
