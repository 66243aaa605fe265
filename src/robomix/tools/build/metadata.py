"""The metadata of a dataset that was written: info.json, episodes, tasks and statistics, of each version."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robomix.errors import FormatError
from robomix.formats.lerobot.info import DEFAULT_PATHS
from robomix.formats.lerobot.write_meta import number, write_stats, write_tasks
from robomix.formats.lerobot.write_stats import Stats
from robomix.formats.lerobot.write_tables import EPISODES_PATH, FILES_PER_CHUNK, RollingParquet, read_column
from robomix.mixture.padding import PaddingColumns
from robomix.summaries import stats_of_values
from robomix.tools.build.camera_stats import pooled
from robomix.tools.build.content import Content
from robomix.tools.build.layout import DATA_MB, VIDEO_MB, Files
from robomix.tools.build.measure import merged
from robomix.tools.build.padded import declared_padding, fill_gaps, pooled_cameras, real_stats, without_absent
from robomix.tools.build.shards import WrittenFrames, WrittenRows
from robomix.tools.build.tables import BOOKKEEPING_TYPES

_GROUP = 100
"""Episodes in a row group of meta/episodes."""
_VALUES = 1 << 22
"""Numbers of a column that are in memory together, unless a single entry has more rows."""


def write_metadata(
    content: Content,
    files: Files,
    root: Path,
    data: Sequence[WrittenRows],
    videos: Sequence[WrittenFrames],
    tasks: Mapping[str, int],
) -> None:
    """Writes everything below meta/; info.json, by which a reader knows a dataset, last."""
    (root / "meta").mkdir(parents=True, exist_ok=True)
    stats = _episode_stats(content, files, data, videos)
    whole = _whole_stats(content, files, root, stats, data, videos)
    rows = _episode_rows(content, files, videos)
    if files.version == "v3.0":
        _write_episodes(root, rows, stats)
        write_tasks(root, list(tasks))
    else:
        plain = [
            {"episode_index": i, "tasks": list(e.tasks), "length": e.length} | dict(e.carried)
            for i, e in enumerate(content.episodes)
        ]
        _write_lines(root / "meta/episodes.jsonl", plain)
        _write_lines(root / "meta/tasks.jsonl", [{"task_index": i, "task": text} for text, i in tasks.items()])
        if files.version == "v2.1":
            lines = [{"episode_index": i, "stats": _plain(entry)} for i, entry in enumerate(stats)]
            _write_lines(root / "meta/episodes_stats.jsonl", lines)
    if files.version != "v2.1" or content.has_whole_stats:
        write_stats(root, whole)
    info = json.dumps(info_of(content, files, len(tasks)), indent=4, ensure_ascii=False)
    (root / "meta/info.json").write_text(info, encoding="utf-8")


def info_of(content: Content, files: Files, tasks: int) -> dict[str, Any]:
    """What info.json says."""
    declared = {key: dict(spec) for key, spec in content.features.items()}
    # LeRobot's converter gives each column the rate; then those of bookkeeping have it too.
    rate = {"fps": number(content.fps)} if any("fps" in spec for spec in content.features.values()) else {}
    declared |= {key: {"dtype": dtype, "shape": [1], "names": None} | rate for key, dtype in BOOKKEEPING_TYPES.items()}
    data_path, video_path = DEFAULT_PATHS[files.version[:2]]
    episodes = len(content.episodes)
    info = {
        "codebase_version": files.version,
        "robot_type": content.robot_type,
        "total_episodes": episodes,
        "total_frames": content.num_frames,
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "fps": number(content.fps),
        "splits": dict(content.splits) or {"train": f"0:{episodes}"},
        "data_path": data_path,
        "video_path": video_path if content.videos else None,
        "features": declared,
    }
    if files.version == "v3.0":
        info |= {"data_files_size_in_mb": DATA_MB, "video_files_size_in_mb": VIDEO_MB}
    else:
        chunks = -(-episodes // FILES_PER_CHUNK)
        info |= {"total_videos": episodes * len(content.videos), "total_chunks": chunks}
    return dict(content.info) | info


def _episode_stats(
    content: Content, files: Files, data: Sequence[WrittenRows], videos: Sequence[WrittenFrames]
) -> list[dict[str, Stats]]:
    """Of each episode: of its columns, of frames that were encoded, and those of cameras that were known."""
    stats: list[dict[str, Stats]] = [entry for file in data for entry in file.stats]
    for number_, episode in enumerate(content.episodes):
        known = {key: {name: np.asarray(v) for name, v in of.items()} for key, of in episode.camera_stats.items()}
        stats[number_] = known | stats[number_]
    for file, written in zip(files.videos, videos, strict=True):
        for offset, entry in enumerate(written.stats):
            if entry is not None:
                stats[file.first + offset][file.key] = entry
    for key in content.features:  # some are known and others measured here, which have quantiles too
        of_key = [own for own in stats if key in own]
        shared = set.intersection(*(set(own[key]) for own in of_key)) if of_key else set()
        for own in of_key:
            own[key] = {name: value for name, value in own[key].items() if name in shared}
    return stats


def _whole_stats(
    content: Content,
    files: Files,
    root: Path,
    stats: Sequence[dict[str, Stats]],
    data: Sequence[WrittenRows],
    videos: Sequence[WrittenFrames],
) -> dict[str, Stats]:
    """Of the whole set; `stats` of the episodes are mended where these have only padding of a feature."""
    padding = declared_padding(content)
    if files.version == "v2.1" and not padding and not content.has_whole_stats:
        return {}  # it needs none
    cameras = [key for key, spec in content.features.items() if spec["dtype"] in ("video", "image")]
    lacked = without_absent(stats, padding, cameras)
    whole = _global_stats(content, root, stats, padding) | _counted(content, files, data, videos)
    whole |= pooled_cameras(stats, lacked)
    fill_gaps(stats, whole, set(padding))
    for mask in (name for columns in padding.values() for name in columns.names):
        for entry in (whole, *stats):  # it is no quantity; and LeRobot would take a camera's for a picture's
            entry.pop(mask, None)
    return whole


def _episode_rows(content: Content, files: Files, videos: Sequence[WrittenFrames]) -> list[dict[str, Any]]:
    """The columns of meta/episodes but statistics."""
    rows: list[dict[str, Any]] = []
    first = 0
    for i, episode in enumerate(content.episodes):
        rows.append(
            {"episode_index": i, "tasks": list(episode.tasks), "length": episode.length}
            | {"dataset_from_index": first, "dataset_to_index": first + episode.length}
            | dict(episode.carried)
        )
        first += episode.length
    for file in files.data:
        for i in range(file.first, file.stop):
            rows[i] |= file.place.columns("data")
    for video, written in zip(files.videos, videos, strict=True):
        for i, start in zip(range(video.first, video.stop), written.starts, strict=True):
            prefix, length = f"videos/{video.key}", content.episodes[i].length
            rows[i] |= video.place.columns(prefix) | {
                f"{prefix}/from_timestamp": float(start / content.fps),
                f"{prefix}/to_timestamp": float((start + length) / content.fps),
            }
    return rows


def _write_episodes(root: Path, rows: Sequence[Mapping[str, Any]], stats: Sequence[dict[str, Stats]]) -> None:
    keys = [key for key in dict.fromkeys(key for entry in stats for key in entry) if all(key in e for e in stats)]
    series = RollingParquet(root, EPISODES_PATH, DATA_MB << 20)
    kinds = {name: _kind(name, rows) for name in rows[0]}
    try:
        for begin in range(0, len(rows), _GROUP):
            group = range(begin, min(begin + _GROUP, len(rows)))
            place = series.place_for(len(group)).columns("meta/episodes")
            whole = [
                dict(rows[i])
                | {f"stats/{key}/{name}": value.tolist() for key in keys for name, value in stats[i][key].items()}
                | place
                for i in group
            ]
            table = pa.Table.from_pylist(whole)
            for i, (name, kind) in enumerate(kinds.items()):  # they come first
                table = table.set_column(i, name, table[name].cast(kind))
            series.write(table)
    finally:
        series.close()


def _kind(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.DataType:
    """The type of a column, of which a group of rows may have nothing. Raises FormatError for values of several."""
    try:
        return pa.array([row[name] for row in rows]).type
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise FormatError(
            f"the metadata of the episodes holds values of several types in the column {name!r}, which no file can: "
            f"{error}. Rename the column in one of the datasets, or remove it. Nothing was published."
        ) from error


def _global_stats(
    content: Content, root: Path, stats: Sequence[dict[str, Stats]], padding: Mapping[str, PaddingColumns]
) -> dict[str, Stats]:
    """Of the whole set: of columns from the files that were written, some entries at a time; of cameras, pooled."""
    made: dict[str, Stats] = {}
    for key, spec in content.features.items():
        if spec["dtype"] in ("video", "image"):
            if all(key in entry for entry in stats):
                made[key] = pooled([entry[key] for entry in stats])
        elif key in padding:
            made[key] = real_stats(key, tuple(spec["shape"]), padding[key], partial(read_column, root))
        elif spec["dtype"] not in ("string", "binary", "language"):
            made[key] = _stats_of_column(root, key, tuple(spec["shape"]), content.num_frames)
    return made | {key: _stats_of_column(root, key, (), content.num_frames) for key in BOOKKEEPING_TYPES}


def _stats_of_column(root: Path, key: str, shape: tuple[int, ...], rows: int) -> Stats:
    """Of a column of `rows` rows, of which only some entries are in memory at a time: quantiles need all rows."""
    each = max(1, _VALUES // rows)
    parts = []
    for first in range(0, math.prod(shape), each):
        parts.append(stats_of_values(read_column(root, key, slice(first, first + each))))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {name: parts[0][name] if name == "count" else value.reshape(shape or (1,)) for name, value in whole.items()}


def _counted(
    content: Content, files: Files, data: Sequence[WrittenRows], videos: Sequence[WrittenFrames]
) -> dict[str, Stats]:
    """Of the whole set, with exact quantiles, of cameras all of whose episodes were measured."""
    made = {}
    for key, spec in content.features.items():
        if spec["dtype"] in ("video", "image"):
            parts = [own.pixels for file, own in zip(files.videos, videos, strict=True) if file.key == key]
            parts = parts if spec["dtype"] == "video" else [own.pixels.get(key) for own in data]
            known = [part for part in parts if part is not None]
            if len(known) == len(parts):
                made[key] = merged(known).stats()
    return made


def _write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")


def _plain(stats: Mapping[str, Stats]) -> dict[str, Any]:
    return {key: {name: value.tolist() for name, value in entry.items()} for key, entry in stats.items()}
