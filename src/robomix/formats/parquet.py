"""Parquet files of untrusted datasets: opened with errors that say what happened, read into numpy arrays."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robomix.errors import FormatError
from robomix.files import damage

_MAGIC = b"PAR1"
_BUFFER = 1 << 20
"""Read a column chunk a megabyte at a time: row groups of pictures can be larger than memory should be."""


@contextmanager
def open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file, open. Raises FormatError for one that is missing, damaged, cut off, or names a column twice."""
    check_parquet(path)
    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER) as file:
            names = file.schema_arrow.names
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise FormatError(f"{path} has the column {twice[0]!r} more than once, so its data is ambiguous.")
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is damaged: {error}. Copy or download it again.") from error


def check_parquet(path: Path) -> None:
    """Raise FormatError unless the file begins and ends as a Parquet file does."""
    if problem := damage(path):
        raise FormatError(f"{path} {problem}.")
    with open(path, "rb") as file:
        head = file.read(4)
        tail = file.seek(-4, 2) and file.read(4) if path.stat().st_size >= 8 else b""
    if head != _MAGIC:
        raise FormatError(f"{path} is not a Parquet file: it starts with {head!r}, expected {_MAGIC!r}.")
    if tail != _MAGIC:
        raise FormatError(
            f"{path} has no footer, so nothing in it can be found: the recording was killed before finalize() "
            "wrote it, or the copy was cut short. Copy it again, or delete the episodes it held."
        )


def read_columns(path: Path, names: Sequence[str]) -> pa.Table:
    """Those of the columns `names` that the file has, whole. For metadata; data goes through `batches`."""
    with open_parquet(path) as file:
        return file.read(columns=[name for name in names if name in file.schema_arrow.names])


def batches(path: Path, names: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """The columns `names` of a file, at most `rows` rows at a time."""
    with open_parquet(path) as file:
        yield from file.iter_batches(batch_size=rows, columns=list(names))


def leaf_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values inside lists of lists, extension types and dictionaries."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif _is_list(kind) or isinstance(kind, pa.DictionaryType):
            kind = kind.value_type
        else:
            return kind


def numpy_type(kind: pa.DataType) -> np.dtype | None:
    """The numpy type of a column's values; None where they are not numbers or booleans."""
    leaf = leaf_type(kind)
    if pa.types.is_integer(leaf) or pa.types.is_floating(leaf) or pa.types.is_boolean(leaf):
        return np.dtype(leaf.to_pandas_dtype())
    return None


def to_numpy(column: pa.Array, shape: tuple[int, ...], where: str) -> np.ndarray:
    """A column of numbers, possibly lists of lists, as (rows, *shape).

    `where` names the column and file in errors. Missing floats become NaN, as pandas reads them; a missing integer,
    boolean or list, and rows of another size than `shape`, raise FormatError.
    """
    rows, width = len(column), 1
    while True:
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        elif isinstance(column.type, pa.DictionaryType):
            column = column.dictionary_decode()
        elif _is_list(column.type):
            lists = column
            column, each = _flatten(lists, where)
            width *= each
        else:
            break
    if rows and width != math.prod(shape):
        expected = f"{math.prod(shape)}, for the shape {list(shape)} that meta/info.json declares"
        raise FormatError(f"{where} has {width} values per row, expected {expected}. Correct the shape.")
    if column.null_count and not pa.types.is_floating(column.type):
        raise FormatError(f"{where} has {column.null_count} missing values of type {column.type}.")
    return column.to_numpy(zero_copy_only=False).reshape(rows, *shape)


def _flatten(lists: pa.Array, where: str) -> tuple[pa.Array, int]:
    """The values inside an array of lists that all have one length, and that length."""
    if lists.null_count:
        raise FormatError(f"{where} has {lists.null_count} rows without a value.")
    values = lists.flatten()
    if isinstance(lists.type, pa.FixedSizeListType):
        return values, lists.type.list_size
    lengths = np.diff(lists.offsets.to_numpy())
    if len(lengths) and lengths.min() != lengths.max():
        raise FormatError(f"{where} has rows of {lengths.min()} and of {lengths.max()} values, expected equal ones.")
    return values, int(lengths[0]) if len(lengths) else 0


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
