"""Episodes to write in tests of the writer, and ways to look at what was written."""

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from robomix.features import Feature
from robomix.formats.lerobot.writer import DatasetWriter
from tests.pictures import decode_video, pictures

TOP, WRIST = "observation.images.top", "observation.images.wrist"
FEATURES = {
    "observation.state": Feature("numeric", "float32", (3,), ("x", "y", "z")),
    "action": Feature("numeric", "float64", (2,)),
    "gripper": Feature("numeric", "float32", ()),
    "count": Feature("numeric", "int64", (1,)),
    "pose": Feature("numeric", "float32", (2, 3)),
    "next.done": Feature("numeric", "bool", ()),
    TOP: Feature("camera", "uint8", (3, 32, 48), storage="video"),
    WRIST: Feature("camera", "uint8", (3, 31, 41), storage="image"),
}


def numeric_columns(length: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "observation.state": rng.normal(size=(length, 3)).astype(np.float32),
        "action": rng.normal(size=(length, 2)),
        "gripper": rng.random(length).astype(np.float32),
        "count": rng.integers(0, 9, (length, 1)),
        "pose": rng.normal(size=(length, 2, 3)).astype(np.float32),
        "next.done": np.arange(length) == length - 1,
    }


def episode(length: int, first_row: int = 0) -> dict[str, Any]:
    """Columns of FEATURES whose pictures carry the row in the dataset."""
    rows = range(first_row, first_row + length)
    return numeric_columns(length, first_row) | {TOP: pictures(rows, 0, 32, 48), WRIST: pictures(rows, 1, 31, 41)}


def write(path: Path, lengths: list[int], tasks: list[Any] | None = None, **options: Any) -> dict[str, np.ndarray]:
    """Write episodes of these lengths; what was given, (N, ...) per key."""
    episodes, row = [], 0
    with DatasetWriter(path, **{"fps": 10, "features": FEATURES, "robot_type": "bot"} | options) as writer:
        for e, length in enumerate(lengths):
            episodes.append(episode(length, row))
            assert writer.add_episode(episodes[-1], tasks[e] if tasks else "pick") == e
            row += length
    return {key: np.concatenate([columns[key] for columns in episodes]) for key in FEATURES}


def add_episodes(
    path: Path, *episodes: Any, task: Any = "t", then: Callable[[], None] | None = None, **options: Any
) -> None:
    """Write these episodes, and do something before the `with` block ends."""
    with DatasetWriter(path, **{"fps": 10, "features": FEATURES} | options) as writer:
        for columns in episodes:
            writer.add_episode(columns, task)
        if then is not None:
            then()


def lerobot_dataset(path: Path, **options: Any) -> Any:
    logging.disable(logging.WARNING)  # lerobot reports at length that torchcodec lacks FFmpeg libraries here
    try:
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        return LeRobotDataset("local/set", root=path, video_backend="pyav", return_uint8=True, **options)
    finally:
        logging.disable(logging.NOTSET)


def windows(path: Path) -> list[dict[str, Any]]:
    """The rows of meta/episodes."""
    files = sorted(path.glob("meta/episodes/*/*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def video_frames(path: Path, row: dict[str, Any], fps: Fraction) -> np.ndarray:
    """Frames of an episode in camera TOP, decoded without robomix and without LeRobot."""
    name = f"chunk-{row[f'videos/{TOP}/chunk_index']:03d}/file-{row[f'videos/{TOP}/file_index']:03d}.mp4"
    first, last = (round(row[f"videos/{TOP}/{end}_timestamp"] * fps) for end in ("from", "to"))
    return decode_video(path / "videos" / TOP / name)[first:last]
