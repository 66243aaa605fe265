"""The statistics that a dataset carries, of the whole and of each episode, in one form."""

from collections.abc import Iterator, Mapping

import numpy as np

from robomix.tools.check.finding import UnverifiableError
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.stats import entries
from robomix.tools.check.raw.values import mapping

WHOLE, EACH = "the whole dataset", "each episode"
Table = Mapping[str, np.ndarray]
"""Statistics of one feature by name: (R, D), one row for the whole dataset or one for each episode."""


def stored(raw: RawLeRobot, of: str) -> tuple[np.ndarray | None, dict[str, dict[str, np.ndarray]]]:
    """The statistics of `of`, WHOLE or EACH: the episodes of the rows (R,), and tables by feature; without non-numbers.

    Raises UnverifiableError where there are none.
    """
    if of == EACH:
        found = raw.episode_stats
        return found.ids, {key: dict(table) for key, table in found.values.items()}
    tables = {}
    for key, names in raw.stats.items():
        rows = {name: entries(value) for name, value in mapping(names).items()}
        tables[key] = {name: row[None] for name, row in rows.items() if row is not None}
    return None, tables


def each_table(raw: RawLeRobot) -> Iterator[tuple[str, np.ndarray | None, str, dict[str, np.ndarray]]]:
    """(WHOLE or EACH, episodes of the rows, feature, table) of all statistics that can be read."""
    for of in (WHOLE, EACH):
        try:
            ids, tables = stored(raw, of)
        except UnverifiableError:
            continue
        for key, table in tables.items():
            yield of, ids, key, table
