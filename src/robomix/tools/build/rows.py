"""Rows of episodes: from the Parquet files of LeRobot datasets as they are, or from the columns of any dataset."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from robomix.formats.base import Dataset
from robomix.formats.lerobot.write_tables import numeric_column
from robomix.formats.parquet import open_parquet


@dataclass(frozen=True)
class Span:
    """Neighbouring rows of one Parquet file."""

    file: Path
    first: int
    count: int


@dataclass(frozen=True)
class ParquetRows:
    """Rows as they lie in Parquet files, in the files' own types."""

    spans: tuple[Span, ...]
    """In frame order."""
    columns: Mapping[str, str]
    """Column of the files to its name in the new dataset."""
    size: int

    def table(self) -> pa.Table:
        names = tuple(self.columns)
        parts = [_file(s.file, _changed(s.file), names).slice(s.first, s.count) for s in self.spans]
        whole = parts[0] if len(parts) == 1 else pa.concat_tables(parts)
        return whole.rename_columns([self.columns[name] for name in whole.column_names])


@dataclass(frozen=True)
class ColumnRows:
    """Rows of any dataset that robomix reads, by its numeric columns."""

    dataset: Dataset
    rows: np.ndarray
    """(T,) int64: which, in order."""
    columns: Mapping[str, str]
    """The dataset's key to its name in the new dataset."""

    def table(self) -> pa.Table:
        made = {new: numeric_column(self.dataset.column(old)[self.rows]) for old, new in self.columns.items()}
        return pa.table(made) if made else pa.table({"": pa.nulls(len(self.rows))}).select([])

    @property
    def size(self) -> int:
        columns = [self.dataset.features[key] for key in self.columns]
        each = sum(np.dtype(feature.dtype).itemsize * int(np.prod(feature.shape)) for feature in columns)
        return each * len(self.rows)


def _changed(path: Path) -> int:
    """When a file was last changed; 0 where it is gone, as reading it will tell."""
    return os.stat(path).st_mtime_ns if os.path.exists(path) else 0


@lru_cache(maxsize=2)
def _file(path: Path, mtime: int, names: tuple[str, ...]) -> pa.Table:
    """A file's columns as of a time of change: the episodes of a file are asked for one after another."""
    with open_parquet(path) as file:
        return file.read(columns=list(names))
