"""Statistics that a LeRobot dataset carries, as arrays, however its files hold them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from robomix.tools.check.raw.tables import rectangle
from robomix.tools.check.raw.values import mapping


@dataclass(frozen=True)
class EpisodeStats:
    """The statistics of each episode."""

    ids: np.ndarray
    """(E,) int64: `episode_index` of those that have any, in the order of the files."""
    values: Mapping[str, Mapping[str, np.ndarray]]
    """By feature and name of the statistic: (E, D) float64; NaN where an episode has none, or another number."""


def of_lines(lines: Sequence[tuple[int, Mapping[str, Any]]]) -> EpisodeStats:
    """From v2.1's lines: (episode_index, its statistics by feature and name)."""
    keys = dict.fromkeys((key, name) for _, stats in lines for key, of in stats.items() for name in mapping(of))
    values: dict[str, dict[str, np.ndarray]] = {}
    for key, name in keys:
        found = [mapping(stats.get(key)).get(name) for _, stats in lines]
        values.setdefault(key, {})[name] = _stack([entries(value) for value in found])
    return EpisodeStats(np.array([index for index, _ in lines], np.int64), values)


def of_table(ids: np.ndarray, table: pa.Table) -> EpisodeStats:
    """From v3.0's columns `stats/<feature>/<name>`; `ids` (E,) are the episodes of the rows."""
    values: dict[str, dict[str, np.ndarray]] = {}
    for column in table.column_names:
        key, _, name = column.removeprefix("stats/").rpartition("/")
        array = rectangle(table[column])
        if array is None:
            flat = _stack([entries(value) for value in table[column].to_pylist()])
        else:
            flat = array.reshape(len(array), array[:1].size).astype(np.float64)
        values.setdefault(key, {})[name] = flat
    return EpisodeStats(ids, values)


def entries(value: Any) -> np.ndarray | None:
    """The numbers of a statistic (D,) float64, whatever lists they are in; None where it is none."""
    if value is None or isinstance(value, str | Mapping):
        return None
    try:
        return np.asarray(value, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        return None


def _stack(rows: Iterable[np.ndarray | None]) -> np.ndarray:
    """(E, D), D the commonest width; NaN for rows of another."""
    rows = list(rows)
    width = Counter(len(row) for row in rows if row is not None).most_common(1)
    size = width[0][0] if width else 0
    gap = np.full(size, np.nan)
    return np.array([row if row is not None and len(row) == size else gap for row in rows]).reshape(len(rows), size)
