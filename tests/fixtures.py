"""Small, deterministic LeRobot datasets of every version, written with plain pyarrow, json and PyAV.

`write_v20`, `write_v21` and `write_v30` take a folder and the fields of `Spec` as keywords, and return a `Truth`: what
a correct reader must give back. Nothing here uses robomix, so that tests do not trust the code they test. The oddities
are those of real files: each field of `Spec` that is not a plain size names one.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.damage import drop_parquet_footer, edit_info, replace_by_lfs_pointer, truncate
from tests.lerobot_files import (
    V2_DATA,
    V2_VIDEO,
    V3_DATA,
    V3_VIDEO,
    stats_of,
    table_of,
    write_info,
    write_json,
    write_lines,
    write_parquet,
)
from tests.pictures import decode_video, row_and_camera, write_video
from tests.truth import Spec, Truth, truth_of

__all__ = [
    "Spec",
    "Truth",
    "decode_video",
    "drop_parquet_footer",
    "edit_info",
    "replace_by_lfs_pointer",
    "row_and_camera",
    "truncate",
    "write_v20",
    "write_v21",
    "write_v30",
]


def write_v20(path: Path, **spec: Any) -> Truth:
    """A LeRobot v2.0 dataset: one parquet and one mp4 per episode, statistics of the whole set without counts."""
    return _write_v2(path, Spec(**spec), "v2.0")


def write_v21(path: Path, **spec: Any) -> Truth:
    """A LeRobot v2.1 dataset: as v2.0, with statistics per episode."""
    return _write_v2(path, Spec(**spec), "v2.1")


def write_v30(path: Path, **spec: Any) -> Truth:
    """A LeRobot v3.0 dataset: several episodes per parquet and per mp4, episode metadata in parquet."""
    s = Spec(**spec)
    truth = truth_of(path, s)
    places = {
        "data": [_place(e, s.episodes_per_data_file, s) for e in range(len(s.lengths))],
        "meta": [_place(e, s.episodes_per_meta_file, s) for e in range(len(s.lengths))],
        "video": [_place(e, s.episodes_per_video_file, s) for e in range(len(s.lengths))],
    }
    for place, episodes in _grouped(places["data"]):
        tables = [table_of(truth, s, truth.rows(e)) for e in episodes]
        write_parquet(path / V3_DATA.format(**place), tables, s.row_group_per_episode)
    if s.storage == "video":
        for place, episodes in _grouped(places["video"]):
            rows = slice(truth.rows(episodes[0]).start, truth.rows(episodes[-1]).stop)
            for key, frames in truth.frames.items():
                file = path / V3_VIDEO.format(video_key=key, **place)
                write_video(file, frames[rows], truth.fps, codec=s.codec, gop=s.gop, b_frames=s.b_frames)
    for place, episodes in _grouped(places["meta"]):
        rows = [_episode_row(truth, s, e, places) for e in episodes]
        file = path / "meta/episodes" / "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet".format(**place)
        write_parquet(file, [pa.Table.from_pylist(rows)], False)
    _write_tasks_parquet(path / "meta/tasks.parquet", truth, s)
    if s.stats:
        write_json(path / "meta/stats.json", stats_of(truth, slice(None)))
    write_info(path, truth, s, "v3.0")
    return truth


def _write_v2(path: Path, s: Spec, version: str) -> Truth:
    truth = truth_of(path, s)
    meta = path / "meta"
    meta.mkdir(parents=True)
    for e, episode_id in enumerate(truth.episode_ids):
        rows, place = truth.rows(e), {"episode_chunk": episode_id // s.files_per_chunk, "episode_index": episode_id}
        write_parquet(path / V2_DATA.format(**place), [table_of(truth, s, rows)], False)
        for key, frames in truth.frames.items() if s.storage == "video" else ():
            file = path / V2_VIDEO.format(video_key=key, **place)
            write_video(file, frames[rows], truth.fps, codec=s.codec, gop=s.gop, b_frames=s.b_frames)
    write_lines(meta / "episodes.jsonl", [
        {"episode_index": i, "tasks": sorted(set(truth.row_tasks[truth.rows(e)])), "length": truth.lengths[e]}
        for e, i in enumerate(truth.episode_ids)
    ])  # fmt: skip
    write_lines(meta / "tasks.jsonl", [{"task_index": i, "task": text} for i, text in enumerate(truth.tasks)])
    if s.stats and version == "v2.1":
        stats = [stats_of(truth, truth.rows(e)) for e in range(len(truth.lengths))]
        lines = [{"episode_index": i, "stats": stats[e]} for e, i in enumerate(truth.episode_ids)]
        write_lines(meta / "episodes_stats.jsonl", lines)
    elif s.stats:
        stats = stats_of(truth, slice(None))
        write_json(meta / "stats.json", {k: {n: v for n, v in row.items() if n != "count"} for k, row in stats.items()})
    write_info(path, truth, s, version)
    return truth


def _episode_row(truth: Truth, s: Spec, e: int, places: dict[str, list[dict[str, int]]]) -> dict[str, Any]:
    rows = truth.rows(e)
    row = {
        "episode_index": truth.episode_ids[e],
        "tasks": sorted(set(truth.row_tasks[rows])),
        "length": truth.lengths[e],
        "data/chunk_index": places["data"][e]["chunk_index"],
        "data/file_index": places["data"][e]["file_index"],
        "dataset_from_index": rows.start,
        "dataset_to_index": rows.stop,
    }
    before = [k for k in range(e) if places["video"][k] == places["video"][e]]
    first = sum(truth.lengths[k] for k in before)
    for key in truth.frames if s.storage == "video" else ():
        row[f"videos/{key}/chunk_index"] = places["video"][e]["chunk_index"]
        row[f"videos/{key}/file_index"] = places["video"][e]["file_index"]
        row[f"videos/{key}/from_timestamp"] = float(first / truth.fps)
        row[f"videos/{key}/to_timestamp"] = float((first + truth.lengths[e]) / truth.fps)
    for key, stats in stats_of(truth, rows).items() if s.stats else ():
        row |= {f"stats/{key}/{name}": value for name, value in stats.items()}
    return row | {
        "meta/episodes/chunk_index": places["meta"][e]["chunk_index"],
        "meta/episodes/file_index": places["meta"][e]["file_index"],
    }


def _place(episode: int, per_file: int, s: Spec) -> dict[str, int]:
    chunk, file = divmod(episode // per_file, s.files_per_chunk)
    return {"chunk_index": chunk, "file_index": file}


def _grouped(places: list[dict[str, int]]) -> list[tuple[dict[str, int], list[int]]]:
    """Each file's place with its episodes, in order."""
    keys = dict.fromkeys(tuple(place.items()) for place in places)
    return [(dict(key), [e for e, place in enumerate(places) if tuple(place.items()) == key]) for key in keys]


def _write_tasks_parquet(file: Path, truth: Truth, s: Spec) -> None:
    order = range(len(truth.tasks))[::-1] if s.tasks_shuffled else range(len(truth.tasks))
    texts = [truth.tasks[i] for i in order]
    table = pa.table({"task_index": pa.array(list(order), pa.int64()), s.tasks_column: texts})
    columns = [
        {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"},
        {"name": s.tasks_column, "field_name": s.tasks_column, "pandas_type": "unicode", "numpy_type": "object"},
    ]
    if s.tasks_column == "__index_level_0__":
        columns[1]["name"] = None
    columns = [column | {"metadata": None} for column in columns]
    index = {"index_columns": [s.tasks_column], "column_indexes": [], "columns": columns, "pandas_version": "2.2.3"}
    write_parquet(file, [table.replace_schema_metadata({"pandas": json.dumps(index)})], False)
