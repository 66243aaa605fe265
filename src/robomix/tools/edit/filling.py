"""Rows and frames of a dataset that lacks something which the dataset it goes into has."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from robomix.formats.lerobot.write_tables import image_column, numeric_column
from robomix.formats.lerobot.write_videos import png_bytes
from robomix.tools.build.content import Declared, Rows
from robomix.tools.build.tables import numbers


@dataclass(frozen=True)
class Filled:
    """Rows with zeros for what they lack, at the end of vectors too, and columns that say what of it is padding."""

    rows: Rows
    own: Mapping[str, Declared]
    """Features of `rows`, as declared there."""
    features: Mapping[str, Declared]
    """Those to be had, without videos and without the columns of `flags`."""
    flags: Mapping[str, np.ndarray]
    """Such a column to its value in every row, () or (D,) bool. What `rows` have of it themselves is kept."""

    def table(self) -> pa.Table:
        table = self.rows.table()
        columns = {name: table[name] for name in table.column_names}
        for key, spec in self.features.items():
            if key not in self.own:
                columns[key] = _zeros(spec, len(table))
            elif _size(spec) > _size(self.own[key]) and spec["dtype"] != "image":
                columns[key] = _widened(_numbers(table, key, self.own[key]), _size(spec), 0)
        for key, value in self.flags.items():
            made = np.tile(value, (len(table), 1))
            if key in self.own:
                stored = _numbers(table, key, self.own[key])
                made[:, : stored.shape[1]] = stored
            columns[key] = numeric_column(made if value.ndim else made[:, 0])
        return pa.table(columns) if columns else table

    @property
    def size(self) -> int:
        return self.rows.size


@dataclass(frozen=True)
class Black:
    """Black frames, for a camera that is not there."""

    height: int
    width: int

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(n, 3, height, width) uint8 zeros."""
        return np.zeros((len(rows), 3, self.height, self.width), np.uint8)


def _zeros(spec: Declared, count: int) -> pa.Array:
    if spec["dtype"] == "image":
        height, width = (int(side) for side in spec["shape"][:2])
        return image_column([_black(height, width)] * count)
    shape = tuple(spec["shape"])
    return numeric_column(np.zeros((count, *(() if shape == (1,) else shape)), np.dtype(spec["dtype"])))


@cache
def _black(height: int, width: int) -> bytes:
    return png_bytes(np.zeros((3, height, width), np.uint8))


def _numbers(table: pa.Table, key: str, spec: Declared) -> np.ndarray:
    """A column as (T, D)."""
    values = numbers(table, key, spec)
    assert values is not None
    return values.reshape(len(table), -1)


def _widened(values: np.ndarray, width: int, fill: Any) -> pa.Array:
    made = np.full((len(values), width), fill, values.dtype)
    made[:, : values.shape[1]] = values
    return numeric_column(made)


def _size(spec: Declared) -> int:
    return int(np.prod(spec["shape"]))
