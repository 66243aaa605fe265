"""Tables and metadata of the LeRobot fixtures, as recorders, converters and pandas scripts write them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.truth import Spec, Truth

V2_DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
V2_VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
V3_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
V3_VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"


def table_of(truth: Truth, s: Spec, rows: slice) -> pa.Table:
    """The parquet table of some rows of one episode."""
    columns: dict[str, pa.Array] = {key: _column(values[rows], s) for key, values in truth.columns.items()}
    if s.storage == "image":
        columns |= {key: _png_column(frames[rows]) for key, frames in truth.frames.items()}
    columns |= {key: pa.array(values[rows]) for key, values in _bookkeeping(truth, s).items()}
    table = pa.table(columns)
    if s.lists == "fixed":
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": _hf_features(truth, s)}})}
        )
    return table


def _bookkeeping(truth: Truth, s: Spec) -> dict[str, np.ndarray]:
    lengths = np.array(truth.lengths)
    columns = {
        "timestamp": truth.timestamps,
        "frame_index": np.concatenate([np.arange(length) for length in lengths]),
        "episode_index": np.repeat(truth.episode_ids, lengths),
        "index": np.arange(truth.num_frames),
        "task_index": truth.task_index(),
    }
    return {key: values for key, values in columns.items() if key != "frame_index" or s.frame_index}


def _column(values: np.ndarray, s: Spec) -> pa.Array:
    if values.shape[1:] == (1,) and not s.scalar_lists:
        return pa.array(values[:, 0])
    if values.ndim > 2:
        return pa.array(values.tolist(), pa.list_(pa.list_(pa.from_numpy_dtype(values.dtype))))
    if s.lists == "variable":
        return pa.array(list(values), pa.list_(pa.from_numpy_dtype(values.dtype)))
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _png_column(frames: np.ndarray) -> pa.Array:
    cells = []
    for i, image in enumerate(frames):
        buffer = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(buffer, format="png")
        cells.append({"bytes": buffer.getvalue(), "path": f"frame_{i:06d}.png"})
    return pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}))


def _hf_features(truth: Truth, s: Spec) -> dict[str, Any]:
    """The schema that HF `datasets` keeps in the parquet metadata."""
    features: dict[str, Any] = {}
    for key, values in truth.columns.items():
        value = {"dtype": s.value_dtype, "_type": "Value"}
        if values.ndim > 2:
            features[key] = {"shape": values.shape[1:], "dtype": s.value_dtype, "_type": f"Array{values.ndim - 1}D"}
        elif values.shape[1] == 1 and not s.scalar_lists:
            features[key] = value
        else:
            features[key] = {"feature": value, "length": values.shape[1], "_type": "Sequence"}
    if s.storage == "image":
        features |= {key: {"_type": "Image"} for key in truth.frames}
    book = _bookkeeping(truth, s)
    return features | {key: {"dtype": str(values.dtype), "_type": "Value"} for key, values in book.items()}


def stats_of(truth: Truth, rows: slice) -> dict[str, dict[str, Any]]:
    """min, max, mean, std and count of every feature; cameras per channel in [0, 1], shape (3, 1, 1)."""
    out = {key: _moments(values[rows], 0) for key, values in truth.columns.items()}
    return out | {key: _moments(frames[rows] / 255, (0, 2, 3)) for key, frames in truth.frames.items()}


def _moments(values: np.ndarray, axis: int | tuple[int, ...]) -> dict[str, Any]:
    shape = (3, 1, 1) if isinstance(axis, tuple) else values.shape[1:]
    functions = {"min": np.min, "max": np.max, "mean": np.mean, "std": np.std}
    moments = {n: f(values, axis=axis).astype(float).reshape(shape).tolist() for n, f in functions.items()}
    return moments | {"count": [len(values)]}


def write_info(path: Path, truth: Truth, s: Spec, version: str) -> None:
    v3, video = version == "v3.0", s.storage == "video" and bool(s.cameras)
    stale = {
        "data_path": V2_DATA if v3 else V2_DATA.replace("episode_chunk", "episode_index"),
        "video_path": V2_VIDEO if v3 else V2_VIDEO.replace("episode_chunk", "episode_index"),
    }
    info: dict[str, Any] = {
        "codebase_version": version,
        "robot_type": s.robot_type,
        "total_episodes": len(truth.lengths),
        "total_frames": truth.num_frames,
        "total_tasks": len(truth.tasks),
        "chunks_size": s.files_per_chunk,
        "fps": s.fps if isinstance(s.fps, int) else float(s.fps),
        "splits": {"train": f"0:{len(truth.lengths)}"},
        "data_path": V3_DATA if v3 else V2_DATA,
        "video_path": (V3_VIDEO if v3 else V2_VIDEO) if video else None,
    }
    if v3:
        info |= {"data_files_size_in_mb": 100, "video_files_size_in_mb": 200}
    else:
        info |= {"total_videos": len(truth.lengths) * len(s.cameras) * video, "total_chunks": 1}
    if s.stale_templates:
        info |= stale
    write_json(path / "meta/info.json", info | {"features": _declared(truth, s)})


def _declared(truth: Truth, s: Spec) -> dict[str, Any]:
    """The `features` of info.json."""
    features: dict[str, Any] = {}
    for key, values in truth.columns.items():
        entries = [f"{key[0]}{i}" for i in range(values.shape[1])]
        names = {"list": entries, "nested": [entries], "dict": {"motors": entries}, "null": None, "absent": None}[
            s.names
        ]
        features[key] = {"dtype": s.value_dtype, "shape": list(values.shape[1:]), "names": names}
    sizes = dict(s.cameras) | dict.fromkeys(s.ghost_cameras, (32, 48))
    for key, (height, width) in sizes.items():
        axes = {"height": height, "width": width, "channels": 3}
        order = ["channels", "height", "width"] if s.channels_first else ["height", "width", "channels"]
        features[key] = {"dtype": s.storage, "shape": [axes[axis] for axis in order], "names": order}
        if s.info_key and s.storage == "video":
            codec = {"libsvtav1": "av1"}.get(s.codec, s.codec)
            block = {"video.height": height, "video.width": width, "video.codec": codec, "video.pix_fmt": "yuv420p"}
            features[key][s.info_key] = block | {"video.fps": float(truth.fps), "video.channels": 3, "has_audio": False}
    for key, values in _bookkeeping(truth, s).items():
        features[key] = {"dtype": str(values.dtype), "shape": [1], "names": None}
    for feature in features.values():
        if s.names in ("null", "absent"):
            feature["names"] = None
        if s.names == "absent":
            del feature["names"]
    return features


def write_parquet(file: Path, tables: list[pa.Table], group_per_table: bool) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(file, tables[0].schema) as writer:
        for table in tables if group_per_table else [pa.concat_tables(tables)]:
            writer.write_table(table)


def write_json(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=4))


def write_lines(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
