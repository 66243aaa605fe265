"""The metadata files of a LeRobot v3.0 dataset: info.json, stats.json and tasks.parquet."""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robomix.features import BOOKKEEPING, Feature
from robomix.formats.lerobot.write_stats import Stats
from robomix.formats.lerobot.write_tables import DATA_PATH, FILES_PER_CHUNK, VIDEO_PATH
from robomix.video.encode import Encoder


def number(fps: Fraction) -> int | float:
    """`fps` as LeRobot writes it: a whole number where it is one."""
    return int(fps) if fps.denominator == 1 else float(fps)


def declare(feature: Feature, fps: Fraction, encoder: Encoder) -> dict[str, Any]:
    """The entry of a feature in info.json; cameras are declared (height, width, channels)."""
    if not feature.is_camera:
        names = None if feature.names is None else list(feature.names)
        return {"dtype": feature.dtype, "shape": list(feature.shape or (1,)), "names": names}
    channels, height, width = feature.shape
    axes = {"dtype": feature.storage, "shape": [height, width, channels], "names": ["height", "width", "channels"]}
    if feature.storage == "image":
        return axes
    info = {
        "video.height": height,
        "video.width": width,
        "video.codec": encoder.codec,
        "video.pix_fmt": encoder.pix_fmt,
        "video.fps": number(fps),
        "video.channels": channels,
        "has_audio": False,
        "video.g": encoder.g,
        "video.crf": encoder.crf,
        "video.preset": encoder.preset,
        "video.fast_decode": 0,
        "video.extra_options": dict(encoder.extra),
        "video.video_backend": "pyav",
        "is_depth_map": False,
    }
    return axes | {"info": info}


def write_info(
    root: Path,
    *,
    features: Mapping[str, Feature],
    fps: Fraction,
    robot_type: str | None,
    encoder: Encoder,
    episodes: int,
    frames: int,
    tasks: int,
    data_file_mb: float,
    video_file_mb: float,
) -> None:
    """Write meta/info.json."""
    declared = {key: declare(feature, fps, encoder) for key, feature in features.items()}
    for key in BOOKKEEPING:
        dtype = "float32" if key == "timestamp" else "int64"
        declared[key] = {"dtype": dtype, "shape": [1], "names": None}
    has_video = any(feature.storage == "video" for feature in features.values())
    info = {
        "codebase_version": "v3.0",
        "fps": number(fps),
        "features": declared,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": data_file_mb,
        "video_files_size_in_mb": video_file_mb,
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if has_video else None,
        "robot_type": robot_type,
        "splits": {"train": f"0:{episodes}"},
    }
    (root / "meta" / "info.json").write_text(json.dumps(info, indent=4, ensure_ascii=False), encoding="utf-8")


def write_stats(root: Path, stats: Mapping[str, Stats]) -> None:
    """Write meta/stats.json."""
    lists = {key: {name: value.tolist() for name, value in entry.items()} for key, entry in stats.items()}
    (root / "meta" / "stats.json").write_text(json.dumps(lists, indent=4, ensure_ascii=False), encoding="utf-8")


def write_tasks(root: Path, tasks: Sequence[str]) -> None:
    """Write meta/tasks.parquet: row i is task i, its text the index `task` of the frame that pandas reads."""
    described = {"task_index": ("int64", "int64"), "task": ("unicode", "object")}
    columns = [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": dtype, "metadata": None}
        for name, (kind, dtype) in described.items()
    ]
    pandas = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.2.0"}
    table = pa.table({"task_index": np.arange(len(tasks)), "task": pa.array(tasks, pa.string())})
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), root / "meta" / "tasks.parquet")
