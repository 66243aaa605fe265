"""Parquet tables of a damaged dataset: footers and columns, as far as they can be read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robomix.errors import FormatError
from robomix.formats.parquet import leaf_type, open_parquet


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of frames, by its footer."""

    name: str
    """Relative to the dataset."""
    num_rows: int
    group_rows: tuple[int, ...]
    """Rows of each row group."""
    schema: pa.Schema
    """With the metadata of Hugging Face datasets and of pandas."""


def whole_table(path: Path) -> pa.Table:
    """All columns of a file."""
    with open_parquet(path) as file:
        return _valid(file.read())


def metadata_table(path: Path) -> pa.Table:
    """All columns but the statistics of v3.0."""
    with open_parquet(path) as file:
        return _valid(file.read(columns=[name for name in file.schema_arrow.names if not name.startswith("stats/")]))


def _valid(table: pa.Table) -> pa.Table:
    """`table`, whose texts and lists are known to be sound. Raises pyarrow's ArrowInvalid."""
    table.validate(full=True)
    return table


def stats_table(path: Path) -> pa.Table:
    """The statistics of v3.0 alone."""
    with open_parquet(path) as file:
        return file.read(columns=[name for name in file.schema_arrow.names if name.startswith("stats/")])


def footer(root: Path, name: str) -> DataFile | str:
    """The file by its footer, or why that cannot be read."""
    try:
        with open_parquet(root / name) as file:
            groups = tuple(file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups))
            return DataFile(name, file.metadata.num_rows, groups, file.schema_arrow)
    except (FormatError, pa.ArrowException, OSError, UnicodeDecodeError) as error:
        return str(error)


def numbers(table: pa.Table, key: str, rows: int, kind: Any) -> np.ndarray:
    """A bookkeeping column (rows,), from scalars or lists of one; -1 or NaN where it is missing or no number."""
    empty = np.full(rows, np.nan if kind is np.float64 else -1, kind)
    if key not in table.column_names:
        return empty
    array = rectangle(table[key].combine_chunks())
    if array is None or array.size != rows:
        return empty
    flat = array.reshape(rows)
    with np.errstate(invalid="ignore"):  # a float beyond int64
        return np.where(np.isfinite(flat), flat, empty).astype(kind) if flat.dtype.kind in "fiub" else empty


def rectangle(values: pa.Array | pa.ChunkedArray) -> np.ndarray | None:
    """Numbers of equal size in each row as (rows, ...); None for anything else."""
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    rows, shape = len(values), []
    while not (pa.types.is_primitive(values.type)):
        if isinstance(values.type, pa.BaseExtensionType):
            values = values.storage
        elif isinstance(values, pa.FixedSizeListArray) and not values.null_count:
            shape.append(values.type.list_size)
            values = values.flatten()
        elif isinstance(values, pa.ListArray | pa.LargeListArray) and not values.null_count:
            lengths = np.unique(np.diff(values.offsets.to_numpy()))
            if len(lengths) > 1:
                return None
            shape.append(int(lengths[0]) if len(lengths) else 0)
            values = values.flatten()
        else:
            return None
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)):
        return None
    if values.null_count and not pa.types.is_floating(values.type):
        values = values.cast(pa.float64())
    return values.to_numpy(zero_copy_only=False).reshape(rows, *shape)


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers or booleans, in lists or not."""
    leaf = leaf_type(kind)
    return bool(pa.types.is_integer(leaf) or pa.types.is_floating(leaf) or pa.types.is_boolean(leaf))
