"""LeRobot v3.0: many episodes per Parquet file and per video; metadata in Parquet.

Rows are found by the `episode_index` column of the data files themselves: the `data/*_index` columns of the metadata
go stale when datasets are merged or edited.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from robomix.errors import FormatError
from robomix.files import Listing
from robomix.formats.lerobot.info import Info, fill
from robomix.formats.lerobot.layout import DataFile, EpisodeRecord, Layout, VideoFiles, check_episodes
from robomix.formats.parquet import batches, open_parquet, read_columns, to_numpy

_ROWS = 1 << 18
_IF_STALE = " If the metadata names the wrong file for it, leave `episodes` out, and all files are read."
_TASK_COLUMNS = ("task", "__index_level_0__")
Row = dict[str, Any]


def read_layout(
    info: Info, listing: Listing, cameras: list[str], chosen: Callable[[int], bool] | None = None
) -> Layout:  # fmt: skip
    """Find the episodes, tasks and files of a v3.0 dataset. `cameras` are its video features.

    With `chosen`, only the episodes of which it is true, by their `episode_index`; files of others need not be there.
    """
    names = listing.below(info.data_path.split("/")[0], ".parquet") or listing.below("data", ".parquet")
    if not names:
        raise FormatError(
            f"{info.root} has no data files: no *.parquet lies where the template {info.data_path!r} of meta/info.json "
            "puts them, nor below data/. Download the whole dataset, not just its metadata."
        )
    rows = episode_rows(info, listing, cameras)
    ids = [row.get("episode_index") for row in rows]
    others = {id for id in ids if chosen is not None and isinstance(id, int) and not chosen(id)}
    rows = [row for row, id in zip(rows, ids, strict=True) if id not in others]
    where = info.root / "meta" / "episodes"
    episodes, warnings = check_episodes([_record(row, where) for row in rows], where)
    data = _locate_rows(info.root, names, episodes, others)
    by_id = {row["episode_index"]: row for row in rows}
    videos = {key: _video_files(info, listing, key, [by_id[e.index] for e in episodes]) for key in cameras}
    found = {key: files for key, files in videos.items() if files is not None}
    return Layout(episodes, data, read_tasks(info), found, warnings)


def episode_rows(info: Info, listing: Listing, cameras: list[str]) -> list[Row]:
    """What meta/episodes says of each episode, unchecked; columns that a dataset lacks are missing."""
    names = listing.below("meta/episodes", ".parquet")
    if not names:
        raise FormatError(f"{info.root} has no *.parquet below meta/episodes, where v3.0 lists its episodes.")
    columns = ["episode_index", "length", "tasks", "data/chunk_index", "data/file_index"]
    columns += [f"videos/{key}/{part}" for key in cameras for part in ("chunk_index", "file_index", "from_timestamp")]
    return [row for name in names for row in read_columns(info.root / name, columns).to_pylist()]


def _record(row: Row, where: Path) -> EpisodeRecord:
    for column in ("episode_index", "length"):
        if not isinstance(row.get(column), int) or row[column] < 0:
            raise FormatError(f"{where}: an episode has {column} {row.get(column)!r}, expected an integer from 0 on.")
    tasks = row.get("tasks")
    first = next((task for task in tasks if isinstance(task, str)), None) if isinstance(tasks, list) else None
    return EpisodeRecord(row["episode_index"], row["length"], first)


def _locate_rows(root: Path, names: list[str], episodes: list[EpisodeRecord], others: set[int]) -> list[DataFile]:
    """Find each episode's rows by the `episode_index` column, in the files' order, and check that all are there.

    Rows of `others`, episodes that were not chosen, are passed over.
    """
    ids = np.array([episode.index for episode in episodes])
    lengths = np.array([episode.length for episode in episodes])
    filled = np.zeros(len(ids), np.int64)
    held_by: dict[int, str] = {}
    files = []
    for name in names:
        spans, passed_over = [], 0
        for first, count, index in _runs(root / name):
            if index in others:
                passed_over += count
                continue
            ordinal = int(np.searchsorted(ids, index))
            if ordinal == len(ids) or ids[ordinal] != index:
                raise FormatError(
                    f"{root / name} has rows of episode {index}, which meta/episodes does not list, or lists as "
                    "empty. Restore the metadata, or remove the rows."
                )
            spans.append((first, count, ordinal, filled[ordinal]))
            filled[ordinal] += count
            held_by[ordinal] = name
        if spans:
            files.append(DataFile(name, np.array(spans, np.int64), passed_over))
    for ordinal in np.flatnonzero(filled != lengths):
        raise FormatError(
            f"{root / held_by[ordinal] if ordinal in held_by else root}: the data files hold {filled[ordinal]} rows of "
            f"episode {ids[ordinal]}, but meta/episodes says {lengths[ordinal]}. Download the missing files, or "
            f"correct the length.{_IF_STALE if others else ''}"
        )
    return files


def _runs(path: Path) -> list[tuple[int, int, int]]:
    """(first row, rows, episode_index) of each stretch of a file that belongs to one episode."""
    runs: list[tuple[int, int, int]] = []
    with open_parquet(path) as file:
        if "episode_index" not in file.schema_arrow.names:
            raise FormatError(f"{path} has no column 'episode_index', by which v3.0 tells episodes apart. Restore it.")
    start = 0
    for batch in batches(path, ["episode_index"], _ROWS):
        values = to_numpy(batch.column("episode_index"), (), f"column 'episode_index' of {path}")
        cuts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1, [len(values)]])
        for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            if runs and b > a and runs[-1][2] == int(values[a]) and sum(runs[-1][:2]) == start + a:
                runs[-1] = (runs[-1][0], runs[-1][1] + b - a, runs[-1][2])
            elif b > a:
                runs.append((start + a, b - a, int(values[a])))
        start += len(values)
    return runs


def read_tasks(info: Info) -> dict[int, str]:
    """Text by task_index. The texts are the table's index in pandas, so their column goes by several names."""
    path = info.root / "meta" / "tasks.parquet"
    table = read_columns(path, ["task_index", *_TASK_COLUMNS])
    texts = next((name for name in _TASK_COLUMNS if name in table.column_names), None)
    if texts is None or "task_index" not in table.column_names:
        raise FormatError(f"{path} has the columns {table.column_names} of those expected: task_index and task.")
    tasks: dict[int, str] = {}
    for number, text in zip(table["task_index"].to_pylist(), table[texts].to_pylist(), strict=True):
        if not isinstance(number, int) or not isinstance(text, str) or tasks.get(number, text) != text:
            raise FormatError(f"{path}: task_index {number!r} has task {text!r}, expected one text for each number.")
        tasks[number] = text
    return tasks


def _video_files(info: Info, listing: Listing, key: str, rows: list[Row]) -> VideoFiles | None:
    """The videos of camera `key` for the episodes `rows`; None if there is none at all."""
    names: dict[str, int] = {}
    file_of, first, missing = [], [], []
    for row in rows:
        found, expected = video_name(info, listing, key, row)
        if found is None:
            missing.append((row["episode_index"], expected))
            continue
        file_of.append(names.setdefault(found, len(names)))
        first.append(_first_frame(info.fps, row, key, info.root))
    if missing and (names or any(key in name.split("/") for name in listing.below("videos", ".mp4"))):
        raise FormatError(
            f"{info.root / missing[0][1]} does not exist, but meta/episodes puts the frames of camera {key!r} in "
            f"episode {missing[0][0]} there. Download the file, or correct the metadata."
        )
    return VideoFiles(list(names), np.array(file_of), np.array(first)) if names else None


def video_name(info: Info, listing: Listing, key: str, row: Row) -> tuple[str | None, str]:
    """The video file of an episode, None if it does not exist, and where it should be."""
    chunk, file = row.get(f"videos/{key}/chunk_index"), row.get(f"videos/{key}/file_index")
    if not isinstance(chunk, int) or not isinstance(file, int):
        return None, f"a file of {key!r} (without videos/{key}/chunk_index and file_index in meta/episodes)"
    expected = [
        fill(template, info.root, chunk_index=chunk, file_index=file, video_key=key)
        for template in (info.video_path, info.default_video_path)
    ]
    return next((name for name in expected if name in listing.files), None), expected[0] or str(expected[1])


def _first_frame(fps: Fraction, row: Row, key: str, root: Path) -> int:
    start = row.get(f"videos/{key}/from_timestamp")
    if isinstance(start, bool) or not isinstance(start, int | float) or not math.isfinite(start) or start < 0:
        raise FormatError(
            f"{root / 'meta' / 'episodes'}: episode {row['episode_index']} has videos/{key}/from_timestamp {start!r}, "
            "expected seconds from the start of the file."
        )
    return round(float(start) * fps)
