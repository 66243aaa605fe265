"""The numbers of a data file, some rows at a time: a file may hold more of them than memory should."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from robomix.formats.parquet import batches
from robomix.tools.check.raw.tables import is_number, rectangle

_VALUES = 1 << 20
"""Numbers that are in memory together, unless an episode has more."""
_ROWS = 1 << 12
"""Rows that are read together."""

Shapes = Mapping[str, tuple[int, ...]]
"""By column, the shape of each of its rows."""


def row_shapes(path: Path, schema: pa.Schema) -> Shapes:
    """Of those of a file's columns that are numbers of equal size in each row."""
    numbers = {name: kind for name, kind in zip(schema.names, schema.types, strict=True) if is_number(kind)}
    lists = [name for name, kind in numbers.items() if pa.types.is_nested(kind) or not pa.types.is_primitive(kind)]
    found: dict[str, set[tuple[int, ...] | None]] = {name: set() for name in lists}
    for batch in batches(path, lists, _ROWS) if lists else ():
        for name in lists:
            values = rectangle(batch[name])
            found[name].add(None if values is None else values.shape[1:])
    shapes = {name: next(iter(own)) if len(own) == 1 else None for name, own in found.items()}
    equal = {name: shape for name, shape in shapes.items() if shape is not None}
    return {name: equal.get(name, ()) for name in numbers if name in equal or name not in lists}


def stops_at(ends: Iterable[int], shapes: Shapes) -> list[int]:
    """Those of the rising rows `ends` between which columns of these shapes fit into memory; the last is among them."""
    most = max(1, _VALUES // max(1, sum(map(math.prod, shapes.values()))))
    stops, before, first = list[int](), 0, 0
    for end in ends:
        if end - first > most and before > first:
            stops.append(before)
            first = before
        before = end
    return [*stops, before] if before > first else stops


def read_parts(path: Path, keys: Sequence[str], stops: Sequence[int]) -> Iterator[dict[str, np.ndarray]]:
    """Columns of numbers of a file, from the first row to stops[0] - 1, from there to stops[1] - 1, and so on.

    Each is (rows, ...), of float64 or its own type; missing values are NaN.
    """
    held, first, rising = list[pa.RecordBatch](), 0, iter(stops)
    stop = next(rising, None)
    for batch in batches(path, keys, _ROWS):
        held.append(batch)
        while stop is not None and sum(map(len, held)) >= stop - first:
            table = pa.Table.from_batches(held)
            columns = {key: rectangle(table[key].slice(0, stop - first)) for key in keys}
            yield {key: values for key, values in columns.items() if values is not None}
            held = table.slice(stop - first).to_batches()
            first, stop = stop, next(rising, None)
