"""Datasets before and after an edit, looked at with plain PyArrow and PyAV, or through robomix's own reader."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robomix.formats.lerobot.dataset import LeRobotDataset
from robomix.tools.build.content import Content
from robomix.tools.build.layout import Version
from robomix.tools.build.plan import Plan, carry_out, make_plan
from robomix.tools.build.source import read_content
from tests.fixtures import decode_video

TOP = "observation.images.top"


def edited(
    source: Path, target: Path, change: Callable[[Content], Content] = lambda content: content, **options: Any
) -> Plan:
    """Writes what `change` makes of `source`; the plan it went by."""
    version: Version = options.pop("version", json.loads((source / "meta/info.json").read_text())["codebase_version"])
    plan = make_plan(change(read_content(source)), target, version=version)
    carry_out(plan, codec=options.pop("codec", "h264"), **options)
    return plan


def rows_of(path: Path) -> pa.Table:
    """All data files of a dataset, in the order of their names."""
    files = sorted((path / "data").rglob("*.parquet"))
    return pa.concat_tables([pq.read_table(file).replace_schema_metadata(None) for file in files])


def frames_of(path: Path, fps: float, camera: str = TOP) -> list[np.ndarray]:
    """(T, 3, H, W) uint8 of each episode of a v3.0 dataset, as PyAV decodes what the metadata points to."""
    decoded: dict[Path, np.ndarray] = {}
    made = []
    for row in episode_rows(path):
        prefix = f"videos/{camera}"
        name = f"chunk-{row[f'{prefix}/chunk_index']:03d}/file-{row[f'{prefix}/file_index']:03d}.mp4"
        file = path / "videos" / camera / name
        if file not in decoded:
            decoded[file] = decode_video(file)
        first = round(row[f"{prefix}/from_timestamp"] * fps)
        made.append(decoded[file][first : first + row["length"]])
    return made


def episode_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a v3.0 dataset's meta/episodes."""
    files = sorted(path.glob("meta/episodes/*/*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def assert_equal(result: Path, source: Path) -> None:
    """The same numbers in the same types, texts, rate, robot and decoded frames."""
    new, old = LeRobotDataset.opened(result), LeRobotDataset.opened(source)
    assert (new.fps, new.robot_type, list(new.features)) == (old.fps, old.robot_type, list(old.features))
    np.testing.assert_array_equal(new.episodes.starts, old.episodes.starts)
    assert [new.tasks[i] for i in new.task_indices()] == [old.tasks[i] for i in old.task_indices()]
    for key, feature in old.features.items():
        if feature.is_camera:
            rows = np.arange(old.num_frames)
            np.testing.assert_array_equal(new.read_frames(key, rows), old.read_frames(key, rows), key)
        elif feature.kind == "numeric":
            assert new.column(key).dtype == old.column(key).dtype
            np.testing.assert_array_equal(new.column(key), old.column(key), key)


def digests(folder: Path) -> dict[str, str]:
    """MD5 of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in files}
