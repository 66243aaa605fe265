"""What an array of a zarr store declares, version 2 or 3, checked before zarr sees it.

A store is somebody else's file. zarr would run any codec that the metadata names, `pickle` among them, and allocate
any size that it declares.
Formats: https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html and .../v3/core/index.html
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from robomix.errors import FormatError

DOCUMENTS: Mapping[str, Literal[2, 3]] = {".zarray": 2, "zarr.json": 3}
"""What describes an array, and the version of zarr that does so."""
_CODECS = (
    *("blosc", "zstd", "lz4", "gzip", "zlib", "bz2", "lzma", "shuffle", "delta", "packbits", "fletcher32"),
    *("crc32", "crc32c", "adler32", "bytes", "transpose", "sharding_indexed"),
)
"""Codecs that only turn bytes into numbers."""
MAX_BLOCK = 1 << 29
"""Bytes of one chunk, of one row of an array, and of what is read at once."""
_FREE_CHUNKS, _MAX_MISSING = 1000, 10
"""Of more chunks than this, at least one in so many must be stored."""
_FREE_SIZE, _MAX_RATIO = 1 << 30, 4000
"""An array above this size must have at least one stored byte for so many declared ones."""


@dataclass(frozen=True)
class ArraySpec:
    """One array as its metadata declares it."""

    name: str
    """Path in the store, such as `data/action`."""
    version: Literal[2, 3]
    shape: tuple[int, ...]
    chunk_rows: int
    """Rows that are compressed together."""
    dtype: np.dtype
    """Native byte order; numbers or booleans."""
    missing: int
    """Chunks that are not stored; zarr reads them as the fill value."""
    chunks: int


def parse_spec(name: str, version: Literal[2, 3], text: bytes, stored: tuple[int, int], where: str) -> ArraySpec:
    """The array that the metadata `text` declares; `stored` is the number of its files and their bytes.

    Raises FormatError, naming `where`, for what is no readable array of numbers.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where} is not valid JSON: {error}. Restore it from the source of the dataset.") from error
    if not isinstance(raw, dict) or raw.get("zarr_format") != version:
        raise FormatError(f"{where} does not describe an array of zarr version {version}. Restore it.")
    shape = _sizes(raw.get("shape"), "shape", where)
    grid, inner, codecs = _version_2(raw, where) if version == 2 else _version_3(raw, where)
    _check_codecs(codecs, where)
    dtype = _dtype(raw.get("dtype" if version == 2 else "data_type"), where)
    if not shape or not len(shape) == len(grid) == len(inner) or not all(grid) or not all(inner):
        raise FormatError(
            f"{where} has shape {list(shape)} in chunks of {list(grid)}, expected as many sizes, in chunks above 0."
        )
    chunks = _count(shape, grid)
    _check_count(chunks, stored[0], _count(shape, inner), stored[1], where)
    _check_size(shape, inner, dtype, stored[1], where)
    return ArraySpec(name, version, shape, inner[0], dtype, max(0, chunks - stored[0]), chunks)


def _version_2(raw: Mapping[str, Any], where: str) -> tuple[tuple[int, ...], tuple[int, ...], list[object]]:
    filters = raw.get("filters") or []
    if not isinstance(filters, list):
        raise FormatError(f"{where} has filters {filters!r}, expected a list.")
    codecs = [codec.get("id") if isinstance(codec, dict) else codec for codec in [*filters, raw.get("compressor")]]
    chunks = _sizes(raw.get("chunks"), "chunks", where)
    return chunks, chunks, [codec for codec in codecs if codec is not None]


def _version_3(raw: Mapping[str, Any], where: str) -> tuple[tuple[int, ...], tuple[int, ...], list[object]]:
    """(chunk grid, what is compressed together, names of all codecs): these differ where chunks are shards."""
    if raw.get("node_type") != "array" or raw.get("storage_transformers"):
        raise FormatError(f"{where} describes no plain array (node_type {raw.get('node_type')!r}).")
    grid = raw.get("chunk_grid")
    regular = isinstance(grid, dict) and grid.get("name") == "regular" and isinstance(grid.get("configuration"), dict)
    chunks = _sizes(grid["configuration"].get("chunk_shape") if regular and grid else grid, "chunk_grid", where)
    inner, names = chunks, []
    todo = list(_codec_list(raw.get("codecs"), where))
    while todo:
        codec = todo.pop()
        name, settings = (codec, {}) if isinstance(codec, str) else (codec.get("name"), codec.get("configuration", {}))
        names.append(name.removeprefix("numcodecs.") if isinstance(name, str) else name)
        if name == "sharding_indexed" and isinstance(settings, dict):
            inner = _sizes(settings.get("chunk_shape"), "chunk_shape", where)
            todo += [*_codec_list(settings.get("codecs"), where), *_codec_list(settings.get("index_codecs", []), where)]
    return chunks, inner, names


def _codec_list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(codec, dict | str) for codec in value):
        raise FormatError(f"{where} has codecs {str(value)[:80]}, expected a list of them.")
    return value


def _check_codecs(names: Iterable[object], where: str) -> None:
    for name in names:
        if name not in _CODECS:
            raise FormatError(
                f"{where} uses the codec {name!r}, expected one of {', '.join(_CODECS)}. "
                "Write the array again with one of these, such as blosc."
            )


def _sizes(value: object, what: str, where: str) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > 8 or not all(type(n) is int and 0 <= n < 1 << 48 for n in value):
        raise FormatError(f"{where} has {what} {str(value)[:80]}, expected a list of whole numbers.")
    return tuple(value)


def _dtype(value: object, where: str) -> np.dtype:
    try:
        dtype = np.dtype(value) if isinstance(value, str) else None
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.kind not in "biuf":
        held = "Python objects" if dtype is not None and dtype.kind == "O" else f"values of type {str(value)[:80]!r}"
        raise FormatError(f"{where} declares {held}, expected numbers or booleans. Delete the array or convert it.")
    return dtype.newbyteorder("=")


def _count(shape: tuple[int, ...], chunk: tuple[int, ...]) -> int:
    return math.prod(-(-size // part) for size, part in zip(shape, chunk, strict=True))


def _check_count(chunks: int, files: int, inner: int, stored: int, where: str) -> None:
    """Reading takes time for each chunk, stored or not; of those inside shards an index takes 16 bytes each."""
    sharded = inner > chunks
    if chunks > _FREE_CHUNKS + _MAX_MISSING * files or (sharded and inner > _FREE_CHUNKS + _MAX_MISSING * stored // 16):
        raise FormatError(
            f"{where} declares {max(chunks, inner):,} chunks, but the store has {files:,} files of {stored:,} bytes"
            " for them. Copy the data again."
        )


def _check_size(shape: tuple[int, ...], inner: tuple[int, ...], dtype: np.dtype, stored: int, where: str) -> None:
    chunk, row = math.prod(inner) * dtype.itemsize, math.prod(shape[1:]) * dtype.itemsize
    if max(chunk, row) > MAX_BLOCK:
        raise FormatError(
            f"{where} declares chunks or rows of {max(chunk, row):,} bytes, and robomix reads up to {MAX_BLOCK:,} at "
            "once. Write the array again in smaller chunks."
        )
    size = math.prod(shape) * dtype.itemsize
    if size > max(_FREE_SIZE, stored * _MAX_RATIO):
        raise FormatError(f"{where} declares {size:,} bytes, but its chunks hold only {stored:,}. Copy the data again.")
