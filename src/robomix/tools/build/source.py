"""A LeRobot dataset on disk as the content of a new one: rows and frames stay where they are until they are written."""

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from robomix.errors import FormatError
from robomix.features import BOOKKEEPING
from robomix.files import leads_out, read_json_lines, scan
from robomix.formats.lerobot import v2, v3
from robomix.formats.lerobot.features import parse_features
from robomix.formats.lerobot.info import Info, read_info
from robomix.formats.lerobot.layout import Layout, stored_types
from robomix.formats.lerobot.part import WHOLE, Part, of_part, video_cameras
from robomix.formats.parquet import numpy_type, open_parquet, to_numpy
from robomix.tools.build.annotations import following
from robomix.tools.build.content import Content, Episode, Origin
from robomix.tools.build.rows import ParquetRows, Span
from robomix.video.remux import Clip

_WRITTEN_INFO = (
    *("codebase_version", "robot_type", "fps", "splits", "features", "data_path", "video_path", "chunks_size"),
    *("total_episodes", "total_frames", "total_tasks", "total_videos", "total_chunks"),
    *("data_files_size_in_mb", "video_files_size_in_mb"),
)
_WRITTEN_COLUMNS = ("episode_index", "tasks", "length", "dataset_from_index", "dataset_to_index")
_WRITTEN_PREFIXES = ("stats/", "data/", "videos/", "meta/episodes/")
_BESIDE = ("README.md", "LICENSE")
"""Files beside the data that go along."""
_WRITTEN_FILES = ("info.json", "stats.json", "tasks.jsonl", "tasks.parquet", "episodes.jsonl", "episodes_stats.jsonl")


def read_content(path: Path, part: Part = WHOLE, *, as_opened: bool = False) -> Content:
    """The dataset at `path`, LeRobot v2.0, v2.1 or v3.0, or a part of it.

    Nothing of it is left out but features that are declared and have no data: rows in the files' own types, frames as
    they lie in the videos, further columns and files of the metadata. Raises FormatError for a dataset that is damaged.
    `as_opened`: refuses, and warns of, what `open_dataset` does besides, for who does not open it.
    """
    root = path.resolve()
    info = read_info(root)
    listing = of_part(info, scan(root, info.folders()), part)
    cameras = [key for key in video_cameras(info) if key not in part.without]
    chosen = None if part.episodes is None else part.has
    layout = (v3 if info.version == "v3.0" else v2).read_layout(info, listing, cameras, chosen)
    columns = _columns(root, layout)
    if as_opened:
        _expect_usable(info, layout, columns)
    features = {
        key: _declared(spec, columns.get(key))
        for key, spec in info.features.items()
        if key not in BOOKKEEPING and (key in columns or key in layout.videos)
    }
    raw = json.loads((root / "meta/info.json").read_text(encoding="utf-8-sig"))
    content = Content(
        info.fps,
        info.robot_type,
        features,
        tuple(_episodes(root, info, layout, features, as_opened=as_opened)),
        further_info(raw),
        _meta_files(root),
        tuple(text for _, text in sorted(layout.tasks.items())),
        {name: root / name for name in _BESIDE if (root / name).is_file() and not leads_out(root / name, root)},
        splits=splits_of(raw.get("splits"), len(layout.episodes)),
        has_whole_stats=info.version == "v2.1" and (root / "meta/stats.json").is_file(),
    )
    return following(content, layout.tasks)


def _expect_usable(info: Info, layout: Layout, columns: Mapping[str, Any]) -> None:
    """Raises FormatError for columns of numbers and pictures that not all files have alike, or that are none."""
    features, left_out = parse_features(info.features, info.root / "meta" / "info.json")
    stored = [key for key, feature in features.items() if feature.kind == "numeric" or feature.storage == "image"]
    for key, kind in stored_types(info.root, layout.data, [*stored, "frame_index", "task_index"]).items():
        if key in features and features[key].kind == "numeric" and numpy_type(kind) is None:
            raise FormatError(f"{info.root}: feature {key!r} is declared a number, but its column holds {kind}.")
    for key, feature in features.items():
        if key not in columns and key not in layout.videos and (key in stored or feature.storage == "video"):
            what = "video file" if feature.storage == "video" else "column"
            left_out.append(f"left out {key!r}: meta/info.json declares it, but no episode has a {what} for it")
    for text in [*layout.warnings, *left_out]:
        warnings.warn(f"{info.root}: {text}.", stacklevel=3)


def splits_of(said: Any, episodes: int) -> dict[str, str]:
    """The named ranges of episodes, if they are such; else none."""
    made = {}
    for name, text in said.items() if isinstance(said, dict) else ():
        found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", str(text))
        if found is None or not int(found[1]) < int(found[2]) <= episodes:
            return {}
        made[str(name)] = str(text)
    return made


def _episodes(root: Path, info: Info, layout: Layout, features: Mapping[str, Any], *, as_opened: bool) -> list[Episode]:
    columns = {key: key for key, spec in features.items() if spec["dtype"] != "video"}
    spans: list[list[tuple[int, Span, int]]] = [[] for _ in layout.episodes]
    texts: list[list[tuple[int, np.ndarray]]] = [[] for _ in layout.episodes]
    for file in layout.data:
        path = root / file.name
        frame, task = _bookkeeping(path)
        each = path.stat().st_size / max(1, len(task))
        for first, count, ordinal, start in file.spans.tolist():
            stretch = slice(first, first + count)
            if frame is not None and not np.array_equal(frame[stretch], start + np.arange(count)):
                raise FormatError(
                    f"{path}: rows {first} to {first + count - 1}, of episode {layout.ids[ordinal]}, are not in the "
                    "order of frame_index. `robomix check` says more, and `robomix repair` sorts them."
                )
            spans[ordinal].append((start, Span(path, first, count), round(each * count)))
            texts[ordinal].append((start, task[stretch]))
    known, carried = _metadata(root, info, [k for k, spec in features.items() if spec["dtype"] in ("video", "image")])
    made = []
    for ordinal, record in enumerate(layout.episodes):
        own = sorted(spans[ordinal], key=lambda part: part[0])
        task = np.concatenate([part for _, part in sorted(texts[ordinal], key=lambda part: part[0])])
        numbers, first_seen, task_of = np.unique(task, return_index=True, return_inverse=True)
        if as_opened and (unknown := [number for number in numbers.tolist() if number not in layout.tasks]):
            raise FormatError(
                f"{root}: task_index {unknown[0]}, of episode {record.index}, has no text in the dataset's tasks, "
                f"which are numbered {sorted(layout.tasks)[:20]}. Add the task to meta/tasks, or correct the column."
            )
        order = np.argsort(first_seen)
        names = tuple(layout.tasks.get(int(numbers[i]), record.first_task or "") for i in order)
        made.append(
            Episode(
                record.length,
                ParquetRows(tuple(span for _, span, _ in own), columns, sum(size for _, _, size in own)),
                names,
                {key: _clip(root, layout, key, ordinal, record.length) for key in layout.videos if key in features},
                Origin(str(root), record.index),
                np.argsort(order)[task_of] if len(numbers) > 1 else None,
                known.get(record.index, {}),
                carried.get(record.index, {}),
            )
        )
    return made


def _clip(root: Path, layout: Layout, key: str, ordinal: int, length: int) -> Clip:
    files = layout.videos[key]
    first = int(files.first[ordinal])
    return Clip(root / files.names[int(files.file_of[ordinal])], first, first + length)


def _bookkeeping(path: Path) -> tuple[np.ndarray | None, np.ndarray]:
    """frame_index, None where there is none, and task_index, zeros where there is none, of a file's rows."""
    with open_parquet(path) as file:
        names = file.schema_arrow.names
        table = file.read(columns=[key for key in ("frame_index", "task_index") if key in names])
        rows = file.metadata.num_rows
    made = [
        to_numpy(table[key].combine_chunks(), (), f"{path}, column {key!r}") if key in table.column_names else None
        for key in ("frame_index", "task_index")
    ]
    return made[0], np.zeros(rows, np.int64) if made[1] is None else made[1]


def _columns(root: Path, layout: Layout) -> dict[str, Any]:
    """The type of each column of the data files; those that not all files have are left out."""
    schemas = [pq.read_schema(root / file.name) for file in layout.data]
    shared = set(schemas[0].names).intersection(*(schema.names for schema in schemas))
    return {name: schemas[0].field(name).type for name in schemas[0].names if name in shared}


def _declared(spec: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """A feature's declaration, with the dtype that its column really has and its shape as a list."""
    made = dict(spec)
    shape = spec.get("shape")
    made["shape"] = [shape] if isinstance(shape, int) else list(shape or [1])
    if kind is not None and (found := numpy_type(kind)) is not None:
        made["dtype"] = "bool" if found.kind == "b" else found.name
    return made


def _metadata(
    root: Path, info: Info, cameras: list[str]
) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
    """By episode_index: statistics of cameras, where the dataset has them per episode; further columns."""
    if info.version == "v3.0":
        rows = _metadata_rows(root, cameras)
        known = {row["episode_index"]: _complete(_nested_stats(row), cameras) for row in rows}
    else:
        rows = read_json_lines(root / "meta/episodes.jsonl")
        lines = root / "meta/episodes_stats.jsonl"
        found = read_json_lines(lines) if info.version == "v2.1" and lines.is_file() else []
        known = {line.get("episode_index", -1): _complete(line.get("stats", {}), cameras) for line in found}
    return known, {row["episode_index"]: further_columns(row) for row in rows}


def _nested_stats(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Statistics by feature and name, out of the columns `stats/FEATURE/NAME` of v3.0."""
    nested: dict[str, dict[str, Any]] = {}
    for column, value in row.items():
        if column.startswith("stats/") and value is not None:
            key, name = column.removeprefix("stats/").rsplit("/", 1)
            nested.setdefault(key, {})[name] = value
    return nested


def _complete(stats: Any, cameras: list[str]) -> dict[str, Any]:
    """Of the cameras' statistics those that can be pooled."""
    needed = {"mean", "std", "min", "max", "count"}
    return {key: stats[key] for key in cameras if isinstance(stats, dict) and needed <= set(stats.get(key) or ())}


def _metadata_rows(root: Path, cameras: list[str]) -> list[dict[str, Any]]:
    """The rows of meta/episodes, with the columns that are not written anew: most are statistics of numbers."""
    rows: list[dict[str, Any]] = []
    kept = ("episode_index", *(f"stats/{key}/" for key in cameras))
    for path in sorted((root / "meta/episodes").rglob("*.parquet")):
        with open_parquet(path) as file:
            names = [name for name in file.schema_arrow.names if name.startswith(kept) or further_columns({name: 0})]
            rows += file.read(columns=names).to_pylist()
    return rows


def further_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """What info.json says beyond what is written anew."""
    return {key: value for key, value in info.items() if key not in _WRITTEN_INFO}


def further_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the metadata says of an episode beyond what is written anew."""
    return {k: v for k, v in row.items() if k not in _WRITTEN_COLUMNS and not k.startswith(_WRITTEN_PREFIXES)}


def is_further_file(name: str) -> bool:
    """Whether a file, by its name below meta/, is none of those that are written anew."""
    return name not in _WRITTEN_FILES and not name.startswith(("episodes/", "."))


def _meta_files(root: Path) -> dict[str, Path]:
    meta = root / "meta"
    paths = [path for path in sorted(meta.rglob("*")) if path.is_file() and not leads_out(path, root)]
    names = {path.relative_to(meta).as_posix(): path for path in paths}
    return {name: path for name, path in names.items() if is_further_file(name)}
