"""Parquet files of a LeRobot v3.0 dataset: their columns, and the change to the next file at a size limit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robomix.features import Feature

FILES_PER_CHUNK = 1000
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_ALL = slice(None)
_READ_ROWS = 1 << 14
"""Rows that are in memory twice while a column is read back."""


@dataclass(frozen=True)
class Place:
    """Which file of a numbered series."""

    chunk: int = 0
    file: int = 0

    def next(self) -> "Place":
        chunk, file = divmod(self.chunk * FILES_PER_CHUNK + self.file + 1, FILES_PER_CHUNK)
        return Place(chunk, file)

    def fill(self, template: str) -> str:
        return template.format(chunk_index=self.chunk, file_index=self.file)

    def columns(self, prefix: str) -> dict[str, int]:
        return {f"{prefix}/chunk_index": self.chunk, f"{prefix}/file_index": self.file}


class RollingParquet:
    """A series of parquet files, each call to `write` one row group; the next file starts near the size limit."""

    def __init__(self, root: Path, template: str, limit: int) -> None:
        self.place = Place()
        self._root, self._template, self._limit = root, template, limit
        self._rows = 0
        self._sink: pa.NativeFile | None = None
        self._writer: pq.ParquetWriter | None = None

    def place_for(self, rows: int) -> Place:
        """The file that the next `rows` rows will lie in."""
        size = self._sink.tell() if self._sink is not None else 0
        if size and size + size / self._rows * rows >= self._limit:
            self.close()
            self.place = self.place.next()
        return self.place

    def write(self, table: pa.Table) -> None:
        """Append `table` to the file that `place_for` named last."""
        if self._writer is None:
            path = self._root / self.place.fill(self._template)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = pa.OSFile(str(path), "wb")
            self._writer = pq.ParquetWriter(self._sink, table.schema, compression="snappy", use_dictionary=True)
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        self._rows += len(table)

    def close(self) -> None:
        """Finish the current file, if any."""
        if self._writer is not None and self._sink is not None:
            self._writer.close()
            self._sink.close()
        self._writer, self._sink, self._rows = None, None, 0


def episode_table(
    features: Mapping[str, Feature],
    numeric: Mapping[str, np.ndarray],
    images: Mapping[str, list[bytes]],
    bookkeeping: Mapping[str, np.ndarray],
) -> pa.Table:
    """The rows of one episode, columns in the order of `features` and then `bookkeeping`; videos have no column."""
    columns = {
        key: image_column(images[key]) if feature.is_camera else numeric_column(numeric[key])
        for key, feature in features.items()
        if feature.storage != "video"
    }
    columns |= {key: pa.array(values) for key, values in bookkeeping.items()}
    kept = {key: feature for key, feature in features.items() if feature.storage != "video"}
    schema = {key: huggingface_type("image" if f.is_camera else f.dtype, f.shape) for key, f in kept.items()}
    schema |= {key: {"dtype": str(values.dtype), "_type": "Value"} for key, values in bookkeeping.items()}
    return pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": schema}})})


def read_column(root: Path, key: str, entries: slice = _ALL) -> np.ndarray:
    """A numeric column of all data files in order, as (N, D): of a row, flattened, the `entries`."""
    files = sorted(root.glob("data/*/*.parquet"))
    made, first = np.zeros((0, 0)), 0
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_READ_ROWS, columns=[key]):
                values = batch[key]
                while pa.types.is_nested(values.type):
                    values = values.flatten()
                part = values.to_numpy(zero_copy_only=False).reshape(len(batch), -1)[:, entries]
                if not len(made):
                    made = np.empty((count_rows(root), part.shape[1]), part.dtype)
                made[first : first + len(part)] = part
                first += len(part)
    return made


def count_rows(root: Path) -> int:
    """Rows of all data files."""
    return sum(pq.read_metadata(file).num_rows for file in root.glob("data/*/*.parquet"))


def numeric_column(values: np.ndarray) -> pa.Array:
    """(T, *shape) as scalars for shapes () and (1,), fixed-size lists for vectors, nested lists for more dimensions."""
    column = pa.array(np.ascontiguousarray(values).reshape(-1))
    shape = values.shape[1:]
    if len(shape) == 1 and shape != (1,):
        return pa.FixedSizeListArray.from_arrays(column, shape[0])
    for size in reversed(shape) if len(shape) > 1 else ():
        column = pa.ListArray.from_arrays(np.arange(0, len(column) + 1, size, dtype=np.int32), column)
    return column


def image_column(pngs: list[bytes], first: int = 0) -> pa.Array:
    """Encoded pictures, of an episode's frames from the `first` on, as LeRobot keeps them."""
    cells = [{"bytes": png, "path": f"frame-{i:06d}.png"} for i, png in enumerate(pngs, first)]
    return pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}))


def huggingface_type(dtype: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """A column's type for HF `datasets`, of dtype `image` or a number's or `string`.

    `Sequence` is the name that versions before and after 4.0 understand.
    """
    value = {"dtype": dtype, "_type": "Value"}
    if dtype == "image":
        return {"_type": "Image"}
    if shape in ((), (1,)):
        return value
    if len(shape) == 1:
        return {"feature": value, "length": shape[0], "_type": "Sequence"}
    return {"shape": list(shape), "dtype": dtype, "_type": f"Array{len(shape)}D"}
