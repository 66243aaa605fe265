"""The rows of a dataset to be written, in the types that info.json declares."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from robomix.errors import FormatError
from robomix.formats.lerobot.write_tables import huggingface_type, image_column, numeric_column
from robomix.formats.lerobot.write_videos import png_bytes
from robomix.formats.parquet import to_numpy
from robomix.tools.build.content import Content, Declared, Drawn, Episode

_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def episode_tables(content: Content, number: int, first_row: int, tasks: Mapping[str, int]) -> Iterator[pa.Table]:
    """The rows of one episode with their bookkeeping columns, in one table; in several where pictures are encoded.

    Args:
        content: what the dataset consists of.
        number: which of its episodes.
        first_row: rows before it in the dataset.
        tasks: task_index of each text.

    Raises FormatError for values that do not have the declared type and shape.
    """
    episode = content.episodes[number]
    table = episode.rows.table()
    if len(table) != episode.length:
        raise FormatError(f"{_name(episode)} gave {len(table)} rows, expected {episode.length}. Did its files change?")
    drawn = drawn_pictures(content, episode)
    there = [key for key in content.columns if key not in drawn]
    columns = {key: _cast(table[key], content.features[key], key, episode) for key in there}
    columns |= {key: pa.array(value) for key, value in _bookkeeping(content, number, first_row, tasks).items()}
    names = [*content.columns, *BOOKKEEPING_TYPES]
    each = sum(3 * part.frames.height * part.frames.width for part in drawn.values())
    at_once = max(1, _PIXELS_AT_ONCE // each) if drawn else max(1, episode.length)
    for first in range(0, max(1, episode.length), at_once):
        own = {key: column[first : first + at_once] for key, column in columns.items()}
        own |= {key: _encoded(part, first, at_once) for key, part in drawn.items()}
        yield pa.table({key: own[key] for key in names}).replace_schema_metadata(schema_metadata(content))


_PIXELS_AT_ONCE = 32 << 20
"""Bytes of pictures, before they are encoded, that are in memory for one table."""


def drawn_pictures(content: Content, episode: Episode) -> dict[str, Drawn]:
    """The cameras of an episode that are kept as pictures, and are not encoded yet."""
    parts = {key: part for key, part in episode.videos.items() if content.features[key]["dtype"] == "image"}
    return {key: part for key, part in parts.items() if isinstance(part, Drawn)}


def rows_size(content: Content, episode: Episode) -> int:
    """About how many bytes the rows of an episode take in a file."""
    parts = drawn_pictures(content, episode).values()
    pictures = sum(_PNG * len(part) * part.frames.height * part.frames.width for part in parts)
    return episode.rows.size + pictures


_PNG = 2
"""Bytes that a pixel of a PNG takes, roughly; decides where the next file begins, and how much disk is asked for."""


def _encoded(part: Drawn, first: int, count: int) -> pa.Array:
    return image_column([png_bytes(image) for image in part.frames.read(part.rows[first : first + count])], first)


def schema_metadata(content: Content) -> dict[str, str]:
    """What Hugging Face datasets reads the columns' types from."""
    features: dict[str, Any] = {key: _huggingface(content.features[key]) for key in content.columns}
    features |= {key: {"dtype": dtype, "_type": "Value"} for key, dtype in BOOKKEEPING_TYPES.items()}
    return {"huggingface": json.dumps({"info": {"features": features}})}


BOOKKEEPING_TYPES = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""The columns that every LeRobot dataset has, in LeRobot's order."""


def numbers(table: pa.Table, key: str, spec: Declared) -> np.ndarray | None:
    """A column as (T, *shape); None where it does not hold numbers."""
    if spec["dtype"] in ("image", "string", "binary", "language"):
        return None
    return to_numpy(table[key].combine_chunks(), tuple(spec["shape"]), f"column {key!r}")


def _bookkeeping(content: Content, number: int, first_row: int, tasks: Mapping[str, int]) -> dict[str, np.ndarray]:
    episode = content.episodes[number]
    frame = np.arange(episode.length, dtype=np.int64)
    of_text = np.array([tasks[text] for text in episode.tasks], np.int64)
    return {
        "timestamp": (frame * content.fps.denominator / content.fps.numerator).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.full(episode.length, number, np.int64),
        "index": first_row + frame,
        "task_index": of_text[np.zeros(episode.length, np.int64) if episode.task_of is None else episode.task_of],
    }


def _cast(column: pa.ChunkedArray, spec: Declared, key: str, episode: Episode) -> pa.Array:
    """The column in the type LeRobot writes for `spec`. Raises FormatError where values would change."""
    where = f"{_name(episode)}, column {key!r}"
    if spec["dtype"] == "image":
        return _pictures(column, where)
    if spec["dtype"] in ("string", "binary", "language"):
        return _flat(column)
    kind, shape = np.dtype(str(spec["dtype"]).removeprefix("torch.")), tuple(spec["shape"])
    values = to_numpy(_flat(column), shape, where)
    made = values.astype(kind, copy=False)
    if not np.array_equal(made, values, equal_nan=kind.kind == "f"):
        raise FormatError(f"{where} holds {values.dtype} values that are no {kind}. Declare it as {values.dtype}.")
    return numeric_column(made)


def _pictures(column: pa.ChunkedArray, where: str) -> pa.Array:
    cells = _flat(column)
    if isinstance(cells.type, pa.BaseExtensionType):
        cells = cells.storage
    if not pa.types.is_struct(cells.type) or cells.type.get_field_index("bytes") < 0:
        raise FormatError(f"{where} holds {cells.type}, expected encoded pictures {{bytes, path}}.")
    data = pc.struct_field(cells, "bytes").cast(pa.binary())
    if data.null_count:
        raise FormatError(f"{where} has {data.null_count} pictures that lie outside of the table; embed them first.")
    path = cells.type.get_field_index("path")
    names = pc.struct_field(cells, "path").cast(pa.string()) if path >= 0 else pa.nulls(len(cells), pa.string())
    return pa.StructArray.from_arrays([data, names], fields=list(_IMAGE))


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _huggingface(spec: Declared) -> dict[str, Any]:
    return huggingface_type(str(spec["dtype"]).removeprefix("torch."), tuple(spec["shape"]))


def _name(episode: Episode) -> str:
    return f"{episode.origin.dataset}, episode {episode.origin.episode}"
