"""Fill the column cache from a LeRobot dataset: everything but video frames, in one pass, whatever the version.

Rows are copied to their final place batch by batch, so memory does not grow with the dataset. Then the rows of
episodes that were written out of order are sorted by `frame_index`, and everything is hashed.

Arrays of the entry, N rows and E episodes: `column <key>` (N, *shape), `tasks` (N,), `ids` (E,), `starts` (E + 1,);
per video camera `file <key>` and `first <key>` (E,), see VideoFiles; per picture camera the encoded pictures end to
end in `bytes <key>`, `start <key>` and `size <key>` (N,).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from robomix.errors import FormatError
from robomix.features import Feature
from robomix.files import Listing
from robomix.formats.columns import Builder
from robomix.formats.lerobot import v2, v3
from robomix.formats.lerobot.features import parse_features
from robomix.formats.lerobot.info import Info
from robomix.formats.lerobot.layout import Layout, stored_types
from robomix.formats.lerobot.order import sort_rows
from robomix.formats.lerobot.part import WHOLE, Part
from robomix.formats.lerobot.rows import Rows
from robomix.formats.parquet import numpy_type, to_numpy
from robomix.video.pictures import picture_size
from robomix.video.timeline import open_video

_NUMBER_ROWS = 1 << 15
_PICTURE_ROWS = 64
_HASHED_ROWS = 1 << 16


def fill_cache(info: Info, listing: Listing, cache: Builder, part: Part = WHOLE) -> None:
    """Read a dataset, or a part of one, into `cache`. Raises FormatError for what cannot be read."""
    features, warnings = parse_features(info.features, info.root / "meta" / "info.json")
    videos = [key for key, feature in features.items() if feature.storage == "video" and key not in part.without]
    chosen = None if part.episodes is None else part.has
    layout = (v3 if info.version == "v3.0" else v2).read_layout(info, listing, videos, chosen)
    stored = [key for key, feature in features.items() if feature.kind == "numeric" or feature.storage == "image"]
    types = stored_types(info.root, layout.data, [*stored, "frame_index", "task_index"])
    warnings += _leave_out_absent(features, {*layout.videos, *types}, [*videos, *stored])
    rows = Rows(info.root, layout)
    arrays = _read_numbers(rows, {key: f for key, f in features.items() if f.kind == "numeric"}, types, cache)
    for key, feature in features.items():
        if feature.kind == "numeric":
            features[key] = replace(feature, dtype=arrays[f"column {key}"].dtype.name)
        elif feature.storage == "image":
            size, where = _read_pictures(rows, key, types[key], cache, arrays)
            features[key] = _sized(key, feature, size, where, warnings)
        elif key in layout.videos:
            where = layout.videos[key].names[0]
            features[key] = _sized(key, feature, _video_size(info.root / where), where, warnings)
    sort_rows(rows, arrays)
    if arrays.pop("frame_index", None) is not None:
        cache.drop("frame_index")
    arrays |= _add_small_arrays(rows, cache, has_tasks="tasks" in arrays)
    cache.meta |= {
        "format": f"LeRobot {info.version}",
        "fps": [info.fps.numerator, info.fps.denominator],
        "robot_type": info.robot_type,
        "features": {key: asdict(feature) for key, feature in features.items()},
        "tasks": [text for _, text in sorted(layout.tasks.items())],
        "videos": {key: files.names for key, files in layout.videos.items()},
        "warnings": [*layout.warnings, *warnings],
    }
    cache.meta["fingerprint"] = _fingerprint(cache.meta, arrays, layout, listing)


def _leave_out_absent(features: dict[str, Feature], found: set[str], expected: list[str]) -> list[str]:
    """Remove those of the `expected` features that have not been found; returns the warnings."""
    warnings = []
    for key in expected:
        if key not in found:
            what = "video file" if features.pop(key).storage == "video" else "column"
            warnings.append(f"left out {key!r}: meta/info.json declares it, but no episode has a {what} for it")
    return warnings


def _read_numbers(
    rows: Rows, columns: Mapping[str, Feature], types: Mapping[str, pa.DataType], cache: Builder
) -> dict[str, np.ndarray]:
    """Copy the numeric columns, and the bookkeeping needed, to their places; by name in the cache."""
    shapes = {key: feature.shape for key, feature in columns.items()}
    shapes |= {key: () for key in ("frame_index", "task_index") if key in types}
    for key in shapes:
        if numpy_type(types[key]) is None:
            raise FormatError(f"{rows.root}: feature {key!r} is declared a number, but its column holds {types[key]}.")
    arrays: dict[str, np.ndarray] = {}
    for path, batch, pieces in rows.stream(list(shapes), _NUMBER_ROWS):
        for key, shape in shapes.items():
            name = {"frame_index": key, "task_index": "tasks"}.get(key, f"column {key}")
            values = to_numpy(batch.column(key), shape, f"column {key!r} of {path}")
            if key == "task_index":
                values = _task_positions(values, rows.layout.tasks, path)
            if name not in arrays:
                arrays[name] = cache.array(name, values.dtype, (rows.total, *shape))
            for source, target in pieces:
                arrays[name][target] = values[source]
    return arrays


def _task_positions(numbers: np.ndarray, tasks: Mapping[int, str], path: Path) -> np.ndarray:
    """Positions of `task_index` values among the sorted numbers of `tasks`."""
    known = np.array(sorted(tasks), np.int64)
    places = np.searchsorted(known, numbers)
    unknown = np.ones(len(numbers), bool) if not len(known) else known[np.minimum(places, len(known) - 1)] != numbers
    if unknown.any():
        raise FormatError(
            f"{path}: task_index {numbers[unknown][0]} has no text in the dataset's tasks, which are numbered "
            f"{known[:20].tolist()}. Add the task to meta/tasks, or correct the column."
        )
    return places


def _read_pictures(
    rows: Rows, key: str, kind: pa.DataType, cache: Builder, arrays: dict[str, np.ndarray]
) -> tuple[tuple[int, int] | None, str]:
    """Copy the encoded pictures of a camera end to end; returns (height, width) of the first and its file."""
    if not pa.types.is_binary(_bytes_type(kind)):
        raise FormatError(f"{rows.root}: camera {key!r} is stored as {kind}, expected a struct with the field 'bytes'.")
    start = arrays[f"start {key}"] = cache.array(f"start {key}", np.dtype(np.int64), (rows.total,))
    size = arrays[f"size {key}"] = cache.array(f"size {key}", np.dtype(np.int64), (rows.total,))
    found: tuple[tuple[int, int] | None, str] = (None, "")
    for path, batch, pieces in rows.stream([key], _PICTURE_ROWS):
        if not pieces:
            continue  # of episodes that were not chosen
        column = batch.column(key)
        pictures = (column.field("bytes") if pa.types.is_struct(column.type) else column).to_pylist()
        if not all(pictures):
            raise FormatError(f"{path}: camera {key!r} has rows without the bytes of a picture; a path is not enough.")
        lengths = np.array([len(picture) for picture in pictures], np.int64)
        begins = cache.append(f"bytes {key}", b"".join(pictures)) + np.cumsum(lengths) - lengths
        for source, target in pieces:
            start[target], size[target] = begins[source], lengths[source]
        if not found[1]:
            found = picture_size(pictures[0], f"the first picture of {key!r} in {path}"), path.name
    return found


def _bytes_type(kind: pa.DataType) -> pa.DataType:
    has_bytes = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    return kind.field("bytes").type if has_bytes else kind


def _video_size(path: Path) -> tuple[int, int] | None:
    """(height, width) of a video; None where it cannot be opened."""
    try:
        with open_video(path) as container:
            stream = container.streams.video[0]
    except FormatError:
        return None  # reading a frame of this file will say so; the other columns are of use without it
    return stream.height, stream.width


def _sized(key: str, feature: Feature, size: tuple[int, int] | None, where: str, warnings: list[str]) -> Feature:
    """The camera with the size its first file has, which the declaration sometimes misses."""
    channels, height, width = feature.shape
    if size is None or size == (height, width):
        return feature
    warnings.append(f"frames of {key!r} are {size[1]} x {size[0]} in {where}, not {width} x {height} as declared")
    return replace(feature, shape=(channels, *size))


def _add_small_arrays(rows: Rows, cache: Builder, *, has_tasks: bool) -> dict[str, np.ndarray]:
    layout = rows.layout
    small = {"ids": layout.ids, "starts": rows.starts}
    for key, files in layout.videos.items():
        small |= {f"file {key}": files.file_of, f"first {key}": files.first}
    if not has_tasks:
        small["tasks"] = np.repeat(_first_tasks(rows), layout.lengths)
    for name, values in small.items():
        cache.array(name, np.dtype(np.int64), values.shape)[...] = values
    return small


def _first_tasks(rows: Rows) -> np.ndarray:
    """(E,) position of each episode's first task; for datasets without a `task_index` column."""
    places = {text: place for place, (_, text) in reversed(list(enumerate(sorted(rows.layout.tasks.items()))))}
    for episode in rows.layout.episodes:
        if episode.first_task not in places:
            raise FormatError(
                f"{rows.root}: the rows have no task_index, and the first task of episode {episode.index}, "
                f"{episode.first_task!r}, is not among the dataset's tasks. Add it to meta/tasks."
            )
    return np.array([places[episode.first_task or ""] for episode in rows.layout.episodes], np.int64)


def _fingerprint(meta: Mapping[str, object], arrays: Mapping[str, np.ndarray], layout: Layout, listing: Listing) -> str:
    """Hex digest of the content: what a reader gets, and the sizes of the videos; not paths or times."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([meta[name] for name in ("fps", "robot_type", "features", "tasks")]).encode())
    for name, array in sorted(arrays.items()):
        if not name.startswith("start "):  # where pictures lie in the cache depends on the order of files
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            for begin in range(0, len(array), _HASHED_ROWS):
                digest.update(np.ascontiguousarray(array[begin : begin + _HASHED_ROWS]))
    for key, files in sorted(layout.videos.items()):
        digest.update(json.dumps([key, [listing.files[name][0] for name in files.names]]).encode())
    return digest.hexdigest()
