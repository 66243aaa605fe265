"""Numbers of one feature of one episode, read before anything is written."""

from dataclasses import replace

import numpy as np

from robomix.errors import ConfigError, did_you_mean
from robomix.tools.build.content import Content, Episode
from robomix.tools.build.rows import ColumnRows, ParquetRows
from robomix.tools.build.tables import numbers


def numbers_of(content: Content, episode: Episode, key: str) -> np.ndarray:
    """(T, *shape), in the dtype of its file. Raises ConfigError for a feature that there is not, or without numbers."""
    known = [name for name in content.columns if content.features[name]["dtype"] not in _NOT_NUMBERS]
    if key not in known:
        found = "holds no numbers" if key in content.features else "is not there"
        raise ConfigError(f"{key!r} {found}.{did_you_mean(key, known)} Numbers here: {', '.join(known)}")
    rows = episode.rows
    if isinstance(rows, ParquetRows | ColumnRows):  # read no pictures that lie beside it
        rows = replace(rows, columns={old: new for old, new in rows.columns.items() if new == key})
    values = numbers(rows.table(), key, content.features[key])
    assert values is not None
    return values


_NOT_NUMBERS = ("image", "string", "binary", "language")
